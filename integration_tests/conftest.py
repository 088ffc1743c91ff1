"""One ephemeral Redis per test process, with every module; a fresh database per test."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from tenacity import stop_after_delay

from integration_tests.clusters import clients_of_primaries
from integration_tests.upstash.emulator import Emulator
from integration_tests.upstash.node import RestFront, require_javascript
from langchain_agentmem.core.operations import Batch, Effect, Op, T
from langchain_agentmem.embedded.cluster import EmbeddedCluster
from langchain_agentmem.embedded.cluster_setup import ask_node
from langchain_agentmem.embedded.server import EmbeddedRedis
from langchain_agentmem.transport import connections
from langchain_agentmem.transport.cluster_batch import CLUSTER_PACE
from langchain_agentmem.transport.connections import SharedConnection, Transport
from langchain_agentmem.transport.drivers import PACE
from langchain_agentmem.transport.urls import is_cluster
from tests import steady as steady
from tests.twins import BOTH as BOTH
from tests.twins import Both as Both
from tests.twins import Call as Call
from tests.twins import both as both

HERE = Path(__file__).parent

# Tests of these folders drive browsers, terminals and other processes by the clock. On a machine that stands still for
# a second one may fail, so each has a second try, which the summary names. Not those that count what was lost.
TIMED = frozenset(
    {"benchmarks", "cli", "demo", "docs", "embedded", "mcp_server", "moving", "packaging"}
    | {"scale", "transport", "user_data", "worker"}
)
COUNTING_LOSSES = ("kill", "concurren", "cut", "lost", "lose", "twice", "fork")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        counts = any(word in f"{item.path.stem} {item.name}" for word in COUNTING_LOSSES)
        if (
            item.path.is_relative_to(HERE)
            and TIMED.intersection(item.path.relative_to(HERE).parts)
            and not counts
        ):
            item.add_marker(pytest.mark.flaky(reruns=1))


def pytest_configure() -> None:
    # What runs in the background may begin with Ctrl-C ignored, and so would every process of a test.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--upstash-live",
        action="store_true",
        help="Also use the real database of UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN. What the "
        "tests write there has names of its own, and is deleted.",
    )


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis() as server:
        yield server


def forget_what_is_known(url: str) -> None:
    """Begin without what another test found out about the server, should it have left something open."""
    for (shared_url, *_), (drivers, _) in connections._shared.items():
        if shared_url == url:
            drivers.known.clear()


@pytest.fixture
def url(server: EmbeddedRedis) -> Iterator[str]:
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
        client.script_flush()
        forget_what_is_known(server.url)
        yield server.url


class _BareCluster(redis.RedisCluster):
    """A client of a whole cluster that answers as one of a server does.

    It leaves out what says how many partitions there are, which is on every cluster from the first write on.
    """

    def keys(self, pattern: str = "*", **how: Any) -> Any:
        found = super().keys(pattern, target_nodes=self.PRIMARIES)
        return [key for key in found if not key.endswith(b":partitions")]

    def scan_iter(self, match: Any = None, *_: Any, **how: Any) -> Any:
        yield from self.keys(match or "*")

    def dbsize(self, **how: Any) -> Any:
        return len(self.keys())


def bare_client(url: str) -> redis.Redis | redis.RedisCluster:
    """A plain client of a server, or of a whole cluster."""
    if is_cluster(url):
        first_node = url.removeprefix("redis+cluster").partition(",")[0]
        return _BareCluster.from_url(f"redis{first_node}")
    return redis.Redis.from_url(url)


@pytest.fixture
def bare(request: pytest.FixtureRequest, url: str) -> Iterator[redis.Redis | redis.RedisCluster]:
    """A plain client beside the package, to look at what it wrote."""
    if getattr(request.node, "callspec", None) and request.node.callspec.params.get("transport") == "cluster":
        url = request.getfixturevalue("cluster_url")
    with bare_client(url) as client:
        yield client


@pytest.fixture(scope="session")
def cluster() -> Iterator[EmbeddedCluster]:
    """A Redis Cluster of three primaries, each with a replica; a test that kills a node starts its own.

    It is slow to take a node for dead: where tests share few cores, one may only be late.
    """
    with EmbeddedCluster() as cluster:
        for node in cluster.nodes:  # not from the beginning, as the nodes would take longer to meet
            ask_node(node.port, cluster.password, "CONFIG SET cluster-node-timeout 10000")
        yield cluster


@pytest.fixture
def primaries(cluster: EmbeddedCluster) -> Iterator[list[redis.Redis]]:
    """A plain client of each primary, to look at what is where."""
    with clients_of_primaries(cluster) as clients:
        yield clients


@pytest.fixture
def cluster_url(cluster: EmbeddedCluster, primaries: list[redis.Redis]) -> str:
    """The URL of the cluster, after everything has been removed from it."""
    for client in primaries:
        client.flushall()
        client.script_flush()
    forget_what_is_known(cluster.url)
    return cluster.url


@pytest.fixture(scope="session")
def emulated(server: EmbeddedRedis) -> Iterator[Emulator]:
    with Emulator(server.url) as emulator:
        yield emulator


@pytest.fixture
def emulator(emulated: Emulator, url: str) -> Iterator[Emulator]:
    """Upstash's REST API in front of the same Redis."""
    emulated.clear()
    emulated.indexing_delay_seconds = 0.02
    yield emulated
    emulated.clear()


@pytest.fixture(scope="session")
def front(server: EmbeddedRedis) -> Iterator[RestFront]:
    """A real REST server in front of the same Redis, from npm: without base64, /multi-exec and search."""
    require_javascript()
    with RestFront(server.url) as front:
        yield front


BACKENDS = ("redis", "upstash", "front")
ON_EVERY_BACKEND = pytest.mark.parametrize("transport", BACKENDS, indirect=True)
"""Runs tests that use the fixture `transport` on Redis, and over REST with either server."""
BACKENDS_AND_CLUSTER = (*BACKENDS, "cluster")
ON_CLUSTERS_TOO = pytest.mark.parametrize("transport", BACKENDS_AND_CLUSTER, indirect=True)
"""Runs them on a Redis Cluster besides, on which the fixture `bare` then looks."""


def connection_to(backend: str, request: pytest.FixtureRequest, url: str) -> SharedConnection:
    """A connection to the Redis of the fixture `url`, straight or over REST; or to the cluster."""
    if backend == "cluster":
        return SharedConnection(request.getfixturevalue("cluster_url"))
    if backend == "redis":
        return SharedConnection(url)
    if backend == "front":
        front: RestFront = request.getfixturevalue("front")
        return SharedConnection(f"{front.url}?rest_encoding=none", token=front.token)
    emulator: Emulator = request.getfixturevalue("emulator")
    return SharedConnection(emulator.url, token=emulator.token)


@pytest.fixture
async def transport(request: pytest.FixtureRequest, url: str) -> AsyncIterator[SharedConnection]:
    connection = connection_to(getattr(request, "param", "redis"), request, url)
    yield connection
    await connection.aclose()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up after 0.1 s, in tests that are not about how long."""
    for pace in (PACE, CLUSTER_PACE):
        monkeypatch.setitem(pace, "stop", stop_after_delay(0.1))


def before_each_batch(op: Op[T], act: Callable[[Batch], None]) -> Op[T]:
    """Run the operation, and do something before each of its batches is sent."""
    answer = None
    try:
        while True:
            step = op.send(answer)
            if not isinstance(step, Effect):
                act(step)
            answer = yield step
    except StopIteration as stop:
        result: T = stop.value
        return result


class Counting:
    """Count the round trips that are made through a transport, in whichever task or thread."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.round_trips = 0
        run, arun = transport._run, transport._arun
        vars(transport)["_run"] = lambda op: run(before_each_batch(op, self._count))
        vars(transport)["_arun"] = lambda op: arun(before_each_batch(op, self._count))

    def _count(self, batch: Batch) -> None:
        self.round_trips += 1


@pytest.fixture
def counting(transport: SharedConnection) -> Counting:
    return Counting(transport)
