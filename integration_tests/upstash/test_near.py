"""`dedup="near"` on Upstash: what scores above a limit and shares half of the words is a duplicate."""

from __future__ import annotations

import pytest
import redis

from integration_tests.conftest import Both, before_each_batch
from integration_tests.upstash.conftest import Make, stored_by_others
from integration_tests.upstash.emulator import Emulator
from langchain_agentmem.core.operations import Batch, Op, text
from langchain_agentmem.longterm.types import Scope
from langchain_agentmem.longterm.upstash.memory import UpstashLongTermMemory
from langchain_agentmem.longterm.upstash.queries import condition
from langchain_agentmem.transport.connections import SharedConnection

WEEK = 604800


@pytest.fixture(params=[True, False], ids=["script", "two requests"])
def make(request: pytest.FixtureRequest, transport: SharedConnection) -> Make:
    """Where the server allows searches in scripts, and where it does not."""

    def memory(**options: float | None) -> UpstashLongTermMemory:
        made = UpstashLongTermMemory(transport=transport, dedup="near", **options)
        made.index.knowledge.searches_in_scripts = request.param
        return made

    return memory


def score(memory: UpstashLongTermMemory, text: str) -> float:
    """Return what the best memory of alice scores for a text."""

    def ask() -> Op[float]:
        rows = yield [memory.store.query(condition(Scope("alice", None, "episodic"), text), "LIMIT", 1)]
        return float(rows[0][0][1])

    return memory.transport.run(ask())


async def test_a_text_that_scores_above_the_limit_is_known(make: Make, both: Both) -> None:
    memory = make()
    first = memory.remember("Alice likes green tea in the morning", user="alice", ttl_seconds=100)
    memory.remember("Alice drives a red car to work", user="alice")
    memory.wait_indexing()
    again = "likes green tea in the morning"
    for change, known in ((0.01, False), (-0.01, True)):
        judging = make(dedup_score=score(memory, again) + change)
        result = await both(judging).aremember(again, user="alice")
        assert (result.deduped, result.id == first.id) == (known, known)
        memory.delete_memory(result.id if not known else "alice:none")
        memory.wait_indexing()
    read = memory.get(first.id)
    assert read is not None
    assert (read.hit_count, read.ttl_seconds) == (1, pytest.approx(WEEK, abs=10))


@pytest.mark.parametrize(
    ("stored", "other", "known"),
    [
        ("Likes spicy food on weekends", "Hates spicy things", False),
        ("Likes spicy food on weekends", "Likes spicy food on workdays", True),
        ("Likes spicy food on weekends", "likes SPICY food", True),
        ("Likes spicy food on weekends", "Likes red wine with food on special occasions", False),
        ("пьёт чай вечером", "кофе пьёт утром дома", False),
        ("tea tea tea tea green", "green tea", True),
    ],
)
async def test_a_score_counts_only_with_half_of_the_words_in_common(
    make: Make, both: Both, stored: str, other: str, known: bool
) -> None:
    memory = make(dedup_score=0)
    memory.remember(stored, user="alice")
    memory.wait_indexing()
    assert (await both(memory).aremember(other, user="alice")).deduped is known


async def test_what_says_the_same_is_known_at_once(make: Make, emulator: Emulator, both: Both) -> None:
    emulator.indexing_delay_seconds = 60
    memory = make()
    first = memory.remember("I live in Porto.", user="alice")
    assert (await both(memory).aremember("i live in porto", user="alice")).id == first.id


async def test_what_the_index_names_but_is_gone_is_not_known(
    make: Make, bare: redis.Redis, emulator: Emulator, both: Both
) -> None:
    memory = make(dedup_score=0)
    first = memory.remember("Alice likes green tea", user="alice")
    memory.wait_indexing()
    emulator.indexing_delay_seconds = 60
    bare.delete(f"memory:{first.id}")
    assert not (await both(memory).aremember("likes green tea", user="alice")).deduped


@pytest.mark.parametrize("becomes", ["gone", "unreadable"])
def test_what_goes_while_it_is_found_is_not_known(make: Make, bare: redis.Redis, becomes: str) -> None:
    memory = make(dedup_score=0)
    first = memory.remember("Alice likes green tea", user="alice")
    memory.wait_indexing()
    memory.index.knowledge.searches_in_scripts = False

    def act(batch: Batch) -> None:
        if any(f"memory:{first.id}" in map(text, command.args) for command in batch):
            if becomes == "gone":
                bare.delete(f"memory:{first.id}")
            else:
                bare.json().set(f"memory:{first.id}", "$.text", 5)

    op = memory.remember_op("likes green tea", user="alice")
    result = memory.transport.run(before_each_batch(op, act))
    assert (result.deduped, result.id == first.id) == (False, False)
    assert (bare.json().get(f"memory:{first.id}") or {"text": 5})["text"] == 5


async def test_without_a_score_only_what_says_the_same_is_known(make: Make, both: Both) -> None:
    memory = make(dedup_score=None)
    first = await both(memory).aremember("Alice likes green tea", user="alice")
    memory.wait_indexing()
    assert not (await both(memory).aremember("likes green tea", user="alice")).deduped
    assert (await both(memory).aremember("alice likes green tea.", user="alice")).id == first.id


async def test_scores_are_compared_as_numbers(make: Make, both: Both) -> None:
    memory = make(dedup_score=2)
    words = [f"word{number}" for number in range(40)]
    memory.remember(" ".join(words), user="alice")
    memory.wait_indexing()
    found = score(memory, " ".join(words))
    assert found > 2
    assert str(found) < "2", "as a text it would be less"
    assert (await both(memory).aremember(" ".join(words[1:]), user="alice")).deduped


async def test_memories_of_others_and_other_kinds_are_not_known(
    make: Make, bare: redis.Redis, both: Both
) -> None:
    memory = make(dedup_score=0)
    memory.create_index()
    stored_by_others(bare, "bob:1", userId="bob", text="green tea")
    stored_by_others(bare, "alice:1", text="green tea")
    memory.wait_indexing()
    assert not (await both(memory).aremember("some green tea", user="carol", kind="fact")).deduped
    assert not (await both(memory).aremember("some green tea", user="alice", kind="goal")).deduped
    assert (await both(memory).aremember("some green tea", user="alice", kind="fact")).id == "alice:1"
    assert bare.json().get("memory:alice:1")["hitCount"] == 1
    assert bare.ttl("memory:alice:1") == -1


async def test_documents_that_are_no_memories_are_not_known(
    make: Make, bare: redis.Redis, both: Both
) -> None:
    memory = make(dedup_score=0)
    memory.create_index()
    stored_by_others(bare, "alice:list", userId=["alice", "bob"])
    stored_by_others(bare, "alice:undated", createdAt="yesterday")
    stored_by_others(bare, "alice:odd", hitCount="many", createdAt=1)
    memory.wait_indexing()
    assert not (await both(memory).aremember("Likes green tea", user="alice", kind="fact")).deduped


async def test_where_a_server_refuses_searches_in_scripts_it_is_asked_otherwise_from_then_on(
    make: Make, emulator: Emulator, both: Both
) -> None:
    memory = make(dedup_score=0)
    memory.index.knowledge.searches_in_scripts = True
    memory.create_index()
    memory.remember("Alice likes green tea", user="alice")
    memory.wait_indexing()
    emulator.requests.clear()
    emulator.answer_next(200, [{"error": "ERR SEARCH.QUERY is not allowed from a script"}])
    assert (await both(memory).aremember("likes green tea", user="alice")).deduped
    assert memory.store.index.knowledge.searches_in_scripts is False
    emulator.requests.clear()
    assert not (await both(memory).aremember("a red car", user="alice")).deduped
    assert emulator.requests[0].commands[0][0] == "SEARCH.QUERY"
