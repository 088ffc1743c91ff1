"""`--jwks URL`: bearer tokens that an identity provider signs, verified by the keys it publishes."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any
from urllib.parse import urlsplit

import jwt

from langchain_agentmem.demo.listening import is_loopback
from langchain_agentmem.errors import AgentMemoryError, ConfigurationError
from langchain_agentmem.mcp_server.access import Access, GrantedToken

logger = logging.getLogger("langchain_agentmem.mcp")

NAMESPACE_CLAIM = "agentmem_namespace"
READ_ONLY_CLAIM = "agentmem_read_only"

# By the type of a key, and its curve. A token does not choose: it could name HMAC, the public key its secret.
_ALGORITHMS: dict[tuple[str | None, str | None], list[str]] = {
    ("RSA", None): ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
    ("EC", "P-256"): ["ES256"],
    ("EC", "P-384"): ["ES384"],
    ("EC", "P-521"): ["ES512"],
    ("OKP", "Ed25519"): ["EdDSA"],
}
_LEEWAY_SECONDS = 30  # by which clocks may differ
_TIMEOUT_SECONDS = 5.0
FRESH_SECONDS = 600.0
"""How long keys are used before they are fetched again, so that a key can be taken back."""
PAUSE_SECONDS = 10.0
"""How long to wait at least between two fetches, whatever tokens come."""


class JwksVerifier:
    """Verifies JWTs: signature, expiry, issuer and audience. `sub` is the user.

    The claim `agentmem_namespace` names the namespace, and `agentmem_read_only: true` forbids to write.

    Args:
        url: Where the JSON Web Key Set is; `https`, or `http` on this machine.
        issuer: What `iss` has to be.
        audience: What `aud` has to be, or to contain: this server, so that tokens for others are refused.
        namespace: The namespace of tokens that name none.
        read_only: Whether nobody may write.

    Raises:
        ConfigurationError: The URL is not usable.
    """

    def __init__(
        self, url: str, *, issuer: str, audience: str, namespace: str = "default", read_only: bool = False
    ) -> None:
        if not _is_safe(url):
            raise ConfigurationError(
                "The URL of the keys has to begin with https:// (http:// is for this machine only): whoever "
                "can change what it answers can sign tokens."
            )
        self._client = jwt.PyJWKClient(url, cache_jwk_set=False, timeout=_TIMEOUT_SECONDS)
        self._issuer = issuer
        self._audience = audience
        self._namespace = namespace
        self._read_only = read_only
        self._keys: dict[str | None, tuple[Any, list[str]]] = {}
        self._fetched = self._tried = -FRESH_SECONDS
        self._lock = asyncio.Lock()

    def fetch(self) -> None:
        """Fetch the keys; the old ones stay if that fails. One request.

        Raises:
            ConfigurationError: They cannot be fetched, or there is none to verify tokens with.
        """
        self._tried = time.monotonic()
        try:
            keys = jwt.PyJWKSet.from_dict(self._client.fetch_data()).keys
        except (jwt.PyJWTError, AttributeError, TypeError, ValueError) as error:  # it may be no JSON
            raise ConfigurationError(f"The keys of --jwks cannot be fetched: {error}") from error
        found = {
            key.key_id: (key.key, allowed)
            for key in keys
            if key.public_key_use in (None, "sig") and (allowed := _algorithms(key))
        }
        if not found:
            raise ConfigurationError(
                "None of the keys of --jwks can verify signatures: they have to be RSA, EC or Ed25519."
            )
        self._keys, self._fetched = found, self._tried

    async def verify_token(self, token: str) -> GrantedToken | None:
        """Return what a token grants; `None` if it is not valid.

        Fetches the keys if they are old, or if the token's is not among them.
        """
        try:
            key_id = jwt.get_unverified_header(token).get("kid")
            found = await self._key(key_id)
            if found is None:
                return None
            key, algorithms = found
            claims = jwt.decode(
                token,
                key,
                algorithms=algorithms,
                issuer=self._issuer,
                audience=self._audience,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
            return self._granted(claims)
        except (jwt.PyJWTError, AgentMemoryError) as error:
            logger.info("A token was refused: %s", type(error).__name__)
            return None

    def _granted(self, claims: dict[str, Any]) -> GrantedToken:
        access = Access.of_token(
            claims["sub"],
            claims.get(NAMESPACE_CLAIM, self._namespace),
            read_only=self._read_only or bool(claims.get(READ_ONLY_CLAIM, False)),
        )
        client = claims.get("azp") or claims.get("client_id") or claims["sub"]
        # The SDK refuses it at this second again, by its own clock.
        until = int(claims["exp"]) + _LEEWAY_SECONDS
        return GrantedToken.of(access, client=str(client), expires_at=until, resource=self._audience)

    async def _key(self, key_id: str | None) -> tuple[Any, list[str]] | None:
        """Return the key of this id, and what it may sign with; without an id, the only key."""
        known = self._known(key_id)
        if self._is_due(key_id) and not (known and self._lock.locked()):  # who fetches may take long
            async with self._lock:
                if self._is_due(key_id):  # another request may have fetched them meanwhile
                    try:
                        await asyncio.to_thread(self.fetch)
                    except ConfigurationError as error:
                        logger.warning("%s", error)
        return self._known(key_id)

    def _known(self, key_id: str | None) -> tuple[Any, list[str]] | None:
        if key_id is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(key_id)

    def _is_due(self, key_id: str | None) -> bool:
        now = time.monotonic()
        wanted = now - self._fetched >= FRESH_SECONDS or (key_id is not None and key_id not in self._keys)
        return wanted and now - self._tried >= PAUSE_SECONDS


def _algorithms(key: jwt.PyJWK) -> list[str]:
    """Return what a key may sign with; empty if it is no public key of a kind that is known."""
    data = key._jwk_data
    allowed = _ALGORITHMS.get((key.key_type, data.get("crv")), [])
    stated = data.get("alg")
    return allowed if stated is None else [name for name in allowed if name == stated]


def _is_safe(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))
