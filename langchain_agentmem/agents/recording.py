"""What runs inside a turn of an agent: its events, without anything done by the caller, and turns in turns.

Context variables carry both into the model and the tools, in whatever thread or task these run, and nowhere
else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tracers.context import register_configure_hook
from langgraph.config import get_config
from langgraph.errors import GraphBubbleUp

from langchain_agentmem.chain.exchange import ExchangeHandler
from langchain_agentmem.chain.failures import said
from langchain_agentmem.chain.options import ChainMemory
from langchain_agentmem.chain.turn import same_store
from langchain_agentmem.events.callbacks import EventLogHandler

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

    from langchain_agentmem.agents.turn_state import TurnState

_handler: ContextVar[EventLogHandler | None] = ContextVar("agentmem_handler", default=None)
_around: ContextVar[tuple[tuple[ChainMemory, str], ...]] = ContextVar("agentmem_turns", default=())
# The last steps that failed. A turn that is resumed has nothing else in this process that its calls share.
_failed: deque[tuple[str, object]] = deque(maxlen=1000)
register_configure_hook(_handler, inheritable=True)


def current_config() -> RunnableConfig | None:
    """Return the config of the node that runs; `None` where it is not known: in async code on Python 3.10."""
    try:
        return get_config()
    except RuntimeError:
        return None


def handlers_of(config: RunnableConfig | None) -> Sequence[BaseCallbackHandler]:
    """Return the callback handlers of a config."""
    callbacks = (config or {}).get("callbacks")
    return callbacks if isinstance(callbacks, list) else getattr(callbacks, "handlers", ())


@contextmanager
def recording(memory: ChainMemory, turn: TurnState, config: RunnableConfig | None) -> Iterator[None]:
    """Record what runs in here as events of the turn's thread, unless a handler of this log does already.

    Args:
        memory: The memory with the log.
        turn: The turn.
        config: The config of the node, with the callbacks that reach what runs.
    """
    handlers = [*handlers_of(config), _handler.get()]
    if any(
        isinstance(one, EventLogHandler) and one.records(memory.events, turn.thread_id) for one in handlers
    ):
        yield
        return
    token = _handler.set(EventLogHandler(memory.events, turn.thread_id, user=turn.user))
    try:
        yield
    finally:
        _handler.reset(token)


@contextmanager
def inside(memory: ChainMemory, turn: TurnState) -> Iterator[None]:
    """Let agents that run in here, as tools, know that they run inside this turn."""
    token = _around.set((*_around.get(), (memory, turn.thread_id)))
    try:
        yield
    finally:
        _around.reset(token)


def is_nested(memory: ChainMemory, thread_id: str, config: RunnableConfig | None) -> bool:
    """Return whether a turn or an exchange of this thread, in the same store, runs around this."""
    exchanges = (one.exchange for one in handlers_of(config) if isinstance(one, ExchangeHandler))
    around = [*_around.get(), *((one.memory, one.thread_id) for one in exchanges)]
    return any(thread == thread_id and same_store(other, memory) for other, thread in around)


@contextmanager
def noting_failure(memory: ChainMemory, turn: TurnState, runtime: Any, what: str) -> Iterator[None]:
    """Record why a turn got no answer: what its model or a tool raised, or that it was cancelled.

    An interrupt is no failure. Of a turn inside another, the outer one tells; of tools that run at once, the
    first that fails, for the others are cancelled then; of a step that is tried again, the first attempt.
    """
    try:
        yield
    except GraphBubbleUp:
        raise
    except BaseException as error:
        step = (turn.thread_id, _step_of(runtime) or (*turn.asked, turn.last))
        if not turn.nested and step not in _failed:
            _failed.append(step)
            detail = {"in": what, "error": said(error)}
            memory.events.put(turn.thread_id, "turn_error", detail, user=turn.user)
        raise


def _step_of(runtime: Any) -> str | None:
    """Return the checkpoint that a step of the graph begins with; `None` with an older LangGraph."""
    return getattr(getattr(runtime, "execution_info", None), "checkpoint_id", None)


def name_of(model: Any) -> str:
    """Return what a model calls itself."""
    named = getattr(model, "model_name", None) or getattr(model, "model", None)
    return named if isinstance(named, str) else type(model).__name__
