"""A chat: who talks, in which thread, through which chain; and what is shown of an exchange."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import InitVar, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from langchain_agentmem.chain.noteworthy import noteworthy, occasion
from langchain_agentmem.cli.connect import whereabouts
from langchain_agentmem.cli.console import CommandError, Screen, milliseconds, one_line
from langchain_agentmem.cli.memories import fate, nearest, recalled
from langchain_agentmem.errors import AgentMemoryError, InvalidInputError, WrongOwnerError

if TYPE_CHECKING:
    from langchain_core.runnables import Runnable

    from langchain_agentmem.agent_memory import AgentMemory
    from langchain_agentmem.chain.options import ExchangeReport
    from langchain_agentmem.events.event import Event
    from langchain_agentmem.working.session import SessionState

_EVENTS_SHOWN = 6


def load_own(memory: AgentMemory, thread: str | None, user: str) -> SessionState | None:
    """Return the session of a thread, if there is one.

    Raises:
        InvalidInputError: The thread is another user's.
    """
    try:
        return None if thread is None else memory.working.load(thread, user=user)
    except WrongOwnerError as error:
        raise InvalidInputError(
            f"The thread {thread} is another user's: choose another thread, or name that user."
        ) from error


@dataclass
class Conversation:
    """A conversation with a memory, in one thread at a time.

    Attributes:
        memory: What is talked to.
        screen: Where it is shown.
        user: Who talks.
        namespace: In which part of the user's memories.
        kind: What is stated is remembered as; `None` for not at all.
        answering: What answers.
        model: What that is called; `None` for the memory itself.
        recall_threshold: Up to which distance is recalled; `None` for any.
        thread: The current thread.
    """

    memory: AgentMemory
    screen: Screen
    user: str
    namespace: str
    kind: str | None
    answering: InitVar[Runnable[Any, Any]]
    model: str | None
    recall_threshold: float | None = None
    thread: str = ""

    def __post_init__(self, answering: Runnable[Any, Any]) -> None:
        self._reports: list[ExchangeReport] = []
        self._last_event: str | None = None
        self._chain = self.memory.wrap(
            answering,
            history_key="chat_history",
            distance_threshold=... if self.recall_threshold is None else self.recall_threshold,
            remember=None if self.kind is None else partial(noteworthy, kind=self.kind),
            on_exchange=self._reports.append,
        )

    def switch(self, thread: str | None) -> SessionState | None:
        """Go on with a thread, or begin a new one.

        Raises:
            InvalidInputError: The thread is another user's.
        """
        state = load_own(self.memory, thread, self.user)
        self.thread = thread or self.memory.working.new_thread_id()
        self._last_event = "" if thread is None else None
        return state

    def introduce(self, program: str) -> None:
        """Say who talks to what."""
        unnamed = "none, the answers are what is recalled (a real one: --model, see --help)"
        part = "" if self.namespace == "default" else f", namespace {self.namespace}"
        says = [
            ("memory", whereabouts(self.memory)),
            ("user", self.user + part),
            ("thread", self.thread),
            ("model", self.model or unnamed),
        ]
        if self.kind is None:
            says.append(("kind", "skip: nothing is remembered"))
        for name, value in says:
            self.screen.aside(f"{name:<8}{one_line(value)}")
        self.screen.aside(f"{program}: every line is an exchange; /help lists the commands, /quit ends.\n")

    def say(self, words: str) -> None:
        """Run an exchange.

        Raises:
            AgentMemoryError: It failed; what was said is kept, marked as unanswered, and so are the events.
        """
        if self._last_event is None:
            newest = self.memory.events.recent(self.thread, 1)
            self._last_event = newest[0].id if newest else ""
        last_event, self._last_event = self._last_event, None  # unknown again, should the exchange fail
        self._answer(words)
        report = self._reports.pop()
        events = self.memory.events.after(self.thread, last_event, 500)
        self._last_event = events[-1].id if events else last_event
        self._show(words, report, events)

    def _answer(self, words: str) -> None:
        config = {
            "configurable": {"session_id": self.thread, "user_id": self.user, "namespace": self.namespace}
        }
        try:
            with self.screen.waiting() as answer:
                chunks = self._chain.stream(self._inputs(words), cast(Any, config))
                # Closed, so that an exchange that is interrupted is abandoned at once.
                with closing(cast(Generator[Any, None, None], chunks)):
                    for chunk in chunks:
                        answer.add(str(getattr(chunk, "text", chunk)))
        except (AgentMemoryError, BrokenPipeError):
            raise
        except Exception as error:  # of the model's package, which may raise anything
            if self.model is None:
                raise
            kind = "" if isinstance(error, OSError) else f"{type(error).__name__}: "
            raise CommandError(f"{self.model}: {kind}{error}") from error

    def _inputs(self, words: str) -> dict[str, str]:
        if self.model is None:
            return {"input": words}
        state = self.memory.working.load(self.thread)
        notes = {name: getattr(state, name, "") for name in ("goal", "scratchpad")}
        return {"input": words, **notes}

    def _show(self, words: str, report: ExchangeReport, events: Sequence[Event]) -> None:
        read, answer, write = map(
            milliseconds, (report.read_seconds, report.chain_seconds, report.write_seconds)
        )
        self.screen.facts(
            [
                *recalled(self.screen, report.recalled, within=self.recall_threshold),
                ("memory", self._fate(words, report)),
                ("events", summary(events)),
                ("time", f"{read} to embed and recall, {answer} to answer, {write} to write"),
            ]
        )

    def _fate(self, words: str, report: ExchangeReport) -> str:
        remembered = report.remembered
        if remembered is None:
            reasons = {
                "off": "--kind skip",
                "not_noteworthy": f"nothing to remember: {occasion(words)}",
                "unusable": f"too long: {len(words.encode()):,} bytes",
            }
            return f"not remembered ({reasons.get(report.not_remembered or '', 'it failed')})"
        if remembered.deduped:
            same = self.memory.long_term.get(remembered.id, user=self.user)
            return fate(remembered, same) + ("" if same is None else f" (duplicates {same.hit_count})")
        near = "" if remembered.near is None else f" (near, not merged: {nearest(remembered.near)})"
        return fate(remembered, None) + near


def summary(events: Sequence[Event]) -> str:
    """Return an exchange's events in a line: what began and ended is one of them, with how long it took."""
    ended = {event.run_id for event in events if event.duration_seconds is not None}
    told = [event for event in events if event.duration_seconds is not None or event.run_id not in ended]
    parts = [
        " ".join(filter(None, (event.action, event.name, milliseconds(event.duration_seconds))))
        for event in told[:_EVENTS_SHOWN]
    ]
    if len(told) > _EVENTS_SHOWN:
        parts.append(f"and {len(told) - _EVENTS_SHOWN} more (/events)")
    return one_line(" · ".join(parts)) or "none"
