"""The middleware that gives an agent of `create_agent` a memory, at one round trip before it and one after.

Each hook finds out whose call it is from the call itself: one instance serves any number of users at once.
What belongs to a turn is in the agent's state (`turn_state.py`), and nowhere else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from langchain.agents.middleware import (
    AgentMiddleware,
    ExtendedModelResponse,
    ModelRequest,
    ModelResponse,
)
from langchain_core.messages import BaseMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langgraph.prebuilt.tool_node import ToolCallRequest
from langgraph.types import Command

from langchain_agentmem.agents.agent_turn import BeginningTurn, EndingTurn
from langchain_agentmem.agents.messages import of_turn, seen_with_summary, storable
from langchain_agentmem.agents.options import MiddlewareOptions
from langchain_agentmem.agents.prompt import told
from langchain_agentmem.agents.recording import (
    current_config,
    inside,
    is_nested,
    name_of,
    noting_failure,
    recording,
)
from langchain_agentmem.agents.tools import ids_shown
from langchain_agentmem.agents.turn_state import MemoryState, TurnState, live_of, summarised
from langchain_agentmem.chain.options import ChainMemory
from langchain_agentmem.core.messages import encode_turn
from langchain_agentmem.core.operations import ok
from langchain_agentmem.errors import MessageNotStorableError, WrongOwnerError

if TYPE_CHECKING:
    from langgraph.runtime import Runtime

# Where LangGraph keeps the checkpointer of a run, and `None` if it has none; it has no public name.
_CHECKPOINTER = "__pregel_checkpointer"
_NO_CONFIG: RunnableConfig = {}


class AgentMemoryMiddleware(AgentMiddleware[MemoryState, Any]):
    """A memory for agents; made by `AgentMemory.middleware`, which describes its options.

    Args:
        memory: The memory.
        options: The options.
    """

    state_schema = MemoryState
    tools: Sequence[Any] = ()

    def __init__(self, memory: ChainMemory, options: MiddlewareOptions) -> None:
        super().__init__()
        self._memory = memory
        self._options = options

    # LangGraph passes `config` to a node that has such a parameter, also where `get_config` does not work.

    def before_agent(
        self, state: MemoryState, runtime: Runtime[Any], config: RunnableConfig = _NO_CONFIG
    ) -> dict[str, Any]:
        """Read the thread and recall, and store what the user says, marked as unanswered. One round trip.

        Raises:
            InvalidInputError: The call names no thread, or no user.
            WrongOwnerError: The thread is another user's.
            StoreError: The server refused something, or cannot be reached, unless `on_error` is `continue`.
        """
        begun = self._begin(state, runtime, config)
        with begun.turn.failures.tolerating("reading"):
            self._memory.transport.run(begun.read())
        return begun.update()

    async def abefore_agent(
        self, state: MemoryState, runtime: Runtime[Any], config: RunnableConfig = _NO_CONFIG
    ) -> dict[str, Any]:
        """Async version of `before_agent`."""
        begun = self._begin(state, runtime, config)
        with begun.turn.failures.tolerating("reading"):
            await self._memory.transport.arun(begun.read())
        return begun.update()

    def after_agent(
        self, state: MemoryState, runtime: Runtime[Any], config: RunnableConfig = _NO_CONFIG
    ) -> dict[str, Any]:
        """Store the turn's messages in place of the question, and remember. One round trip.

        Raises:
            WrongOwnerError: Another user than the turn's has resumed it; nothing is stored.
            AgentMemoryError: The turn could not be stored, unless `on_error` is `continue`; the agent's
                answer is its `output`.
        """
        ending = self._end(state, runtime, config)
        if isinstance(ending, dict):
            return ending
        turn = ending.turn
        try:
            with turn.failures.tolerating("writing"), ending.delivering():
                ok(self._memory.transport.run(ending.write()))
        except BaseException as error:
            turn.clear_up(error, turn.take_back(error))
            raise
        ending.report()
        return ending.update()

    async def aafter_agent(
        self, state: MemoryState, runtime: Runtime[Any], config: RunnableConfig = _NO_CONFIG
    ) -> dict[str, Any]:
        """Async version of `after_agent`."""
        ending = self._end(state, runtime, config)
        if isinstance(ending, dict):
            return ending
        turn = ending.turn
        try:
            with turn.failures.tolerating("writing"), ending.delivering():
                ok(await self._memory.transport.arun(ending.write()))
        except BaseException as error:
            await turn.aclear_up(error, turn.take_back(error))
            raise
        ending.report()
        return ending.update()

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any] | ExtendedModelResponse[Any]:
        """Tell the model what is remembered, and record the call. No round trip."""
        with self._model_call(request) as request:
            response = handler(request)
        self._saw(request.state, response.result)
        return _keeping(request.state, response)

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ModelResponse[Any] | ExtendedModelResponse[Any]:
        """Async version of `wrap_model_call`."""
        with self._model_call(request) as request:
            response = await handler(request)
        self._saw(request.state, response.result)
        return _keeping(request.state, response)

    def wrap_tool_call(
        self,
        request: ToolCallRequest,
        handler: Callable[[ToolCallRequest], ToolMessage | Command[Any]],
    ) -> ToolMessage | Command[Any]:
        """Record the call of a tool. No round trip."""
        with self._tool_call(request):
            result = handler(request)
        self._saw(request.state, [result])
        return result

    async def awrap_tool_call(
        self,
        request: ToolCallRequest,
        handler: Callable[[ToolCallRequest], Awaitable[ToolMessage | Command[Any]]],
    ) -> ToolMessage | Command[Any]:
        """Async version of `wrap_tool_call`."""
        with self._tool_call(request):
            result = await handler(request)
        self._saw(request.state, [result])
        return result

    def _begin(self, state: MemoryState, runtime: Runtime[Any], config: RunnableConfig) -> BeginningTurn:
        ids = self._options.whose(runtime, config)
        has_checkpointer = config.get("configurable", {}).get(_CHECKPOINTER) is not None
        mode = self._options.history or ("mirror" if has_checkpointer else "load")
        return BeginningTurn(
            self._memory,
            self._options,
            ids,
            state,
            loads=mode == "load",
            nested=is_nested(self._memory, ids.thread_id, config),
        )

    def _end(
        self, state: MemoryState, runtime: Runtime[Any], config: RunnableConfig
    ) -> EndingTurn | dict[str, Any]:
        """Return the turn that ends; an update of the state if there is nothing to store of it."""
        kept = TurnState.of(state)
        if kept is None or kept.closed:
            return {}
        self._refuse_others(kept, runtime, config)
        ending = EndingTurn(self._memory, self._options, kept, state)
        return ending.update() if kept.nested else ending

    def _refuse_others(self, kept: TurnState, runtime: Any, config: RunnableConfig | None) -> None:
        """Refuse a call of another user than the one whose turn it is: it was resumed by somebody else.

        Raises:
            WrongOwnerError: It is another's.
            InvalidInputError: It cannot be told: the config is not known, and the context names nobody.
        """
        if self._options.whose(runtime, config or _NO_CONFIG).user != kept.user:
            raise WrongOwnerError(
                "This turn was begun by another user, so it is neither continued nor stored. Resume it with "
                "the user_id that it was begun with."
            )

    @contextmanager
    def _model_call(self, request: ModelRequest[Any]) -> Iterator[ModelRequest[Any]]:
        kept = _under_way(request.state)
        if kept is None:
            yield request
            return
        config = current_config()
        if config is not None or live_of(request.state) is None:  # begun in this run, it is the caller's
            self._refuse_others(kept, request.runtime, config)
        self._saw(request.state, of_turn(request.state["messages"], kept))
        shown = ids_shown(self._memory, kept.user, request.tools)
        text = self._options.template.fill(kept, shown=shown)
        with self._recorded(request.runtime, kept, config, f"model {name_of(request.model)}"):
            yield told(request, text, kept.asked, place=self._options.place, summary=kept.summary)

    @contextmanager
    def _tool_call(self, request: ToolCallRequest) -> Iterator[None]:
        kept = _under_way(request.state)
        if kept is None:
            yield
            return
        self._refuse_others(kept, request.runtime, request.runtime.config)
        config, what = request.runtime.config, f"tool {request.tool_call['name']}"
        with inside(self._memory, kept), self._recorded(request.runtime, kept, config, what):
            yield

    @contextmanager
    def _recorded(
        self, runtime: Any, kept: TurnState, config: RunnableConfig | None, what: str
    ) -> Iterator[None]:
        if not self._options.events:
            yield
            return
        failing = noting_failure(self._memory, kept, runtime, what)
        with failing, recording(self._memory, kept, config):
            yield

    def _saw(self, state: Any, messages: Sequence[Any]) -> None:
        """Keep messages in mind: a summary may take their place before the turn is stored."""
        live = live_of(state)
        if live is None:
            return
        for message in messages:
            update = message.update if isinstance(message, Command) else {"messages": [message]}
            found = update.get("messages", ()) if isinstance(update, Mapping) else ()
            for one in found if isinstance(found, list) else ():
                if isinstance(one, BaseMessage) and not any(one is other for other in live.made):
                    live.made.append(one)


def _under_way(state: Any) -> TurnState | None:
    kept = TurnState.of(state)
    return None if kept is None or kept.closed else kept


def _keeping(state: Any, response: ModelResponse[Any]) -> ModelResponse[Any] | ExtendedModelResponse[Any]:
    """Return a response that also lets the state keep what a summary has taken the place of.

    Without it, a turn that is interrupted after the summary would go on without these messages.
    """
    if not (gone := seen_with_summary(state["messages"], live_of(state))):
        return response
    stored: list[bytes] = []
    for message in gone:
        with suppress(MessageNotStorableError):  # it could not be stored in the end, either
            stored.append(storable(message, lambda one: encode_turn(one, 0))[0])
    return ExtendedModelResponse(response, Command(update=summarised(stored)))
