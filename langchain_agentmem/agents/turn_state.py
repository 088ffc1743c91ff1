"""What an agent's state keeps of a turn: what a resumed turn needs, and what only this process has.

LangGraph shows the whole state, private parts too, in the stream modes `values` and `updates`. So the part
that is checkpointed is one encoded text, in which no memory can be read at a glance, and the other shows as
an empty dict.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Annotated, Any

from langchain.agents.middleware import AgentState
from langchain.agents.middleware.types import PrivateStateAttr
from langchain_core.messages import BaseMessage
from langgraph.channels.untracked_value import UntrackedValue
from typing_extensions import NotRequired

from langchain_agentmem.core import json
from langchain_agentmem.core.messages import decode_turn
from langchain_agentmem.longterm.types import MemoryRecord

if TYPE_CHECKING:
    from langchain_agentmem.chain.turn import Turn

_STATE, _LIVE, _SUMMARISED = "agentmem_turn", "agentmem_live", "agentmem_summarised"


class LiveTurn(dict[str, Any]):
    """A turn in the process it began in. To whoever shows or serialises a state, an empty dict.

    Attributes:
        turn: The turn, with its vectors.
        made: The messages that were seen in it so far, by id; those without one have none yet.
        summaries: The ids of the summaries that stood in the state when it began.
        read_seconds: How long reading took.
        asked_at: When the model's part began, by the clock of `time.perf_counter`.
    """

    turn: Turn
    made: list[BaseMessage]
    summaries: set[str | None]
    read_seconds: float
    asked_at: float


class MemoryState(AgentState[Any]):
    """The state of an agent with a memory. All members are private."""

    agentmem_turn: NotRequired[Annotated[str, PrivateStateAttr]]
    agentmem_summarised: NotRequired[Annotated[str, PrivateStateAttr]]
    agentmem_live: NotRequired[Annotated[Any, UntrackedValue, PrivateStateAttr]]


@dataclass(slots=True)
class TurnState:
    """Holds what is checkpointed of a turn.

    Attributes:
        thread_id: The session.
        user: Who speaks.
        namespace: In which namespace memories are recalled and remembered.
        text: What the user says.
        memories: What was recalled, best first.
        pinned: The memories of the kinds that are always given.
        goal: The session's goal.
        notes: Its notes.
        summary: The summary of what has left its window; empty where the state has the whole conversation.
        asked: The ids of the messages that say it.
        earlier: The ids of messages that came with them, and are stored before them.
        before: The ids of all messages that stood before what the user says, when the turn began.
        replaces: What the turn's messages replace, as it is stored.
        last: The id of the last message that is stored.
        closed: Whether the turn has ended, and is stored.
        nested: Whether it runs inside a turn of the same thread, which stores what is to be.
    """

    thread_id: str
    user: str
    namespace: str
    text: str = ""
    memories: list[MemoryRecord] = field(default_factory=list)
    pinned: list[MemoryRecord] = field(default_factory=list)
    goal: str = ""
    notes: str = ""
    summary: str = ""
    asked: list[str] = field(default_factory=list)
    earlier: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    replaces: list[str] = field(default_factory=list)
    last: str = ""
    closed: bool = False
    nested: bool = False

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> TurnState | None:
        """Return the turn of a state; `None` if no turn has begun in it."""
        if not (encoded := state.get(_STATE)):
            return None
        kept = _decoded(encoded)
        turn = cls(**{one.name: kept[one.name] for one in fields(cls) if one.name in kept})
        turn.memories, turn.pinned = map(turn._records, (turn.memories, turn.pinned))
        return turn

    def update(self, live: LiveTurn | None = None) -> dict[str, Any]:
        """Return the update of a state that keeps this turn."""
        kept = {one.name: getattr(self, one.name) for one in fields(self)}
        for name in ("memories", "pinned"):
            kept[name] = [(one.text, one.created_ts, one.kind, one.id) for one in kept[name]]
        return {_STATE: _encoded(kept), _SUMMARISED: ""} | ({} if live is None else {_LIVE: live})

    def closing(self, last: str) -> TurnState:
        """Return what is kept of it once it has ended: what was asked, and where it ended."""
        return TurnState(self.thread_id, self.user, self.namespace, asked=self.asked, last=last, closed=True)

    def _records(self, kept: list[Any]) -> list[MemoryRecord]:
        return [
            MemoryRecord(
                id=id, text=text, user=self.user, namespace=self.namespace, kind=kind, created_ts=created_ts
            )
            for text, created_ts, kind, id in kept
        ]


def live_of(state: Mapping[str, Any]) -> LiveTurn | None:
    """Return the turn of a state, if it began in this process and was not interrupted since."""
    live = state.get(_LIVE)
    return live if isinstance(live, LiveTurn) else None


def summarised(stored: Sequence[bytes]) -> dict[str, Any]:
    """Return the update of a state that keeps encoded messages that a summary has taken the place of."""
    return {_SUMMARISED: _encoded([message.decode() for message in stored])}


def summarised_in(state: Mapping[str, Any]) -> list[BaseMessage]:
    """Return the messages that `summarised` keeps in a state."""
    kept = state.get(_SUMMARISED)
    return [decode_turn(json.loads(message)) for message in _decoded(kept)] if kept else []


def _encoded(value: Any) -> str:
    return base64.b64encode(zlib.compress(json.dumps(value))).decode()


def _decoded(encoded: str) -> Any:
    return json.loads(zlib.decompress(base64.b64decode(encoded)))
