"""The options of the middleware, checked when it is made, and the memory as it uses it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from langchain_agentmem.agents.prompt import Template
from langchain_agentmem.chain.ids import Ids, named_ids
from langchain_agentmem.chain.options import ChainMemory, ExchangeReport, TurnOptions
from langchain_agentmem.chain.refusals import refuse_callback
from langchain_agentmem.core.checks import choice, validate_id
from langchain_agentmem.errors import InvalidInputError

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

    from langchain_agentmem.events.event_log import EventLog
    from langchain_agentmem.longterm.long_term_memory import BaseLongTermMemory
    from langchain_agentmem.settings import AgentMemorySettings
    from langchain_agentmem.tasks.queue import TaskQueue
    from langchain_agentmem.transport.connections import Transport
    from langchain_agentmem.working.working_memory import WorkingMemory

HistoryMode: TypeAlias = Literal["load", "mirror"]
Place: TypeAlias = Literal["system", "user"]
OnFailure: TypeAlias = Literal["keep_input", "drop"]
OnError: TypeAlias = Literal["raise", "continue"]
IdsOf: TypeAlias = Callable[[Any, "RunnableConfig"], Sequence[str]]

CALL = (
    'call the agent with config={"configurable": {"thread_id": "…", "user_id": "…"}}, or with a context= '
    "that has these names."
)


@dataclass(frozen=True, slots=True)
class MiddlewareOptions:
    """The options of a middleware; `AgentMemory.middleware` describes each.

    Attributes:
        turn: What each turn recalls and remembers.

    Raises:
        InvalidInputError, ConfigurationError: An option is not usable.
    """

    turn: TurnOptions
    template: Template
    history: HistoryMode | None = None
    place: Place = "system"
    ids: IdsOf | None = None
    on_failure: OnFailure = "keep_input"
    events: bool = True
    on_turn: Callable[[ExchangeReport], None] | None = None

    def __post_init__(self) -> None:
        if self.history is not None:
            choice("history", self.history, HistoryMode)
        choice("place", self.place, Place)
        choice("on_failure", self.on_failure, OnFailure)
        for name, callback in (("on_turn", self.on_turn), ("ids", self.ids)):
            if callback is not None:
                refuse_callback(name, callback)

    @property
    def knows_users(self) -> bool:
        """Return whether a call has to say whose memories it is about."""
        return bool(self.turn.recall or self.turn.pinned) or self.turn.remember is not None

    def whose(self, runtime: Any, config: RunnableConfig) -> Ids:
        """Return the ids that a call names, in its context, else in its config.

        Args:
            runtime: The call's runtime, with its `context`.
            config: The call's config, with `configurable`.

        Raises:
            InvalidInputError: An id is missing, or not valid.
        """
        if self.ids is None:
            return named_ids(
                config.get("configurable"),
                getattr(runtime, "context", None),
                call=CALL,
                thread_name="thread_id",
                default_user=None if self.knows_users else "default",
            )
        named = self.ids(runtime, config)
        if isinstance(named, str | Mapping) or not isinstance(named, Sequence) or len(named) not in (2, 3):
            raise InvalidInputError(
                "The function given as ids must return (thread_id, user) or (thread_id, user, namespace), "
                f"not {type(named).__name__}."
            )
        whole = (*named, "default")[:3]
        return Ids(*(validate_id(name, value) for name, value in zip(Ids._fields, whole, strict=True)))


class OverruledMemory:
    """A memory that does something else on an error than its settings say.

    Args:
        memory: The memory.
        on_error: What is done; `None` for what the settings say.
    """

    def __init__(self, memory: ChainMemory, on_error: OnError | None) -> None:
        if on_error is not None:
            choice("on_error", on_error, OnError)
        self._memory = memory
        overruled = {} if on_error is None else {"on_error": on_error}
        self.settings: AgentMemorySettings = memory.settings.model_copy(update=overruled)
        self.session_id: str | None = None  # an agent's call names its own

    @property
    def failures(self) -> int:
        """Return how many failures were passed over."""
        return self._memory.failures

    @failures.setter
    def failures(self, count: int) -> None:
        self._memory.failures = count

    @property
    def transport(self) -> Transport:
        """Return the connection that all tiers share."""
        return self._memory.transport

    @property
    def working(self) -> WorkingMemory:
        """Return the conversations."""
        return self._memory.working

    @property
    def long_term(self) -> BaseLongTermMemory:
        """Return the facts and episodes."""
        return self._memory.long_term

    @property
    def events(self) -> EventLog:
        """Return the event log."""
        return self._memory.events

    @property
    def tasks(self) -> TaskQueue:
        """Return the queues of what is left to workers."""
        return self._memory.tasks
