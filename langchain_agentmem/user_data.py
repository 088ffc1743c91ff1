"""Everything of one user, across the tiers: forgotten, or exported as plain dicts.

Both begin with the user's record of threads (`core.threads`), so neither looks through the database; with
`thorough` they do, for what other programs wrote.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias, TypeVar

from langchain_agentmem.core.operations import Op, gather, late, ok
from langchain_agentmem.core.removal import Removed
from langchain_agentmem.errors import (
    AgentMemoryError,
    InvalidInputError,
    SearchUnavailableError,
    StoreError,
    WrongKeyTypeError,
)

if TYPE_CHECKING:
    from langchain_agentmem.core.threads import NotedThread
    from langchain_agentmem.events.event import Event
    from langchain_agentmem.events.event_log import EventLog
    from langchain_agentmem.longterm.long_term_memory import BaseLongTermMemory
    from langchain_agentmem.longterm.types import MemoryRecord
    from langchain_agentmem.tasks.queue import TaskQueue
    from langchain_agentmem.transport.connections import Transport
    from langchain_agentmem.working.session import SessionState
    from langchain_agentmem.working.working_memory import WorkingMemory

T = TypeVar("T")
logger = logging.getLogger("langchain_agentmem")

Tier: TypeAlias = Literal["sessions", "memories", "events", "store"]
Line: TypeAlias = "dict[str, Any] | AgentMemoryError"
"""A thing that is exported, or why it cannot be."""

Steps: TypeAlias = "Generator[Op[Any] | list[Line], Any, None]"
"""An export in progress: yields operations, whose results are sent in, and pages of lines."""

TIERS: tuple[Tier, ...] = ("sessions", "memories", "events", "store")
_PAGE = 500  # threads, memories, events or items of a round trip


class UserItems(Protocol):
    """The interface of what is stored in a LangGraph store for users; the store itself is not needed."""

    def forget_op(self, user: str, *, thorough: bool, dry_run: bool) -> Op[Removed]:
        """Delete the items of a user, or count them."""

    def export_op(self, user: str | None, *, thorough: bool) -> Op[list[Line]]:
        """Return the items of a user, or of everybody, as lines of an export."""


class Tiers(NamedTuple):
    """The three tiers over one connection, the items of the LangGraph store, and the queues of tasks."""

    working: WorkingMemory
    long_term: BaseLongTermMemory
    events: EventLog
    store: UserItems
    tasks: TaskQueue


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The result of `forget_user`: what was removed, or with `dry_run`, what would be.

    Attributes:
        threads: The ids of the user's sessions.
        memories: How many memories.
        events: How many events: all of those threads, and the user's own in any other.
        items: How many items of the LangGraph store, in namespaces that its `user_of` says are the user's.
        tasks: How many tasks that waited for a worker or were set aside.
        unreached: A sentence for each thing that could not be removed, or of which it is not known whose it
            is. If there are any, find the cause and call `forget_user` again.
    """

    threads: list[str]
    memories: int
    events: int
    items: int = 0
    tasks: int = 0
    unreached: list[str] = field(default_factory=list)


def forget_user(tiers: Tiers, user: str, *, thorough: bool = False, dry_run: bool = False) -> Op[Forgotten]:
    """Remove a user from every tier, or count. What fails is reported, and does not keep the rest from it.

    A thread leaves the user's record last, when its session and its events are gone, so that after any
    failure a second call finds what is left.

    Args:
        tiers: The tiers.
        user: The user.
        thorough: Also look at every key of the database, for what is not in the user's record.
        dry_run: Only count.
    """
    sessions, events = Removed(dry_run), Removed(dry_run)
    threads: list[str] = []
    forgotten = yield from gather(
        [
            _forget_tasks_and_memories(tiers, user, thorough, dry_run),
            _forget_threads(tiers, user, thorough, sessions, events, threads),
            tiers.store.forget_op(user, thorough=thorough, dry_run=dry_run),
        ]
    )
    results = [*ok(forgotten[0]), *forgotten[1:]]
    tasks, memories, _, items = (one if isinstance(one, Removed) else Removed() for one in results)
    failed = [one for one in results if isinstance(one, AgentMemoryError)]
    for error in results:
        if isinstance(error, Exception) and error not in failed:
            raise error
    # A server that cannot hold memories holds none.
    unreached = [one.plain for one in failed if not isinstance(one, SearchUnavailableError)]
    for one in (sessions, events, memories, items, tasks):
        unreached += one.unreached
    return Forgotten(threads, memories.count, events.count, items.count, tasks.count, unreached)


def _forget_tasks_and_memories(
    tiers: Tiers, user: str, thorough: bool, dry_run: bool
) -> Op[list[Removed | Exception]]:
    """Remove tasks, then memories; return what came of each.

    So a worker that has a task in hand finds it gone, and adds no memory behind those that are removed.
    """
    tasks = yield from gather([tiers.tasks.forget_op(user, dry_run=dry_run)])
    return [*tasks, *(yield from gather([tiers.long_term.forget_op(user, thorough, dry_run)]))]


def _forget_threads(
    tiers: Tiers, user: str, thorough: bool, sessions: Removed, events: Removed, threads: list[str]
) -> Op[None]:
    working, log = tiers.working, tiers.events
    noted: dict[str, NotedThread] = {}
    try:
        noted = {one.thread_id: one for one in (yield from working.threads_op(user))}
    except WrongKeyTypeError as error:
        sessions.unreached.append(f"the user's record of threads: {error.plain}")
    found = dict.fromkeys(noted)
    counted: list[str] = []
    if thorough:
        found |= dict.fromkeys((yield from working.every_thread_op(user, sessions)))
    for page in _pages(found):
        unreached = len(sessions.unreached) + len(events.unreached)
        # Whoever wrote there without a name has the thread in a record too.
        read = yield from gather([working.owners_op(page, sessions), working.noted_op("default", page)])
        owners, nameless = map(ok, read)
        own = [one for one in page if owners[one].user == user]
        unowned = [one for one in page if one in noted and owners[one].user is None]
        others = [one for one in page if one in noted and one not in own and one not in unowned]
        # A thread's events go first, as long as its session says whose they are.
        forgotten = yield from gather(
            [
                log.forget_op(user, events, own=own, unowned=unowned, others=others),
                working.forget_op(user, {one: owners[one] for one in own}, sessions),
            ]
        )
        threads += ok(forgotten[1])
        ok(forgotten[0])
        if events.dry_run:
            counted += [*own, *unowned, *others]
        elif unreached == len(sessions.unreached) + len(events.unreached):
            mine = working.drop_threads_op("default", [one for one in nameless if one.thread_id in own])
            done = working.drop_threads_op(user, [noted[one] for one in page if one in noted])
            for dropped in (yield from gather([done, mine])):
                ok(dropped)
    if thorough:
        yield from log.forget_op(user, events, thorough=True, counted=counted)


def export(
    tiers: Tiers, user: str | None, *, wanted: Iterable[Tier], thread_id: str | None, thorough: bool
) -> Steps:
    """Yield operations to run, whose results are to be sent in, and pages of what is exported.

    Args:
        tiers: The tiers.
        user: Whose; `None` for everybody's, which is thorough in any case.
        wanted: Which tiers, in order.
        thread_id: Only what is of this thread.
        thorough: Also look for sessions and streams that are not in the user's record.
    """
    for tier in wanted:
        yield from _EXPORTS[tier](tiers, user, thread_id, thorough)


def run(steps: Steps, transport: Transport) -> Iterator[list[Line]]:
    """Run an export; yield its pages."""
    result = None
    with suppress(StopIteration):
        while True:
            step = steps.send(result)
            if isinstance(step, list):
                yield step
                result = None
            else:
                result = transport.run(step)


async def arun(steps: Steps, transport: Transport) -> AsyncIterator[list[Line]]:
    """Async version of `run`."""
    result = None
    with suppress(StopIteration):
        while True:
            step = steps.send(result)
            if isinstance(step, list):
                yield step
                result = None
            else:
                result = await transport.arun(step)


def readable(
    pages: Iterable[list[Line]], on_unreadable: Callable[[AgentMemoryError], None] | None
) -> Iterator[dict[str, Any]]:
    """Yield the lines of an export that could be read; pass the errors on, or log them."""
    for page in pages:
        for line in page:
            if not isinstance(line, AgentMemoryError):
                yield line
            elif on_unreadable is not None:
                on_unreadable(line)
            else:
                logger.warning("Left out of an export: %s", line)


def checked_tiers(tiers: Iterable[str]) -> list[Tier]:
    """Return the tiers, if that is what they are.

    Raises:
        InvalidInputError: One is not.
    """
    found: list[Tier] = []
    for tier in [tiers] if isinstance(tiers, str) else tiers:
        if tier not in TIERS:
            raise InvalidInputError(f"tiers must be of {', '.join(TIERS)}, not {tier!r}.")
        found.append(tier)
    return found


def _export_sessions(tiers: Tiers, user: str | None, thread_id: str | None, thorough: bool) -> Steps:
    ids = [thread_id] if thread_id is not None else (yield _threads(tiers, user, thorough))
    for page in _pages(ids):
        states = yield _each(tiers.working.export_op, page)
        yield [
            line
            for state in states
            if state is not None
            for line in ([_unreadable(state)] if isinstance(state, Exception) else session_lines(state, user))
        ]


def _export_memories(tiers: Tiers, user: str | None, thread_id: str | None, thorough: bool) -> Steps:
    readers = yield _memory_readers(tiers, user)
    for page in _pages(readers):
        records = yield gather([read() for read in page])
        yield [
            _unreadable(record) if isinstance(record, Exception) else record.to_line()
            for record in records
            if isinstance(record, Exception)
            or (record is not None and thread_id in (None, record.source_thread))
        ]


def _memory_readers(tiers: Tiers, user: str | None) -> Op[list[Callable[[], Op[MemoryRecord | None]]]]:
    try:
        return (yield from tiers.long_term.readers_op(user))
    except SearchUnavailableError:  # a server that cannot hold memories holds none
        return []


def _export_events(tiers: Tiers, user: str | None, thread_id: str | None, thorough: bool) -> Steps:
    if thread_id is not None:
        ids = [thread_id]
    else:
        ids = yield _threads(tiers, user, thorough)
        if thorough or user is None:
            ids = list(dict.fromkeys([*ids, *(yield tiers.events.list_threads_op())]))
    for page in _pages(ids):
        owners = {} if user is None else (yield tiers.working.owners_op(page, Removed()))
        for one in page:
            (stream,) = yield _each(partial(_stream, tiers.events), [one])
            if isinstance(stream, Exception):
                yield [_unreadable(stream)]
                continue
            owner = owners[one].user if one in owners else ""
            yield [event_line(one, event) for event in _of_user(stream, user, owner)]


def _export_items(tiers: Tiers, user: str | None, thread_id: str | None, thorough: bool) -> Steps:
    if thread_id is None:  # no item is of a thread
        yield (yield tiers.store.export_op(user, thorough=thorough))


def _stream(log: EventLog, thread_id: str) -> Op[list[Event]]:
    events: list[Event] = []
    while more := (yield from log.after_op(thread_id, events[-1].id if events else "", _PAGE)):
        events += more
    return events


def _of_user(stream: list[Event], user: str | None, owner: str | None) -> list[Event]:
    """Return the events of a thread that are the user's; as in `forget_user`, nobody's go with the thread."""
    if user is None:
        return stream
    owned = owner == user or (owner is None and not {event.user for event in stream} - {user, ""})
    return [event for event in stream if event.user == user or (owned and not event.user)]


_EXPORTS = {
    "sessions": _export_sessions,
    "memories": _export_memories,
    "events": _export_events,
    "store": _export_items,
}


def _unreadable(error: Exception) -> AgentMemoryError:
    """Return an error that is about one stored thing; raise any other, which would be about all of them."""
    if isinstance(error, WrongKeyTypeError | InvalidInputError) or type(error) is StoreError:
        return error
    raise error


def _threads(tiers: Tiers, user: str | None, thorough: bool) -> Op[list[str]]:
    noted = [] if user is None else (yield from tiers.working.threads_op(user))
    ids = [one.thread_id for one in noted]
    if thorough or user is None:
        ids = list(dict.fromkeys([*ids, *(yield from tiers.working.list_threads_op(None))]))
    return ids


def _each(load: Callable[[str], Op[T]], ids: Iterable[str]) -> Op[list[T | Exception]]:
    """Load several things in one round trip; what fails, also for an odd id, is an error in its place."""
    return gather([late(partial(load, one)) for one in ids])


def session_lines(state: SessionState, user: str | None = None) -> Iterator[Line]:
    """Yield a session's notes and then its messages, as `agentmem import` reads them; nothing of others'."""
    if user not in (None, state.user):
        return
    whose = {"thread": state.thread_id, "user": state.user or "default"}
    notes = {"agent": state.agent or "default", "goal": state.goal, "scratchpad": state.scratchpad}
    times = {"created_ts": state.created_ts, "last_active_ts": state.last_active_ts}
    held = [*state.waiting, *state.recent_turns]
    cut_off = state.turn_count - len(held) - len(state.unreadable)
    rest: dict[str, Any] = {"summary": state.summary, "cut_off_messages": max(cut_off, 0)}
    own_ttl = {} if state.own_ttl_seconds is ... else {"ttl_seconds": state.own_ttl_seconds}
    yield whose | notes | {name: value for name, value in (times | rest).items() if value} | own_ttl
    for turn in held:
        yield whose | turn.to_dict()
    for entry in state.unreadable:
        yield StoreError(
            f"The message at position {entry.position} of {entry.key!r} cannot be read: {entry.reason}"
        )


def event_line(thread_id: str, event: Event) -> dict[str, Any]:
    """Return an event with its thread."""
    return {"thread": thread_id, **event.to_dict()}


def _pages(ids: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(ids)
    while page := list(islice(rest, _PAGE)):
        yield page
