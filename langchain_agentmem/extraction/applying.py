"""From an exchange to memories: an extractor is asked, and its changes are made in one step."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from langchain_agentmem.core.operations import Op
from langchain_agentmem.extraction.extractor import Exchange, Extract, Extractor
from langchain_agentmem.longterm.changes import Change, ChangeResult, Delete

if TYPE_CHECKING:
    from langchain_agentmem.events.event_log import EventLog
    from langchain_agentmem.longterm.long_term_memory import BaseLongTermMemory
    from langchain_agentmem.tasks.task import Taking

_ACTIONS = {"stored": "remember", "merged": "merge", "updated": "update", "deleted": "delete"}


def extract_op(
    extractor: Extractor, exchange: Exchange, long_term: BaseLongTermMemory, taking: Taking | None
) -> Op[list[tuple[Change, ChangeResult]] | None]:
    """Ask an extractor, and make its changes. An embedding of the new texts, and one round trip.

    Args:
        extractor: The extractor.
        exchange: What it is given.
        long_term: Where the memories are.
        taking: The task that is taken off its queue in the same step; `None` for none.

    Returns:
        The changes, each with what became of it; `None` if the task was not there any more, and nothing was
        written.
    """
    changes = yield Extract(extractor, exchange)
    results = yield from long_term.apply_op(
        changes,
        user=exchange.user,
        namespace=exchange.namespace,
        source_thread=exchange.thread_id,
        said_at=exchange.said_at,
        known=exchange.memories,
        taking=taking,
    )
    return None if results is None else list(zip(changes, results, strict=True))


def note_changes(
    events: EventLog, thread_id: str, user: str, made: Iterable[tuple[Change, ChangeResult]]
) -> None:
    """Record what became of changes as events of a thread, in the background."""
    for change, result in made:
        action, detail, memory_ids = told(change, result)
        events.put(thread_id, action, detail, user=user, memory_ids=memory_ids)


def told(change: Change, result: ChangeResult) -> tuple[str, str, list[str]]:
    """Return an event's action, its detail, and the ids of the memories that it is about.

    The action is `remember`, `merge`, `update` or `delete`; `supersede` where a memory has taken the place of
    another one, whose id comes second; or `refuse`, with the reason before the text.
    """
    text = "" if isinstance(change, Delete) else change.text
    if result.outcome == "refused":
        return "refuse", f"{result.reason}: {text or result.id}", [result.id]
    if result.replaced is not None:
        return "supersede", text, [result.id, result.replaced]
    return _ACTIONS[result.outcome], text, [result.id]
