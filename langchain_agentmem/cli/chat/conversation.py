"""A chat: who talks, in which thread, through which chain; and what it does to the memory besides."""

from __future__ import annotations

import shlex
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import InitVar, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from langchain_agentmem import noteworthy
from langchain_agentmem.cli.chat.results import Result
from langchain_agentmem.cli.connect import whereabouts
from langchain_agentmem.cli.console import CommandError, Screen
from langchain_agentmem.cli.ids import check_length
from langchain_agentmem.cli.options import login_name
from langchain_agentmem.cli.text import one_line
from langchain_agentmem.errors import AgentMemoryError, InvalidInputError, WrongOwnerError

if TYPE_CHECKING:
    from langchain_core.runnables import Runnable

    from langchain_agentmem import AgentMemory, ExchangeReport, MemoryRecord, SessionState

_EVENTS_READ = 500
_RECALLED = 6  # as many as an answer tells
_MEMORIES_LOOKED_AT = 1000


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
        verbose: Whether all of an exchange is shown, instead of a line.
        thread: The current thread.
        last: The last exchange in it; `None` before the first.
    """

    memory: AgentMemory
    screen: Screen
    user: str
    namespace: str
    kind: str | None
    answering: InitVar[Runnable[Any, Any]]
    model: str | None
    recall_threshold: float | None = None
    verbose: bool = False
    thread: str = ""
    last: Result | None = None

    def __post_init__(self, answering: Runnable[Any, Any]) -> None:
        self._reports: list[ExchangeReport] = []
        self._stated: ExchangeReport | None = None  # of the last that became a memory, in this thread
        self._last_event: str | None = None
        kind_of = None if self.kind is None else partial(noteworthy, kind=self.kind)
        self._chain = self.memory.wrap(
            answering,
            history_key="chat_history",
            k=_RECALLED,
            distance_threshold=... if self.recall_threshold is None else self.recall_threshold,
            remember=kind_of,
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
        self.last = self._stated = None
        return state

    def introduce(self, program: str) -> None:
        """Say who talks to what, and how it goes on."""
        parts = [f"user {self.user}", *([f"namespace {self.namespace}"] * (self.namespace != "default"))]
        parts += [f"thread {self.thread}", f"model {self.model}" if self.model else "no model (--model)"]
        parts += ["nothing is remembered (--kind skip)"] * (self.kind is None)
        self.screen.aside(f"{program} · {one_line(whereabouts(self.memory))}")
        self.screen.aside(" · ".join(map(one_line, parts)))
        self.screen.aside("Say something about yourself, then ask. /help lists the commands, /quit ends.\n")

    def part(self) -> None:
        """Say how to go on with this conversation another day, if there is one."""
        if self.last is None:
            return
        command = ["agentmem", "chat", "--thread", self.thread]
        command += ["--user", self.user] * (self.user != login_name())
        command += ["--namespace", self.namespace] * (self.namespace != "default")
        self.screen.aside(f"To go on with it: {one_line(shlex.join(command))}", is_command=True)

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
        if (noted := report.memory_event) is not None:
            self.memory.events.record_many([noted])
            self._stated = report
        events = self.memory.events.after(self.thread, last_event, _EVENTS_READ)
        self._last_event = events[-1].id if events else last_event
        same = None
        if report.remembered is not None and report.remembered.deduped:
            same = self.memory.long_term.get(report.remembered.id, user=self.user)
        self.last = Result(report, events, same, self.model, self.recall_threshold)
        (self.last.explain if self.verbose else self.last.show)(self.screen)

    def record(
        self, action: str, detail: str, *, user: str | None = None, memory_ids: Sequence[str] = ()
    ) -> None:
        """Record an event of something that a command did; of this user unless another is named."""
        whose = self.user if user is None else user
        self.memory.events.record(self.thread, action, detail, user=whose, memory_ids=memory_ids)

    def replace_near(self, memory_id: str) -> str:
        """Let what was stated last replace a memory, or the one near it; return the text of that memory.

        Raises:
            InvalidInputError: Nothing was stated, nothing is near it, or there is no such memory.
        """
        remembered = None if self._stated is None else self._stated.remembered
        if self._stated is None or remembered is None:
            raise InvalidInputError("Nothing was stated in this thread: say what is true now, then /replace.")
        if not memory_id:
            if remembered.near is None:
                raise InvalidInputError("Nothing near it was recalled: /replace ID; /memories lists the ids.")
            memory_id = remembered.near.id
        old = self.find(memory_id)
        if old.id == remembered.id:
            raise InvalidInputError("That is the memory itself: name the one that it replaces.")
        result = self.memory.long_term.remember(
            self._stated.text,
            user=self.user,
            namespace=self.namespace,
            kind=self.kind or "episodic",
            source_thread=self.thread,
            replaces=old.id,
        )
        self.record("replace", old.text, memory_ids=[result.id, old.id])
        return old.text

    def find(self, beginning: str) -> MemoryRecord:
        """Return the memory whose id begins so.

        Raises:
            InvalidInputError: There is none, or more than one.
            CommandError: The beginning has less than 4 characters.
        """
        whole = self.memory.long_term.get(beginning, user=self.user)
        if whole is not None:
            return whole
        check_length(beginning)
        records = self.memory.long_term.list_memories(
            user=self.user, namespace=self.namespace, limit=_MEMORIES_LOOKED_AT
        )
        found = [record for record in records if record.id.startswith(beginning)]
        if len(found) != 1:
            who = "More than one memory" if found else "No memory"
            raise InvalidInputError(
                f"{who} of yours has an id that begins with {one_line(beginning, 40)}; /memories lists them."
            )
        return found[0]

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
            kept = "What you said is kept; say it again to try again."
            raise CommandError(f"{self.model}: {kind}{error}\n{kept}") from error

    def _inputs(self, words: str) -> dict[str, str]:
        if self.model is None:
            return {"input": words}
        state = self.memory.working.load(self.thread)
        notes = {name: getattr(state, name, "") for name in ("goal", "scratchpad")}
        return {"input": words, **notes}
