"""What was said before a memory helps to find it; an index of the first version does without."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from integration_tests.conftest import Both
from integration_tests.longterm.conftest import Make
from langchain_agentmem.longterm.redisearch.memory import LongTermMemory

ZEBRA = ["We went to the zoo", "A zebra was there", "It was asleep", "Then it rained", "So we left"]


@pytest.fixture(params=["json", "hash"])
def memory(make: Make, request: pytest.FixtureRequest) -> LongTermMemory:
    return make(storage=request.param)


async def by_words(memory: LongTermMemory, both: Both, query: str) -> set[str]:
    return {one.text for one in await both(memory).arecall(query, user="alice", mode="text", k=9)}


async def contexts(memory: LongTermMemory, both: Both) -> list[str]:
    return [one.context for one in reversed(await both(memory).alist_memories(user="alice"))]


@pytest.mark.parametrize("batch_size", [1, 2, 64])
async def test_the_two_texts_before_it_are_the_context_of_one_of_a_thread(
    memory: LongTermMemory, both: Both, batch_size: int
) -> None:
    await both(memory).aremember_many(ZEBRA, user="alice", source_thread="t1", batch_size=batch_size)
    assert await contexts(memory, both) == [
        "", ZEBRA[0], f"{ZEBRA[0]}\n{ZEBRA[1]}", f"{ZEBRA[1]}\n{ZEBRA[2]}", f"{ZEBRA[2]}\n{ZEBRA[3]}"
    ]  # fmt: skip
    assert await by_words(memory, both, "zebra") == {*ZEBRA[1:4]}
    found = await both(memory).arecall(
        "What did the zebra do?", user="alice", mode="text", distance_threshold=None
    )
    assert next(one.context for one in found if one.text == ZEBRA[2]) == f"{ZEBRA[0]}\n{ZEBRA[1]}"


async def test_texts_of_no_thread_have_none(memory: LongTermMemory, both: Both) -> None:
    await both(memory).aremember_many(ZEBRA, user="alice")
    assert await contexts(memory, both) == [""] * 5
    assert await by_words(memory, both, "zebra") == {ZEBRA[1]}


async def test_a_context_that_is_given_counts(memory: LongTermMemory, both: Both) -> None:
    given = ["a gnu\nan okapi", "", "a yak"]
    await both(memory).aremember_many(ZEBRA[:3], user="alice", source_thread="t1", contexts=given)
    assert await contexts(memory, both) == given
    await both(memory).aremember("It was huge", user="alice", context="We saw a giraffe")
    assert await by_words(memory, both, "okapi giraffes") == {ZEBRA[0], "It was huge"}
    assert await by_words(memory, both, "zebra") == {ZEBRA[1]}


@pytest.mark.parametrize("mode", ["hybrid", "text"])
async def test_its_words_find_and_count_less_than_ones_own(
    memory: LongTermMemory, both: Both, mode: Any
) -> None:
    same: dict[str, Any] = {"user": "alice", "embedding": [1.0] * 256}
    await both(memory).aremember("It was huge", context="We saw a giraffe", **same)
    await both(memory).aremember("The giraffe was huge", **same)
    await both(memory).aremember("Nothing of the kind", **same)
    found = await both(memory).arecall(
        "giraffe", user="alice", mode=mode, distance_threshold=None, explain=True
    )
    assert [one.text for one in found[:2]] == ["The giraffe was huge", "It was huge"]
    assert [one.matched_words for one in found[:2]] == [["giraffe"], []]
    assert found[1].explanation["context"] > 0 == found[1].explanation["words"]


@pytest.mark.parametrize("mode", ["hybrid", "text"])
async def test_its_words_find_where_no_memory_has_them(memory: LongTermMemory, both: Both, mode: Any) -> None:
    same: dict[str, Any] = {"user": "alice", "embedding": [1.0] * 256}
    await both(memory).aremember("Two of them", context="How many pets do you have?", **same)
    await both(memory).aremember("In Lisbon", context="Where do you live?", **same)
    about: dict[str, Any] = {"user": "alice", "mode": mode, "distance_threshold": None, "explain": True}
    for query, text in {"How many pets are there?": "Two of them", "Where do I live?": "In Lisbon"}.items():
        (found, *_) = await both(memory).arecall(query, **about)
        assert found.text == text
        assert found.explanation["context"] > 0


async def test_its_words_count_by_how_rare_they_are_in_contexts(memory: LongTermMemory, both: Both) -> None:
    same: dict[str, Any] = {"user": "alice", "embedding": [1.0] * 256, "deduplicate": False}
    for n in range(9):
        await both(memory).aremember(f"number{n}", context="pets" if n else "a zebra", **same)
    found = await both(memory).arecall("zebra pets", user="alice", mode="text", k=9, explain=True)
    added = [one.explanation["context"] for one in found]
    assert (found[0].text, len(added)) == ("number0", 9)
    assert added[0] > 1.5 * added[1] > 0


async def test_a_long_one_keeps_its_end(make: Make, both: Both) -> None:
    memory = make(max_text_bytes=100)
    await both(memory).aremember("It was huge", user="alice", context="a yak " + "é" * 200 + " zebra")
    ((context,), found) = (await contexts(memory, both), await by_words(memory, both, "zebra"))
    assert context.endswith("é zebra")
    assert len(context.encode()) <= 100
    assert found == {"It was huge"}


class TestAnIndexOfTheFirstVersion:
    @pytest.fixture(autouse=True)
    def first(self, memory: LongTermMemory, bare: redis.Redis) -> None:
        storage = memory.config.storage

        def field(name: str, *kind: Any) -> tuple[Any, ...]:
            return (f"$.{name}", "AS", name, *kind) if storage == "json" else (name, *kind)

        vector = ("VECTOR", "HNSW", 8, "TYPE", "FLOAT32", "DIM", 256, "DISTANCE_METRIC", "COSINE",
                  "EF_RUNTIME", 100)  # fmt: skip
        bare.execute_command(
            *("FT.CREATE", "agentmem:idx", "ON", storage.upper(), "PREFIX", 1, "agent:mem:", "STOPWORDS", 0),
            *("SCHEMA", *field("text", "TEXT")),
            *(
                part
                for name in ("user", "namespace", "kind", "source_thread")
                for part in field(name, "TAG", "CASESENSITIVE")
            ),
            *(
                part
                for name in ("created_ts", "hit_count")
                for part in field(name, "NUMERIC", "SORTABLE")
            ),
            *field("embedding", *vector),
        )  # fmt: skip

    async def test_is_served(self, memory: LongTermMemory, both: Both) -> None:
        first = await both(memory).aremember("A zebra was there", user="alice")
        assert (await both(memory).aremember("A zebra was there!", user="alice")).id == first.id
        await both(memory).aremember("It was asleep", user="alice", context="A zebra was there")
        for mode in ("hybrid", "vector", "text"):
            found = await both(memory).arecall("zebra there", user="alice", mode=mode)
            assert [one.text for one in found] == ["A zebra was there"], mode
        assert len(await both(memory).alist_memories(user="alice")) == 2
        assert (await both(memory).aindex_info())["mismatch"] is None

    async def test_finds_contexts_once_it_is_rebuilt(
        self, memory: LongTermMemory, make: Make, both: Both
    ) -> None:
        await both(memory).aremember("It was asleep", user="alice", context="A zebra was there")
        assert await by_words(memory, both, "zebra") == set()
        other = make(storage=memory.config.storage)
        assert await by_words(other, both, "zebra") == set()
        assert not memory.index.knowledge.contexts, "no server is asked for a field that it may refuse"
        assert (await both(memory).arebuild_index()).documents == 1
        for one in (memory, other):
            assert await by_words(one, both, "zebra") == {"It was asleep"}
        assert "context" in str((await both(memory).aindex_info())["schema"])
