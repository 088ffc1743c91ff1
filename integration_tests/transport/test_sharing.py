"""Objects of one URL share connections, across threads, event loops and forks, until the last is closed."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
import redis
from langchain_core.messages import HumanMessage
from tenacity import stop_after_delay

from integration_tests.transport.conftest import Server, loop_until
from integration_tests.waiting import wait_until
from langchain_agentmem.core.operations import Op, asks, call, writes
from langchain_agentmem.errors import ConfigurationError, StoreTimeoutError
from langchain_agentmem.transport import connections
from langchain_agentmem.transport.connections import SharedConnection
from langchain_agentmem.transport.drivers import PACE
from langchain_agentmem.working.working_memory import WorkingMemory

PING = asks("PING")


@pytest.fixture
def watch(plain: Server) -> Iterator[redis.Redis]:
    """A client that sees who else is connected; at the end nobody must be."""
    with plain.client(single_connection_client=True) as client:
        wait_until(lambda: others(client) == 0)
        gc.collect()
        before = {*connections._shared}, {*connections._of_loops}  # what other tests have left open
        yield client
        gc.collect()
        wait_until(lambda: others(client) == 0)
        assert {*connections._shared} <= before[0]
        assert {*connections._of_loops} <= before[1]


def others(watch: redis.Redis) -> int:
    return len(watch.client_list()) - 1


def test_objects_of_one_url_share_their_connection_until_the_last_is_closed(
    plain: Server, watch: redis.Redis
) -> None:
    first, second = SharedConnection(plain.url), WorkingMemory(plain.url)
    assert others(watch) == 0  # nothing connects before it is used
    first.run(call(PING))
    second.append("t1", [HumanMessage("x")])
    assert others(watch) == 1
    first.close()
    second.append("t1", [HumanMessage("y")])
    assert others(watch) == 1
    second.close()
    wait_until(lambda: others(watch) == 0)


async def test_async_objects_of_one_url_share_too(plain: Server, watch: redis.Redis) -> None:
    first, second = SharedConnection(plain.url), WorkingMemory(plain.url)
    await first.arun(call(PING))
    await second.aappend("t1", [HumanMessage("x")])
    second.append("t1", [HumanMessage("x")])
    assert others(watch) == 2  # one for the loop, one for threads
    await first.aclose()
    assert others(watch) == 2
    await second.aclose()
    wait_until(lambda: others(watch) == 0)


def test_other_urls_and_timeouts_do_not_share(plain: Server, watch: redis.Redis) -> None:
    opened = [
        SharedConnection(plain.url),
        SharedConnection(plain.url.replace("/0", "/1")),
        SharedConnection(plain.url, 7.0),
    ]
    for count, connection in enumerate(opened, 1):
        connection.run(call(PING))
        assert others(watch) == count
    for connection in opened:
        connection.close()


async def test_after_close_every_use_is_an_error(plain: Server, watch: redis.Redis) -> None:
    memory, other = WorkingMemory(plain.url), WorkingMemory(plain.url)
    memory.append("t1", [HumanMessage("x")])
    memory.close()
    memory.close()
    await memory.aclose()
    with pytest.raises(ConfigurationError, match="closed"):
        memory.messages("t1")
    with pytest.raises(ConfigurationError, match="closed"):
        await memory.amessages("t1")
    assert len(other.messages("t1")) == 1  # closing twice has not taken it from the other one
    await other.aclose()


def test_event_loops_one_after_the_other(plain: Server, watch: redis.Redis) -> None:
    memory = WorkingMemory(plain.url)

    async def turn(number: int) -> list[Any]:
        await memory.aappend("t1", [HumanMessage(str(number))])
        assert others(watch) == 1
        return await memory.amessages("t1")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for number in range(4):
            assert len(asyncio.run(turn(number))) == number + 1
            gc.collect()
            wait_until(lambda: others(watch) == 0)  # the loop has closed what was its own
        asyncio.run(memory.aclose())
        gc.collect()


def test_a_sync_close_in_a_running_loop_leaves_nothing_open(plain: Server, watch: redis.Redis) -> None:
    async def at_once() -> None:
        with WorkingMemory(plain.url) as memory:
            await memory.aappend("t1", [HumanMessage("x")])

    async def and_go_on() -> None:
        await at_once()
        await loop_until(lambda: others(watch) == 0)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncio.run(at_once())
        gc.collect()
        assert others(watch) == 0
        asyncio.run(and_go_on())
        gc.collect()


def test_a_loop_in_another_thread_is_asked_to_close_its_own(plain: Server, watch: redis.Redis) -> None:
    memory = WorkingMemory(plain.url)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(memory.aappend("t1", [HumanMessage("x")]), loop).result(10)
        asyncio.run(memory.aappend("t1", [HumanMessage("y")]))
        assert others(watch) == 1
        memory.close()
        wait_until(lambda: others(watch) == 0)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_loop_that_was_ended_badly_is_forgotten(plain: Server, watch: redis.Redis) -> None:
    memory = WorkingMemory(plain.url)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(memory.aappend("t1", [HumanMessage("x")]))
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()  # without closing the generators, as asyncio.run does
    del loop

    async def another() -> None:
        assert len(await memory.amessages("t1")) == 1
        gc.collect()
        await loop_until(lambda: others(watch) == 1)
        await memory.aclose()

    asyncio.run(another())


def test_many_threads_at_once(plain: Server, watch: redis.Redis) -> None:
    with WorkingMemory(plain.url, max_turns=None) as memory, ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda n: memory.append("t1", [HumanMessage(str(n))]), range(400)))
        assert sorted(int(str(m.content)) for m in memory.messages("t1")) == list(range(400))


def test_a_burst_of_threads_waits_for_its_turn(
    plain: Server, watch: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PACE, "stop", stop_after_delay(0.1))  # to be tried again would not be enough
    with (
        closing(SharedConnection(plain.url + "?max_connections=2")) as transport,
        ThreadPoolExecutor(50) as pool,
    ):
        slow = [pool.submit(transport.run, call(writes("DEBUG", "SLEEP", 0.01))) for _ in range(50)]
        assert [each.result() for each in slow] == [b"OK"] * 50
        assert others(watch) == 2


def test_more_threads_than_connections_by_default(plain: Server, watch: redis.Redis) -> None:
    with WorkingMemory(plain.url, max_turns=None) as memory, ThreadPoolExecutor(150) as pool:
        everybody = threading.Barrier(150)

        def append(number: int) -> None:
            everybody.wait()
            memory.append("t1", [HumanMessage(str(number))])

        list(pool.map(append, range(150)))
        assert sorted(int(str(m.content)) for m in memory.messages("t1")) == list(range(150))
        assert others(watch) <= 100


def test_a_thread_that_gets_no_connection_in_time_is_told_the_limit(
    plain: Server, watch: redis.Redis
) -> None:
    def slow() -> Op[list[Any]]:
        return (yield [writes("BLPOP", "none", 0.5)] * 4)  # each answer is in time, all together are not

    with (
        closing(SharedConnection(plain.url + "?max_connections=1&socket_timeout=1")) as transport,
        ThreadPoolExecutor(1) as pool,
    ):
        in_use = pool.submit(transport.run, slow())
        wait_until(lambda: others(watch) == 1)
        told = r"All 1 connections to 127\.0\.0\.1:\d+ stayed in use for 1 s\. .*\?max_connections="
        with pytest.raises(StoreTimeoutError, match=told):
            transport.run(call(PING))
        assert in_use.result() == [None] * 4
        assert transport.run(call(PING)) == b"PONG"


async def test_a_burst_of_tasks_waits_for_its_turn(
    plain: Server, watch: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PACE, "stop", stop_after_delay(0.1))  # to be tried again would not be enough
    transport = SharedConnection(plain.url + "?max_connections=2")
    slow = asyncio.gather(*(transport.arun(call(writes("DEBUG", "SLEEP", 0.01))) for _ in range(50)))
    assert await slow == [b"OK"] * 50
    assert others(watch) == 2
    memory = WorkingMemory(transport=transport, max_turns=None)
    await asyncio.gather(*(memory.aappend("t1", [HumanMessage(str(n))]) for n in range(200)))
    assert len(await memory.amessages("t1")) == 200
    await transport.aclose()


def _append_as_child(memory: WorkingMemory) -> None:
    memory.append("t1", [HumanMessage("child")])
    asyncio.run(memory.aappend("t1", [HumanMessage("child's loop")]))
    memory.close()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_uses_connections_of_its_own(plain: Server, watch: redis.Redis) -> None:
    with WorkingMemory(plain.url) as memory:
        memory.append("t1", [HumanMessage("parent")])
        for _ in range(3):
            child = multiprocessing.get_context("fork").Process(target=_append_as_child, args=(memory,))
            child.start()
            memory.append(
                "t1", [HumanMessage("parent")]
            )  # at the same time, on the connection it forked from
            child.join(10)
            assert child.exitcode == 0
        contents = [message.content for message in memory.messages("t1")]
    assert [contents.count(name) for name in ("parent", "child", "child's loop")] == [4, 3, 3]
