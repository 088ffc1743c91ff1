"""Changes made one after the other, where a server does not let them be one atomic step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from langchain_agentmem.core.operations import Op, gather, ok
from langchain_agentmem.errors import StoreError
from langchain_agentmem.longterm.changes import (
    KIND,
    Add,
    Change,
    ChangeResult,
    CheckedChanges,
    Delete,
    Update,
)
from langchain_agentmem.longterm.drafts import Drafting
from langchain_agentmem.longterm.types import MemoryRecord, Refusal, RememberResult, UpdateDraft, WriteBatch
from langchain_agentmem.tasks.queue import are_there, take_off
from langchain_agentmem.tasks.task import Taking

Found = dict[str, MemoryRecord | Refusal]


class Steps(Protocol):
    """The operations of a long-term memory that changes are made of."""

    drafting: Drafting

    def store_op(self, batch: WriteBatch) -> Op[list[RememberResult]]:
        """Store memories."""
        ...

    def revise_op(self, update: UpdateDraft, embedding: Sequence[float] | None) -> Op[Refusal | None]:
        """Change a memory in place, or return why that cannot be."""
        ...

    def delete_op(self, memory_id: str, user: str | None) -> Op[bool]:
        """Delete a memory; return whether it was there."""
        ...

    def get_op(self, memory_id: str, user: str | None) -> Op[MemoryRecord | None]:
        """Return a memory."""
        ...


def apply_in_steps(
    steps: Steps,
    checked: CheckedChanges,
    vectors: Sequence[Sequence[float]] | None,
    taking: Taking | None = None,
) -> Op[list[ChangeResult] | None]:
    """Make changes one after the other, each an atomic step of its own.

    One round trip to see whose the named memories are, and then those that each change takes by itself. If
    one fails, those before it are made, and the call can be repeated.

    Args:
        steps: The operations of the memory.
        checked: The changes.
        vectors: One per text; `None` without vectors.
        taking: Tasks that are taken off their queue once the changes are made; one round trip before and one
            after them. Of two who do the same tasks at once, both may make their changes.

    Returns:
        What became of each; `None` if a task was not there at the beginning, and nothing was written.
    """
    if taking is not None and not (yield from are_there(taking)):
        return None
    found = yield from _named(steps, checked)
    rest = iter(vectors or ())
    results = []
    for change in checked.changes:
        vector = None if vectors is None or isinstance(change, Delete) else next(rest)
        results.append((yield from _step(steps, checked, change, vector, found)))
    if taking is not None:
        yield from take_off(taking)
    return results


def _named(steps: Steps, checked: CheckedChanges) -> Op[Found]:
    """Return the memories that are named, by id, or why one is out of reach. One round trip."""
    ids = checked.ids
    found: Found = {}
    for one, reply in zip(ids, (yield from gather(steps.get_op(one, None) for one in ids)), strict=True):
        if type(reply) is StoreError:  # what is stored there is no memory
            found[one] = "unreadable"
            continue
        record: MemoryRecord | None = ok(reply)
        if record is not None:
            found[one] = record if record in checked.scope else "foreign"
    return found


def _step(
    steps: Steps, checked: CheckedChanges, change: Change, vector: Sequence[float] | None, found: Found
) -> Op[ChangeResult]:
    vectors = None if vector is None else [vector]
    if isinstance(change, Add):
        draft = steps.drafting.changed_draft(checked, change, change.kind)
        (result,) = yield from steps.store_op(WriteBatch([draft], vectors))
        return ChangeResult.of(result)
    there = found.get(change.id)
    if there == "foreign" or (there == "unreadable" and isinstance(change, Update)):
        return ChangeResult("refused", change.id, reason=there)
    if isinstance(change, Update):
        reason = yield from steps.revise_op(steps.drafting.changed_update(checked, change), vector)
        return ChangeResult("updated" if reason is None else "refused", change.id, reason=reason)
    if isinstance(change, Delete):
        deleted = yield from steps.delete_op(change.id, checked.scope.user)
        if deleted:
            return ChangeResult("deleted", change.id)
        return ChangeResult("refused", change.id, reason="missing")
    kind = there.kind if isinstance(there, MemoryRecord) else KIND
    draft = steps.drafting.changed_draft(checked, change, kind)
    (result,) = yield from steps.store_op(WriteBatch([draft], vectors))
    return ChangeResult.of(result)
