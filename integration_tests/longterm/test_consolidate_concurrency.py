"""Consolidations beside each other and beside writers, and broken off between any two steps."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integration_tests.conftest import before_each_batch
from integration_tests.longterm.conftest import Make
from integration_tests.longterm.test_consolidate import SAID, add
from langchain_agentmem import Judgement, LongTermMemory
from langchain_agentmem.core.operations import Batch
from langchain_agentmem.longterm.same_fact import canonical_text

FACTS = [f"I have fact{n}" for n in range(6)]


class Killed(BaseException):
    """Stands for the end of a process."""


@pytest.fixture(params=["json", "hash"])
def storage(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def memory(make: Make, storage: str) -> LongTermMemory:
    memory = make(storage=storage)
    memory.create_index()
    return memory


def times_seen(memory: LongTermMemory, user: str = "alice") -> dict[str, int]:
    """How often each fact was said, by what it says."""
    seen: dict[str, int] = {}
    for one in memory.list_memories(user=user, namespace=None, limit=1000):
        form = f"{one.namespace} {one.kind} {canonical_text(one.text)}"
        seen[form] = seen.get(form, 0) + one.hit_count + 1
    return seen


async def test_consolidations_and_writers_at_once_lose_nothing_and_no_count(memory: LongTermMemory) -> None:
    for fact in FACTS * 4:
        add(memory, fact)

    async def write(n: int) -> None:
        for fact in FACTS:
            await memory.aremember(fact, user="alice", kind="semantic")
            await memory.aremember(fact, user="alice", kind="semantic", deduplicate=n % 2 == 0)

    async def consolidate() -> int:
        return sum([(await memory.aconsolidate(user="alice", dry_run=False)).merged for _ in range(3)])

    await asyncio.gather(*(write(n) for n in range(4)), *(consolidate() for _ in range(3)))
    await memory.aconsolidate(user="alice", dry_run=False)
    assert set(times_seen(memory).values()) == {4 + 8}
    left = memory.list_memories(user="alice")
    assert sorted(one.text for one in left) == sorted(FACTS)
    assert (await memory.aconsolidate(user="alice", dry_run=False)).pairs == []
    for fact in FACTS:
        assert (await memory.aremember(fact, user="alice", kind="semantic")).deduped


async def test_what_is_superseded_by_a_duplicate_that_goes_stays_linked(
    memory: LongTermMemory, bare: redis.Redis
) -> None:
    """Somebody who says it again, and says what it supersedes, meets a consolidation at any step."""
    met: list[bool] = []
    for at in range(12):
        user = f"u{at}"
        add(memory, SAID[0], user)
        bare.delete(*bare.keys("agent:same:*"))
        other = add(memory, SAID[1], user)  # the pointer leads there
        past = add(memory, "I like coffee", user)
        step = 0

        def act(batch: Batch, at: int = at, user: str = user, past: str = past, other: str = other) -> None:
            nonlocal step
            if step == at:
                said = memory.remember(SAID[1], user=user, kind="semantic", replaces=past)
                met.append(said.id == other)
            step += 1

        memory.transport.run(before_each_batch(memory.consolidate_op(user=user, dry_run=False), act))
        memory.consolidate(user=user, dry_run=False)
        (left,) = [one for one in memory.list_memories(user=user) if one.id != past]
        old = memory.get(past)
        assert old is not None
        if old.superseded_by is not None:
            assert old.superseded_by == left.id
            assert [one.id for one in memory.history(past)] == [past, left.id]
    assert len(met) > 4
    assert sum(met) >= 4


def test_who_is_killed_between_any_two_steps_loses_nothing(memory: LongTermMemory) -> None:
    for at in range(30):
        user, step = f"u{at}", 0
        for fact in (*FACTS, *FACTS, FACTS[0]):
            add(memory, fact, user)
        before = times_seen(memory, user)

        def act(batch: Batch, at: int = at) -> None:
            nonlocal step
            if step == at:
                raise Killed
            step += 1

        try:
            memory.transport.run(before_each_batch(memory.consolidate_op(user=user, dry_run=False), act))
        except Killed:
            killed = True
        else:
            killed = False
        assert times_seen(memory, user) == before
        memory.consolidate(user=user, dry_run=False)
        assert times_seen(memory, user) == before
        assert memory.count_memories(user=user) == len(FACTS)
        if not killed:
            return
    raise AssertionError("a consolidation has more steps than were looked at")


async def test_what_is_changed_between_reading_and_writing_is_skipped(
    memory: LongTermMemory, bare: redis.Redis
) -> None:
    changes: list[dict[str, Any]] = [
        {"text": "I like coffee"},
        {"metadata": {"new": 1}},
    ]
    for at, change in enumerate(changes * 2):
        user = f"u{at}"
        ids = [add(memory, text, user) for text in SAID[:2]]
        changed = ids[at // 2]

        def act(batch: Batch, changed: str = changed, change: dict[str, Any] = change) -> None:
            if any("merge" in str(_name(command)) for command in batch):
                memory.update(changed, **change)

        op = before_each_batch(memory.consolidate_op(user=user, dry_run=False), act)
        found = memory.transport.run(op)
        assert (found.merged, found.skipped) == (0, 1)
        assert memory.count_memories(user=user) == 2
        again = memory.consolidate(user=user, dry_run=False)
        assert again.merged == ("metadata" in change)
        if again.merged:
            assert memory.get(ids[0]).metadata == {"new": 1}  # type: ignore[union-attr]


def _name(command: Any) -> str | None:
    from langchain_agentmem.core.scripts import is_by_digest, name_of

    return name_of(command.args[1]) if is_by_digest(command) else None


stores = st.lists(
    st.tuples(
        st.sampled_from(["I like tea", "i like tea.", "Btw, I like tea", "I like coffee", "my tea", "é #1"]),
        st.sampled_from(["default", "a b"]),
        st.sampled_from(["semantic", "episodic"]),
        st.sampled_from([None, 1000, 5000]),
        st.dictionaries(st.sampled_from("abc"), st.integers(0, 3), max_size=2),
        st.booleans(),
    ),
    max_size=12,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stores)
def test_a_second_run_finds_nothing_and_all_that_was_said_is_still_known(
    memory: LongTermMemory, written: list[Any]
) -> None:
    memory.clear()
    for text, namespace, kind, ttl, metadata, deduplicate in written:
        about = {"namespace": namespace, "kind": kind, "ttl_seconds": ttl, "metadata": metadata}
        add(memory, text, deduplicate=deduplicate, **about)
    before = times_seen(memory)
    told = memory.consolidate(user="alice")
    made = memory.consolidate(user="alice", dry_run=False)
    assert told.pairs == made.pairs
    assert times_seen(memory) == before
    assert memory.count_memories(user="alice", namespace=None) == len(before)
    again = memory.consolidate(user="alice", dry_run=False, consolidator=lambda group: Judgement())
    assert (again.pairs, again.merged, again.skipped) == ([], 0, 0)
    assert memory.consolidate(user="alice", consolidator=lambda group: Judgement()).asked == 0
    for text, namespace, kind, *_ in written:
        assert memory.remember(text, user="alice", namespace=namespace, kind=kind).deduped
