"""An operation that is broken off leaves no reply behind for the next one."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from langchain_core.messages import HumanMessage

from integration_tests.transport.conftest import Open, Server, loop_until
from integration_tests.transport.test_clients import Client
from langchain_agentmem.core.operations import Command, Op, asks, call, gather, writes
from langchain_agentmem.errors import StoreConnectionError
from langchain_agentmem.transport.connections import CallerSuppliedClients
from langchain_agentmem.working.working_memory import WorkingMemory


@pytest.fixture(params=[(p, q) for p in (2, 3) for q in ("python", "hiredis")], ids=str)
def client(request: pytest.FixtureRequest) -> Client:
    return Client(*request.param)


def commands(*batch: Command) -> Op[list[Any]]:
    return (yield batch)


async def blocked(plain: Server, count: int) -> None:
    with plain.client() as other:
        await loop_until(lambda: other.info("clients")["blocked_clients"] == count)


async def test_a_cancelled_task_leaves_no_reply_behind(client: Client, plain: Server) -> None:
    async with client.asynchronous(plain.url) as made:
        supplied = CallerSuppliedClients(async_client=made)
        for number in range(3):
            batch: list[Command] = [
                writes("ECHO", "first"),
                writes("BLPOP", "queue", 0),
                writes("ECHO", "last"),
            ]
            task = asyncio.create_task(supplied.arun(commands(*batch)))
            await blocked(plain, 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await blocked(plain, 0)  # the server has seen that its connection is closed
            with plain.client() as other:
                other.rpush("queue", "late")
                other.delete("queue")
            assert await supplied.arun(call(writes("ECHO", f"mine {number}"))) == f"mine {number}".encode()
        assert not made.connection_pool._in_use_connections


async def test_a_burst_of_cancelled_tasks(plain: Server, connected: Open) -> None:
    working = WorkingMemory(transport=connected(plain.url), max_turns=None)
    for _ in range(5):
        tasks = [asyncio.create_task(working.aappend("t1", [HumanMessage("x")])) for _ in range(20)]
        for steps, task in enumerate(tasks):
            for _ in range(steps % 7):
                await asyncio.sleep(0)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        numbers = range(20)
        echoes = await asyncio.gather(
            *(working.transport.arun(call(writes("ECHO", str(n)))) for n in numbers)
        )
        assert echoes == [str(n).encode() for n in numbers]


def test_an_interrupt_while_reading_leaves_no_reply_behind(
    client: Client, plain: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with client.sync(plain.url) as made:
        supplied = CallerSuppliedClients(made)
        supplied.run(call(asks("PING")))
        connection = made.connection_pool._available_connections[0]
        read, reads = connection.read_response, []

        def interrupted(*args: Any, **kwargs: Any) -> Any:
            reads.append(1)
            if len(reads) == 2:
                raise KeyboardInterrupt
            return read(*args, **kwargs)

        monkeypatch.setattr(connection, "read_response", interrupted)
        with pytest.raises(KeyboardInterrupt):
            supplied.run(commands(writes("ECHO", "a"), writes("ECHO", "b"), writes("ECHO", "c")))
        assert not made.connection_pool._in_use_connections
        assert supplied.run(call(writes("ECHO", "mine"))) == b"mine"


async def test_operations_are_closed_whatever_happens(plain: Server, connected: Open) -> None:
    closed: list[str] = []

    def noting(name: str, error: BaseException | None = None) -> Op[None]:
        try:
            yield [writes("ECHO", name)]
            if error is not None:
                raise error
            yield [writes("BLPOP", "nothing", 0)]
        finally:
            closed.append(name)

    transport = connected(plain.url, 0.2)
    keep = [noting("a"), noting("b", KeyboardInterrupt())]
    with pytest.raises(KeyboardInterrupt):
        transport.run(gather(keep))
    assert sorted(closed) == ["a", "b"]
    keep += [noting("c"), noting("d")]
    with pytest.raises(StoreConnectionError):
        await transport.arun(gather(keep[2:]))
    assert sorted(closed) == ["a", "b", "c", "d"]
    gc.collect()
