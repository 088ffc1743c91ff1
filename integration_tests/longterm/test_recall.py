"""What recall finds in each mode, what it refuses, in which order, and what it says about it."""

from __future__ import annotations

from math import exp
from typing import Any

import numpy as np
import pytest
import redis
from redisvl.query.filter import FilterExpression, Num, Tag

from integration_tests.conftest import Both, Counting
from integration_tests.longterm.conftest import Make
from integration_tests.words import WordEmbeddings
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.longterm.ranking import NEAREST
from langchain_agentmem.longterm.redisearch.memory import LongTermMemory
from langchain_agentmem.longterm.types import MemoryRecord

MODES = ("hybrid", "vector", "text")
ANY: dict[str, Any] = {"distance_threshold": None}
LISBON, PORTO = "I live in Lisbon", "I live in Porto"


@pytest.fixture(params=["json", "hash"])
def memory(make: Make, request: pytest.FixtureRequest) -> LongTermMemory:
    memory = make(storage=request.param)
    memory.create_index()
    return memory


def axis(*numbers: float) -> list[float]:
    """A vector that begins with these numbers."""
    return [*numbers, *[0.0] * (256 - len(numbers))]


def at_distance(distance: float) -> list[float]:
    """A vector so far from `axis(1)`."""
    return axis(1 - distance, (1 - (1 - distance) ** 2) ** 0.5)


def texts(found: list[MemoryRecord]) -> list[str]:
    return [one.text for one in found]


def stored_at(bare: redis.Redis, memory: LongTermMemory, id: str, created_ts: float) -> None:
    """Let a memory be as old as if it had been stored then."""
    if memory.config.storage == "json":
        bare.execute_command("JSON.SET", f"agent:mem:{id}", "$.created_ts", str(created_ts))
    else:
        bare.hset(f"agent:mem:{id}", "created_ts", created_ts)


@pytest.mark.parametrize("mode", MODES)
async def test_each_mode_finds_whole_memories(memory: LongTermMemory, both: Both, mode: Any) -> None:
    about: dict[str, Any] = {"namespace": "a, b", "source_thread": "t 1", "metadata": {"page": [1.5, None]}}
    result = await both(memory).aremember("Alice likes green tea", user="älice", context="Tea?", **about)
    await both(memory).aremember("Bob drives a red car", user="älice", namespace="a, b")
    (found,) = await both(memory).arecall("Who likes green tea?", user="älice", namespace="a, b", mode=mode)
    kept = await both(memory).aget(result.id)
    for name in (*about, "id", "text", "user", "kind", "created_ts", "hit_count", "context", "document_id"):
        assert getattr(found, name) == getattr(kept, name), name
    assert (found.distance is None) == (mode == "text")
    assert (found.matched_words == []) == (mode == "vector")
    assert 0 < found.score <= 1


async def test_hybrid_finds_by_words_what_vectors_miss_and_the_other_way(
    memory: LongTermMemory, both: Both
) -> None:
    fillers = [f"filler number{n}" for n in range(NEAREST + 10)]
    embeddings = [at_distance(0.3 + n / 1000) for n in range(NEAREST + 10)]
    await both(memory).aremember_many(fillers, user="alice", embeddings=embeddings)
    await both(memory).aremember("the zebra was asleep", user="alice", embedding=axis(0, 0, 1))
    await both(memory).aremember("stripes all over", user="alice", embedding=at_distance(0.1))
    about: dict[str, Any] = {"user": "alice", "embedding": axis(1), "k": 3}
    by_vector = await both(memory).arecall("zebra", mode="vector", **about)
    assert texts(by_vector) == ["stripes all over", *fillers[:2]]
    assert texts(await both(memory).arecall("zebra", user="alice", mode="text")) == ["the zebra was asleep"]
    found = await both(memory).arecall("zebra", **about)
    assert set(texts(found[:2])) == {"the zebra was asleep", "stripes all over"}
    by_words = next(one for one in found if one.text == "the zebra was asleep")
    assert (by_words.distance, by_words.matched_words) == (None, ["zebra"])
    assert 0 < by_words.score < 1


async def test_a_recall_is_one_round_trip_and_only_vectors_embed(
    make: Make, counting: Counting, both: Both
) -> None:
    words = WordEmbeddings(256)
    memory = make(embeddings=words)
    await both(memory).aremember("Alice likes green tea", user="alice")
    for mode, embedded in {"hybrid": 1, "vector": 1, "text": 0}.items():
        before, asked = counting.round_trips, words.embedded
        assert await both(memory).arecall("green tea", user="alice", mode=mode)
        assert (counting.round_trips - before, words.embedded - asked) == (1, embedded), mode


@pytest.mark.parametrize("mode", MODES)
async def test_k_may_be_larger_than_the_usual_number_of_candidates(
    memory: LongTermMemory, both: Both, mode: Any
) -> None:
    written = [f"tea number{n}" for n in range(NEAREST + 30)]
    await both(memory).aremember_many(written, user="alice", batch_size=200)
    found = texts(await both(memory).arecall("tea", user="alice", mode=mode, k=NEAREST + 20, **ANY))
    assert len(found) == len(set(found)) == NEAREST + 20
    assert set(texts(await both(memory).arecall("tea", user="alice", mode=mode, k=500, **ANY))) == {*written}


@pytest.mark.parametrize("mode", MODES)
async def test_a_user_without_memories_recalls_none(make: Make, both: Both, mode: Any) -> None:
    memory = make()
    assert await both(memory).arecall("green tea", user="alice", mode=mode, **ANY) == [], "without an index"
    await both(memory).aremember("green tea", user="bob")
    assert await both(memory).arecall("green tea", user="alice", mode=mode, **ANY) == []


@pytest.mark.parametrize("query", ["What is it?", "...", "of the"])
async def test_a_question_of_no_words_that_matter_is_answered_by_its_vector(
    memory: LongTermMemory, both: Both, query: str
) -> None:
    await both(memory).aremember("what is it of the", user="alice")
    assert await both(memory).arecall(query, user="alice", mode="text") == []
    (found,) = await both(memory).arecall(query, user="alice", **ANY)
    assert found.matched_words == []


async def test_a_vector_may_stand_for_the_question(memory: LongTermMemory, both: Both) -> None:
    near, far = at_distance(0.5), at_distance(0.6)
    await both(memory).aremember_many(["near", "far"], user="alice", embeddings=[near, far])

    async def found(query: str, **options: Any) -> list[str]:
        records = await both(memory).arecall(query, user="alice", embedding=axis(1), **options)
        assert [one.score for one in records] == [1 - one.distance / 2 for one in records]
        return texts(records)

    assert await found("") == ["near"], "recall_threshold decides, as by vector"
    assert await found("", distance_threshold=0.4) == []
    assert await found("", **ANY) == ["near", "far"]
    for mode in MODES:
        with pytest.raises(InvalidInputError, match="query is empty"):
            await both(memory).arecall("", user="alice", mode=mode)


@pytest.mark.parametrize("mode", MODES)
async def test_a_long_question_is_answered(memory: LongTermMemory, both: Both, mode: Any) -> None:
    await both(memory).aremember("Alice likes green tea", user="alice")
    question = "Green tea" + ", and so on" * 400
    assert len(question) > 4096
    (found,) = await both(memory).arecall(question, user="alice", mode=mode, **ANY)
    assert found.text == "Alice likes green tea"
    million = " ".join(f"word{n}" for n in range(5_000))
    assert len(await both(memory).arecall(million, user="alice", mode=mode, **ANY)) == (mode != "text")


class TestScope:
    @pytest.fixture
    def filled(self, memory: LongTermMemory) -> LongTermMemory:
        for user in ("alice", "bob"):
            for namespace in ("default", "work"):
                for kind in ("episodic", "semantic"):
                    about: dict[str, Any] = {"user": user, "namespace": namespace, "kind": kind}
                    memory.remember(f"tea {user} {namespace} {kind}", source_thread=f"{kind[0]}1", **about)
        return memory

    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize(
        ("scope", "expected"),
        [
            ({}, {"default episodic", "default semantic"}),
            ({"kind": "semantic"}, {"default semantic"}),
            ({"namespace": "work", "kind": "episodic"}, {"work episodic"}),
            ({"namespace": None, "kind": "episodic"}, {"default episodic", "work episodic"}),
            (
                {"namespace": None},
                {"default episodic", "default semantic", "work episodic", "work semantic"},
            ),
            ({"namespace": "play"}, set()),
        ],
    )
    async def test_is_a_user_a_namespace_and_a_kind(
        self, filled: LongTermMemory, mode: Any, scope: dict[str, Any], expected: set[str]
    ) -> None:
        for found in (
            filled.recall("tea", user="alice", mode=mode, k=9, **ANY, **scope),
            await filled.arecall("tea", user="alice", mode=mode, k=9, **ANY, **scope),
        ):
            assert {*texts(found)} == {f"tea alice {one}" for one in expected}

    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize(
        ("filter", "expected"),
        [
            (Tag("source_thread") == "s1", {"default semantic"}),
            (Tag("source_thread") != "s1", {"default episodic"}),
            (Num("hit_count") > 0, set()),
            (FilterExpression("@user:{bob}"), set()),
            (FilterExpression("-@user:{alice}"), set()),
            (
                FilterExpression("@user:{bob} | @user:{alice} | @namespace:{work}"),
                {"default episodic", "default semantic"},
            ),
        ],
    )
    async def test_is_narrowed_by_a_filter_and_never_widened(
        self, filled: LongTermMemory, mode: Any, filter: FilterExpression, expected: set[str]
    ) -> None:
        for found in (
            filled.recall("tea", user="alice", mode=mode, k=9, filter=filter, **ANY),
            await filled.arecall("tea", user="alice", mode=mode, k=9, filter=filter, **ANY),
        ):
            assert {*texts(found)} == {f"tea alice {one}" for one in expected}


class TestThreshold:
    async def test_of_none_returns_the_best_in_any_case(self, memory: LongTermMemory, both: Both) -> None:
        await both(memory).aremember("Do you like it?", user="alice", embedding=axis(-1))
        assert await both(memory).arecall("zebra", user="alice", embedding=axis(1)) == []
        (found,) = await both(memory).arecall("zebra", user="alice", embedding=axis(1), **ANY)
        assert (found.text, found.score) == ("Do you like it?", 0)
        await both(memory).aremember("It is not near", user="alice", embedding=axis(0, 1))
        best, *_ = await both(memory).arecall("zebra", user="alice", embedding=axis(1), **ANY)
        assert best.text == "It is not near"

    async def test_limits_besides_what_is_known(self, memory: LongTermMemory, both: Both) -> None:
        written = ["a zebra in Lisbon", "stripes"]
        embeddings = [at_distance(0.45), at_distance(0.35)]
        await both(memory).aremember_many(written, user="alice", embeddings=embeddings)
        about: dict[str, Any] = {"user": "alice", "embedding": axis(1)}
        assert texts(await both(memory).arecall("zebra Lisbon", **about)) == written
        for k in (1, 5):
            found = await both(memory).arecall("zebra Lisbon", k=k, distance_threshold=0.4, **about)
            assert texts(found) == ["stripes"], "what is beyond takes no place"
        assert await both(memory).arecall("zebra Lisbon", distance_threshold=0.3, **about) == []
        assert await both(memory).arecall("Who is Bob?", user="alice", distance_threshold=2) == [], "unknown"

    async def test_leaves_out_what_only_words_find(self, memory: LongTermMemory, both: Both) -> None:
        fillers = [f"filler number{n}" for n in range(NEAREST)]
        await both(memory).aremember_many(fillers, user="alice", embeddings=[at_distance(0.3)] * NEAREST)
        await both(memory).aremember("a zebra", user="alice", embedding=axis(0, 0, 1))
        about: dict[str, Any] = {"user": "alice", "embedding": axis(1)}
        assert "a zebra" in texts(await both(memory).arecall("zebra", **about))
        found = await both(memory).arecall("zebra", distance_threshold=0.4, **about)
        assert len(found) == 5
        assert "a zebra" not in texts(found)

    @pytest.mark.parametrize("vector_type", ["float32", "float16"])
    @pytest.mark.parametrize("mode", ["hybrid", "vector"])
    async def test_takes_rounding_into_account(self, make: Make, vector_type: str, mode: Any) -> None:
        memory = make(vector_type=vector_type)
        numbers = np.random.default_rng(5).normal(size=(40, 256))
        names = [f"name{n}" for n in range(40)]
        memory.remember_many(names, user="alice", embeddings=numbers.tolist())
        for name, vector in zip(names, numbers, strict=True):
            about: dict[str, Any] = {"user": "alice", "k": 40, "mode": mode}
            same = memory.recall(name, embedding=vector.tolist(), distance_threshold=0, **about)
            assert texts(same) == [name]
            opposite = memory.recall("zebra", embedding=(-vector).tolist(), **ANY, **about)
            for one in same + opposite:
                assert one.distance is not None
                assert one.score is not None
                assert 0 <= one.distance <= 2
                assert 0 <= one.score <= 1


class TestOrder:
    async def test_of_a_question_is_not_that_of_what_contradicts(
        self, memory: LongTermMemory, bare: redis.Redis, both: Both
    ) -> None:
        about: dict[str, Any] = {"user": "alice", "embedding": axis(1)}
        stated = await both(memory).aremember(LISBON, **about)
        stored_at(bare, memory, stated.id, 1.7e9)
        await both(memory).aremember("Do I live in Lisbon?", **about)
        found = await both(memory).arecall("Where do I live?", **about)
        assert texts(found) == [LISBON, "Do I live in Lisbon?"]

    @pytest.mark.parametrize("order", [(LISBON, PORTO), (PORTO, LISBON)])
    async def test_of_what_contradicts_is_newest_first_with_its_time(
        self, memory: LongTermMemory, bare: redis.Redis, both: Both, order: tuple[str, str]
    ) -> None:
        await both(memory).aremember("The weather was fine", user="alice")
        for days, text in zip((9, 2), order, strict=True):
            result = await both(memory).aremember(text, user="alice")
            stored_at(bare, memory, result.id, 1.8e9 - days * 86_400)
        found = await both(memory).arecall("Where do I live?", user="alice")
        assert texts(found)[:2] == [*reversed(order)]
        assert [one.created_ts for one in found[:2]] == [1.8e9 - 2 * 86_400, 1.8e9 - 9 * 86_400]
        (only,) = await both(memory).arecall("Where do I live?", user="alice", k=1)
        assert only.text == order[1]

    async def test_is_explained_by_its_parts(self, memory: LongTermMemory, both: Both) -> None:
        said = [
            ("Ada: The zebra at the zoo was asleep", ""),
            ("Bob: I saw a zebra too", "Ada: What a fine day at the zoo"),
            ("Was there a zebra at the zoo?", ""),
            ("It was asleep", "There was a zebra\nIn the zoo"),
            ("A day at the zoo", ""),
        ]
        for text, context in said:
            await both(memory).aremember(text, user="alice", context=context)
        about: dict[str, Any] = {"user": "alice", "recency_weight": 2, **ANY}
        found = await both(memory).arecall("What did Ada say of the zebra in the zoo?", explain=True, **about)
        assert len(found) == len(said)
        totals = []
        for one in found:
            parts = {**one.explanation}
            assert parts.pop("reranked") is None
            assert set(parts) == {"meaning", "words", "context", "speaker", "question", "recency"}
            totals.append(sum(parts.values()))
            assert one.score == pytest.approx(1 - exp(-max(0.0, totals[-1])))
        assert totals == sorted(totals, reverse=True)
        parts = {one.text: one.explanation for one in found}
        assert parts["Ada: The zebra at the zoo was asleep"]["speaker"] > 0
        assert parts["Was there a zebra at the zoo?"]["question"] < 0
        assert parts["It was asleep"]["words"] == 0 < parts["It was asleep"]["context"]
        assert parts["It was asleep"]["recency"] == pytest.approx(2, abs=1e-3)
        words = {one.text: one.matched_words for one in found}
        assert words["Ada: The zebra at the zoo was asleep"] == ["ada", "zebra", "zoo"]
        assert words["It was asleep"] == []
        plain = await both(memory).arecall("What did Ada say of the zebra in the zoo?", **about)
        assert [one.explanation for one in plain] == [None] * len(said)
        assert texts(plain) == texts(found)

    async def test_by_vector_is_explained_too(self, memory: LongTermMemory, both: Both) -> None:
        await both(memory).aremember("green tea", user="alice")
        (found,) = await both(memory).arecall("tea", user="alice", mode="vector", explain=True)
        assert found.explanation["meaning"] == pytest.approx(1 - found.distance)
        assert found.explanation["words"] == found.explanation["recency"] == 0

    @pytest.mark.parametrize("mode", ["hybrid", "vector"])
    async def test_is_lifted_by_being_recent(
        self, memory: LongTermMemory, bare: redis.Redis, both: Both, mode: Any
    ) -> None:
        written = ["a zebra", "the okapi", "some yaks"]
        embeddings = [at_distance(distance) for distance in (0.2, 0.3, 0.4)]
        results = await both(memory).aremember_many(written, user="alice", embeddings=embeddings)
        for result, days in zip(results, (90, 0, 30), strict=True):
            stored_at(
                bare, memory, result.id, (await both(memory).aget(result.id)).created_ts - days * 86_400
            )
        about: dict[str, Any] = {"user": "alice", "embedding": axis(1), "mode": mode, **ANY}
        assert texts(await both(memory).arecall("gnu", **about)) == written
        lifted = await both(memory).arecall("gnu", recency_weight=0.2, **about)
        assert texts(lifted) == ["the okapi", "a zebra", "some yaks"]
        for weight in (1, 1000) if mode == "vector" else (1,):
            lifted = await both(memory).arecall("gnu", recency_weight=weight, k=3, explain=True, **about)
            assert texts(lifted) == ["the okapi", "some yaks", "a zebra"]
            assert all(0 < one.score <= 1 for one in lifted)
            recency = [one.explanation["recency"] / weight for one in lifted]
            assert recency == pytest.approx([1, 1 / 2, 1 / 8], abs=1e-3)
        (first,) = await both(memory).arecall("gnu", recency_weight=1, k=1, **about)
        assert first.text == "the okapi", "also if it is not the nearest"


@pytest.mark.parametrize("storage", ["json", "hash"])
def test_the_older_protocol_of_redis_serves(make: Make, url: str, storage: Any) -> None:
    make(storage=storage).remember("Alice likes green tea", user="alice", metadata={"page": 3})
    with LongTermMemory(
        f"{url}{'&' if '?' in url else '?'}protocol=2", embeddings=WordEmbeddings(256), storage=storage
    ) as memory:
        for mode in MODES:
            (found,) = memory.recall("green tea", user="alice", mode=mode)  # type: ignore[arg-type]
            assert (found.text, found.metadata) == ("Alice likes green tea", {"page": 3})


async def test_a_question_about_everything_is_answered_by_the_newest(
    memory: LongTermMemory, both: Both
) -> None:
    for text in ("zebra", "okapi", "gnu", "kudu"):
        await both(memory).aremember(text, user="alice")
    (okapi,) = [one for one in await both(memory).alist_memories(user="alice") if one.text == "okapi"]
    await both(memory).aremember("eland", user="alice", replaces=okapi.id)
    await both(memory).aremember("lion", user="bob")
    await both(memory).aremember("oryx", user="alice", kind="semantic")
    query = "What do you know about me?"
    found = await both(memory).arecall(query, user="alice", k=4, explain=True)
    assert [one.text for one in found] == ["oryx", "eland", "kudu", "gnu"]
    assert [(one.score, set(one.explanation.values())) for one in found] == [(1, {0, None})] * 4
    found = await both(memory).arecall(query, user="alice", kind="episodic")
    assert [one.text for one in found] == ["eland", "kudu", "gnu", "zebra"]
    assert await both(memory).arecall(query, user="carol") == []


async def test_by_words_a_rare_one_counts_more_in_a_scope_that_was_just_empty(
    memory: LongTermMemory, both: Both
) -> None:
    assert await both(memory).arecall("anything new", user="alice", mode="text") == []
    for number in range(20):
        await both(memory).aremember(f"we had pasta for dinner number {number}", user="alice")
    await both(memory).aremember("the Lisbon trip is booked", user="alice")
    found = await both(memory).arecall("pasta dinner lisbon", user="alice", mode="text", k=1)
    assert texts(found) == ["the Lisbon trip is booked"]
