"""Operations on a real cluster: batches over several nodes, slots on their way, scans, lost answers, clients."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import redis
import redis.asyncio
from langchain_core.messages import HumanMessage

from integration_tests.clusters import (
    begin_to_move_slot,
    client_of,
    end_move_of_slot,
    ids_of,
    move_keys,
    move_slots,
    port_of_slot,
    slots_of,
)
from integration_tests.listening import Proxy
from integration_tests.transport.conftest import Open, Run, Server, loop_until
from integration_tests.transport.test_clients import HIREDIS, PYTHON, commands
from langchain_agentmem import AgentMemory
from langchain_agentmem.core.operations import Command, Op, T, asks, call, gather, reads, writes
from langchain_agentmem.core.partitions import key_slot
from langchain_agentmem.core.scan import keys_under, scan
from langchain_agentmem.embedded.cluster import EmbeddedCluster
from langchain_agentmem.errors import (
    ClusterNodeError,
    ConfigurationError,
    InvalidInputError,
    StoreAuthenticationError,
    StoreConnectionError,
    StoreError,
)
from langchain_agentmem.transport.cluster_driver import AsyncClusterDriver, ClusterDriver
from langchain_agentmem.transport.connections import CallerSuppliedClients, Transport
from langchain_agentmem.transport.trace import tracing
from langchain_agentmem.working.working_memory import WorkingMemory

SPREAD = [f"k{number}" for number in range(30)]  # on every node


def append(transport: Any, text: str, thread: str = "t1", **how: Any) -> Op[int]:
    return WorkingMemory(transport=transport, max_turns=None, **how).append_op(thread, [HumanMessage(text)])


def contents(transport: Any, thread: str = "t1") -> list[str]:
    working = WorkingMemory(transport=transport, max_turns=None)
    return [str(message.content) for message in working.messages(thread)]


def other_port(cluster: EmbeddedCluster, port: int) -> int:
    """The port of another primary."""
    return next(node.port for node in cluster.nodes if node.role == "primary" and node.port != port)


# Batches ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [2, 3])
async def test_a_batch_over_all_nodes(cluster_url: str, connected: Open, run: Run, protocol: int) -> None:
    transport = connected(f"{cluster_url}?protocol={protocol}")
    assert transport.cluster
    wrote = await run(transport, commands(*(writes("SET", key, key) for key in SPREAD)))
    assert wrote == [b"OK"] * len(SPREAD)
    batch: list[Command] = [reads("GET", key) for key in SPREAD]
    batch.insert(7, asks("PING"))
    batch.insert(9, writes("HSET", SPREAD[3], "f", "v"))
    replies = await run(transport, commands(*batch))
    assert replies.pop(7) == b"PONG"
    assert isinstance(replies.pop(8), StoreError)
    assert replies == [key.encode() for key in SPREAD]


async def test_slots_are_those_that_the_server_computes(
    primaries: list[redis.Redis], cluster_url: str
) -> None:
    keys = [*SPREAD, "a{b}c", "{}x", "{a}{b}", "é{ü}", "agent:session:{t1}", "}{", "{{a}}"]
    assert [primaries[0].cluster("KEYSLOT", key) for key in keys] == [key_slot(key) for key in keys]


async def test_every_node_is_given_a_script_that_it_lacks(
    cluster_url: str, primaries: list[redis.Redis], connected: Open, run: Run
) -> None:
    transport = connected(cluster_url)
    for number in range(3):
        results = await run(transport, gather([append(transport, str(number), thread) for thread in SPREAD]))
        assert results == [number + 1] * len(SPREAD)
        primaries[number].script_flush()
    assert contents(transport, SPREAD[4]) == list("012")


async def test_a_blocking_read_holds_nobody_up(
    cluster_url: str, primaries: list[redis.Redis], connected: Open
) -> None:
    transport = connected(cluster_url)
    waiting = asyncio.create_task(transport.arun(call(writes("BLPOP", "queue", 20))))
    await loop_until(lambda: sum(one.info("clients")["blocked_clients"] for one in primaries))
    for key in ("queue", *SPREAD):
        await transport.arun(call(reads("TTL", key)))
        await asyncio.to_thread(transport.run, call(reads("TTL", key)))
    assert not waiting.done()
    await transport.arun(call(writes("RPUSH", "queue", "x")))
    assert await waiting == [b"queue", b"x"]


async def test_keys_in_several_slots_are_an_error(cluster_url: str, connected: Open, run: Run) -> None:
    with pytest.raises(StoreError, match="several slots of the cluster"):
        await run(connected(cluster_url), call(Command(("MGET", "a", "b"), ("a", "b"), True)))


async def test_what_cannot_be_sent_is_refused_before_anything_is(
    cluster_url: str, primaries: list[redis.Redis], connected: Open, run: Run
) -> None:
    transport = connected(cluster_url)
    batch = [*(writes("INCR", key) for key in SPREAD), writes("SET", "x", "\ud83d")]
    with pytest.raises(InvalidInputError):
        await run(transport, commands(*batch))
    assert [one.dbsize() for one in primaries] == [0, 0, 0]


async def test_more_tasks_and_threads_than_connections(cluster_url: str, connected: Open) -> None:
    transport = connected(f"{cluster_url}?max_connections=3")

    def batch(number: int) -> Op[list[Any]]:
        return commands(*(writes("INCR", key) for key in SPREAD[number % 5 :: 2]))

    await asyncio.gather(*(transport.arun(batch(number)) for number in range(200)))
    counted = [int(one) for one in await transport.arun(commands(*(reads("GET", key) for key in SPREAD)))]
    assert sum(counted) == sum(len(SPREAD[number % 5 :: 2]) for number in range(200))


# Slots on their way -----------------------------------------------------------------------------------


@pytest.fixture
def moving(cluster: EmbeddedCluster, cluster_url: str) -> Iterator[Moving]:
    """A slot that a test moves; afterwards it is back."""
    moving = Moving(cluster, key_slot("t1"))
    yield moving
    moving.go_back()


@contextmanager
def moving_to_and_fro(cluster: EmbeddedCluster, slots: range, times: int = 2) -> Iterator[threading.Event]:
    """Move slots from one primary to another and back; the event is set when they are back."""
    source = port_of_slot(cluster, slots[0])
    target = other_port(cluster, source)
    ids, back = ids_of(cluster), threading.Event()
    auth = ("AUTH", cluster.password, "KEYS")

    def move(slot: int, here: int, there: int) -> None:
        clients[there].execute_command("CLUSTER SETSLOT", slot, "IMPORTING", ids[here])
        clients[here].execute_command("CLUSTER SETSLOT", slot, "MIGRATING", ids[there])
        while keys := clients[here].execute_command("CLUSTER GETKEYSINSLOT", slot, 20):
            clients[here].execute_command("MIGRATE", "127.0.0.1", there, "", 0, 10_000, *auth, *keys)
        for port in (there, here):
            clients[port].execute_command("CLUSTER SETSLOT", slot, "NODE", ids[there])

    def run() -> None:
        try:
            for _ in range(times):
                for slot in slots:
                    move(slot, source, target)
                for slot in slots:
                    move(slot, target, source)
        finally:
            back.set()

    with client_of(cluster, source) as one, client_of(cluster, target) as other:
        clients = {source: one, target: other}
        mover = threading.Thread(target=run)
        mover.start()
        try:
            yield back
        finally:
            mover.join()


class Moving:
    def __init__(self, cluster: EmbeddedCluster, slot: int) -> None:
        self.cluster = cluster
        self.slot = slot
        self.source = port_of_slot(cluster, slot)
        self.target = other_port(cluster, self.source)

    def begin(self) -> None:
        begin_to_move_slot(self.cluster, self.slot, self.source, self.target)

    def keys(self, *keys: str) -> None:
        """Move some of the keys."""
        with client_of(self.cluster, self.source) as client:
            auth = ("AUTH", self.cluster.password, "KEYS", *keys)
            client.execute_command("MIGRATE", "127.0.0.1", self.target, "", 0, 10_000, *auth)

    def end(self) -> None:
        move_keys(self.cluster, self.slot, self.source, self.target)
        end_move_of_slot(self.cluster, self.slot, self.target)

    def go_back(self) -> None:
        if port_of_slot(self.cluster, self.slot) == self.source:
            self.end() if self.slot in slots_of(self.cluster, self.source) else None
        if port_of_slot(self.cluster, self.slot) != self.source:
            move_slots(self.cluster, range(self.slot, self.slot + 1), self.target, self.source)


async def test_a_slot_that_has_moved(moving: Moving, cluster_url: str, connected: Open, run: Run) -> None:
    transport = connected(cluster_url)
    tag = "{t1}"
    assert await run(transport, call(writes("INCR", tag))) == 1
    moving.begin()
    moving.end()
    assert await run(transport, commands(writes("INCR", tag), reads("GET", tag))) == [2, b"2"]
    with client_of(moving.cluster, moving.target) as client:
        assert client.get(tag) == b"2"


async def test_a_slot_half_way(moving: Moving, cluster_url: str, connected: Open, run: Run) -> None:
    transport = connected(cluster_url)
    stays, goes, new = "{t1}stays", "{t1}goes", "{t1}new"
    await run(transport, commands(writes("INCR", stays), writes("INCR", goes)))
    moving.begin()
    moving.keys(goes)
    replies = await run(
        transport,
        commands(
            writes("INCR", stays), writes("INCR", goes), writes("INCR", new), reads("GET", goes), asks("PING")
        ),
    )
    assert replies == [2, 2, 1, b"2", b"PONG"]
    moving.end()
    assert await run(transport, commands(*(writes("INCR", key) for key in (stays, goes, new)))) == [3, 3, 2]


async def test_a_script_on_keys_that_are_half_way_waits(
    moving: Moving, cluster_url: str, connected: Open, run: Run
) -> None:
    transport = connected(cluster_url)
    assert await run(transport, append(transport, "0", storage="list")) == 1
    moving.begin()
    moving.keys("t1")  # its Hash stays where it is
    with client_of(moving.cluster, moving.source) as source:

        def put_off() -> bool:
            return int(source.info("errorstats").get("errorstat_TRYAGAIN", {"count": 0})["count"]) > 0

        source.config_resetstat()

        def finish() -> None:
            deadline = time.monotonic() + 20
            while not put_off() and time.monotonic() < deadline:
                time.sleep(0.005)
            moving.end()

        helper = threading.Thread(target=finish)
        helper.start()
        assert await run(transport, append(transport, "1", storage="list")) == 2
        helper.join()
        assert put_off()
    working = WorkingMemory(transport=transport, storage="list")
    assert [one.content for one in await run(transport, working.messages_op("t1"))] == ["0", "1"]


async def test_nothing_is_lost_or_doubled_while_slots_move(
    cluster: EmbeddedCluster, cluster_url: str, connected: Open
) -> None:
    transport = connected(cluster_url)
    threads = [thread for thread in map(str, range(100_000)) if key_slot(f"agent:session:{thread}") < 20][:8]
    written = dict.fromkeys(threads, 0)

    def write(thread: str) -> None:
        while not back.is_set():
            count = written[thread] = written[thread] + 1
            assert transport.run(append(transport, str(count), thread)) == count

    async def awrite(thread: str) -> None:
        while not back.is_set():
            count = written[thread] = written[thread] + 1
            assert await transport.arun(append(transport, str(count), thread)) == count

    with moving_to_and_fro(cluster, range(20)) as back:
        await asyncio.gather(
            *(asyncio.to_thread(write, thread) for thread in threads[:2]),
            *(awrite(one) for one in threads[2:]),
        )
    assert sum(written.values()) > 20
    for thread, count in written.items():
        assert contents(transport, thread) == [str(number + 1) for number in range(count)]


# Scans ------------------------------------------------------------------------------------------------


async def test_a_scan_reaches_all_nodes(
    cluster_url: str, primaries: list[redis.Redis], connected: Open, run: Run
) -> None:
    transport = connected(cluster_url)
    keys = [f"scanned:{number}" for number in range(5000)]
    await run(transport, commands(*(writes("SET", key, 1) for key in keys)))
    await run(transport, commands(*(writes("SADD", f"scanned:set:{key}", 1) for key in SPREAD)))
    for one in primaries:
        one.config_resetstat()
    found = await run(transport, keys_under("scanned:", "string"))
    assert sorted(found) == sorted(key.encode() for key in keys)
    pages = [int(one.info("commandstats")["cmdstat_scan"]["calls"]) for one in primaries]
    assert max(pages) <= 4  # not 5,000 / 1,000 and one page per node


async def test_a_scan_that_is_left_and_one_that_begins_again(
    cluster_url: str, connected: Open, run: Run
) -> None:
    transport = connected(cluster_url)
    await run(transport, commands(*(writes("SET", f"s:{number}", 1) for number in range(4000))))
    pages: list[int] = []

    def visit(keys: list[bytes]) -> Op[bool]:
        yield from ()
        pages.append(len(keys))
        return True

    await run(transport, scan("s:", None, visit))
    assert len(pages) == 1
    assert len(await run(transport, keys_under("s:", None))) == 4000


async def test_a_scan_while_slots_move_finds_all_that_stays(
    cluster: EmbeddedCluster, cluster_url: str, connected: Open, run: Run
) -> None:
    transport = connected(cluster_url)
    tags = [key for key in map(str, range(200_000)) if key_slot(key) < 10][:40]
    keys = [f"{{{tag}}}:{number}" for tag in tags for number in range(100)]
    await run(transport, commands(*(writes("SET", key, 1) for key in keys)))
    with moving_to_and_fro(cluster, range(10)) as back:
        while not back.is_set():
            found = await run(transport, keys_under("{", None))
            assert sorted(found) == sorted(key.encode() for key in keys)


# Answers that get lost --------------------------------------------------------------------------------


@pytest.fixture
def proxies(cluster: EmbeddedCluster) -> Iterator[dict[int, Proxy]]:
    """A proxy before each node, by the node's port."""
    with ExitStack() as stack:
        yield {node.port: stack.enter_context(Proxy(node.port)) for node in cluster.nodes}


class Proxied(Transport):
    """A connection to the cluster by a proxy before each node."""

    def __init__(self, cluster: EmbeddedCluster, proxies: dict[int, Proxy]) -> None:
        def connect(host: str, port: int) -> redis.Redis:
            return redis.Redis(host=host, port=port, password=cluster.password)

        def async_connect(host: str, port: int) -> redis.asyncio.Redis:
            return redis.asyncio.Redis(host=host, port=port, password=cluster.password)

        def remap(address: tuple[str, int]) -> tuple[str, int]:
            return address[0], proxies[address[1]].port

        seeds = [f"127.0.0.1:{proxies[cluster.nodes[0].port].port}"]
        self.known = {}
        self.driver = ClusterDriver(seeds, connect, remap)
        self.async_driver = AsyncClusterDriver(seeds, async_connect, remap)

    def _run(self, op: Op[T]) -> T:
        return self.driver.run(op)

    async def _arun(self, op: Op[T]) -> T:
        return await self.async_driver.run(op)

    def close(self) -> None:
        self.driver.close()

    async def aclose(self) -> None:
        self.close()
        await self.async_driver.aclose()


@pytest.fixture
async def proxied(
    cluster: EmbeddedCluster, cluster_url: str, proxies: dict[int, Proxy]
) -> AsyncIterator[Proxied]:
    transport = Proxied(cluster, proxies)
    yield transport
    await transport.aclose()


def cut(
    cluster: EmbeddedCluster, proxies: dict[int, Proxy], key: str, word: bytes, passing: bytes = b""
) -> None:
    """Cut the connection to the node of a key when it has answered such a command."""
    proxy = proxies[port_of_slot(cluster, key_slot(key))]
    proxy.reply_bytes, proxy.cut_reply_to = len(passing), word


ON_ONE, ON_OTHER = "{a}", "{b}"  # in different nodes' slots


async def test_a_write_whose_answer_got_lost_is_never_repeated(
    cluster: EmbeddedCluster, proxies: dict[int, Proxy], proxied: Proxied, run: Run
) -> None:
    assert port_of_slot(cluster, key_slot(ON_ONE)) != port_of_slot(cluster, key_slot(ON_OTHER))
    await run(proxied, commands(reads("GET", ON_ONE), reads("GET", ON_OTHER)))
    cut(cluster, proxies, ON_ONE, b"INCR", b":1\r\n")
    first, lost, read, other = await run(
        proxied,
        commands(
            writes("INCR", ON_ONE), writes("INCR", ON_ONE), reads("GET", ON_ONE), writes("INCR", ON_OTHER)
        ),
    )
    assert (first, other, read) == (1, 1, b"2")
    assert isinstance(lost, StoreConnectionError)
    assert await run(proxied, call(reads("GET", ON_ONE))) == b"2"


async def test_a_batch_whose_answers_all_got_lost_raises(
    cluster: EmbeddedCluster, proxies: dict[int, Proxy], proxied: Proxied, run: Run
) -> None:
    await run(proxied, commands(reads("GET", ON_ONE), reads("GET", ON_OTHER)))
    for key in (ON_ONE, ON_OTHER):
        cut(cluster, proxies, key, b"INCR")
    with pytest.raises(StoreConnectionError):
        await run(proxied, commands(writes("INCR", ON_ONE), writes("INCR", ON_OTHER)))
    assert await run(proxied, commands(reads("GET", ON_ONE), reads("GET", ON_OTHER))) == [b"1", b"1"]


async def test_a_read_whose_answer_got_lost_is_repeated(
    cluster: EmbeddedCluster, proxies: dict[int, Proxy], proxied: Proxied, run: Run
) -> None:
    await run(proxied, commands(writes("SET", ON_ONE, 1), writes("SET", ON_OTHER, 2)))
    cut(cluster, proxies, ON_ONE, b"GET")
    assert await run(proxied, commands(reads("GET", ON_ONE), reads("GET", ON_OTHER))) == [b"1", b"2"]
    assert sum(proxy.cuts for proxy in proxies.values()) == 1


async def test_an_append_whose_answer_got_lost_is_there_once(
    cluster: EmbeddedCluster, proxies: dict[int, Proxy], proxied: Proxied, run: Run
) -> None:
    # The record of the user's threads is on another node, which answers.
    thread = next(
        one
        for one in SPREAD
        if port_of_slot(cluster, key_slot(f"agent:session:{one}"))
        != port_of_slot(cluster, key_slot("agent:threads:default"))
    )
    assert await run(proxied, append(proxied, "0", thread)) == 1
    cut(cluster, proxies, f"agent:session:{thread}", b"EVALSHA")
    with pytest.raises(StoreConnectionError):
        await run(proxied, append(proxied, "1", thread))
    assert await run(proxied, append(proxied, "2", thread)) == 3
    assert contents(proxied, thread) == list("012")


async def test_connections_that_were_cut_while_idle(
    cluster_url: str, primaries: list[redis.Redis], connected: Open, run: Run
) -> None:
    transport = connected(cluster_url)
    for number in range(4):
        replies = await run(transport, commands(*(writes("INCR", key) for key in SPREAD)))
        assert replies == [number + 1] * len(SPREAD)
        for one in primaries:
            one.client_kill_filter(_type="normal", skipme=True)
        end = time.monotonic() + 0.002
        while time.monotonic() < end:  # the loop has no time to see it
            pass


# Clients ----------------------------------------------------------------------------------------------


def settings_of(client: Any) -> Any:
    nodes = client.nodes_manager
    return [
        dict(getattr(client, "connection_kwargs", None) or nodes.connection_kwargs),
        sorted(nodes.nodes_cache),
        {slot: [one.name for one in owners] for slot, owners in nodes.slots_cache.items()},
        client.get_encoder().decode_responses,
    ]


@pytest.mark.parametrize("parser", ["python", "hiredis"])
@pytest.mark.parametrize("protocol", [2, 3])
async def test_cluster_clients_are_neither_changed_nor_closed(
    cluster: EmbeddedCluster, cluster_url: str, protocol: int, parser: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync_parser, async_parser = PYTHON[protocol] if parser == "python" else HIREDIS
    monkeypatch.setattr("redis.connection.DefaultParser", sync_parser)
    monkeypatch.setattr("redis.asyncio.connection.DefaultParser", async_parser)
    how: Any = {"host": "127.0.0.1", "port": cluster.nodes[0].port, "password": cluster.password}
    how |= {"protocol": protocol, "decode_responses": True}
    with redis.RedisCluster(**how) as client:
        async with redis.asyncio.RedisCluster(**how) as async_client:
            client.set("k", "v")
            await async_client.set("l", "w")
            before = settings_of(client), settings_of(async_client)
            working = WorkingMemory(client=client, async_client=async_client)
            assert working.transport.cluster
            message = HumanMessage("grüße, 你好")
            assert working.append("t1", [message]) == 1
            assert await working.amessages("t1") == [message]
            assert (
                len(working.transport.run(keys_under("agent:", None))) == 3
            )  # one is the number of partitions
            assert len(await working.transport.arun(keys_under("agent:", None))) == 3
            working.close()
            await working.aclose()
            assert (settings_of(client), settings_of(async_client)) == before
            assert client.get("k") == await async_client.get("k") == "v"


@contextmanager
def own_connections(primaries: list[redis.Redis]) -> Iterator[Callable[[], int]]:
    """Yield what counts the connections to all primaries that are new since, without the cluster's own."""

    def there() -> set[tuple[int, str]]:
        lists = [client.client_list(_type="normal") for client in primaries]
        return {(at, one["id"]) for at, found in enumerate(lists) for one in found}

    before = there()
    yield lambda: len(there() - before)


async def test_closing_closes_the_packages_own_connections_and_leaves_the_callers(
    cluster: EmbeddedCluster, cluster_url: str, primaries: list[redis.Redis]
) -> None:
    url = redis_url(cluster)
    with redis.RedisCluster.from_url(url) as client:
        async with redis.asyncio.RedisCluster.from_url(url) as async_client:
            for key in SPREAD:
                client.set(key, "v")
                await async_client.set(key, "v")
            ids = _ids_of(client)
            with own_connections(primaries) as count:
                memory = AgentMemory(client=client, async_client=async_client)
                for key in SPREAD:
                    memory.working.append_turn(key, "user", "Hello.")
                assert count() >= len(primaries)
                memory.close()
                await loop_until(lambda: count() == 0)
                memory = AgentMemory(client=client, async_client=async_client)
                for key in SPREAD:
                    memory.working.append_turn(key, "user", "Hello.")
                    await memory.working.aappend_turn(key, "user", "Hello.")
                assert count() >= 2 * len(primaries)
                await memory.aclose()
                await loop_until(lambda: count() == 0)
            assert _ids_of(client) == ids
            assert client.get(SPREAD[0]) == await async_client.get(SPREAD[0]) == b"v"


def _ids_of(client: redis.RedisCluster) -> dict[str, int]:
    found = client.execute_command("CLIENT ID", target_nodes=redis.RedisCluster.PRIMARIES)
    return dict(found) if isinstance(found, dict) else {"": found}


async def test_a_sync_cluster_client_serves_async_calls(cluster: EmbeddedCluster, cluster_url: str) -> None:
    with redis.RedisCluster.from_url(redis_url(cluster)) as client:
        transport = CallerSuppliedClients(client)
        replies = await transport.arun(commands(*(writes("INCR", key) for key in SPREAD)))
        assert replies == [1] * len(SPREAD)
        assert len(await transport.arun(keys_under("k", None))) == len(SPREAD)
        await transport.aclose()


async def test_an_async_cluster_client_serves_no_sync_calls(
    cluster: EmbeddedCluster, cluster_url: str
) -> None:
    async with redis.asyncio.RedisCluster.from_url(redis_url(cluster)) as client:
        transport = CallerSuppliedClients(async_client=client)
        assert transport.async_only
        with pytest.raises(ConfigurationError, match="pass client= too"):
            transport.run(call(asks("PING")))
        assert await transport.arun(call(writes("INCR", "a"))) == 1
        await transport.aclose()


def redis_url(cluster: EmbeddedCluster) -> str:
    return f"redis://:{cluster.password}@127.0.0.1:{cluster.nodes[0].port}"


def test_clients_of_a_cluster_and_of_a_server_do_not_go_together(cluster: EmbeddedCluster) -> None:
    with (
        redis.RedisCluster.from_url(redis_url(cluster)) as client,
        pytest.raises(ConfigurationError, match="both be of a cluster"),
    ):
        AgentMemory(client=client, async_client=redis.asyncio.Redis())


async def test_what_clusters_share_by_a_url_is_closed_with_the_last(
    cluster_url: str, primaries: list[Any]
) -> None:
    def connections() -> int:
        return sum(int(one.info("clients")["connected_clients"]) for one in primaries)

    before = connections()
    one, other = AgentMemory(cluster_url), AgentMemory(cluster_url)
    one.working.append_turn("t1", "user", "a")
    await other.working.aappend_turn("t1", "user", "b")
    assert len(one.working.messages("t1")) == 2
    await one.aclose()
    assert connections() > before
    await other.aclose()
    await loop_until(lambda: connections() == before)


def test_several_event_loops_one_after_the_other(cluster_url: str) -> None:
    with AgentMemory(cluster_url) as memory:
        for number in range(3):
            assert asyncio.run(memory.working.aappend("t1", [HumanMessage("x")])) == number + 1
        memory.close()


# What is refused --------------------------------------------------------------------------------------


async def test_a_node_by_a_plain_url(
    cluster: EmbeddedCluster, cluster_url: str, connected: Open, run: Run
) -> None:
    port = cluster.nodes[0].port
    transport = connected(redis_url(cluster))
    replies = await run(transport, commands(*(writes("INCR", key) for key in SPREAD)))
    refused = [reply for reply in replies if isinstance(reply, ClusterNodeError)]
    assert 0 < len(refused) < len(SPREAD)
    for said in (str(refused[0]), refused[0].plain):
        assert f"redis+cluster://127.0.0.1:{port}" in said
        assert cluster.password not in said
    with pytest.raises(ClusterNodeError, match=f"redis\\+cluster://127.0.0.1:{port}"):
        await run(transport, call(Command(("MGET", "a", "b"), ("a", "b"), True)))


async def test_a_scan_of_a_node_by_a_plain_url_is_refused(
    cluster: EmbeddedCluster, cluster_url: str, connected: Open, run: Run
) -> None:
    transport = connected(redis_url(cluster))  # it would return the keys of this node alone
    for _ in range(2):
        with pytest.raises(ClusterNodeError, match=f"redis\\+cluster://127.0.0.1:{cluster.nodes[0].port}"):
            await run(transport, call(asks("SCAN", 0)))


async def test_a_server_is_asked_once_whether_it_is_a_node(url: str, connected: Open, run: Run) -> None:
    with redis.Redis.from_url(url) as bare:
        bare.config_resetstat()
        transport = connected(url)
        assert (await run(transport, commands(asks("PING"), asks("SCAN", 0), asks("PING"))))[::2] == [
            b"PONG"
        ] * 2
        assert await run(transport, call(asks("SCAN", 0))) == [b"0", []]
        assert bare.info("commandstats")["cmdstat_info"]["calls"] == 1


async def test_a_cluster_url_of_a_plain_server(plain: Server, connected: Open, run: Run) -> None:
    transport = connected(f"redis+cluster://127.0.0.1:{plain.port}")
    with pytest.raises(ConfigurationError, match=f"Use redis://127.0.0.1:{plain.port}"):
        await run(transport, call(writes("INCR", "n")))
    assert plain.count("incr") == 0


async def test_a_cluster_that_is_not_there(connected: Open, run: Run) -> None:
    start = time.monotonic()
    with pytest.raises(StoreConnectionError, match=r"127\.0\.0\.1:1, 127\.0\.0\.1:2 .* No connection to"):
        await run(connected("redis+cluster://127.0.0.1:1,127.0.0.1:2"), call(writes("INCR", "n")))
    assert time.monotonic() - start < 8


async def test_seeds_that_are_down_are_passed_over(
    cluster: EmbeddedCluster, cluster_url: str, connected: Open, run: Run
) -> None:
    url = cluster_url.replace("@", "@127.0.0.1:1,127.0.0.1:2,")
    assert await run(connected(url), commands(*(writes("INCR", key) for key in SPREAD))) == [1] * len(SPREAD)


@pytest.mark.usefixtures("impatient")
async def test_the_password_is_in_no_error_repr_or_log(
    cluster: EmbeddedCluster, cluster_url: str, connected: Open, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    ports = ",".join(f"127.0.0.1:{node.port}" for node in cluster.nodes)
    shown: list[str] = []
    for url, kind in (
        (f"redis+cluster://:wrong-secret@{ports}", StoreAuthenticationError),
        (f"redis+cluster://somebody:wrong-secret@{ports}", StoreAuthenticationError),
        ("redis+cluster://:wrong-secret@127.0.0.1:1", StoreConnectionError),
        ("redis+cluster://:wrong-secret@127.0.0.1:1/7", ConfigurationError),
    ):
        with pytest.raises(kind) as caught:
            await run(connected(url), call(writes("INCR", "n")))
        error: BaseException | None = caught.value
        while error is not None:
            shown += [str(error), repr(error), getattr(error, "plain", "")]
            error = error.__cause__ or error.__context__
    transport = connected(cluster_url)
    await run(transport, commands(*(writes("INCR", key) for key in SPREAD)))
    shown += [repr(transport), repr(vars(transport)), caplog.text]
    for said in shown:
        assert "wrong-secret" not in said
        assert cluster.password not in said or said == repr(vars(transport))


# Traces -----------------------------------------------------------------------------------------------


async def test_a_trace_shows_each_command_of_a_batch_over_several_nodes(
    cluster_url: str, connected: Open, run: Run
) -> None:
    transport = connected(cluster_url)
    await run(transport, commands(*(writes("SET", key, "v") for key in SPREAD)))
    with tracing(transport) as trace:
        await run(transport, commands(*(reads("GET", key) for key in SPREAD)))
        await run(transport, keys_under("k", None))
    together, *pages = trace.round_trips
    assert [(one.text, one.reply) for one in together.commands] == [(f"GET {key}", "v") for key in SPREAD]
    assert [one.name for page in pages for one in page.commands] == ["SCAN"] * len(pages)
    assert not any(trip.failed for trip in trace.round_trips)


async def test_a_trace_shows_which_command_was_not_answered(
    cluster: EmbeddedCluster, proxies: dict[int, Proxy], proxied: Proxied, run: Run
) -> None:
    await run(proxied, commands(reads("GET", ON_ONE), reads("GET", ON_OTHER)))
    cut(cluster, proxies, ON_ONE, b"INCR")
    with tracing(proxied) as trace:
        await run(proxied, commands(writes("INCR", ON_ONE), writes("INCR", ON_OTHER)))
    (trip,) = trace.round_trips
    assert [one.failed for one in trip.commands] == [True, False]
    assert trip.commands[0].reply.startswith("StoreConnectionError: ")
