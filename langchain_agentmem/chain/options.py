"""The options of a wrapped chain, the memory it needs, and the report of each exchange."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timezone, tzinfo
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, get_args

from langchain_agentmem.chain.refusals import refuse_callback, refuse_equal_keys
from langchain_agentmem.core.checks import validate_id
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.longterm.types import MemoryRecord, RecallOptions, RememberResult

if TYPE_CHECKING:
    from langchain_agentmem.events.event_log import EventLog
    from langchain_agentmem.longterm.long_term_memory import BaseLongTermMemory
    from langchain_agentmem.settings import AgentMemorySettings
    from langchain_agentmem.transport.connections import Transport
    from langchain_agentmem.working.working_memory import WorkingMemory

Remember: TypeAlias = str | Callable[[str], str | None] | None
NotRemembered: TypeAlias = Literal["off", "not_noteworthy", "unusable", "failed"]
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


def day_of(record: MemoryRecord, *, tz: tzinfo | None = timezone.utc) -> date | None:
    """Return the day on which a memory was stored; `None` if no date is known, whoever wrote it.

    Args:
        record: The memory.
        tz: In which time zone; `None` for that of this machine.
    """
    try:
        return datetime.fromtimestamp(record.created_ts, tz).date() if record.created_ts > 0 else None
    except (OverflowError, ValueError, OSError):
        return None


class RecalledMemories(list[MemoryRecord]):
    """Recalled memories; as text, each on a line with its day in UTC, so that `{memories}` reads well."""

    def __str__(self) -> str:
        dated = ((record, day_of(record)) for record in self)
        return "\n".join(f"- {f'{day}: ' if day else ''}{record.text}" for record, day in dated)


@dataclass(frozen=True, slots=True)
class ExchangeReport:
    """The report of an exchange, as `on_exchange` receives it.

    Attributes:
        recalled: What the chain was given, nearest first.
        remembered: What became of the user's text; `None` if it was not remembered.
        not_remembered: Why it was not: `off` (with `remember=None`), `not_noteworthy` (the function given as
            `remember` chose nothing, as the default does for a question, a greeting or thanks), `unusable`
            (no text, a text that is too long, or no Unicode), `failed` (see `failures`); `None` if it was.
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
    recalled: list[MemoryRecord]
    remembered: RememberResult | None
    not_remembered: NotRemembered | None
    turn_count: int | None
    failures: list[str] = field(default_factory=list)
    read_seconds: float = 0.0
    chain_seconds: float = 0.0
    write_seconds: float = 0.0


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

    def __post_init__(self) -> None:
        self._check_remember()
        if self.on_abandon not in get_args(OnAbandon):
            raise InvalidInputError(
                f"on_abandon must be one of {', '.join(get_args(OnAbandon))}, not {self.on_abandon!r}."
            )
        refuse_equal_keys(self.keys)
        if self.on_exchange is not None:
            refuse_callback("on_exchange", self.on_exchange)

    @property
    def keys(self) -> Mapping[str, str]:
        """Return the members of the chain's input that an exchange reads or sets, by parameter."""
        keys = {"input_key": self.input_key, "history_key": self.history_key}
        return keys if self.memories_key is None else keys | {"memories_key": self.memories_key}

    @property
    def knows_users(self) -> bool:
        """Return whether a call has to say whose memories it is about."""
        return self.memories_key is not None or self.remember is not None

    def _check_remember(self) -> None:
        if callable(self.remember):
            refuse_callback("remember", self.remember)
        elif self.remember is not None:
            if not isinstance(self.remember, str):
                raise InvalidInputError(
                    "remember must be a kind, None for nothing, or a function from the text to one of them, "
                    f"not {type(self.remember).__name__}."
                )
            validate_id("remember", self.remember)
