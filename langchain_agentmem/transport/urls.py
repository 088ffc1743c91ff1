"""What a URL means: which client to make for it. No I/O, but starting an embedded server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from langchain_agentmem.errors import ConfigurationError
from langchain_agentmem.transport.embedded import EmbeddedRedis

KNOWN = "redis://, rediss://, unix://, redis+sentinel://, rediss+sentinel:// and embedded://"


class Source(Protocol):
    """Where clients come from."""

    def prepare(self) -> None:
        """Whatever has to be there before a client can connect; may block."""

    def client(self) -> redis.Redis:
        """A new sync client."""

    def async_client(self) -> redis.asyncio.Redis:
        """A new async client, for the running event loop."""

    def close(self) -> None:
        """Give up what the source itself holds; clients are closed by whoever asked for them."""


def open_source(url: str, socket_timeout_seconds: float) -> Source:
    """The source for a URL; `ConfigurationError` for one that is not understood."""
    if not isinstance(url, str) or not url.strip():
        raise ConfigurationError(f"The Redis URL is empty. Known are {KNOWN}.")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ConfigurationError(f"The Redis URL is malformed: {error}.") from None
    match parts.scheme:
        case "redis" | "rediss" | "unix":
            return _Server(url, socket_timeout_seconds)
        case "redis+sentinel" | "rediss+sentinel":
            return _Sentinels(parts, socket_timeout_seconds)
        case "embedded":
            return _Embedded(parts, socket_timeout_seconds)
    scheme = f"begins with {parts.scheme}://" if parts.scheme and "://" in url else "has no scheme"
    raise ConfigurationError(f"The Redis URL {scheme}. Known are {KNOWN}.")


def _connection_options(timeout_seconds: float, retry: Any) -> dict[str, Any]:
    # Retries are the drivers' own, because they know what may be repeated.
    return {
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": timeout_seconds,
        "retry": retry,
        "retry_on_error": [],
    }


class _Server:
    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._url = url
        self._timeout_seconds = timeout_seconds
        self._make(redis.Redis.from_url, Retry(NoBackoff(), 0))  # raises now, not at first use

    def client(self) -> redis.Redis:
        client: redis.Redis = self._make(redis.Redis.from_url, Retry(NoBackoff(), 0))
        return client

    def async_client(self) -> redis.asyncio.Redis:
        client: redis.asyncio.Redis = self._make(redis.asyncio.Redis.from_url, AsyncRetry(NoBackoff(), 0))
        return client

    def _make(self, from_url: Callable[..., Any], retry: Any) -> Any:
        try:
            return from_url(self._url, **_connection_options(self._timeout_seconds, retry))
        except (ValueError, TypeError) as error:
            raise ConfigurationError(f"The Redis URL is malformed: {error}.") from None

    def prepare(self) -> None:
        pass

    def close(self) -> None:
        pass


class _Sentinels:
    """`redis+sentinel://[user:password@]host[:port][,host[:port]…]/service[/db][?sentinel_password=…]`."""

    def __init__(self, parts: SplitResult, timeout_seconds: float) -> None:
        credentials, _, hosts = parts.netloc.rpartition("@")
        user, _, password = credentials.partition(":")
        service, _, db = parts.path.strip("/").partition("/")
        if not service:
            raise ConfigurationError(
                "A Sentinel URL names the service: redis+sentinel://host:26379/mymaster/0."
            )
        options = dict(parse_qsl(parts.query))
        unknown = options.keys() - {"sentinel_username", "sentinel_password"}
        if unknown:
            raise ConfigurationError(
                f"Unknown in a Sentinel URL: {', '.join(sorted(unknown))}. "
                "Known are sentinel_username and sentinel_password."
            )
        try:
            self._hosts = [_host(host) for host in hosts.split(",")]
            self._db = int(db or 0)
        except ValueError:
            raise ConfigurationError("A Sentinel URL has a port or database that is no number.") from None
        self._service = unquote(service)
        self._timeout_seconds = timeout_seconds
        self._tls = parts.scheme.startswith("rediss")
        self._credentials = {"username": unquote(user) or None, "password": unquote(password) or None}
        self._sentinel = {key.removeprefix("sentinel_"): value for key, value in options.items()}

    def client(self) -> redis.Redis:
        client: redis.Redis = self._make(Sentinel, Retry(NoBackoff(), 0))
        return client

    def async_client(self) -> redis.asyncio.Redis:
        client: redis.asyncio.Redis = self._make(AsyncSentinel, AsyncRetry(NoBackoff(), 0))
        return client

    def _make(self, sentinels: Callable[..., Any], retry: Any) -> Any:
        options = _connection_options(self._timeout_seconds, retry) | {"ssl": self._tls}
        found = sentinels(self._hosts, sentinel_kwargs=options | self._sentinel)
        return found.master_for(self._service, db=self._db, **options, **self._credentials)

    def prepare(self) -> None:
        pass

    def close(self) -> None:
        pass


def _host(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    return (host.strip("[]"), int(port)) if colon else (text.strip("[]") or "localhost", 26379)


class _Embedded:
    """`embedded://` (a folder of the user's own) or `embedded:///a/folder`."""

    def __init__(self, parts: SplitResult, timeout_seconds: float) -> None:
        if parts.netloc:
            raise ConfigurationError(
                "An embedded URL has three slashes before its folder: embedded:///path/to/data."
            )
        folder = unquote(parts.path) if parts.path.strip("/") else EmbeddedRedis.default_data_dir()
        self._server = EmbeddedRedis(folder)
        self._timeout_seconds = timeout_seconds

    def client(self) -> redis.Redis:
        return _Server(self._server.url, self._timeout_seconds).client()

    def async_client(self) -> redis.asyncio.Redis:
        return _Server(self._server.url, self._timeout_seconds).async_client()

    def prepare(self) -> None:
        self._server.start()

    def close(self) -> None:
        self._server.close()
