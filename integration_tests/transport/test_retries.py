"""What breaks and heals: nothing is lost, nothing happens twice, and what may not be repeated is not."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import redis
from langchain_core.messages import HumanMessage

from integration_tests.listening import Proxy
from integration_tests.transport.conftest import Open, Run, Server, StartServer
from integration_tests.transport.test_clients import Client
from integration_tests.waiting import wait_until
from langchain_agentmem.core.operations import Command, Op, call, gather, reads, writes
from langchain_agentmem.embedded.server import EmbeddedRedis
from langchain_agentmem.errors import StoreConnectionError, StoreError, StoreLoadingError
from langchain_agentmem.transport.connections import CallerSuppliedClients, SharedConnection
from langchain_agentmem.working import operations
from langchain_agentmem.working.working_memory import WorkingMemory


def commands(*batch: Command) -> Op[list[Any]]:
    return (yield batch)


def append(transport: SharedConnection, text: str, thread: str = "t1") -> Op[int]:
    return WorkingMemory(transport=transport, max_turns=None).append_op(thread, [HumanMessage(text)])


def contents(server: Server, thread: str = "t1") -> list[str]:
    with WorkingMemory(server.url) as working:
        return [str(message.content) for message in working.messages(thread)]


# Killed connections and servers -----------------------------------------------------------------------


def stand_still() -> None:
    end = time.monotonic() + 0.002
    wait_until(lambda: time.monotonic() > end)


@pytest.mark.parametrize("query", ["?protocol=2", "?protocol=3"])
async def test_a_connection_that_was_cut_while_idle(
    plain: Server, connected: Open, run: Run, query: str
) -> None:
    transport = connected(plain.url + query)
    with plain.client() as other:
        for number in range(5):
            assert await run(transport, append(transport, str(number))) == number + 1
            assert other.client_kill_filter(_type="normal", skipme=True) >= 1
            stand_still()  # the loop has no time to see it
    assert contents(plain) == list("01234")


@pytest.mark.parametrize("query", ["?protocol=2", "?protocol=3"])
async def test_a_cut_that_the_loop_has_seen(plain: Server, connected: Open, query: str) -> None:
    transport = connected(plain.url + query)
    with plain.client() as other:
        for number in range(3):
            assert await transport.arun(append(transport, str(number))) == number + 1
            other.client_kill_filter(_type="normal", skipme=True)
            for _ in range(20):
                await asyncio.sleep(0)
    assert contents(plain) == list("012")


@pytest.fixture
def always_synced() -> Iterator[EmbeddedRedis]:
    with tempfile.TemporaryDirectory(prefix="am-", ignore_cleanup_errors=True) as parent:
        options = {"appendfsync": "always"}
        with EmbeddedRedis(Path(parent, "data"), search=False, options=options) as server:
            yield server
        wait_until(lambda: not Path(parent, "data", "server.json").exists())


async def test_a_server_that_is_killed_and_restarted_loses_and_doubles_nothing(
    always_synced: EmbeddedRedis, connected: Open, run: Run
) -> None:
    transport = connected(always_synced.url)
    acknowledged, unknown = [], []

    def kill(pids: list[int]) -> None:
        for _ in range(2):
            wait_until(lambda: always_synced.pid not in (None, *pids))
            pids.append(always_synced.pid or 0)
            reached = len(acknowledged) + 30
            wait_until(lambda: len(acknowledged) > reached)  # noqa: B023
            os.kill(pids[-1], signal.SIGKILL)

    killed: list[int] = []
    killer = threading.Thread(target=kill, args=(killed,))
    killer.start()
    number = 0
    while killer.is_alive() or number < 100:
        text = str(number)
        try:
            await run(transport, append(transport, text))
            acknowledged.append(text)
        except StoreConnectionError:
            unknown.append(text)
        number += 1
    killer.join()
    await run(transport, append(transport, "last"))
    acknowledged.append("last")
    working = WorkingMemory(transport=transport)
    stored = [str(message.content) for message in await run(transport, working.messages_op("t1"))]
    assert len(killed) == 2
    assert len(stored) == len(set(stored))
    assert set(acknowledged) <= set(stored) <= set(acknowledged) | set(unknown)
    assert stored == [*sorted(stored[:-1], key=int), "last"]
    assert len(unknown) <= 2  # no more than was under way as the server was killed


# Lost answers -----------------------------------------------------------------------------------------


async def test_a_write_whose_answer_got_lost_is_not_repeated(
    plain: Server, proxy: Proxy, connected: Open, run: Run
) -> None:
    transport = connected(proxy.url)
    await run(transport, append(transport, "a"))
    proxy.cut_reply_to = b"EVALSHA"
    with pytest.raises(StoreConnectionError):
        await run(transport, append(transport, "b"))
    assert contents(plain) == ["a", "b"]
    assert await run(transport, append(transport, "c")) == 3


async def test_a_read_whose_answer_got_lost_is_repeated(
    plain: Server, proxy: Proxy, connected: Open, run: Run
) -> None:
    transport = connected(proxy.url)
    await run(transport, append(transport, "a"))
    proxy.cut_reply_to = b"HGET"
    assert await run(transport, call(reads("HGET", "agent:session:t1", "turn_count"))) == b"1"
    assert proxy.cuts == 1
    assert plain.count("hget") == 2


async def test_an_unknown_command_counts_as_a_write(
    plain: Server, proxy: Proxy, connected: Open, run: Run
) -> None:
    proxy.cut_reply_to = b"INCR"
    with pytest.raises(StoreConnectionError):
        await run(connected(proxy.url), call(writes("INCR", "n")))
    assert plain.count("incr") == 1


async def test_reads_are_repeated_when_the_write_before_them_was_answered(
    plain: Server, proxy: Proxy, connected: Open, run: Run
) -> None:
    transport = connected(proxy.url)
    proxy.cut_reply_to, proxy.reply_bytes = b"INCR", len(b":1\r\n$")  # breaks off inside the second reply
    replies = await run(transport, commands(writes("INCR", "n"), reads("HGET", "h", "f"), reads("TTL", "n")))
    assert replies == [1, None, -1]
    assert (plain.count("incr"), plain.count("hget"), plain.count("ttl")) == (1, 2, 2)
    proxy.cut_reply_to = b"INCR"
    with pytest.raises(StoreConnectionError):
        await run(transport, commands(writes("INCR", "n"), reads("TTL", "n"), writes("INCR", "m")))
    assert plain.count("incr") == 3


# Scripts the server does not know ---------------------------------------------------------------------


async def test_scripts_that_were_flushed(plain: Server, connected: Open, run: Run) -> None:
    transport = connected(plain.url)
    working = WorkingMemory(transport=transport)
    with plain.client() as other:
        for number in range(3):
            assert await run(transport, append(connected(plain.url), str(number))) == number + 1
            other.script_flush()
        state = await run(transport, working.set_op("goal", "t1", "g"))
    assert (state.goal, state.turn_count) == ("g", 3)  # it read its own write
    assert contents(plain) == list("012")


async def test_a_batch_of_which_some_scripts_are_unknown(plain: Server, connected: Open, run: Run) -> None:
    transport = connected(plain.url)
    working = WorkingMemory(transport=transport)

    def push(entry: str) -> Op[int]:
        return operations.push_messages("list", [entry.encode()], None, None)

    await run(transport, push("0"))  # only this script is known
    for number in range(1, 4):
        results = await run(
            transport,
            gather(
                [
                    push(str(number)),
                    append(transport, str(number)),
                    working.messages_op("t1"),
                    append(transport, str(number), "t2"),
                    call(reads("LRANGE", "list", 0, -1)),
                    call(writes("INCR", "n")),
                ]
            ),
        )
        pushed, appended, read, of_t2, listed, counted = results
        assert (pushed, appended, of_t2, counted) == (number + 1, number, number, number)
        assert [message.content for message in read] == [str(n) for n in range(1, number + 1)]
        assert len(listed) == number + 1
        with plain.client() as other:
            if number == 2:
                other.script_flush()


# A server that loads ----------------------------------------------------------------------------------


@pytest.fixture
def loading(start_server: StartServer) -> Server:
    """A server that answers LOADING until it is told to hurry: see `finish`."""
    server = start_server()
    with server.client() as client:
        client.execute_command("DEBUG", "POPULATE", 20_000)
        client.save()
    server.kill()
    server.start("--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024", answers=False)

    def answers() -> bool:
        with suppress(redis.ConnectionError), server.client() as client:
            return bool(client.info("persistence")["loading"])
        return False

    wait_until(answers)
    return server


def finish(server: Server) -> None:
    with server.client() as client:
        client.config_set("key-load-delay", 0)
        wait_until(lambda: not client.info("persistence")["loading"])


async def test_a_server_that_loads_too_long(loading: Server, connected: Open, run: Run) -> None:
    transport = connected(loading.url)
    start = time.monotonic()
    with pytest.raises(StoreLoadingError):
        await run(transport, append(transport, "a"))
    assert 1.5 < time.monotonic() - start < 4
    finish(loading)
    assert loading.count("eval") == 0
    assert contents(loading) == []


async def test_a_server_that_has_loaded_soon(loading: Server, connected: Open, run: Run) -> None:
    transport = connected(loading.url)

    def wait_for_a_refusal() -> None:
        with loading.client() as client:
            wait_until(lambda: client.info("commandstats").get("cmdstat_evalsha", {}).get("rejected_calls"))
        finish(loading)

    helper = threading.Thread(target=wait_for_a_refusal)
    helper.start()
    assert await run(transport, append(transport, "a")) == 1
    helper.join()
    assert contents(loading) == ["a"]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("parser", ["python", "hiredis"])
@pytest.mark.parametrize("protocol", [2, 3])
async def test_replies_behind_a_refusal_are_those_of_their_own_commands(
    loading: Server, run: Run, parser: str, protocol: int
) -> None:
    made = Client(protocol, parser)
    # A server that loads still echoes.
    batch: list[Command] = [
        writes("INCR", "n"),
        writes("ECHO", "a"),
        writes("INCR", "n"),
        writes("ECHO", "b"),
    ]
    with made.sync(loading.url) as client:
        async with made.asynchronous(loading.url) as async_client:
            transport = CallerSuppliedClients(client, async_client)
            replies = await run(transport, commands(*batch))  # type: ignore[arg-type]
    assert [isinstance(reply, StoreError) for reply in replies] == [True, False, True, False]
    assert replies[1::2] == [b"a", b"b"]
    assert loading.count("echo") == 2  # what was done is not done again
