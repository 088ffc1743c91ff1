"""Changes made by single calls, to compare with those that `apply` makes."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from langchain_agentmem import Add, BaseLongTermMemory, ChangeResult, Delete, Supersede, Update
from langchain_agentmem.longterm.changes import Change
from langchain_agentmem.longterm.upstash.memory import UpstashLongTermMemory

FACTS = [f"fact{n} about{n * 7} something{n * 13}" for n in range(8)]


def snapshot(memory: BaseLongTermMemory) -> list[tuple[Any, ...]]:
    """Everything that is stored of a user, without times and random ids."""
    if isinstance(memory, UpstashLongTermMemory):
        memory.wait_indexing()
    found = memory.list_memories(user="alice", include_superseded=True, limit=1000)
    texts = {one.id: one.text for one in found}
    return sorted(
        (
            one.text,
            one.kind,
            one.hit_count,
            texts.get(one.superseded_by or "", ""),
            one.superseded_ts is not None,
            one.updated_ts is not None,
            one.metadata,
            one.source_thread,
            one.ttl_seconds is None,
        )
        for one in found
    )


def single(memory: BaseLongTermMemory, change: Change) -> ChangeResult:
    """Make a change as one call does."""
    if isinstance(change, Add):
        return ChangeResult.of(
            memory.remember(change.text, user="alice", kind=change.kind, metadata=change.metadata)
        )
    if isinstance(change, Update):
        there = memory.get(change.id)
        if memory.update(change.id, change.text, user="alice"):
            return ChangeResult("updated", change.id)
        return ChangeResult("refused", change.id, reason="missing" if there is None else "superseded")
    if isinstance(change, Delete):
        if memory.delete_memory(change.id, user="alice"):
            return ChangeResult("deleted", change.id)
        return ChangeResult("refused", change.id, reason="missing")
    there = memory.get(change.id)
    kind = "semantic" if there is None else there.kind
    return ChangeResult.of(memory.remember(change.text, user="alice", kind=kind, replaces=change.id))


def compare_with_single_calls(one: BaseLongTermMemory, other: BaseLongTermMemory, rng: random.Random) -> None:
    """Make the same changes of one memory by `apply`, of the other by single calls, and compare all they leave."""
    names: dict[str, str] = {}  # ids of one, by those of the other: some are random
    for _ in range(6):
        changes = [some_change(rng, [*names, "gone"]) for _ in range(rng.randint(1, 6))]
        theirs = [single(other, change) for change in changes]
        mine = [
            change if isinstance(change, Add) else replace(change, id=names.get(change.id, change.id))
            for change in changes
        ]
        ours = one.apply(mine, user="alice")
        assert [(made.outcome, made.reason) for made in ours] == [(m.outcome, m.reason) for m in theirs]
        for our, their in zip(ours, theirs, strict=True):
            if our.outcome in ("stored", "merged"):
                assert names.setdefault(their.id, our.id) == our.id
            assert our.replaced == names.get(their.replaced or "")
        assert snapshot(one) == snapshot(other)
    assert one.forget_user("alice") == other.forget_user("alice")


def some_change(rng: random.Random, known: list[str]) -> Change:
    """Return a change of one of some memories, or a new one."""
    text = rng.choice(FACTS)
    return rng.choice(
        [
            Add(text, kind=rng.choice(["semantic", "episodic"])),
            Add(text),
            Update(rng.choice(known), text),
            Supersede(rng.choice(known), text),
            Delete(rng.choice(known)),
        ]
    )
