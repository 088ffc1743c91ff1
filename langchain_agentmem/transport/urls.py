"""Reads URLs: which driver to make for which. No I/O, except that an embedded server is started."""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, Protocol
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import redis.asyncio.sentinel
import redis.sentinel
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from langchain_agentmem.core.redaction import clean
from langchain_agentmem.embedded.server import EmbeddedRedis
from langchain_agentmem.errors import ConfigurationError
from langchain_agentmem.transport.cluster_driver import AsyncClusterDriver, ClusterDriver
from langchain_agentmem.transport.connection_limit import MAX_CONNECTIONS, ThreadTurns
from langchain_agentmem.transport.drivers import AsyncDriver, Driver
from langchain_agentmem.transport.embedded_driver import AsyncEmbeddedDriver, EmbeddedDriver
from langchain_agentmem.transport.redis_driver import AsyncRedisDriver, RedisDriver
from langchain_agentmem.transport.rest_api import database
from langchain_agentmem.transport.time_limits import connecting_in_time

KNOWN = (
    "redis://, rediss://, unix://, redis+sentinel://, rediss+sentinel://, redis+cluster://, "
    "rediss+cluster://, https:// and embedded://"
)
_SERVER_OPTIONS = (
    *("client_name", "db", "decode_responses", "health_check_interval", "max_connections", "password"),
    *("protocol", "retry_on_timeout", "socket_connect_timeout", "socket_keepalive", "socket_timeout"),
    *("ssl_ca_certs", "ssl_ca_data", "ssl_ca_path", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname"),
    *("ssl_ciphers", "ssl_keyfile", "ssl_min_version", "ssl_password", "username"),
)
_SENTINEL_OPTIONS = ("max_connections", "sentinel_password", "sentinel_username")
_ESCAPE = "A password with other characters than letters and digits has to be percent-encoded."


class Source(Protocol):
    """Makes drivers for one URL; which may block, as an embedded server is started for it."""

    def driver(self) -> Driver:
        """Return a new driver on a client of its own."""

    def async_driver(self) -> AsyncDriver:
        """Return a new async driver, for whichever event loop uses it first."""

    def close(self) -> None:
        """Give up what the source itself holds; drivers are closed by whoever asked for them."""


def is_rest(url: str) -> bool:
    """Return whether a URL names a database with a REST API."""
    return isinstance(url, str) and url.strip().lower().startswith(("https://", "http://"))


def is_cluster(url: str) -> bool:
    """Return whether a URL names nodes of a Redis Cluster."""
    scheme = url.strip().partition(":")[0].lower() if isinstance(url, str) else ""
    return scheme in ("redis+cluster", "rediss+cluster")


def socket_timeout(url: str) -> float | None:
    """Return the time that a URL names for each answer; `None` if it names none."""
    return _number(dict(parse_qsl(urlsplit(url.strip()).query)).get("socket_timeout", ""))


def environment_token(url: str) -> str | None:
    """Return the token in the environment, unless the environment has it for another URL."""
    meant_for = os.environ.get("UPSTASH_REDIS_REST_URL", "").strip().rstrip("/")
    if meant_for and url.strip().partition("?")[0].rstrip("/") != meant_for.partition("?")[0].rstrip("/"):
        return None
    return os.environ.get("UPSTASH_REDIS_REST_TOKEN") or None


def open_source(url: str, socket_timeout_seconds: float, token: str | None = None) -> Source:
    """Return what makes the drivers for a URL.

    Args:
        url: Of one of the `KNOWN` schemes.
        socket_timeout_seconds: How long a connection, and each answer, may take; above 0, at most a day.
        token: The token of a REST API; `None` for any other URL.

    Raises:
        ConfigurationError: The URL or the token is not understood. No message repeats a part of the URL that
            may hold a password, or a piece of one that was not encoded.
    """
    if not isinstance(url, str) or not url.strip():
        raise ConfigurationError(f"The URL is empty. Known are {KNOWN}.")
    _check_seconds("socket_timeout_seconds", socket_timeout_seconds)
    url = url.strip()
    parts = _split(url)
    if parts.scheme in ("https", "http"):
        from langchain_agentmem.transport.rest_driver import RestSource

        return RestSource(database(parts, token), socket_timeout_seconds)
    if token is not None:
        raise ConfigurationError(
            clean("token= goes with the https:// URL of a REST API; a Redis URL has a password."),
            plain="A token goes with the https:// URL of a REST API; a Redis URL has a password.",
        )
    match parts.scheme:
        case "redis" | "rediss" | "unix":
            return _Server(url, parts, socket_timeout_seconds)
        case "redis+sentinel" | "rediss+sentinel":
            return _Sentinels(parts, socket_timeout_seconds)
        case "redis+cluster" | "rediss+cluster":
            return _Cluster(parts, socket_timeout_seconds)
        case "embedded":
            return _Embedded(parts, socket_timeout_seconds)
    scheme = f"begins with {parts.scheme}://" if parts.scheme and "://" in url else "has no scheme"
    raise ConfigurationError(f"The URL {scheme}. Known are {KNOWN}.")


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = None
    if parts is None or "\0" in unquote(url):
        raise ConfigurationError(f"The URL is malformed. {_ESCAPE}")
    if parts.fragment or url.endswith("#"):
        raise ConfigurationError(f"A # in the URL has to be written %23. {_ESCAPE}")
    return parts


def _check_seconds(name: str, seconds: object) -> None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= 86_400:
        raise ConfigurationError(f"{name} must be above 0 and at most a day, not {seconds!r}.")


def _options(query: str, known: Iterable[str]) -> dict[str, str]:
    found = dict(parse_qsl(query, keep_blank_values=True))
    unknown = sorted(found.keys() - set(known))
    if unknown:
        named = "" if "@" in query else f": {', '.join(unknown)}"
        raise ConfigurationError(
            f"The Redis URL has an unknown option{named}. Known are {', '.join(known)}. {_ESCAPE}",
            plain=f"The Redis URL has an unknown option behind its question mark{named}. {_ESCAPE}",
        )
    return found


def _unfit(error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"The Redis URL has an option that does not fit: {error}.",
        plain="The Redis URL has an option, behind its question mark, that has no such value.",
    )


def _database(text: str) -> int:
    if not re.fullmatch("[0-9]{0,9}", text):
        raise ConfigurationError(f"The database in a Redis URL is a number: redis://host:6379/0. {_ESCAPE}")
    return int(text or 0)


def _connections(text: str) -> int:
    if not re.fullmatch("[1-9][0-9]{0,8}", text):
        raise ConfigurationError(f"The max_connections in a Redis URL are a number above 0. {_ESCAPE}")
    return int(text)


def _host(text: str, default_port: int) -> tuple[str, int]:
    """Return a host and its port, from `host`, `host:port`, `[v6]` or `[v6]:port`."""
    found = re.fullmatch(r"(\[[0-9A-Fa-f:.%\w]+\]|[^\[\]:]*)(?::([0-9]{0,5}))?", text)
    host, port = (found[1].strip("[]"), int(found[2] or default_port)) if found else ("", 0)
    try:
        unquote(host).encode("idna")
    except UnicodeError:
        port = 0
    if not 0 < port < 65_536:
        raise ConfigurationError(f"The Redis URL has a malformed host or port. {_ESCAPE}")
    return unquote(host) or "localhost", port


def _connection_options(timeout_seconds: float, retry: Any) -> dict[str, Any]:
    # Retries are the drivers' own, because they know what may be repeated.
    return {
        "max_connections": MAX_CONNECTIONS,
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": timeout_seconds,
        "retry": retry,
        "retry_on_error": [],
    }


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


class _RedisSource(ABC):
    """Makes drivers on redis-py's clients."""

    @abstractmethod
    def _make(self, library: Any, retry: Any) -> Any:
        """Return a new client of `redis` or `redis.asyncio`."""

    def client(self) -> redis.Redis:
        """Return a new sync client."""
        client: redis.Redis = self._make(redis, Retry(NoBackoff(), 0))
        return client

    def async_client(self) -> redis.asyncio.Redis:
        """Return a new async client, for whichever event loop uses it first."""
        client: redis.asyncio.Redis = self._make(redis.asyncio, AsyncRetry(NoBackoff(), 0))
        return client

    def driver(self) -> RedisDriver:
        return RedisDriver(self.client(), waits=True)

    def async_driver(self) -> AsyncRedisDriver:
        return AsyncRedisDriver(self.async_client())

    def close(self) -> None:  # noqa: B027 - no source of these holds anything
        """Do nothing: there is nothing but drivers."""


class _Server(_RedisSource):
    def __init__(self, url: str, parts: SplitResult, timeout_seconds: float) -> None:
        self._url = url
        self._timeout_seconds = timeout_seconds
        options = _options(parts.query, _SERVER_OPTIONS)
        for name in ("socket_timeout", "socket_connect_timeout"):
            _check_seconds(name, _number(options.get(name, "1")))
        if parts.scheme == "unix":
            if not parts.path.strip("/"):
                raise ConfigurationError("A unix URL names a socket: unix:///run/redis.sock.")
        else:
            _host(parts.netloc.rpartition("@")[2], 6379)
            _database(parts.path.strip("/"))
        _database(options.get("db", ""))
        _connections(options.get("max_connections", str(MAX_CONNECTIONS)))
        if options.get("protocol", "3") not in ("2", "3"):
            raise ConfigurationError("The protocol in a Redis URL is 2 or 3.")
        client = self.client()
        try:  # what else is wrong is raised now, not at first use
            client.connection_pool.connection_class(**client.connection_pool.connection_kwargs)
        except (redis.RedisError, ValueError, TypeError) as error:
            raise _unfit(error) from None

    def _make(self, library: Any, retry: Any) -> Any:
        try:
            client = library.Redis.from_url(self._url, **_connection_options(self._timeout_seconds, retry))
        except (ValueError, TypeError) as error:
            raise _unfit(error) from None
        connecting_in_time(client)
        return client


class _Sentinels(_RedisSource):
    """Asks sentinels: `redis+sentinel://[user:password@]host[:port][,host[:port]…]/service[/db][?sentinel_password=…]`."""

    def __init__(self, parts: SplitResult, timeout_seconds: float) -> None:
        credentials, _, hosts = parts.netloc.rpartition("@")
        user, _, password = credentials.partition(":")
        service, _, db = parts.path.strip("/").partition("/")
        if not service:
            raise ConfigurationError(
                "A Sentinel URL names the service: redis+sentinel://host:26379/mymaster/0."
            )
        options = _options(parts.query, _SENTINEL_OPTIONS)
        self._hosts = [_host(host, 26379) for host in hosts.split(",")]
        self._db = _database(db.strip("/"))
        self._service = unquote(service)
        self._timeout_seconds = timeout_seconds
        self._tls = parts.scheme.startswith("rediss")
        self._credentials = {"username": unquote(user) or None, "password": unquote(password) or None}
        self._most = _connections(options.pop("max_connections", str(MAX_CONNECTIONS)))
        self._sentinel = {key.removeprefix("sentinel_"): value for key, value in options.items()}

    def _make(self, library: Any, retry: Any) -> Any:
        options = _connection_options(self._timeout_seconds, retry) | {"ssl": self._tls}
        # Sentinels are asked one after the other. All of them together get about the time of one answer.
        each = max(self._timeout_seconds / len(self._hosts), min(self._timeout_seconds, 1.0))
        asking = options | {"socket_timeout": each, "socket_connect_timeout": each}
        found = library.sentinel.Sentinel(self._hosts, sentinel_kwargs=asking | self._sentinel)
        options["max_connections"] = self._most
        client = found.master_for(self._service, db=self._db, **options, **self._credentials)
        for one in (client, *found.sentinels):
            connecting_in_time(one)
        return client


class _Cluster(Source):
    """Names nodes of a Redis Cluster: `redis+cluster://[user:password@]host[:port][,host[:port]…][?options]`."""

    def __init__(self, parts: SplitResult, timeout_seconds: float) -> None:
        credentials, at, hosts = parts.netloc.rpartition("@")
        if "@" in credentials:
            raise ConfigurationError(
                f"In a Redis Cluster URL, user and password stand once, before the first host. {_ESCAPE}"
            )
        options = _options(parts.query, _SERVER_OPTIONS)
        if _database(parts.path.strip("/")) or options.get("db", "0") not in ("", "0"):
            raise ConfigurationError(
                "A Redis Cluster has database 0 only. Leave the number at the end of the URL out."
            )
        self._seeds = [_host(host, 6379) for host in hosts.split(",")]
        url = f"{parts.scheme.replace('+cluster', '')}://{credentials}{at}localhost?{parts.query}"
        self._server = _Server(url, _split(url), timeout_seconds)

    def driver(self) -> Driver:
        pool: Any = self._server.client().connection_pool
        seconds = pool.connection_kwargs["socket_timeout"]
        turns = ThreadTurns(pool.max_connections, seconds, f"each node of the cluster at {self._names()[0]}")
        return ClusterDriver(
            self._names(), lambda host, port: _at(host, port, self._server.client()), turns=turns
        )

    def async_driver(self) -> AsyncDriver:
        pool: Any = self._server.async_client().connection_pool
        return AsyncClusterDriver(
            self._names(),
            lambda host, port: _at(host, port, self._server.async_client()),
            limit=pool.max_connections,
        )

    def close(self) -> None:
        """Do nothing: there is nothing but drivers."""

    def _names(self) -> list[str]:
        return [f"{host}:{port}" for host, port in self._seeds]


def _at(host: str, port: int, client: Any) -> Any:
    """Return a new client, for another server: which a cluster has named, so that nothing is read into it."""
    pool = client.connection_pool
    pool.connection_kwargs.update(host=host, port=port)
    pool.max_connections = max(2, pool.max_connections)  # one is for reading where the slots are
    return client


class _Embedded(Source):
    """Starts a private Redis: `embedded://` or `embedded:///a/folder`, with `?directive=value`s."""

    def __init__(self, parts: SplitResult, timeout_seconds: float) -> None:
        if parts.netloc:
            raise ConfigurationError(
                "An embedded URL has three slashes before its folder: embedded:///path/to/data."
            )
        folder = unquote(parts.path) if parts.path.strip("/") else EmbeddedRedis.default_data_dir()
        self._server = EmbeddedRedis(folder, options=dict(parse_qsl(parts.query, keep_blank_values=True)))
        self._timeout_seconds = timeout_seconds

    def driver(self) -> Driver:
        """Return a new driver, which starts the server again if it is gone."""
        return EmbeddedDriver(self._server, lambda url: self._at(url).client())

    def async_driver(self) -> AsyncDriver:
        """Async version of `driver`."""
        return AsyncEmbeddedDriver(self._server, lambda url: self._at(url).async_client())

    def close(self) -> None:
        """Let go of the server."""
        self._server.close()

    def _at(self, url: str) -> _Server:
        return _Server(url, _split(url), self._timeout_seconds)
