"""What is known when a turn begins, and what became of it when it has been written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from langchain_agentmem.chain.noteworthy import noteworthy
from langchain_agentmem.chain.options import NotRemembered, RecalledMemories, Remember, RememberWhen

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

    from langchain_agentmem.longterm.changes import ChangeResult
    from langchain_agentmem.longterm.types import RememberResult


@dataclass(slots=True)
class TurnContext:
    """Holds what is known when a turn begins: returned by `read_turn`, taken by `write_turn`.

    It can be made by hand as well, where what `read_turn` returned is not at hand any more, with the ids and
    the text: what is remembered of the text is then embedded when the turn is written.

    Attributes:
        thread_id: The session.
        user: Who speaks.
        namespace: In which namespace memories are recalled and remembered.
        text: What the user says.
        history: The session's messages before it, oldest first.
        memories: What was recalled for the text, best first; as a text, dated lines.
        pinned: The memories of the kinds that are always given.
        goal: The session's goal.
        scratchpad: Its notes.
        summary: The summary of the messages that have left its window.
        failures: What failed and was passed over, where `on_error` is `continue`.
        remember: Of a context made by hand, what is remembered of the turn, as in `AgentMemory.wrap`.
        remember_when: And when an extractor is asked: `inline` or `background`.
    """

    thread_id: str
    user: str
    namespace: str = "default"
    text: str = ""
    history: list[BaseMessage] = field(default_factory=list)
    memories: RecalledMemories = field(default_factory=RecalledMemories)
    pinned: RecalledMemories = field(default_factory=RecalledMemories)
    goal: str = ""
    scratchpad: str = ""
    summary: str = ""
    failures: list[str] = field(default_factory=list)
    remember: Remember = noteworthy
    remember_when: RememberWhen = "inline"
    _turn: Any = field(default=None, repr=False, compare=False)  # in progress
    _is_written: bool = field(default=False, repr=False, compare=False)

    def let_go(self) -> None:
        """Forget the turn, which has been written: each holds the other, and its messages, until then."""
        self._turn, self._is_written = None, True


@dataclass(frozen=True, slots=True)
class TurnResult:
    """Says what became of a turn that was written.

    Attributes:
        turn_count: How many messages the session ever got; `None` if the writing failed and was passed over.
        remembered: What became of each memory that was made of what the user said.
        not_remembered: Why nothing was, as in `ExchangeReport`; `None` if something was.
        failures: What failed and was passed over: what an extractor or a summariser raised; all, where
            `on_error` is `continue`.
        changes: What became of the changes that an extractor told, in their order.
    """

    turn_count: int | None
    remembered: list[RememberResult]
    not_remembered: NotRemembered | None
    failures: list[str] = field(default_factory=list)
    changes: list[ChangeResult] = field(default_factory=list)
