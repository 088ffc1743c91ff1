"""Clusters of a test's own: nodes that are killed, stand still or join, a user with few rights; and forks."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.messages import HumanMessage

from integration_tests.clusters import (
    add_node,
    client_of,
    kill,
    move_slots,
    node_on,
    port_of_slot,
)
from integration_tests.transport.conftest import Open, Run, StartServer, free_port
from integration_tests.transport.test_clients import commands
from integration_tests.transport.test_forks import run as run_forking
from integration_tests.waiting import wait_until
from langchain_agentmem.core.operations import Op, call, reads, writes
from langchain_agentmem.core.partitions import key_slot
from langchain_agentmem.core.scan import keys_under
from langchain_agentmem.embedded.cluster import EmbeddedCluster
from langchain_agentmem.errors import StoreAuthenticationError, StoreConnectionError
from langchain_agentmem.transport.connections import SharedConnection
from langchain_agentmem.working.working_memory import WorkingMemory

SPREAD = [f"k{number}" for number in range(30)]


@pytest.fixture
def own_cluster() -> Iterator[EmbeddedCluster]:
    """A cluster that a test may break."""
    with EmbeddedCluster() as cluster:
        yield cluster


def append(transport: Any, text: str, thread: str) -> Op[int]:
    return WorkingMemory(transport=transport, max_turns=None).append_op(thread, [HumanMessage(text)])


class Writer:
    """Appends to threads on all nodes until it is told to end; knows what was acknowledged."""

    def __init__(self, transport: SharedConnection, run: Run) -> None:
        self.transport = transport
        self.acknowledged: dict[str, list[str]] = {thread: [] for thread in SPREAD[:6]}
        self.unknown: dict[str, list[str]] = {thread: [] for thread in self.acknowledged}
        self.ending = threading.Event()
        self._run = run
        self._threads = [threading.Thread(target=self._write, args=(one,)) for one in self.acknowledged]

    def _write(self, thread: str) -> None:
        number = 0
        while not self.ending.is_set():
            text = str(number)
            try:
                asyncio.run(self._run(self.transport, append(self.transport, text, thread)))
                self.acknowledged[thread].append(text)
            except StoreConnectionError:
                self.unknown[thread].append(text)
            number += 1

    def __enter__(self) -> Writer:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ending.set()
        for thread in self._threads:
            thread.join()

    def has_written(self, count: int) -> bool:
        """Whether each thread has so many more."""
        return all(len(texts) >= count for texts in self.acknowledged.values())

    def wait_for_more(self, seconds: float = 30.0) -> None:
        before = {thread: len(texts) for thread, texts in self.acknowledged.items()}
        wait_until(
            lambda: all(len(texts) > before[thread] + 2 for thread, texts in self.acknowledged.items()),
            seconds,
        )

    def check(self, may_lose: int = 0) -> None:
        """Nothing acknowledged is lost, nothing is doubled, and nothing else is there."""
        working = WorkingMemory(transport=self.transport, max_turns=None)
        for thread, acknowledged in self.acknowledged.items():
            stored = [str(message.content) for message in working.messages(thread)]
            assert len(stored) == len(set(stored)), "doubled"
            assert len(set(acknowledged) - set(stored)) <= may_lose, "lost"
            assert set(stored) <= {*acknowledged, *self.unknown[thread]}
            assert stored == sorted(stored, key=int)


async def test_a_primary_that_is_killed(own_cluster: EmbeddedCluster, connected: Open, run: Run) -> None:
    transport = connected(own_cluster.url)
    port = port_of_slot(own_cluster, key_slot(f"agent:session:{SPREAD[0]}"))
    with Writer(transport, run) as writer:
        await asyncio.to_thread(writer.wait_for_more)
        with client_of(own_cluster, port) as client:  # what replication has not taken along would be lost
            client.wait(1, 1000)
        await asyncio.to_thread(kill, own_cluster, port)
        await asyncio.to_thread(writer.wait_for_more)
    writer.check(may_lose=2)
    found = await run(transport, keys_under("agent:session:", "hash"))
    assert len(found) == len(writer.acknowledged)
    replies = await run(transport, commands(*(writes("INCR", key) for key in SPREAD)))
    assert replies == [1] * len(SPREAD)


async def test_a_primary_that_stands_still_holds_up_others_only_for_the_time_limit(
    own_cluster: EmbeddedCluster, connected: Open, run: Run
) -> None:
    transport = connected(own_cluster.url, 1.0)
    key = SPREAD[0]
    port = port_of_slot(own_cluster, key_slot(key))
    here = [one for one in SPREAD if port_of_slot(own_cluster, key_slot(one)) == port]
    elsewhere = [one for one in SPREAD if one not in here]
    await run(transport, commands(*(writes("INCR", one) for one in SPREAD)))
    pid = node_on(own_cluster, port).pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        lost, *answered = await run(transport, commands(*(writes("INCR", one) for one in (key, *elsewhere))))
        assert isinstance(lost, StoreConnectionError)
        assert answered == [2] * len(elsewhere)
        # A replica takes over; what was never sent is sent to it.
        assert await run(transport, call(reads("GET", here[-1]))) == b"1"
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_a_node_that_is_added_under_traffic(
    own_cluster: EmbeddedCluster, connected: Open, run: Run
) -> None:
    transport = connected(own_cluster.url)
    slots = sorted({key_slot(f"agent:session:{thread}") for thread in SPREAD[:6]})
    with Writer(transport, run) as writer:
        await asyncio.to_thread(writer.wait_for_more)
        port = await asyncio.to_thread(add_node, own_cluster)
        for slot in slots[:3]:
            source = port_of_slot(own_cluster, slot)
            await asyncio.to_thread(move_slots, own_cluster, range(slot, slot + 1), source, port)
        await asyncio.to_thread(writer.wait_for_more)
    assert not any(writer.unknown.values())
    writer.check()
    with client_of(own_cluster, port) as client:
        assert client.dbsize() == 3
    assert len(await run(transport, keys_under("agent:session:", "hash"))) == len(writer.acknowledged)


# Users ------------------------------------------------------------------------------------------------


async def test_a_user_of_its_own(start_server: StartServer, connected: Open, run: Run) -> None:
    options = ("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    server = start_server(*options)
    with server.client() as client:
        client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
        rights = ("~agent:*", "+@read", "+@write", "+@scripting", "+@connection", "+cluster|slots")
        client.execute_command("ACL SETUSER", "bot", "on", ">user-secret", *rights)
        wait_until(lambda: client.execute_command("CLUSTER INFO")["cluster_state"] == "ok")
        client.execute_command("ACL SETUSER", "default", "off")
    transport = connected(f"redis+cluster://bot:user-secret@127.0.0.1:{server.port}")
    assert await run(transport, append(transport, "a", "t1")) == 1
    # The user may not ask for `CLUSTER NODES`; the keys are found all the same.
    assert await run(transport, keys_under("agent:session:", None)) == [b"agent:session:t1"]
    with pytest.raises(StoreAuthenticationError) as caught:
        await run(transport, call(writes("SET", "others", 1)))
    assert "user-secret" not in str(caught.value) + caught.value.plain


# Forks ------------------------------------------------------------------------------------------------


def test_children_forked_while_a_thread_uses_the_cluster(cluster_url: str) -> None:
    run_forking(
        """
        from langchain_agentmem import AgentMemory
        from langchain_core.messages import HumanMessage
        url = sys.argv[1]
        memory = AgentMemory(url)
        def busy():
            memory.working.append("parent", [HumanMessage("x")])
            memory.working.messages("k1")
        def child():
            memory.working.append("child", [HumanMessage("x")])
            asyncio.run(memory.working.aappend("child", [HumanMessage("y")]))
        busy()
        while_busy(busy, child, times=15)
        assert memory.working.load("child").turn_count == 30
        """,
        cluster_url,
    )


def test_children_with_a_cluster_client_of_their_parent(cluster_url: str) -> None:
    run_forking(
        """
        import redis
        from langchain_agentmem import AgentMemory
        from langchain_core.messages import HumanMessage
        with redis.RedisCluster.from_url(sys.argv[1].replace("+cluster", "").split(",")[0]) as client:
            memory = AgentMemory(client=client)
            def busy():
                memory.working.append("parent", [HumanMessage("x")])
            def child():
                for _ in range(3):
                    memory.working.append("child", [HumanMessage("x")])
            busy()
            while_busy(busy, child, times=10)
            assert memory.working.load("child").turn_count == 30
            memory.close()
        """,
        cluster_url,
    )
