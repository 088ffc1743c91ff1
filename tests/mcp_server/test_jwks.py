"""Tokens that an identity provider signs: which are valid, and when its keys are fetched."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import threading
import time
from typing import Any

import jwt
import pytest

from langchain_agentmem.errors import ConfigurationError
from langchain_agentmem.mcp_server import jwks
from langchain_agentmem.mcp_server.access import Access
from langchain_agentmem.mcp_server.jwks import JwksVerifier
from tests.mcp_server.signing import AUDIENCE, ISSUER, Key, key_set

RSA, ELLIPTIC, EDWARDS = Key("k1"), Key("k2", "ES256"), Key("k3", "EdDSA")


class Provider:
    """What answers instead of the URL; counts how often it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.keys: Any = key_set(RSA, ELLIPTIC, EDWARDS)
        self.asked = 0
        self.is_asked = threading.Event()
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.error: Exception | None = None
        monkeypatch.setattr(jwt.PyJWKClient, "fetch_data", lambda client: self._fetch())

    def _fetch(self) -> Any:
        self.asked += 1
        self.is_asked.set()
        self.may_answer.wait(10)
        if self.error is not None:
            raise self.error
        return self.keys


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Provider:
    return Provider(monkeypatch)


def verifier(**more: Any) -> JwksVerifier:
    return JwksVerifier("https://id.example.com/keys", issuer=ISSUER, audience=AUDIENCE, **more)


async def access(tokens: JwksVerifier, token: str) -> Access | None:
    granted = await tokens.verify_token(token)
    return None if granted is None else granted.access


@pytest.mark.parametrize("key", [RSA, ELLIPTIC, EDWARDS], ids=["RSA", "EC", "Ed25519"])
async def test_the_subject_is_the_user(provider: Provider, key: Key) -> None:
    assert await access(verifier(), key.token("alice")) == Access("alice")
    assert provider.asked == 1


async def test_claims_name_the_namespace_and_forbid_to_write(provider: Provider) -> None:
    tokens = verifier(namespace="team")
    assert await access(tokens, RSA.token()) == Access("alice", "team")
    token = RSA.token(agentmem_namespace="work", agentmem_read_only=True)
    assert await access(tokens, token) == Access("alice", "work", read_only=True)
    assert await access(verifier(read_only=True), RSA.token()) == Access("alice", read_only=True)


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": 1},
        {"iss": "https://other.example.com"},
        {"aud": "https://other.example.com"},
        {"aud": []},
        {"nbf": 9_999_999_999},
        {"user": ""},
        {"user": 7},
        {"user": "x" * 5000},
        {"user": "default"},
        {"agentmem_namespace": ""},
        {"agentmem_namespace": ["work"]},
        *({"without": claim} for claim in ("exp", "iss", "aud", "sub")),
    ],
    ids=str,
)
async def test_a_token_that_is_not_for_this_server_is_refused(provider: Provider, claims: Any) -> None:
    assert await access(verifier(), RSA.token(**claims)) is None


async def test_an_audience_among_several_will_do(provider: Provider) -> None:
    assert await access(verifier(), RSA.token(aud=["other", AUDIENCE])) == Access("alice")


async def test_forged_tokens_are_refused(provider: Provider) -> None:
    tokens = verifier()
    claims = {"sub": "alice", "iss": ISSUER, "aud": AUDIENCE, "exp": time.time() + 60}
    unsigned = jwt.encode(claims, None, "none", headers={"kid": "k1"})  # type: ignore[arg-type]
    stolen = Key("k1").token()  # of another pair, under the same id
    confused = ELLIPTIC.token(header={"kid": "k1"})
    tampered = RSA.token().split(".")
    tampered[1] = jwt.encode({**claims, "sub": "bob"}, "x" * 32).split(".")[1]
    for forged in (unsigned, stolen, confused, ".".join(tampered), hmac_signed(claims), "", "a.b.c", "ü"):
        assert await access(tokens, forged) is None, forged


def hmac_signed(claims: dict[str, Any]) -> str:
    """A token whose secret is the public key: what a verifier that lets tokens choose would take."""

    def part(value: Any) -> bytes:
        return base64.urlsafe_b64encode(value if isinstance(value, bytes) else json.dumps(value).encode())

    signed = b".".join(one.rstrip(b"=") for one in (part({"alg": "HS256", "kid": "k1"}), part(claims)))
    public = RSA.private.public_key().public_bytes(*_pem())
    return (signed + b"." + part(hmac.digest(public, signed, hashlib.sha256)).rstrip(b"=")).decode()


def _pem() -> Any:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return Encoding.PEM, PublicFormat.SubjectPublicKeyInfo


async def test_a_key_signs_by_the_algorithm_that_it_states(provider: Provider) -> None:
    provider.keys = key_set({**RSA.public, "alg": "RS512"})
    assert await access(verifier(), RSA.token()) is None
    provider.keys = key_set({**RSA.public, "use": "enc"}, ELLIPTIC)
    assert await access(verifier(), RSA.token()) is None


async def test_a_token_without_a_key_id_takes_the_only_key(provider: Provider) -> None:
    assert await access(verifier(), RSA.token(header={})) is None
    provider.keys = key_set(RSA)
    assert await access(verifier(), RSA.token(header={})) == Access("alice")


async def test_keys_are_fetched_once_for_many_tokens(provider: Provider) -> None:
    tokens = verifier()
    found = await asyncio.gather(*(access(tokens, RSA.token(f"u{n}")) for n in range(20)))
    assert [one.user for one in found if one] == [f"u{n}" for n in range(20)]
    assert provider.asked == 1


async def test_an_unknown_key_is_looked_for_but_not_at_every_request(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens, new = verifier(), Key("new")
    assert await access(tokens, RSA.token()) == Access("alice")
    for _ in range(5):
        assert await access(tokens, new.token()) is None
    assert provider.asked == 1
    monkeypatch.setattr(jwks, "PAUSE_SECONDS", 0)
    provider.keys = key_set(new)
    assert await access(tokens, new.token()) == Access("alice")
    assert provider.asked == 2
    assert await access(tokens, RSA.token()) is None  # it was taken back


@pytest.mark.parametrize(
    "error",
    [jwt.PyJWKClientConnectionError("no route"), json.JSONDecodeError("no JSON", "<html>", 0)],
    ids=repr,
)
async def test_old_keys_are_fetched_again_and_stay_if_that_fails(
    provider: Provider, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    tokens = verifier()
    assert await access(tokens, RSA.token()) == Access("alice")
    monkeypatch.setattr(jwks, "FRESH_SECONDS", 0)
    monkeypatch.setattr(jwks, "PAUSE_SECONDS", 0)
    provider.error = error
    assert await access(tokens, RSA.token()) == Access("alice")
    assert provider.asked == 2
    assert "cannot be fetched" in caplog.text


async def test_a_slow_provider_holds_up_no_token_of_a_known_key(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = verifier()
    assert await access(tokens, RSA.token()) == Access("alice")
    monkeypatch.setattr(jwks, "FRESH_SECONDS", 0)
    monkeypatch.setattr(jwks, "PAUSE_SECONDS", 0)
    provider.is_asked.clear()
    provider.may_answer.clear()
    fetching = asyncio.create_task(access(tokens, RSA.token()))
    assert await asyncio.to_thread(provider.is_asked.wait, 10)
    try:
        assert await asyncio.wait_for(access(tokens, ELLIPTIC.token("bob")), 5) == Access("bob")
    finally:
        provider.may_answer.set()
    assert await fetching == Access("alice")


@pytest.mark.parametrize(
    "keys", [{"keys": []}, {}, [], "x", None, {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}], ids=str
)
def test_an_answer_without_usable_keys_is_refused(provider: Provider, keys: Any) -> None:
    provider.keys = keys
    with pytest.raises(ConfigurationError, match="keys of --jwks"):
        verifier().fetch()


@pytest.mark.parametrize(
    "url", ["http://id.example.com", "file:///etc/keys", "keys.json", "https://", "http://[", ""]
)
def test_keys_come_over_a_connection_that_nobody_can_change(url: str) -> None:
    with pytest.raises(ConfigurationError, match="https://"):
        JwksVerifier(url, issuer=ISSUER, audience=AUDIENCE)
    JwksVerifier("http://127.0.0.1:8000/keys", issuer=ISSUER, audience=AUDIENCE)
