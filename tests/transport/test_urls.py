"""What URLs mean, and that no refusal repeats a secret. Nothing connects."""

from __future__ import annotations

import math
import re
from typing import Any
from urllib.parse import quote

import pytest
import redis
import redis.asyncio
from hypothesis import assume, example, given
from hypothesis import strategies as st

from langchain_agentmem.errors import ConfigurationError
from langchain_agentmem.transport.urls import is_cluster, open_source

SCHEMES = (
    *("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"),
)


def options(url: str) -> dict[str, Any]:
    """What the sync client of a URL connects with; the async one must agree."""
    source = open_source(url, 5.0)
    names = ("host", "port", "path", "db", "username", "password", "protocol", "socket_timeout")
    sync, other = (
        {name: pool.connection_kwargs[name] for name in names if name in pool.connection_kwargs}
        for pool in (source.client().connection_pool, source.async_client().connection_pool)
    )
    assert sync == other
    if "protocol" in sync:
        sync["protocol"] = int(sync["protocol"])  # text, before redis-py 7
    return sync


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://", {}),
        ("redis://h", {"host": "h"}),
        ("redis://h:1/2", {"host": "h", "port": 1, "db": 2}),
        ("redis://h/", {"host": "h"}),
        ("redis://[::1]:7", {"host": "::1", "port": 7}),
        ("redis://:pa%40ss@h", {"host": "h", "password": "pa@ss"}),
        ("redis://u%3A:%2F%23%3F@h", {"host": "h", "username": "u:", "password": "/#?"}),
        ("redis://h?protocol=2&db=3", {"host": "h", "protocol": 2, "db": 3}),
        ("redis://h?socket_timeout=1.5", {"host": "h", "socket_timeout": 1.5}),
        ("unix:///a/b.sock?db=1", {"path": "/a/b.sock", "db": 1}),
        ("unix://:pw@/a%20b", {"path": "/a b", "password": "pw"}),
        (" redis://h\n", {"host": "h"}),
    ],
)
def test_a_url_is_understood(url: str, expected: dict[str, Any]) -> None:
    assert options(url) == {"socket_timeout": 5.0} | expected


@pytest.mark.parametrize(
    "url", ["redis://h", "rediss://h", "unix:///a.sock", "redis+sentinel://h/m", "rediss+sentinel://a,b/m/2"]
)
def test_connections_are_limited_also_where_redis_py_sets_no_limit(url: str) -> None:
    for query, limit in (("", 100), ("?max_connections=7", 7)):
        source = open_source(url + query, 5.0)
        for client in (source.client(), source.async_client()):
            assert client.connection_pool.max_connections == limit


def test_rediss_speaks_tls() -> None:
    source = open_source("rediss://:pw@h:1/2?ssl_cert_reqs=none", 5.0)
    assert issubclass(source.client().connection_pool.connection_class, redis.SSLConnection)
    assert issubclass(source.async_client().connection_pool.connection_class, redis.asyncio.SSLConnection)


@pytest.mark.parametrize(
    ("url", "hosts", "db"),
    [
        ("redis+sentinel://h/mymaster", [("h", 26379)], 0),
        ("redis+sentinel://a:1,b,[::1]:3/mymaster/2", [("a", 1), ("b", 26379), ("::1", 3)], 2),
        ("redis+sentinel://u:p%40@a:1,b:2/mymaster", [("a", 1), ("b", 2)], 0),
    ],
)
def test_a_sentinel_url_is_understood(url: str, hosts: list[tuple[str, int]], db: int) -> None:
    source = open_source(url + "?sentinel_username=su&sentinel_password=s%40", 5.0)
    for client in (source.client(), source.async_client()):
        pool: Any = client.connection_pool
        assert pool.service_name == "mymaster"
        assert pool.connection_kwargs["db"] == db
        assert pool.connection_kwargs["password"] == ("p@" if "u:" in url else None)
        known = [each.connection_pool.connection_kwargs for each in pool.sentinel_manager.sentinels]
        assert [(each["host"], each["port"]) for each in known] == hosts
        assert {(each["username"], each["password"]) for each in known} == {("su", "s@")}


@pytest.mark.parametrize(
    ("url", "nodes", "password"),
    [
        ("redis+cluster://h", ["h:6379"], None),
        ("redis+cluster://:p%40@a:1,b,[::1]:3/0?protocol=2", ["a:1", "b:6379", "::1:3"], "p@"),
        ("REDIS+CLUSTER://u:pw@a:1,b:2?db=0", ["a:1", "b:2"], "pw"),
        (" rediss+cluster://a:1/\n", ["a:1"], None),
    ],
)
def test_a_cluster_url_names_nodes(url: str, nodes: list[str], password: str | None) -> None:
    assert is_cluster(url)
    source: Any = open_source(url, 2.5)
    for driver in (source.driver(), source.async_driver()):
        assert driver._table.to_ask() == nodes
        for host in (
            "::1",
            "evil/?db=3&password=x#@other",
        ):  # a cluster names it, and it is no more than a name
            pool = driver._connect(host, 7).connection_pool
            known = pool.connection_kwargs
            assert (known["host"], known["port"], known.get("password")) == (host, 7, password)
            assert (known["socket_timeout"], known.get("db", 0)) == (2.5, 0)
            assert pool.make_connection().host == host


def test_nodes_of_rediss_speak_tls() -> None:
    source: Any = open_source("rediss+cluster://:pw@h:1?ssl_cert_reqs=none", 5.0)
    pool = source.driver()._connect("h", 1).connection_pool
    assert issubclass(pool.connection_class, redis.SSLConnection)


@pytest.mark.parametrize("end", ["/1", "?db=2", "/0?db=1"])
def test_a_cluster_has_one_database(end: str) -> None:
    with pytest.raises(ConfigurationError, match="database 0 only"):
        open_source(f"redis+cluster://h:1{end}", 5.0)


def test_a_slash_in_the_password_of_a_cluster_has_to_be_encoded() -> None:
    with pytest.raises(ConfigurationError, match="has to be percent-encoded"):
        open_source("redis+cluster://:pass/word@h:1", 5.0)


@pytest.mark.parametrize("url", ["redis://h", "redis+sentinel://h/m", "embedded://", "https://h"])
def test_other_urls_name_no_cluster(url: str) -> None:
    assert not is_cluster(url)


def test_sentinels_of_rediss_speak_tls() -> None:
    pool: Any = open_source("rediss+sentinel://h/mymaster", 5.0).client().connection_pool
    assert issubclass(pool.connection_class, redis.SSLConnection)
    (sentinel,) = pool.sentinel_manager.sentinels
    assert issubclass(sentinel.connection_pool.connection_class, redis.SSLConnection)


@pytest.mark.parametrize(
    "url",
    [
        *("", " ", "redis", "localhost:6379", "http://h", "redis:/h", "redis:h", "REDIS//h", "://"),
        *(
            "redis://h:port",
            "redis://h:99999",
            "redis://h:-1",
            "redis://[::1",
            "redis://a..b",
            "redis://a:1:2",
        ),
        *("redis://h/x", "redis://h/-1", "redis://h/1/2", "redis://h?db=x", "redis://h?db=-1", "redis://h/١"),
        *("redis://h?protocol=4", "redis://h?protocol=x", "redis://h?nonsense=1", "redis://h?nonsense"),
        *("redis://h?socket_timeout=0", "redis://h?socket_timeout=nan", "redis://h?socket_timeout=x"),
        *("redis://h?retry=5", "redis://h?encoding=utf-16", "redis://h?parser_class=x", "redis://h#1"),
        *("redis://h?ssl_cert_reqs=none", "rediss://h?ssl_cert_reqs=x", "redis://h\0", "redis://h%00"),
        *("unix://", "unix:///", "unix://relative.sock", "unix:///a%00b", "redis://h?max_connections=-1"),
        *("redis://h?max_connections=0", "redis://h?max_connections=x"),
        *("redis+sentinel://h/m?max_connections=0", "redis+sentinel://h/m?max_connections=x"),
        *("redis+sentinel://", "redis+sentinel://h", "redis+sentinel://h/", "redis+sentinel://h:x/m"),
        *("redis+sentinel://h:99999/m", "redis+sentinel://h/m/x", "redis+sentinel://h/m/0/1"),
        *("redis+cluster://h:x", "redis+cluster://h:1,a..b", "redis+cluster://h?protocol=4"),
        *("redis+cluster://h?service=x", "redis+cluster://h?socket_timeout=x"),
        *("redis+sentinel://h/m?db=1", "redis+sentinel://a..b/m", "redis+sentinel://h:1:2/m"),
    ],
)
def test_a_malformed_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"URL|socket_timeout"):
        open_source(url, 5.0)


@pytest.mark.parametrize("seconds", [0, -1, math.nan, math.inf, "5", None, True])
def test_a_timeout_is_a_number_of_seconds(seconds: Any) -> None:
    with pytest.raises(ConfigurationError, match="socket_timeout_seconds"):
        open_source("redis://h", seconds)


anything = st.one_of(
    st.text(),
    st.builds("{}://{}".format, st.sampled_from(SCHEMES), st.text()),
    st.builds(
        "{}://{}@{}/{}?{}={}".format,
        st.sampled_from(SCHEMES),
        st.text(),
        st.text(max_size=8),
        st.text(max_size=8),
        st.sampled_from(("db", "protocol", "password", "max_connections", "ssl_min_version", "x")),
        st.text(max_size=8),
    ),
)


@given(anything)
def test_any_text_is_accepted_or_refused_as_a_configuration(url: str) -> None:
    assume("embedded" not in url)
    try:
        source = open_source(url, 5.0)
    except ConfigurationError:
        return
    source.driver().close()
    source.async_driver()


@given(
    st.sampled_from(SCHEMES),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=4),
    st.sampled_from(["", "/x", "/1/2", "?db=x", "?nonsense=1", "#x", ":port", "?protocol=9"]),
)
@example("redis", "pa[ss", "")
@example("redis", "12#pass", "")
@example("redis", "pass/word", "")
@example("redis", "1?hunter22", "")
@example("redis+sentinel", "1?hunter22=x", "")
@example("redis", "paß\u2100word", "")
def test_no_refusal_repeats_the_password(scheme: str, secret: str, end: str) -> None:
    known = (
        refusal("redis://h:port")
        + refusal("redis+cluster://h/1")
        + refusal("redis://h?_=1")
        + refusal("redis+sentinel://")
        + refusal("unix://")
    )
    pieces = [secret, *(piece for piece in re.split("[?/#@]", secret) if len(piece) > 3)]
    for password in (secret, quote(secret, safe="")):
        shown = refusal(f"{scheme}://:{password}@h{end}")
        assert [piece for piece in pieces if piece in shown and piece not in known] == []


def refusal(url: str) -> str:
    try:
        open_source(url, 5.0)
    except ConfigurationError as error:
        return str(error) + repr(error)
    return ""
