"""A turn: what is read before the model answers, and what is written after, in a round trip each.

`Turn` has the operations. `AgentMemory.read_turn` and `write_turn` run them for any framework, and a wrapped
chain's exchange and the middleware of agents run them around what they know.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

from langchain_agentmem.chain.extracting import TurnExtraction
from langchain_agentmem.chain.failures import Failures, said
from langchain_agentmem.chain.ids import Ids
from langchain_agentmem.chain.memories import ExchangeMemories
from langchain_agentmem.chain.options import (
    ChainMemory,
    ExchangeReport,
    NotRemembered,
    TurnOptions,
)
from langchain_agentmem.chain.turn_context import TurnContext, TurnResult
from langchain_agentmem.core.checks import Ttl, utf8, validate_id
from langchain_agentmem.core.messages import checked_messages, mark_unanswered
from langchain_agentmem.core.operations import Op, gather, late, ok
from langchain_agentmem.errors import (
    AgentMemoryError,
    ExchangeNotStoredError,
    InvalidInputError,
    StoreConnectionError,
    StoreTimeoutError,
)
from langchain_agentmem.longterm.same_fact import canonical_text
from langchain_agentmem.longterm.types import MemoryRecord, RememberResult
from langchain_agentmem.tasks.task import Place, Task
from langchain_agentmem.working.folding import folded_messages
from langchain_agentmem.working.session import UNREADABLE

if TYPE_CHECKING:
    from langchain_agentmem.events.background import EventBuffer
    from langchain_agentmem.events.event import Entry
    from langchain_agentmem.working.folding import Waiting

logger = logging.getLogger("langchain_agentmem")

_CLEARING_UP: set[asyncio.Task[None]] = set()  # a loop by itself keeps its tasks only weakly


class Turn:
    """A turn in progress, and its operations.

    Args:
        memory: The memory it happens in.
        options: What is recalled and remembered.
        ids: Whose turn it is.
        text: What the user says; what is recalled and remembered by.
        asked: The messages that say it; what is kept of a turn without an answer.
        replaces: The stored bytes of messages that the turn's own replace, if they are stored still; what
            was stored ahead by another process.

    Attributes:
        context: What is read.
        events: The turn's events, which are written along with it.
        question: The messages of `asked`, as they are stored; `None` if they cannot be.
        was_read: Whether the session has been read.
    """

    def __init__(
        self,
        memory: ChainMemory,
        options: TurnOptions,
        ids: Ids,
        text: str,
        asked: Sequence[BaseMessage] = (),
        *,
        replaces: Sequence[bytes] = (),
    ) -> None:
        self.memory = memory
        self.options = options
        self.ids = ids
        self.failures = Failures(memory, ids.thread_id, ids.user)
        self.asked = asked
        self.question: list[bytes] | None = None
        with self.failures.tolerating("append"):
            self.question = self.encoded(asked, self._asked_at(replaces))
        self.memories = ExchangeMemories(memory, options, ids, text, self.failures)
        self.extraction = TurnExtraction(memory, options, ids, self.memories, self.failures)
        self.context = TurnContext(*ids, text, failures=self.failures.noted)
        self.events: EventBuffer = memory.events.buffer()
        self.note("turn_start", text)
        self.was_read = False
        self.replaces = list(replaces)
        self.remembered: list[RememberResult] = []
        self.turn_count: int | None = None
        self._prepared = False
        self._sent: list[bytes] = []  # what was appended, or may have been
        self._answered = True
        self._written = False  # or being written
        self._unwritten = 0

    # Before the model.

    def read(self, *, store_input: bool = False) -> Op[None]:
        """Embed the text, then read the session and recall, in one round trip.

        Args:
            store_input: Whether the question is appended in the same round trip, marked as unanswered, so
                that it is kept whatever becomes of the process. The turn's messages replace it.

        Raises:
            WrongOwnerError: The session is another user's.
        """
        yield from self._prepare(kept=self.question is not None)
        operations: dict[str, Op[Any]] = {"history": late(self.window)}
        if store_input and self.question:
            operations["append"] = late(self._store_question)
        if self.memories.recalls:
            operations["recall"] = late(self.memories.recall)
        if self.options.pinned:
            operations["pinned"] = late(self.memories.recall_pinned)
        results = dict(zip(operations, (yield from gather(operations.values())), strict=True))
        for name in ("history", "append"):
            with self.failures.tolerating(name):
                ok(results.get(name))
        if "recall" in results:
            with self.failures.tolerating("recall"):
                self.context.memories.extend(ok(results["recall"]))
        if "pinned" in results:
            with self.failures.tolerating("recall"):
                self.context.pinned.extend(ok(results["pinned"]))
                self._tell_once()
        if "recall" in results or self.context.pinned:
            recalled = [*self.context.pinned, *self.context.memories]
            hits = "; ".join(f"{_nearness(hit)}{hit.text}" for hit in recalled)
            self.note("recall", hits or "nothing", [hit.id for hit in recalled])

    def _tell_once(self) -> None:
        """Leave out of the recalled memories what the pinned ones say."""
        pinned, recalled = self.context.pinned, self.context.memories
        if pinned and recalled:
            ids, said = {one.id for one in pinned}, {canonical_text(one.text) for one in pinned}
            recalled[:] = [
                one for one in recalled if one.id not in ids and canonical_text(one.text) not in said
            ]

    def window(self) -> Op[None]:
        """Read the session. One round trip."""
        owner = self.ids.user if self.options.check_owner else None
        window = yield from self.memory.working.window_op(self.ids.thread_id, owner)
        self.context.history, again = window.before(self.asked)
        if set(self.replaces) <= set(again):
            self.replaces = again
        self.context.goal, self.context.scratchpad = window.goal, window.scratchpad
        self.context.summary = window.summary
        self.was_read = True

    def _store_question(self) -> Op[None]:
        marked = self.unanswered(self.question or ())
        try:
            yield from self._append(marked, replaces=[])
        except StoreConnectionError:
            self.replaces += marked  # it may be there
            raise
        self.replaces += marked

    def _prepare(self, *, kept: bool) -> Op[None]:
        if not self._prepared:
            self._prepared = True
            yield from self.memories.prepare(kept=kept)

    # After the model has answered.

    def _asked_at(self, replaces: Sequence[bytes]) -> float | None:
        """Return when the question was asked that is stored already; `None` if that is not known."""
        times = []
        with suppress(*UNREADABLE):
            times = [self.memory.working.said_at(stored) for stored in replaces]
        return next(filter(None, times), None)

    def encoded(self, messages: Sequence[BaseMessage], said_at: float | None = None) -> list[bytes]:
        """Return messages as they are stored.

        Args:
            messages: The messages.
            said_at: When they were said, in epoch seconds; `None` for now.

        Raises:
            MessageNotStorableError: One would not come back equal.
        """
        now = time.time() if said_at is None else said_at
        return [self.memory.working.encode(message, now) for message in messages]

    def write(
        self,
        messages: list[bytes],
        *,
        answered: bool = True,
        unstorable: Exception | None = None,
        only_replacing: bool = False,
    ) -> Op[Exception | None]:
        """Append the messages, remember what is to be, record the events: one round trip.

        With a summariser that is asked inline, what has left the window is then folded into the summary: the
        summariser, and one round trip more (of a list, two). With an extractor that is, it is then asked, and
        its changes are made: one round trip more. If that fails, it is noted, whatever `on_error` is, for
        nothing is lost. What is left to a worker is queued in the same round trip: first what is to be
        extracted from, which is in the task, so that whatever ends in between, it is not missed; and last
        that there is something to fold, which has to be stored by then. On a cluster a worker may be faster:
        then it waits for the thread's next turn.

        Args:
            messages: All messages of the turn, as they are stored.
            answered: Whether they hold an answer; else nothing is remembered.
            unstorable: Why the answer cannot be stored, which counts as a failure to append.
            only_replacing: Whether they are appended only if all that they replace is there still; if not,
                `turn_count` stays `None`.

        Returns:
            What failed, for the caller to raise; `None` if nothing did, or `on_error` is `continue`. It may
            be foreign, and a driver would take that for a reply which cannot be read.
        """
        self._answered = answered
        if answered:
            yield from self._prepare(kept=True)
        operations: dict[str, Op[Any]] = {}
        if messages and answered and self.extraction.wanted:
            history = self.context.history
            operations["task"] = late(lambda: self.extraction.enqueue(messages, history))
        operations |= self._writes(messages, only_replacing=only_replacing)
        if answered and self.memories.remembers:
            operations["remember"] = self.memories.remember(self.context.history)
        operations |= self._follow_ups(messages, answered)
        results = dict(zip(operations, (yield from gather(operations.values())), strict=True))
        self.lost_events(results["events"])
        appended = results.get("append")
        if isinstance(appended, StoreConnectionError):
            pass  # it may have been stored: the answer was lost, while other nodes of a cluster gave theirs
        elif isinstance(appended, Exception) or appended is None:
            self._sent = []  # nothing was stored
        elif messages:
            self.turn_count = appended
            self.replaces = messages  # if something else fails, and it is written again
        try:
            with self.failures.tolerating("append"):
                ok(unstorable)
                ok(appended)
            with self.failures.tolerating("remember"):
                self.remembered = ok(results.get("remember")) or []
                ok(results.get("task"))
        except Exception as error:  # noqa: BLE001 - raised by the caller
            return error
        if only_replacing and messages and self.turn_count is None:  # somebody else has stored the turn
            yield from self.extraction.withdraw()
            return None
        if self.turn_count is not None and "waiting" in results:
            with self.failures.passing_over("summarise"):
                yield from self._fold(ok(results["waiting"]))
        if "known" in results:
            yield from self.extraction.run(messages, self.context.history, results["known"])
            self.remembered = self.extraction.remembered
        return None

    def _follow_ups(self, messages: list[bytes], answered: bool) -> dict[str, Op[Any]]:
        """Return the operations behind the append that prepare what follows it, here or in a worker."""
        working, thread_id = self.memory.working, self.ids.thread_id
        operations: dict[str, Op[Any]] = {}
        if messages and working.config.folds_inline:
            operations["waiting"] = late(lambda: working.waiting_op(thread_id))
        elif messages and working.config.summarise is not None:
            operations["fold"] = late(self._queue_fold)
        if messages and answered and self.extraction.wanted and self.extraction.inline:
            operations["known"] = late(self.extraction.known)
        return operations

    def _queue_fold(self) -> Op[Any]:
        """Leave it to a worker to fold what has left the window. One round trip."""
        return self.memory.tasks.enqueue_op(
            Place("fold", *self.ids), Task(id=uuid.uuid4().hex, ts=time.time())
        )

    def _fold(self, waiting: Waiting) -> Op[None]:
        """Fold what has left the session's window into its summary. The summariser and a round trip."""
        count = yield from self.memory.working.fold_waiting_op(self.ids.thread_id, waiting)
        if count:
            self.memory.events.put(
                self.ids.thread_id, "summarise", folded_messages(count), user=self.ids.user
            )

    def take_back(self, error: BaseException) -> Op[None]:
        """Mark the turn as unanswered, for its caller gets an error: what is said again replaces it.

        One round trip, which also takes it off the queue of those to be extracted from. If it is not known
        whether the turn was stored, it is stored now if it was not (one more); after a time-out nothing is
        sent, for the server does not answer.
        """
        unknown = self.turn_count is None
        if unknown and isinstance(error, StoreTimeoutError):
            return
        for result in (yield from gather([self.extraction.withdraw(), self._mark(unknown=unknown)])):
            ok(result)

    def _mark(self, *, unknown: bool) -> Op[None]:
        sent, marked = self._sent, self.unanswered(self._sent)
        if not sent or (marked == sent and not unknown):
            return
        count = yield from self._append(marked, replaces=sent, only_replacing=True)
        if unknown and count is None:
            yield from self._append(marked)
        self.replaces = marked  # if it is written again

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Let the turn be written once; again only if that raised, or stored nothing.

        Raises:
            InvalidInputError: It is written already, or is being written.
        """
        if self._written:
            raise _written_already()
        self._written, self.turn_count = True, None
        try:
            yield
        except BaseException:
            self._written = False
            raise
        self._written = self.turn_count is not None
        if self._written:
            self.context.let_go()

    def keep(self, messages: list[bytes]) -> Op[None]:
        """Append what is kept of a turn that gave no answer, and record the events.

        One round trip; one more if the session has not been read. Nothing is remembered.
        """
        if messages and not self.was_read:
            yield from self.window()
        operations = self._writes(messages)
        results = dict(zip(operations, (yield from gather(operations.values())), strict=True))
        self.lost_events(results["events"])
        ok(results.get("append"))

    @staticmethod
    def unanswered(messages: Sequence[bytes]) -> list[bytes]:
        """Return messages marked as those of a turn without an answer."""
        return [mark_unanswered(message) for message in messages]

    def result(self) -> TurnResult:
        """Return what became of it."""
        return TurnResult(
            turn_count=self.turn_count,
            remembered=self.remembered,
            not_remembered=None if self.remembered else self._why_not(),
            failures=self.failures.noted,
            changes=self.extraction.results,
        )

    def _why_not(self) -> NotRemembered:
        if not self._answered:
            return "unanswered"
        return self.extraction.not_remembered or self.memories.not_remembered

    def report(self, *, read_seconds: float, chain_seconds: float, write_seconds: float) -> ExchangeReport:
        """Return what became of it, with what was recalled and what it took, as callbacks receive it."""
        result = self.result()
        return ExchangeReport(
            *self.ids,
            text=self.context.text,
            recalled=[*self.context.pinned, *self.context.memories],
            remembered=result.remembered[0] if result.remembered else None,
            not_remembered=result.not_remembered,
            turn_count=result.turn_count,
            failures=result.failures,
            changes=result.changes,
            read_seconds=read_seconds,
            chain_seconds=chain_seconds,
            write_seconds=write_seconds,
        )

    def _writes(self, messages: list[bytes], *, only_replacing: bool = False) -> dict[str, Op[Any]]:
        """Return the operations that append messages, if there are any, and record events, to be gathered.

        The thread is noted once in its user's record. The append does it, and stands first; the events do
        it if the append cannot be made, and so sends nothing.
        """
        events = self._drain()
        operations: dict[str, Op[Any]] = {}
        noted: Ttl = ...
        if messages:
            try:
                operations["append"] = self._append(messages, only_replacing=only_replacing)
                noted = self.memory.working.noted_ttl_seconds
            except Exception as error:  # noqa: BLE001 - the append's result, raised by who uses it
                operations["append"] = _failing(error)
        operations["events"] = self.memory.events.record_op(events, noted_ttl_seconds=noted)
        return operations

    def _append(
        self, messages: list[bytes], *, replaces: list[bytes] | None = None, only_replacing: bool = False
    ) -> Op[int | None]:
        self._sent = messages
        return self.memory.working.write_turns_op(
            self.ids.thread_id,
            messages,
            user=self.ids.user,
            replaces=self.replaces if replaces is None else replaces,
            only_replacing=only_replacing,
            check_owner=self.options.check_owner,
        )

    # Events, and what fails.

    def note(self, action: str, detail: object, memory_ids: Sequence[str] = ()) -> None:
        """Add an event to those that are written along with the turn."""
        self.memory.events.put(
            self.ids.thread_id,
            action,
            detail,
            user=self.ids.user,
            memory_ids=memory_ids,
            sink=self.events,
        )

    def add_events(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Add the caller's events, each with the arguments of `EventLog.record`.

        Raises:
            InvalidInputError: One of them is not valid.
        """
        thread_id, user = self.ids.thread_id, self.ids.user
        for entry in self.memory.events.entries((thread_id, {**event, "user": user}) for event in events):
            self.events.put(*entry)

    def _drain(self) -> list[Entry]:
        events = self.events.drain()
        self._unwritten = len(events)
        return events

    def lost_events(self, outcome: Any) -> None:
        """Count the turn's events as dropped if the write that carries them failed."""
        if isinstance(outcome, Exception) and self._unwritten:
            self.memory.events.count_dropped(self._unwritten, outcome)
        self._unwritten = 0

    @contextmanager
    def delivering(self, output: Any, who: str, what: str) -> Iterator[None]:
        """Give an answer to the caller with whatever error the write ends with.

        Args:
            output: The answer: it is there, and may have cost something.
            who: Who gave it, and `what` could not be stored, for an error that is none of ours.
            what: See `who`.
        """
        try:
            yield
        except AgentMemoryError as error:
            self.lost_events(error)
            error.output = output
            raise
        except Exception as error:
            self.lost_events(error)
            failed = ExchangeNotStoredError(
                f"The {who} has answered (see .output), and the {what} could not be stored: {said(error)}"
            )
            failed.output = output
            raise failed from error

    def clear_up(self, error: BaseException, op: Op[None]) -> None:
        """Run what is left to write once the turn has failed, and pass over what fails of it."""
        with self._leaving(error):
            self.memory.transport.run(op)

    async def aclear_up(self, error: BaseException, op: Op[None]) -> None:
        """Async version of `clear_up`."""

        async def clear_up() -> None:
            with self._leaving(error):
                await self.memory.transport.arun(op)

        # In a task of its own: whoever has cancelled this one may do so again at each `await`.
        task = asyncio.create_task(clear_up())
        _CLEARING_UP.add(task)
        task.add_done_callback(_CLEARING_UP.discard)
        await asyncio.shield(task)

    @contextmanager
    def _leaving(self, error: BaseException) -> Iterator[None]:
        self.lost_events(error)
        try:
            yield
        except Exception as further:  # noqa: BLE001 - it would hide why the turn failed
            self.lost_events(further)
            logger.warning(
                "What was said in thread %r may not be kept: %s", self.ids.thread_id, said(further)
            )


def _failing(error: Exception) -> Op[Any]:
    yield from ()
    raise error


def _nearness(hit: MemoryRecord) -> str:
    """Return how near a memory is, before its text; nothing if it was recalled because all are."""
    if hit.distance is None and not hit.matched_words:
        return ""
    return f"{(hit.score or 0.0) if hit.distance is None else hit.distance:.3f} "


def same_store(one: ChainMemory, other: ChainMemory) -> bool:
    """Return whether two memories keep a session in the same place: they share a connection, and its key."""
    return one.transport.known is other.transport.known and one.working.key("t") == other.working.key("t")


def begun(
    memory: ChainMemory,
    options: TurnOptions,
    ids: Ids,
    text: str,
    messages: Sequence[BaseMessage] | None,
) -> Turn:
    """Return a turn that begins with a text, and with messages that say it: if none are given, its own.

    Its context holds it, too, until it is written: that is what a caller has of it.

    Raises:
        InvalidInputError: An id, the text or a message is not one.
    """
    for name, value in zip(("thread_id", "user", "namespace"), ids, strict=True):
        validate_id(name, value)
    utf8("text", text)
    asked = [HumanMessage(text)] if messages is None and text else checked_messages(messages or [])
    turn = Turn(memory, options, ids, text, asked)
    turn.context._turn = turn
    return turn


def _written_already() -> InvalidInputError:
    return InvalidInputError(
        "This turn is written already, and would be stored twice. Begin the next one with read_turn."
    )


def has_answer(messages: Sequence[BaseMessage]) -> bool:
    """Return whether any of a turn's messages answers what the user says."""
    return any(not isinstance(message, HumanMessage | SystemMessage) for message in messages)


def ending(memory: ChainMemory, context: TurnContext) -> Turn:
    """Return the turn of a context; a new one if it was made by hand.

    Raises:
        InvalidInputError: It is no context, or one that another memory read.
    """
    if not isinstance(context, TurnContext):
        raise InvalidInputError(f"context must be what read_turn returned, not {type(context).__name__}.")
    if context._is_written:
        raise _written_already()
    turn: Turn | None = context._turn
    if turn is None:
        ids = Ids(context.thread_id, context.user, context.namespace)
        options = TurnOptions(None, remember=context.remember, remember_when=context.remember_when)
        turn = begun(memory, options, ids, context.text, [])
        turn.context, context._turn = context, turn
    if not same_store(turn.memory, memory):
        raise InvalidInputError("This context was read by another memory, which has to write the turn.")
    return turn
