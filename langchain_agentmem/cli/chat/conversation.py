"""A chat: who talks, in which thread, through which chain; and what is shown of a turn."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, cast

from langchain_agentmem.cli import text
from langchain_agentmem.cli.connect import whereabouts
from langchain_agentmem.cli.console import Listing, Screen
from langchain_agentmem.cli.failures import CommandError
from langchain_agentmem.errors import AgentMemoryError, InvalidInputError, WrongOwnerError

if TYPE_CHECKING:
    from langchain_core.runnables import Runnable

    from langchain_agentmem.agent_memory import AgentMemory
    from langchain_agentmem.chain.options import ExchangeReport
    from langchain_agentmem.events.event import Event
    from langchain_agentmem.working.session import SessionState

_EVENTS_SHOWN = 6


def load_own(memory: AgentMemory, thread: str, user: str) -> SessionState | None:
    """Return the session of a thread, if there is one.

    Raises:
        InvalidInputError: The thread is another user's.
    """
    try:
        return memory.working.load(thread, user=user)
    except WrongOwnerError as error:
        raise InvalidInputError(f"The thread {thread} is another user's: become that user first.") from error


class Conversation:
    """Talk to a memory, in one thread at a time.

    Attributes:
        memory: What is talked to.
        screen: Where it is shown.
        user: Who talks.
        namespace: In which part of the user's memories.
        thread: The current thread.
    """

    def __init__(
        self,
        memory: AgentMemory,
        screen: Screen,
        *,
        user: str,
        namespace: str,
        kind: str | None,
        answering: Runnable[Any, Any],
        model: str | None,
    ) -> None:
        self.memory = memory
        self.screen = screen
        self.user = user
        self.namespace = namespace
        self.thread = ""
        self._kind = kind
        self._model = model
        self._reports: list[ExchangeReport] = []
        self._last_event: str | None = None
        self._chain = memory.wrap(
            answering, history_key="chat_history", remember=kind, on_exchange=self._reports.append
        )

    def switch(self, thread: str | None) -> SessionState | None:
        """Go on with a thread, or begin a new one.

        Raises:
            InvalidInputError: The thread is another user's.
        """
        if thread is None:
            self.thread, self._last_event = self.memory.working.new_thread_id(), ""
            return None
        state = load_own(self.memory, thread, self.user)
        self.thread, self._last_event = thread, None
        return state

    def introduce(self, program: str) -> None:
        """Say who talks to what."""
        if self._model is None:
            answering = "none, the answers are what is recalled (a real one: --model, see --help)"
        else:
            answering = self._model
        says = [
            ("memory", whereabouts(self.memory)),
            ("user", self._whose()),
            ("thread", self.thread),
            ("model", answering),
        ]
        if self._kind is None:
            says.append(("kind", "skip: nothing is remembered"))
        for name, value in says:
            self.screen.aside(f"{name:<8}{text.one_line(value)}")
        self.screen.aside(f"{program}: every line is a turn; /help lists the commands, /quit ends.\n")

    def _whose(self) -> str:
        return self.user if self.namespace == "default" else f"{self.user}, namespace {self.namespace}"

    def say(self, words: str) -> None:
        """A turn.

        Raises:
            AgentMemoryError: It failed; what was said is kept, marked as unanswered, and so are the events.
        """
        if self._last_event is None:
            newest = self.memory.events.recent(self.thread, 1)
            self._last_event = newest[0].id if newest else ""
        last_event, self._last_event = self._last_event, None  # unknown again, should the turn fail
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
                # Closed, so that a turn that is interrupted is abandoned at once.
                with closing(cast(Generator[Any, None, None], chunks)):
                    for chunk in chunks:
                        answer.add(str(getattr(chunk, "text", chunk)))
        except AgentMemoryError:
            raise
        except OSError as error:
            if self._model is None or isinstance(error, BrokenPipeError):
                raise
            raise CommandError(f"{self._model}: {error}") from error
        except Exception as error:
            if self._model is None:
                raise
            raise CommandError(f"{self._model}: {type(error).__name__}: {error}") from error

    def _inputs(self, words: str) -> dict[str, str]:
        if self._model is None:
            return {"input": words}
        state = self.memory.working.load(self.thread)
        return {
            "input": words,
            "goal": state.goal if state else "",
            "scratchpad": state.scratchpad if state else "",
        }

    # What is shown of a turn.

    def _show(self, words: str, report: ExchangeReport, events: Sequence[Event]) -> None:
        threshold = self.memory.settings.recall_threshold
        recalled = [
            (f"{hit.distance:.3f}", text.bar(hit.distance, threshold), hit.kind, text.one_line(hit.text))
            for hit in report.recalled
            if hit.distance is not None
        ]
        read, answer, write = map(
            text.milliseconds, (report.read_seconds, report.chain_seconds, report.write_seconds)
        )
        self.screen.facts(
            [
                (
                    "recalled",
                    Listing(f"{len(recalled)} within {threshold:g}", recalled)
                    if recalled
                    else f"nothing within {threshold:g}",
                ),
                ("memory", self._fate(words, report)),
                ("events", summary(events)),
                ("time", f"{read} to embed and recall, {answer} to answer, {write} to write"),
            ]
        )

    def _fate(self, words: str, report: ExchangeReport) -> str:
        remembered = report.remembered
        if remembered is None:
            reason = "--kind skip" if self._kind is None else f"too long: {len(words.encode()):,} bytes"
            return f"not remembered ({reason})"
        distance = remembered.existing_distance
        if not remembered.deduped:
            return "stored as new memory" + ("" if distance is None else f" (nearest known: {distance:.3f})")
        known = self.memory.long_term.get(remembered.id, user=self.user)
        hits = "?" if known is None else str(known.hit_count)
        return f"merged into a known memory (hits {hits}, distance {distance or 0:.3f})"


def summary(events: Sequence[Event]) -> str:
    """A turn's events in a line: what began and ended is one of them, with how long it took."""
    ended = {event.run_id for event in events if event.duration_seconds is not None}
    told = [event for event in events if event.duration_seconds is not None or event.run_id not in ended]
    parts = []
    for event in told[:_EVENTS_SHOWN]:
        took = "" if event.duration_seconds is None else text.milliseconds(event.duration_seconds)
        parts.append(" ".join(filter(None, (event.action, event.name, took))))
    if len(told) > _EVENTS_SHOWN:
        parts.append(f"and {len(told) - _EVENTS_SHOWN} more (/events)")
    return text.one_line(" · ".join(parts)) or "none"
