"""The parameters of the Flowise memory nodes, for Upstash and for Redis, in this package's own terms."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from langchain_agentmem.core.checks import ttl, validate_id
from langchain_agentmem.core.redaction import Clean, clean
from langchain_agentmem.errors import ConfigurationError, InvalidInputError

MEMORY_KEY = "chat_history"  # where a chain has its history, if it does not say
INPUTS = ("baseURL", "sessionId", "sessionTTL", "memoryKey", "windowSize")
_HOST = ("redisCacheHost", "redisCachePort", "redisCacheUser", "redisCachePwd", "redisCacheSslEnabled")
CREDENTIAL = ("upstashRestToken", "redisUrl", *_HOST)


@dataclass(frozen=True, slots=True)
class NodeParameters:
    """The parameters of a Flowise memory node.

    Attributes:
        url: Where the sessions are: `https://` of the Upstash node, `redis://` of the Redis node.
        token: The token of the Upstash node.
        session_id: The session; `None` asks for a new one.
        session_ttl: The TTL of a session in seconds, extended by every write; `None` for none.
        memory_key: The chain's variable for the history.
        max_messages: How many of the newest messages are read; `None` for all.
    """

    url: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    session_id: str | None = None
    session_ttl: int | None = None
    memory_key: str = MEMORY_KEY
    max_messages: int | None = None

    @classmethod
    def read(cls, inputs: Mapping[str, Any], credential: Mapping[str, Any] | None = None) -> NodeParameters:
        """Return the parameters as a node has them: numbers may be texts, and what is blank is unset.

        Args:
            inputs: What the node was given, under the node's own names (`INPUTS`).
            credential: Its credential, under the node's own names (`CREDENTIAL`).


        Raises:
            ConfigurationError: A name is unknown, a value is not usable, or it is not said where the
                sessions are. No message repeats a credential.
        """
        given = _given("inputs", inputs, INPUTS)
        secrets = _given("credential", credential or {}, CREDENTIAL)
        try:
            session_id = validate_id("sessionId", given["sessionId"]) if "sessionId" in given else None
        except InvalidInputError as error:
            raise ConfigurationError(str(error)) from error
        url, token = _address(given, secrets)
        return cls(
            url=url,
            token=token,
            session_id=session_id,
            session_ttl=_number("sessionTTL", given, "the TTL of an idle session, in seconds"),
            memory_key=_text("memoryKey", given, MEMORY_KEY),
            max_messages=_number("windowSize", given, "how many messages are read"),
        )


def _given(what: str, values: Any, known: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(values, Mapping):
        raise ConfigurationError(f"The node's {what} must be a dict, not {type(values).__name__}.")
    unknown = sorted(str(name) for name in values if name not in known)
    if unknown:
        raise ConfigurationError(
            f"Unknown in the node's {what}: {', '.join(unknown)}. Known are {', '.join(known)}."
        )
    return {
        name: value
        for name, value in values.items()
        if value is not None and not (isinstance(value, str) and not value.strip())
    }


def _text(name: str, given: Mapping[str, Any], default: str = "") -> str:
    value = given.get(name, default)
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} must be a text, not {type(value).__name__}.")
    return value.strip()


def _number(name: str, given: Mapping[str, Any], meaning: str) -> int | None:
    if name not in given:
        return None
    value = given[name]
    if isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,18}\s*", value):
        value = int(value)
    try:
        return ttl(name, value)
    except InvalidInputError as error:
        raise ConfigurationError(
            f"{name} ({meaning}) must be a whole number above 0, or blank for none, not {value!r}."
        ) from error


def _address(given: Mapping[str, Any], secrets: Mapping[str, Any]) -> tuple[str, str | None]:
    if "baseURL" in given or "upstashRestToken" in secrets:
        if "baseURL" not in given or "upstashRestToken" not in secrets:
            missing = "upstashRestToken in the credential" if "baseURL" in given else "baseURL"
            raise ConfigurationError(
                clean("The Upstash node needs baseURL and upstashRestToken: {} is missing.", Clean(missing))
            )
        url = _text("baseURL", given)
        if not url.lower().startswith(("https://", "http://")):
            raise ConfigurationError(
                "baseURL must be the database's REST URL, such as https://name.upstash.io."
            )
        return url, _text("upstashRestToken", secrets)
    if "redisUrl" in secrets:
        url = _text("redisUrl", secrets)
        if url.lower().startswith(("https://", "http://")):
            raise ConfigurationError(
                "redisUrl must begin with redis://; a REST URL is the Upstash node's baseURL."
            )
        return url, None
    if "redisCacheHost" not in secrets:
        raise ConfigurationError(
            "It is not said where the sessions are: give baseURL and the credential upstashRestToken, "
            "or the credential redisUrl, or redisCacheHost."
        )
    return _redis_url(secrets), None


def _redis_url(secrets: Mapping[str, Any]) -> str:
    host = _text("redisCacheHost", secrets)
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    user, password = _text("redisCacheUser", secrets), _text("redisCachePwd", secrets)
    login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user or password else ""
    port = _number("redisCachePort", secrets, "the server's port") or 6379
    return f"redis{'s' if _flag('redisCacheSslEnabled', secrets) else ''}://{login}{host}:{port}"


def _flag(name: str, secrets: Mapping[str, Any]) -> bool:
    value = secrets.get(name, False)
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        value = value.strip().lower() == "true"
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} must be true or false.")
    return value
