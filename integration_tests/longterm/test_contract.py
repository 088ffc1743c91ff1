"""One contract for both long-term memories, sync and async: what does not depend on how they search."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from langchain_core.documents import Document

from integration_tests.conftest import Both, Counting, connection_to
from integration_tests.words import WordEmbeddings
from langchain_agentmem import LongTermMemory, MemoryRetriever, UpstashLongTermMemory
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.transport.connections import SharedConnection
from tests.strategies import scopes

Memory = LongTermMemory | UpstashLongTermMemory
Make = Callable[..., Memory]
WEEK = 604_800


@pytest.fixture(params=["redis", "partitions", "cluster", "upstash"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def transport(
    backend: str, request: pytest.FixtureRequest, url: str
) -> AsyncIterator[SharedConnection]:
    if backend == "cluster":
        connection = SharedConnection(request.getfixturevalue("cluster_url"))
    else:
        connection = connection_to("redis" if backend == "partitions" else backend, request, url)
    yield connection
    await connection.aclose()


@pytest.fixture
def make(backend: str, transport: SharedConnection) -> Make:
    def made(**options: Any) -> Memory:
        options = {"transport": transport, **options}
        if backend == "upstash":
            return UpstashLongTermMemory(**options)
        partitions = None if backend == "redis" else 16
        return LongTermMemory(
            embeddings=WordEmbeddings(), recall_threshold=0.9, partitions=partitions, **options
        )

    return made


@pytest.fixture
def memory(make: Make) -> Memory:
    return make()


def settle(memory: Memory) -> None:
    """What was written is found at once on Redis, and a moment later on Upstash."""
    if isinstance(memory, UpstashLongTermMemory):
        memory.create_index()
        memory.wait_indexing()


async def test_what_was_remembered_is_recalled(memory: Memory, both: Both) -> None:
    result = await both(memory).aremember(
        "Alice likes green tea",
        user="alice",
        kind="semantic",
        source_thread="t1",
        metadata={"é": [1.1, 2**53 + 1, None, {"a": True}]},
    )
    await both(memory).aremember("The build is red", user="alice")
    settle(memory)
    assert (result.deduped, result.id != "") == (False, True)
    hit, *_ = await both(memory).arecall("green tea", user="alice")
    assert (hit.id, hit.text, hit.user, hit.namespace) == (
        result.id,
        "Alice likes green tea",
        "alice",
        "default",
    )
    assert (hit.kind, hit.source_thread, hit.hit_count) == ("semantic", "t1", 0)
    assert hit.metadata == {"é": [1.1, 2**53 + 1, None, {"a": True}]}
    assert hit.created_ts > 1_700_000_000
    assert hit.score is not None
    read = await both(memory).aget(result.id)
    assert (read.text, read.metadata, read.ttl_seconds) == (hit.text, hit.metadata, None)


async def test_the_same_fact_is_stored_once_and_lives_as_long_again(
    memory: Memory, bare: redis.Redis, both: Both
) -> None:
    first = await both(memory).aremember("Alice likes tea", user="alice", ttl_seconds=100)
    second = await both(memory).aremember("Alice likes tea", user="alice")
    assert (second.deduped, second.id) == (True, first.id)
    read = await both(memory).aget(first.id)
    assert (read.hit_count, read.ttl_seconds > WEEK - 10) == (1, True)
    await both(memory).aremember("Alice likes tea", user="alice", ttl_seconds=5)
    assert (await both(memory).aget(first.id)).ttl_seconds > WEEK - 10  # a life is never shortened


async def test_a_fact_is_another_one_for_another_user_or_kind(memory: Memory, both: Both) -> None:
    scoped = [{"user": "alice"}, {"user": "bob"}, {"user": "alice", "kind": "semantic"}]
    results = [await both(memory).aremember("Likes tea", **scope) for scope in scoped]
    assert not any(result.deduped for result in results)
    assert len({result.id for result in results}) == 3
    settle(memory)
    assert len(await both(memory).arecall("Likes tea", user="alice")) == 2
    assert len(await both(memory).arecall("Likes tea", user="alice", kind="semantic")) == 1
    assert len(await both(memory).arecall("Likes tea", user="bob", k=9)) == 1
    assert await both(memory).arecall("Likes tea", user="carol") == []


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(user=scopes, other=scopes, kind=scopes)
def test_any_user_and_kind_match_themselves_alone(memory: Memory, user: str, other: str, kind: str) -> None:
    memory.clear()
    memory.remember("Likes tea", user=user, kind=kind)
    settle(memory)
    (found,) = memory.recall("Likes tea", user=user, kind=kind)
    assert (found.user, found.kind) == (user, kind)
    if other != user:
        assert memory.recall("Likes tea", user=other) == []
        assert memory.get(found.id, user=other) is None
        assert memory.delete_memory(found.id, user=other) is False
        assert memory.forget_user(other) == 0
    if other != kind:
        assert memory.recall("Likes tea", user=user, kind=other) == []
    assert memory.forget_user(user) == 1


@pytest.mark.parametrize(
    ("kind", "ttl", "lives"),
    [
        ("episodic", ..., WEEK),
        ("semantic", ..., None),
        ("own", ..., None),
        ("own", 50, 50),
        ("episodic", None, None),
    ],
)
async def test_a_life_by_kind(memory: Memory, kind: str, ttl: Any, lives: int | None, both: Both) -> None:
    result = await both(memory).aremember("tea", user="alice", kind=kind, ttl_seconds=ttl)
    left = (await both(memory).aget(result.id)).ttl_seconds
    assert left is None if lives is None else lives - 5 < left <= lives


async def test_many_are_stored_in_batches_with_progress(make: Make, counting: Counting, both: Both) -> None:
    memory = make()
    await both(memory).aremember("warming up", user="alice")  # makes the index
    texts = [f"{word} and {number}" for number, word in enumerate("tea milk bread salt rice".split())]
    steps: list[tuple[int, int]] = []
    before = counting.round_trips
    results = await both(memory).aremember_many(
        [*texts, texts[0]],
        user="alice",
        batch_size=2,
        on_progress=lambda done, total: steps.append((done, total)),
    )
    assert [result.deduped for result in results] == [False] * 5 + [True]
    assert steps == [(2, 6), (4, 6), (6, 6)]
    assert counting.round_trips == before + 3


async def test_a_progress_that_fails_costs_nothing_that_is_stored(
    memory: Memory, both: Both, caplog: pytest.LogCaptureFixture
) -> None:
    texts = ["green tea", "red car", "blue sky"]
    results = await both(memory).aremember_many(
        texts, user="alice", batch_size=1, on_progress=lambda done, total: 1 / 0
    )
    assert len({result.id for result in results}) == 3
    assert caplog.text.count("on_progress failed") == 3


async def test_listing_is_newest_first_and_scoped(memory: Memory, bare: redis.Redis, both: Both) -> None:
    for number in range(3):
        await both(memory).aremember(f"{'abc'[number] * 5} thing", user="alice", kind="semantic")
        bare.wait(0, 2)  # two milliseconds: a clock goes on
    await both(memory).aremember("other", user="bob")
    settle(memory)
    listed = await both(memory).alist_memories(user="alice")
    assert [one.text[0] for one in listed] == ["c", "b", "a"]
    assert [one.text[0] for one in await both(memory).alist_memories(user="alice", limit=1)] == ["c"]
    assert await both(memory).alist_memories(user="alice", kind="episodic") == []


async def test_clearing_removes_what_it_names(memory: Memory, both: Both) -> None:
    for user, kind in [
        ("alice", "semantic"),
        ("alice", "episodic"),
        ("bob", "semantic"),
        ("alice:b", "semantic"),
    ]:
        await both(memory).aremember("tea", user=user, kind=kind)
    settle(memory)
    assert await both(memory).aclear(user="alice", kind="semantic") == 1
    assert await both(memory).aforget_user("alice") == 1
    settle(memory)
    assert len(await both(memory).alist_memories(user="alice:b")) == 1
    assert await both(memory).aclear() == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"user": ""},
        {"user": None},
        {"user": "x" * 4097},
        {"text": " "},
        {"text": "x" * 40_000},
        {"kind": ""},
        {"ttl_seconds": 0},
        {"ttl_seconds": -5},
        {"metadata": {"a": float("nan")}},
        {"metadata": ["no", "dict"]},
    ],
    ids=str,
)
async def test_bad_input_stores_nothing(
    memory: Memory, bare: redis.Redis, wrong: dict[str, Any], both: Both
) -> None:
    given: dict[str, Any] = {"text": "tea", "user": "alice", **wrong}
    with pytest.raises(InvalidInputError):
        await both(memory).aremember(given.pop("text"), **given)
    assert bare.dbsize() == 0


@pytest.mark.parametrize(
    "query", ['") | *', "@userId:{bob}", '{"$must":{}}', "a" * 3000, "the of and", "🍵 茶"]
)
async def test_no_query_finds_what_is_another_user_s(memory: Memory, query: str, both: Both) -> None:
    await both(memory).aremember(f"secret {query}", user="bob")
    settle(memory)
    assert await both(memory).arecall(query, user="alice") == []


async def test_it_serves_as_a_retriever(memory: Memory, both: Both) -> None:
    await both(memory).aremember("Alice likes green tea", user="alice", metadata={"page": 3})
    settle(memory)
    retriever = MemoryRetriever(memory=memory, user="alice", k=2)
    (found,) = await both(retriever).ainvoke("green tea")
    assert isinstance(found, Document)
    assert (found.page_content, found.metadata["page"]) == ("Alice likes green tea", 3)
    assert found.metadata["user"] == "alice"
    assert await both(MemoryRetriever(memory=memory, user="bob")).ainvoke("green tea") == []
