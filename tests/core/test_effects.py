"""Effects of operations: done by either driver, merged by `gather`, and failing where they were asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal

import pytest
from langchain_core.embeddings import Embeddings

from langchain_agentmem.core.embed import Embed
from langchain_agentmem.core.operations import Op, gather, ok, once_checked, reads, writes
from langchain_agentmem.errors import EmbeddingError, StoreError
from tests.embedding_model import RecordingEmbeddings
from tests.fake_transport import FakeTransport

Run = Callable[[FakeTransport, Op[Any]], Awaitable[Any]]


async def _run(transport: FakeTransport, op: Op[Any]) -> Any:
    return transport.run(op)


async def _arun(transport: FakeTransport, op: Op[Any]) -> Any:
    return await transport.arun(op)


@pytest.fixture(params=[("", _run), ("a", _arun)], ids=["sync", "async"])
def way(request: pytest.FixtureRequest) -> tuple[str, Run]:
    """What a twin's name begins with, and what runs an operation that way."""
    way: tuple[str, Run] = request.param
    return way


def embed(model: Embeddings, *texts: str, role: Literal["query", "document"] = "document") -> Op[Any]:
    return (yield Embed(model, texts, role))


def embed_and_write(model: Embeddings, key: str, *texts: str) -> Op[Any]:
    vectors = yield Embed(model, texts)
    (reply,) = yield [writes("SET", key, str(vectors))]
    return ok(reply)


def write(*keys: str) -> Op[Any]:
    replies = []
    for key in keys:
        replies += yield [writes("SET", key, "x")]
    return replies


@pytest.mark.parametrize("role", ["document", "query"])
async def test_either_driver_calls_its_own_method_of_the_model(
    way: tuple[str, Run], role: Literal["query", "document"]
) -> None:
    prefix, run = way
    model = RecordingEmbeddings()
    assert await run(FakeTransport(), embed(model, "a", "bcd", role=role)) == [[1.0], [3.0]]
    if role == "document":
        assert model.calls == [(f"{prefix}embed_documents", ["a", "bcd"])]
    else:
        assert model.calls == [(f"{prefix}embed_query", ["a"]), (f"{prefix}embed_query", ["bcd"])]


async def test_texts_of_one_model_and_role_are_one_call_whose_result_is_split(way: tuple[str, Run]) -> None:
    prefix, run = way
    model = RecordingEmbeddings()
    ops = [embed(model, "a", "bb"), embed(model), embed(model, "ccc")]
    assert await run(FakeTransport(), gather(ops)) == [[[1.0], [2.0]], [], [[3.0]]]
    assert model.calls == [(f"{prefix}embed_documents", ["a", "bb", "ccc"])]


async def test_other_models_and_roles_are_called_separately(way: tuple[str, Run]) -> None:
    prefix, run = way
    one, other = RecordingEmbeddings(), RecordingEmbeddings()
    ops = [embed(one, "a"), embed(other, "bb"), embed(one, "ccc", role="query"), embed(one, "dddd")]
    assert await run(FakeTransport(), gather(ops)) == [[[1.0]], [[2.0]], [[3.0]], [[4.0]]]
    assert one.calls == [(f"{prefix}embed_documents", ["a", "dddd"]), (f"{prefix}embed_query", ["ccc"])]
    assert other.calls == [(f"{prefix}embed_documents", ["bb"])]


async def test_an_effect_beside_batches_costs_no_further_round_trip(way: tuple[str, Run]) -> None:
    _, run = way
    transport = FakeTransport([b"OK", b"OK"], [b"OK"])
    ops = [write("a", "b"), embed_and_write(RecordingEmbeddings(), "c", "tea")]
    assert await run(transport, gather(ops)) == [[b"OK", b"OK"], b"OK"]
    assert [[command.keys for command in batch] for batch in transport.sent] == [[("a",), ("c",)], [("b",)]]


async def test_effects_only_send_nothing(way: tuple[str, Run]) -> None:
    _, run = way
    transport = FakeTransport()
    assert await run(transport, gather([embed(RecordingEmbeddings(), "a")])) == [[[1.0]]]
    assert transport.sent == []


async def test_an_effect_that_follows_an_effect_is_done_before_the_batch(way: tuple[str, Run]) -> None:
    _, run = way
    model = RecordingEmbeddings()

    def twice() -> Op[Any]:
        first = yield Embed(model, ["a"])
        second = yield Embed(model, ["bb"])
        yield [writes("SET", "twice", "x")]
        return [*first, *second]

    transport = FakeTransport([b"OK", b"OK"])
    assert await run(transport, gather([twice(), write("k")])) == [[[1.0], [2.0]], [b"OK"]]


async def test_an_effects_error_is_raised_in_each_operation_that_waits_for_it(way: tuple[str, Run]) -> None:
    _, run = way
    error = TimeoutError("the model is away")
    model, seen = RecordingEmbeddings(error), []

    def asks(name: str) -> Op[str]:
        try:
            yield Embed(model, [name])
        except TimeoutError as raised:
            seen.append((name, raised))
            raise
        return name

    results = await run(FakeTransport([b"OK"]), gather([asks("a"), write("k"), asks("b")]))
    assert results == [error, [b"OK"], error]
    assert seen == [("a", error), ("b", error)]
    assert len(model.calls) == 1


async def test_one_models_error_is_not_anothers(way: tuple[str, Run]) -> None:
    _, run = way
    broken = RecordingEmbeddings(ZeroDivisionError())
    first, second = await run(
        FakeTransport(), gather([embed(broken, "a"), embed(RecordingEmbeddings(), "bb")])
    )
    assert isinstance(first, ZeroDivisionError)
    assert second == [[2.0]]


@pytest.mark.parametrize("gathered", [False, True])
async def test_an_operation_may_go_on_after_an_effects_error(way: tuple[str, Run], gathered: bool) -> None:
    _, run = way

    def forgiving() -> Op[Any]:
        try:
            yield Embed(RecordingEmbeddings(TimeoutError()), ["a"])
        except TimeoutError:
            (reply,) = yield [reads("GET", "plan b")]
            return ok(reply)

    transport = FakeTransport([b"text only"])
    op = gather([forgiving()]) if gathered else forgiving()
    assert await run(transport, op) == ([b"text only"] if gathered else b"text only")


async def test_an_error_that_nobody_catches_ends_the_operation(way: tuple[str, Run]) -> None:
    _, run = way
    closed = []

    def asks() -> Op[None]:
        try:
            yield Embed(RecordingEmbeddings(TimeoutError("away")), ["a"])
        finally:
            closed.append(True)

    transport = FakeTransport()
    with pytest.raises(TimeoutError, match="away"):
        await run(transport, asks())
    assert closed == [True]
    assert transport.sent == []


async def test_a_model_that_loses_a_vector_is_an_error_for_all_that_wait(way: tuple[str, Run]) -> None:
    class Losing(RecordingEmbeddings):
        def _answer(self, method: str, texts: list[str]) -> list[list[float]]:
            return super()._answer(method, texts)[1:]

    _, run = way
    model = Losing()
    results = await run(FakeTransport(), gather([embed(model, "a"), embed(model, "bb")]))
    assert [type(result) for result in results] == [EmbeddingError, EmbeddingError]
    with pytest.raises(EmbeddingError, match="2 texts have 1 embeddings"):
        ok(results[0])


async def test_an_effect_behind_a_batch_is_done_with_what_the_batch_brought(way: tuple[str, Run]) -> None:
    _, run = way

    def read_and_embed() -> Op[Any]:
        (stored,) = yield [reads("GET", "k")]
        return (yield Embed(RecordingEmbeddings(), [ok(stored).decode()]))

    assert await run(FakeTransport([b"tea"]), read_and_embed()) == [[3.0]]
    with pytest.raises(StoreError, match="gone"):
        await run(FakeTransport([StoreError("gone")]), read_and_embed())


async def test_an_effect_in_front_of_what_is_checked_first_is_done_or_fails_there(
    way: tuple[str, Run],
) -> None:
    _, run = way
    model = RecordingEmbeddings()
    checked = once_checked(embed_and_write(model, "k", "abc"), [reads("GET", "n")], lambda _: None)
    transport = FakeTransport([b"1"], [b"OK"])
    assert await run(transport, checked) == b"OK"
    assert transport.sent_args == [[("GET", "n")], [("SET", "k", "[[3.0]]")]]

    def recovering() -> Op[str]:
        try:
            yield Embed(model, ["x"])
        except EmbeddingError:
            return "recovered"
        return "embedded"

    checked_op = once_checked(recovering(), [reads("GET", "n")], lambda _: None)
    next(checked_op)
    with pytest.raises(StopIteration) as stopped:
        checked_op.throw(EmbeddingError("no"))
    assert stopped.value.value == "recovered"
