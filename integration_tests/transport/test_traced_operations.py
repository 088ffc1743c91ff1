"""What a trace notes of a transport's operations, and who does their effects, over a real Redis."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import redis
import redis.asyncio

from integration_tests.transport.conftest import Open, Run, Server
from integration_tests.waiting import wait_until
from langchain_agentmem.core.embed import Embed
from langchain_agentmem.core.operations import Batch, Op, asks, call, ok, reads, writes
from langchain_agentmem.core.scripts import Script
from langchain_agentmem.errors import StoreConnectionError
from langchain_agentmem.transport.connections import CallerSuppliedClients, Transport
from langchain_agentmem.transport.trace import tracing
from tests.embedding_model import RecordingEmbeddings

SET: Batch = [writes("SET", "k", "v"), asks("PING")]
GET: Batch = [reads("GET", "k"), reads("LRANGE", "k", 0, -1)]


def set_and_get() -> Op[Any]:
    yield SET
    replies = yield GET
    return ok(replies[0])


@pytest.fixture
def transport(plain: Server, connected: Open) -> Transport:
    return connected(plain.url)


async def test_each_batch_is_noted_with_its_replies(transport: Transport, run: Run) -> None:
    with tracing(transport) as trace:
        assert await run(transport, set_and_get()) == b"v"
    told = [[(one.text, one.reply, one.failed) for one in trip.commands] for trip in trace.round_trips]
    assert told[0] == [("SET k v", "OK", False), ("PING", "PONG", False)]
    assert told[1][0] == ("GET k", "v", False)
    line, reply, refused = told[1][1]
    assert (line, refused) == ("LRANGE k 0 -1", True)
    assert reply.startswith("WrongKeyTypeError: ")
    assert [trip.failed for trip in trace.round_trips] == [False, True]
    assert all(trip.seconds > 0 for trip in trace.round_trips)


async def test_an_effect_that_fails_is_noted_and_raised_in_the_operation(
    transport: Transport, run: Run
) -> None:
    def op() -> Op[Any]:
        try:
            yield Embed(RecordingEmbeddings(TimeoutError("away")), ["tea"])
        except TimeoutError as error:
            yield [asks("PING")]
            return str(error)

    with tracing(transport) as trace:
        assert await run(transport, op()) == "away"
    assert [(one.texts, one.vectors) for one in trace.embeddings] == [(["tea"], [])]
    assert [trip.commands[0].reply for trip in trace.round_trips] == ["PONG"]


@pytest.mark.usefixtures("impatient")
async def test_a_batch_that_is_not_answered_is_noted_as_such(
    connected: Open, unused_tcp_port: int, run: Run
) -> None:
    transport = connected(f"redis://127.0.0.1:{unused_tcp_port}")
    with tracing(transport) as trace, pytest.raises(StoreConnectionError):
        await run(transport, set_and_get())
    (trip,) = trace.round_trips
    assert [(one.text, one.reply) for one in trip.commands] == [
        ("SET k v", "no answer"),
        ("PING", "no answer"),
    ]
    assert trip.failed
    assert trip.seconds > 0


async def test_a_cancelled_batch_is_noted_as_not_answered(plain: Server, connected: Open) -> None:
    transport = connected(plain.url)

    def is_blocked() -> bool:
        with plain.client() as client:
            return bool(client.info("clients")["blocked_clients"])

    with tracing(transport) as trace:
        waiting = asyncio.create_task(transport.arun(call(asks("BLPOP", "empty", 0))))
        await asyncio.to_thread(wait_until, is_blocked)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert [trip.commands[0].reply for trip in trace.round_trips] == ["no answer"]


async def test_a_script_that_the_server_lacks_is_noted_once(transport: Transport, run: Run) -> None:
    script = Script("return redis.call('INCR', KEYS[1]) -- noted once", name="incr")
    with tracing(transport) as trace:
        assert await run(transport, call(script.call(["n"]))) == 1
    (trip,) = trace.round_trips
    (command,) = trip.commands
    assert (command.script, command.reply, command.failed) == ("incr", "1", False)
    assert command.text == f"EVALSHA {script.digest} 1 n"


async def test_an_operation_is_closed_when_a_step_that_is_noted_fails(transport: Transport, run: Run) -> None:
    closed = []

    def op() -> Op[None]:
        try:
            yield Embed(RecordingEmbeddings(TimeoutError()), ["tea"])
        finally:
            closed.append(len(trace.embeddings))

    with tracing(transport) as trace, pytest.raises(TimeoutError):
        await run(transport, op())
    assert closed == [1]


class NotesItsThread(redis.Redis):
    """A caller's client that notes the threads in which connections are taken from its pool."""

    threads: list[threading.Thread]


@pytest.fixture
def client(plain: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[NotesItsThread]:
    with NotesItsThread.from_url(plain.url) as client:
        client.threads = []
        take = client.connection_pool.get_connection

        def noted(*args: Any, **options: Any) -> Any:
            client.threads.append(threading.current_thread())
            return take(*args, **options)

        monkeypatch.setattr(client.connection_pool, "get_connection", noted)
        yield client


def embed_and_set(model: RecordingEmbeddings) -> Op[Any]:
    document = yield Embed(model, ["tea"])
    query = yield Embed(model, ["coffee"], "query")
    replies = yield [writes("SET", "k", "v"), reads("GET", "k")]
    return [*document, *query], replies


async def test_async_calls_on_a_sync_client_embed_on_the_loop_and_send_in_a_thread(
    client: NotesItsThread,
) -> None:
    model = RecordingEmbeddings()
    result = await CallerSuppliedClients(client).arun(embed_and_set(model))
    assert result == ([[3.0], [6.0]], [b"OK", b"v"])
    assert model.calls == [("aembed_documents", ["tea"]), ("aembed_query", ["coffee"])]
    assert client.threads
    assert threading.main_thread() not in client.threads


def test_sync_calls_on_a_sync_client_stay_in_their_thread(client: NotesItsThread) -> None:
    model = RecordingEmbeddings()
    result = CallerSuppliedClients(client).run(embed_and_set(model))
    assert result == ([[3.0], [6.0]], [b"OK", b"v"])
    assert model.calls == [("embed_documents", ["tea"]), ("embed_query", ["coffee"])]
    assert set(client.threads) == {threading.main_thread()}
