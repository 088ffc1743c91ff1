"""The options of a wrapped chain, the memory it needs, and the report of each exchange."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, cast, get_args

from langchain_agentmem.chain.noteworthy import Occasion, noteworthy
from langchain_agentmem.chain.refusals import refuse_callback, refuse_equal_keys
from langchain_agentmem.core.checks import choice, fill, validate_id
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.extraction.extractor import Extractor, is_extractor
from langchain_agentmem.longterm.types import MemoryRecord, RecallOptions, RememberResult

if TYPE_CHECKING:
    from langchain_agentmem.events.event_log import EventLog
    from langchain_agentmem.longterm.changes import ChangeResult
    from langchain_agentmem.longterm.long_term_memory import BaseLongTermMemory
    from langchain_agentmem.settings import AgentMemorySettings
    from langchain_agentmem.tasks.queue import TaskQueue
    from langchain_agentmem.transport.connections import Transport
    from langchain_agentmem.working.working_memory import WorkingMemory

KindOf: TypeAlias = str | Callable[[str], str | None] | None
Remember: TypeAlias = KindOf | Extractor
RememberWhen: TypeAlias = Literal["inline", "background"]
NotRemembered: TypeAlias = (
    Occasion | Literal["declined", "off", "unusable", "unanswered", "failed", "background"]
)
OnAbandon: TypeAlias = Literal["keep_input", "keep_partial", "drop"]


class ChainMemory(Protocol):
    """The interface of a memory that a chain needs; `AgentMemory` has it.

    Attributes:
        settings: The limits, and what happens on an error.
        session_id: The session of a call that names none.
        failures: How many failures were passed over.
    """

    settings: AgentMemorySettings
    session_id: str | None
    failures: int

    @property
    def transport(self) -> Transport:
        """Return the connection that all tiers share."""

    @property
    def working(self) -> WorkingMemory:
        """Return the conversations."""

    @property
    def long_term(self) -> BaseLongTermMemory:
        """Return the facts and episodes."""

    @property
    def events(self) -> EventLog:
        """Return the event log."""

    @property
    def tasks(self) -> TaskQueue:
        """Return the queues of what is left to workers."""


def day_of(record: MemoryRecord) -> date | None:
    """Return the day in UTC on which a memory was stored; `None` if no date is known, whoever wrote it."""
    try:
        moment = datetime.fromtimestamp(record.created_ts, timezone.utc)
    except (OverflowError, ValueError, OSError):
        return None
    return moment.date() if record.created_ts > 0 else None


class RecalledMemories(list[MemoryRecord]):
    """Recalled memories; as text, each on a line with its day in UTC, so that `{memories}` reads well."""

    def __str__(self) -> str:
        dated = ((record, day_of(record)) for record in self)
        return "\n".join(f"- {f'{day}: ' if day else ''}{record.text}" for record, day in dated)


@dataclass(frozen=True, slots=True)
class ExchangeReport:
    """The report of an exchange, as `on_exchange` receives it.

    Attributes:
        text: What the user said.
        recalled: What the chain was given, nearest first.
        remembered: What became of the user's text, or of the first fact that an extractor told; `None` if
            nothing was remembered.
        not_remembered: Why it was not: it states nothing, and is a `question`, a `request`, a `greeting`,
            `thanks`, a `farewell` or other `small_talk`; `declined` (the function given as `remember` chose
            nothing for a text that does, or an agent's model has remembered it with a tool of the memory);
            `off` (with `remember=None`); `unusable` (no text, a text that is too long, or no Unicode);
            `unanswered` (no answer came); `failed` (see `failures`); `background` (a worker will see). `None`
            if it was.
        changes: What became of the changes that an extractor told, in their order.
        turn_count: How many messages the session ever got; `None` if the writing failed.
        failures: What was passed over: what failed, if `on_error` is `continue`; a callback that raised;
            a text that cannot be remembered.
        read_seconds: Embedding the text, then reading the session and recalling.
        chain_seconds: The chain itself.
        write_seconds: Writing the messages, the memory and the events.
    """

    thread_id: str
    user: str
    namespace: str
    text: str
    recalled: list[MemoryRecord]
    remembered: RememberResult | None
    not_remembered: NotRemembered | None
    turn_count: int | None
    failures: list[str] = field(default_factory=list)
    changes: list[ChangeResult] = field(default_factory=list)
    read_seconds: float = 0.0
    chain_seconds: float = 0.0
    write_seconds: float = 0.0

    @property
    def memory_event(self) -> tuple[str, dict[str, Any]] | None:
        """Return what became of the text as an event for `EventLog.record_many`; `None` if nothing did.

        An exchange itself does not record it, because what is a duplicate is known only when its events are
        written. The action is `remember` or `merge`, and the detail the text. `None` as well if an extractor
        told what to remember, for the exchange records that itself.
        """
        if self.remembered is None or self.changes:
            return None
        event = {
            "action": "merge" if self.remembered.deduped else "remember",
            "detail": self.text,
            "user": self.user,
            "memory_ids": [self.remembered.id],
        }
        return self.thread_id, event


@dataclass(frozen=True, slots=True)
class TurnOptions:
    """Holds what a turn recalls and remembers.

    Attributes:
        recall: What is recalled, besides for whom; `None` for nothing.
        pinned: The kinds of which memories are always given, whatever the user says.
        remember: The kind that the user's words are remembered as, as in `AgentMemory.wrap`.
        check_owner: Whether the session of another user is refused.
        remember_when: When an extractor is asked.
        extracts: Whether an extractor says what is remembered, here or in a worker.

    Raises:
        InvalidInputError: One of them is not usable.
    """

    recall: RecallOptions | None
    pinned: Sequence[str] = ()
    remember: Remember = noteworthy
    check_owner: bool = True
    remember_when: RememberWhen = "inline"
    extracts: bool = field(init=False)

    def __post_init__(self) -> None:
        choice("remember_when", self.remember_when, RememberWhen)
        if isinstance(self.pinned, str):
            raise InvalidInputError('pinned must be kinds, such as ("profile",), not one text.')
        for kind in self.pinned:
            validate_id("pinned", kind)
        is_one = is_extractor(self.remember)
        fill(self, extracts=is_one or (self.remember is not None and self.remember_when == "background"))
        if is_one:
            return
        if callable(self.remember):
            refuse_callback("remember", self.remember)
        elif self.remember is not None:
            if not isinstance(self.remember, str):
                raise InvalidInputError(
                    "remember must be an extractor, a kind, None for nothing, or a function from the text to "
                    f"one of the last two, not {type(self.remember).__name__}."
                )
            validate_id("remember", self.remember)
        if self.remember_when == "background" and self.remember not in (noteworthy, None):
            raise InvalidInputError(
                'With remember_when="background" a worker\'s extractor says what to remember: give no other '
                "remember than an extractor, or none."
            )

    @property
    def extracts_inline(self) -> bool:
        """Return whether it is asked here, once the turn is written."""
        return self.extracts and self.remember_when == "inline"

    @property
    def kind_of(self) -> KindOf:
        """Return what says as which kind the user's words are remembered; `None` if they are not."""
        return None if self.extracts else cast("KindOf", self.remember)


@dataclass(frozen=True, slots=True)
class WrapOptions:
    """The options of a wrapped chain, checked; `AgentMemory.wrap` describes each.

    Attributes:
        recall: What is recalled, besides for whom.

    Raises:
        InvalidInputError: An option is not usable, or two keys are the same.
    """

    input_key: str
    history_key: str
    memories_key: str | None
    output_key: str | None
    remember: Remember
    recall: RecallOptions
    on_exchange: Callable[[ExchangeReport], None] | None
    on_abandon: OnAbandon
    check_owner: bool
    pinned: Sequence[str] = ()
    remember_when: RememberWhen = "inline"
    _of_turns: dict[bool, TurnOptions] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        fill(self, _of_turns={checks: self._of_turn(check_owner=checks) for checks in (True, False)})
        if self.on_abandon not in get_args(OnAbandon):
            raise InvalidInputError(
                f"on_abandon must be one of {', '.join(get_args(OnAbandon))}, not {self.on_abandon!r}."
            )
        refuse_equal_keys(self.keys)
        if self.on_exchange is not None:
            refuse_callback("on_exchange", self.on_exchange)

    def turn(self, *, check_owner: bool) -> TurnOptions:
        """Return what each turn of the chain recalls and remembers."""
        return self._of_turns[check_owner]

    def _of_turn(self, *, check_owner: bool) -> TurnOptions:
        recall = self.recall if self.memories_key is not None else None
        pinned = self.pinned if self.memories_key is not None else ()
        return TurnOptions(recall, pinned, self.remember, check_owner, self.remember_when)

    @property
    def keys(self) -> Mapping[str, str]:
        """Return the members of the chain's input that an exchange reads or sets, by parameter."""
        keys = {"input_key": self.input_key, "history_key": self.history_key}
        return keys if self.memories_key is None else keys | {"memories_key": self.memories_key}

    @property
    def knows_users(self) -> bool:
        """Return whether a call has to say whose memories it is about."""
        return self.memories_key is not None or self.remember is not None
