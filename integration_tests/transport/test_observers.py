"""What a transport's observer is told, and who does the effects of operations, over a real Redis."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import redis
import redis.asyncio

from integration_tests.transport.conftest import Open, Run, Server
from langchain_agentmem.core.embed import Embed
from langchain_agentmem.core.operations import Batch, Op, asks, ok, reads, writes
from langchain_agentmem.errors import StoreConnectionError, StoreError
from langchain_agentmem.transport.connections import CallerSuppliedClients, RoundTrip, Transport
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


@pytest.fixture
def told(transport: Transport) -> list[RoundTrip]:
    told: list[RoundTrip] = []
    transport.observer = told.append
    return told


async def test_an_observer_is_told_of_each_batch_with_its_replies(
    transport: Transport, told: list[RoundTrip], run: Run
) -> None:
    assert await run(transport, set_and_get()) == b"v"
    assert [one.step for one in told] == [SET, GET]
    assert told[0].answer == [b"OK", b"PONG"]
    value, refusal = told[1].answer
    assert value == b"v"
    assert isinstance(refusal, StoreError), "a refusal is a reply, as for the operation"
    assert all(one.seconds > 0 for one in told)


async def test_an_observer_is_told_of_effects(transport: Transport, told: list[RoundTrip], run: Run) -> None:
    effect = Embed(RecordingEmbeddings(), ["tea"])

    def op() -> Op[Any]:
        return (yield effect)

    assert await run(transport, op()) == [[3.0]]
    assert [(one.step, one.answer) for one in told] == [(effect, [[3.0]])]


async def test_an_effect_that_fails_is_told_and_raised_in_the_operation(
    transport: Transport, told: list[RoundTrip], run: Run
) -> None:
    effect = Embed(RecordingEmbeddings(TimeoutError("away")), ["tea"])

    def op() -> Op[Any]:
        try:
            yield effect
        except TimeoutError as error:
            yield [asks("PING")]
            return str(error)

    assert await run(transport, op()) == "away"
    assert [(one.step, one.answer) for one in told] == [(effect, None), ([asks("PING")], [b"PONG"])]


@pytest.mark.usefixtures("impatient")
async def test_a_batch_that_is_not_answered_is_told_without_an_answer(
    connected: Open, unused_tcp_port: int, run: Run
) -> None:
    told: list[RoundTrip] = []
    transport = connected(f"redis://127.0.0.1:{unused_tcp_port}")
    transport.observer = told.append
    with pytest.raises(StoreConnectionError):
        await run(transport, set_and_get())
    assert [(one.step, one.answer) for one in told] == [(SET, None)]
    assert told[0].seconds > 0


async def test_an_observer_is_of_one_object_not_of_the_connection(
    plain: Server, connected: Open, told: list[RoundTrip], run: Run
) -> None:
    assert await run(connected(plain.url), set_and_get()) == b"v"
    assert told == []


async def test_an_operation_is_closed_when_its_observed_step_fails(
    transport: Transport, told: list[RoundTrip], run: Run
) -> None:
    closed = []

    def op() -> Op[None]:
        try:
            yield Embed(RecordingEmbeddings(TimeoutError()), ["tea"])
        finally:
            closed.append(len(told))

    with pytest.raises(TimeoutError):
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
