"""Memories near each other, judged: what says the same in other words, and what contradicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import redis

from integration_tests.conftest import Both
from integration_tests.longterm.conftest import Make
from integration_tests.longterm.test_consolidate import add, dump
from langchain_agentmem import Judgement, MemoryRecord
from langchain_agentmem.errors import ExtractionError, InvalidInputError
from langchain_agentmem.longterm.redisearch.memory import LongTermMemory

LISBON, LIVING, PORTO = "my home is in Lisbon", "my home city is Lisbon", "my home is in Porto"
TEA = "green tea every morning"


class Scripted:
    """Judges by a rule for two texts, and notes what it was asked."""

    def __init__(self, rule: Callable[[str, str], str | None] = lambda one, other: None) -> None:
        self.rule = rule
        self.asked: list[list[str]] = []

    def __call__(self, memories: Sequence[MemoryRecord]) -> Judgement:
        self.asked.append([one.text for one in memories])
        found: dict[str | None, list[list[str]]] = {"same": [], "contradicting": []}
        for at, one in enumerate(memories):
            for other in memories[at + 1 :]:
                found.setdefault(self.rule(one.text, other.text), []).append([one.id, other.id])
        return Judgement(found["same"], found["contradicting"])


def homes(one: str, other: str) -> str | None:
    if "home" not in one or "home" not in other:
        return None
    return "same" if ("Lisbon" in one) == ("Lisbon" in other) else "contradicting"


@pytest.fixture(params=["json", "hash"])
def storage(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def memory(make: Make, storage: str) -> LongTermMemory:
    memory = make(storage=storage)
    memory.create_index()
    return memory


async def run(memory: LongTermMemory, both: Both, consolidator: Any, **options: Any) -> Any:
    options = {"user": "alice", "dry_run": False, "within": 0.5, **options}
    return await both(memory).aconsolidate(consolidator=consolidator, **options)


async def test_paraphrases_and_contradictions_are_superseded(memory: LongTermMemory, both: Both) -> None:
    lisbon = add(memory, LISBON, metadata={"a": 1}, ttl_seconds=100)
    living = add(memory, LIVING, metadata={"a": 2, "b": 2}, ttl_seconds=None)
    porto = add(memory, PORTO)
    tea = add(memory, TEA)
    judge = Scripted(homes)
    told = await run(memory, both, judge, dry_run=True)
    found = await run(memory, both, judge)
    assert told.pairs == found.pairs
    assert [(one.kept, one.other, one.because) for one in found.pairs] == [
        (lisbon, living, "paraphrase"),
        (porto, lisbon, "contradiction"),
    ]
    assert (found.superseded, found.merged, found.asked, found.refused) == (2, 0, 1, 0)
    assert judge.asked == [[LISBON, LIVING, PORTO]] * 2
    left = {one.id: one for one in memory.list_memories(user="alice")}
    assert set(left) == {porto, tea}
    assert left[porto].hit_count == 0
    kept = memory.get(lisbon)
    assert kept is not None
    assert (kept.hit_count, kept.metadata, kept.ttl_seconds) == (1, {"a": 1, "b": 2}, None)
    assert [one.id for one in memory.history(porto)] == [living, lisbon, porto]
    assert {one.text for one in memory.recall("home", user="alice", mode="text")} == {PORTO}


async def test_what_was_judged_is_not_asked_again_unless_something_is_new(
    memory: LongTermMemory, both: Both
) -> None:
    judge = Scripted()
    first, *_ = [add(memory, text) for text in (LISBON, LIVING, PORTO, TEA)]
    assert (await run(memory, both, judge)).asked == 1
    assert (await run(memory, both, judge)).asked == 0
    add(memory, "my home is in Rome")
    assert (await run(memory, both, judge)).asked == 1
    assert judge.asked[-1] == [LISBON, LIVING, PORTO, "my home is in Rome"]
    assert (await run(memory, both, judge)).asked == 0
    memory.delete_memory(first)
    assert (await run(memory, both, judge)).asked == 0
    add(memory, "two dogs named Rex")
    assert (await run(memory, both, judge)).asked == 0  # nothing is near
    changed = memory.list_memories(user="alice", contains="Porto")[0]
    memory.update(changed.id, "my home is in Oslo", user="alice")
    assert (await run(memory, both, judge)).asked == 1


async def test_a_dry_run_notes_nothing(memory: LongTermMemory, bare: redis.Redis, both: Both) -> None:
    for text in (LISBON, PORTO):
        add(memory, text)
    before = dump(bare)
    judge = Scripted(homes)
    assert (await run(memory, both, judge, dry_run=True)).superseded == 1
    assert (await run(memory, both, judge, dry_run=True)).asked == 1
    assert dump(bare) == before


async def test_groups_are_bounded_and_of_one_scope(memory: LongTermMemory, both: Both) -> None:
    for n in range(20):
        add(memory, f"my home is number {n}")
    for about in ({"user": "bob"}, {"namespace": "work"}, {"kind": "episodic"}):
        add(memory, "my home is number 99", **about)
    judge = Scripted()
    found = await run(memory, both, judge)
    assert max(map(len, judge.asked)) == 8
    assert not any("my home is number 99" in group for group in judge.asked)
    assert found.asked == len(judge.asked) <= 20
    assert (await run(memory, both, judge)).asked == 0


async def test_more_than_a_group_of_paraphrases_become_one_in_one_run(
    memory: LongTermMemory, both: Both
) -> None:
    first, *_ = [add(memory, f"my home is number {n}") for n in range(20)]
    judge = Scripted(lambda one, other: "same")
    assert (await run(memory, both, judge)).superseded == 19
    (left,) = memory.list_memories(user="alice")
    assert (left.id, left.hit_count) == (first, 19)
    asked = len(judge.asked)
    assert asked <= 4
    assert (await run(memory, both, judge)).asked == 0


async def test_the_one_said_last_holds_also_in_other_words(memory: LongTermMemory, both: Both) -> None:
    lisbon, porto = add(memory, LISBON), add(memory, PORTO)
    add(memory, LIVING)  # back again
    found = await run(memory, both, Scripted(homes))
    assert (found.pairs[-1].kept, found.pairs[-1].other) == (lisbon, porto)
    assert [one.text for one in memory.list_memories(user="alice")] == [LISBON]


async def test_the_one_said_last_holds_also_if_it_was_a_duplicate(memory: LongTermMemory, both: Both) -> None:
    lisbon, porto = add(memory, LISBON), add(memory, PORTO)
    add(memory, LISBON)
    found = await run(memory, both, Scripted(homes))
    assert (found.merged, found.superseded) == (1, 1)
    assert (found.pairs[-1].kept, found.pairs[-1].other) == (lisbon, porto)


def _raises(memories: Sequence[MemoryRecord]) -> Judgement:
    raise TimeoutError("no answer, sk-proj-abcdefghijklmnop123456")


def _declines(memories: Sequence[MemoryRecord]) -> Judgement:
    raise ExtractionError("no", reason="refused")


@pytest.mark.parametrize(
    "consolidator",
    [
        _raises,
        _declines,
        lambda memories: None,
        lambda memories: Judgement(same=[[memories[0].id, "another"]]),
        lambda memories: Judgement(same=["abc"]),
        lambda memories: Judgement(same=3),  # type: ignore[arg-type]
        lambda memories: Judgement([[one.id for one in memories]], [[one.id for one in memories]]),
    ],
    ids=["raises", "declines", "none", "unknown", "text", "number", "contradicts itself"],
)
async def test_an_answer_that_is_none_changes_nothing_and_is_asked_for_again(
    memory: LongTermMemory, bare: redis.Redis, both: Both, consolidator: Any, caplog: Any
) -> None:
    for text in (LISBON, PORTO):
        add(memory, text)
    before = {one.id: one for one in memory.list_memories(user="alice")}
    found = await run(memory, both, consolidator)
    assert (found.asked, found.refused, found.superseded) == (2, 2, 0)
    assert {one.id: one for one in memory.list_memories(user="alice")} == before
    assert "sk-proj" not in caplog.text
    assert (await run(memory, both, Scripted(homes))).superseded == 1


async def test_who_fails_again_and_again_is_asked_no_more(memory: LongTermMemory, both: Both) -> None:
    for n in range(20):
        add(memory, f"my home is number {n}")
    assert (await run(memory, both, _raises)).asked == 5


async def test_an_async_consolidator_is_awaited(memory: LongTermMemory, both: Both) -> None:
    for text in (LISBON, PORTO):
        add(memory, text)

    async def judge(memories: Sequence[MemoryRecord]) -> Judgement:
        return Scripted(homes)(memories)

    assert (await run(memory, both, judge)).superseded == 1


async def test_what_changes_while_it_is_judged_stays_and_is_judged_again(
    memory: LongTermMemory, both: Both
) -> None:
    lisbon, porto = add(memory, LISBON), add(memory, PORTO)
    updated: list[str] = []

    def judge(memories: Sequence[MemoryRecord]) -> Judgement:
        judgement = Scripted(homes)(memories)
        if not updated:
            memory.update(lisbon, "my home was in Lisbon", user="alice")
            updated.append(lisbon)
        return judgement

    found = await run(memory, both, judge)
    assert (found.superseded, found.skipped) == (0, 1)
    assert {one.id for one in memory.list_memories(user="alice")} == {lisbon, porto}
    assert (await run(memory, both, judge)).superseded == 1


@pytest.mark.parametrize("given", ["a text", object()])
async def test_what_cannot_judge_is_refused(memory: LongTermMemory, both: Both, given: Any) -> None:
    with pytest.raises(InvalidInputError, match="consolidator"):
        await run(memory, both, given)
    with pytest.raises(InvalidInputError, match="within"):
        await run(memory, both, None, within=3)
