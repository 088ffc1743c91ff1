"""LangChain callback handlers that write the event log. `langchain_core.callbacks` is imported only here.

Every callback is recorded, except those for single tokens. Metadata and invocation parameters, which may
hold credentials, never are.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple
from uuid import UUID

from langchain_core.agents import AgentAction, AgentFinish
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.messages import BaseMessage
from langchain_core.outputs import LLMResult

from langchain_agentmem.core.checks import validate_id
from langchain_agentmem.events.background import EventBuffer, Sink
from langchain_agentmem.events.event import MAX_NAME_BYTES, cut, stream_fields
from langchain_agentmem.events.event_log import EventLog
from langchain_agentmem.events.sanitize import describe, describe_end

__all__ = ["AsyncEventLogHandler", "EventBuffer", "EventLogHandler"]

_MAX_RUNS = 10_000  # runs under way: bounds memory if ends are lost
_HIDDEN = "langsmith:hidden"  # how LangChain marks its internal runs
_MODELS = ("chat_model", "llm")
_DOCUMENTS, _DOCUMENT_BYTES = 3, 200


class _Run(NamedTuple):
    """A run that has started and not ended; `began` is on the monotonic clock."""

    kind: str
    name: str
    began: float


class EventLogHandler(BaseCallbackHandler):
    """Records what runs under it as events of a thread. Thread-safe; never raises into a chain.

    Events are written in the background. When a root run ends, the handler waits for them, for at most
    one second; it does not wait on the thread of an event loop, or while the server does not answer.

    Args:
        event_log: The log to write to.
        thread_id: The thread that the events belong to.
        user: The user they belong to; empty for none.
        sink: What takes the events in place of the log, such as `event_log.buffer()`.

    Raises:
        InvalidInputError: The thread or the user is not a valid id.
    """

    # Async chains call it on the loop's own thread, one callback after the other, before other handlers.
    # It does little work, all of it in memory.
    run_inline = True

    def __init__(
        self, event_log: EventLog, thread_id: str, *, user: str = "", sink: Sink | None = None
    ) -> None:
        self._sink: Sink = event_log.sink if sink is None else sink
        self._thread_id = validate_id("thread_id", thread_id)
        self._user = validate_id("user", user) if user else ""
        self._max_detail_bytes = event_log.config.max_detail_bytes
        self._runs: OrderedDict[str, _Run] = OrderedDict()

    @property
    def dropped(self) -> int:
        """Return how many events were dropped, by all handlers of the log."""
        return self._sink.losses.events

    def flush(self, timeout_seconds: float = 5.0) -> bool:
        """Wait until every event so far is written or dropped; return whether that happened in time."""
        return self._sink.flush(timeout_seconds)

    def on_chain_start(self, serialized: dict[str, Any], inputs: dict[str, Any], **run: Any) -> None:
        """Record that a chain begins."""
        self._record(self._start, "chain", serialized, inputs, run)

    def on_chain_end(self, outputs: dict[str, Any], **run: Any) -> Any:
        """Record that a chain ends."""
        self._record(self._end, "chain", outputs, run)
        self._settle(run)

    def on_chain_error(self, error: BaseException, **run: Any) -> Any:
        """Record that a chain fails."""
        self._record(self._fail, "chain", error, run)
        self._settle(run)

    def on_chat_model_start(
        self, serialized: dict[str, Any], messages: list[list[BaseMessage]], **run: Any
    ) -> None:
        """Record that a chat model begins; it ends with `on_llm_end`."""
        self._record(self._start, "chat_model", serialized, messages, run)

    def on_llm_start(self, serialized: dict[str, Any], prompts: list[str], **run: Any) -> None:
        """Record that a model which completes text begins."""
        self._record(self._start, "llm", serialized, prompts, run)

    def on_llm_end(self, response: LLMResult, **run: Any) -> Any:
        """Record that a model of either kind ends."""
        self._record(self._end, "llm", response, run)
        self._settle(run)

    def on_llm_error(self, error: BaseException, **run: Any) -> Any:
        """Record that a model of either kind fails."""
        self._record(self._fail, "llm", error, run)
        self._settle(run)

    def on_tool_start(self, serialized: dict[str, Any], input_str: str, **run: Any) -> None:
        """Record that a tool begins."""
        given = input_str if run.get("inputs") is None else run["inputs"]
        self._record(self._start, "tool", serialized, given, run)

    def on_tool_end(self, output: Any, **run: Any) -> Any:
        """Record that a tool ends."""
        self._record(self._end, "tool", output, run)
        self._settle(run)

    def on_tool_error(self, error: BaseException, **run: Any) -> Any:
        """Record that a tool fails."""
        self._record(self._fail, "tool", error, run)
        self._settle(run)

    def on_retriever_start(self, serialized: dict[str, Any], query: str, **run: Any) -> None:
        """Record that a retriever begins."""
        self._record(self._start, "retriever", serialized, query, run)

    def on_retriever_end(self, documents: Sequence[Document], **run: Any) -> Any:
        """Record that a retriever ends."""
        self._record(self._end, "retriever", documents, run)
        self._settle(run)

    def on_retriever_error(self, error: BaseException, **run: Any) -> Any:
        """Record that a retriever fails."""
        self._record(self._fail, "retriever", error, run)
        self._settle(run)

    def on_agent_action(self, action: AgentAction, **run: Any) -> None:
        """Record that an agent decides to use a tool."""
        self._record(self._agent_action, action, run)

    def on_agent_finish(self, finish: AgentFinish, **run: Any) -> None:
        """Record that an agent finishes."""
        self._record(self._agent_finish, finish, run)

    def on_retry(self, retry_state: Any, **run: Any) -> None:
        """Record that a run is retried."""
        self._record(self._retry, retry_state, run)

    def on_custom_event(self, name: str, data: Any, **run: Any) -> None:
        """Record a custom event."""
        self._record(self._put, "custom", name, data, run)

    def _settle(self, run: Mapping[str, Any]) -> None:
        if run.get("parent_run_id") is None and not _on_a_loop():
            self._sink.settle()

    def _record(self, step: Callable[..., None], *args: Any) -> None:
        try:
            tags = args[-1].get("tags")
            if not (isinstance(tags, list) and _HIDDEN in tags):
                step(*args)
        except Exception as error:  # noqa: BLE001 - the log must not break the chain it observes
            self._sink.losses.add(1, f"An event could not be made ({type(error).__name__}).")

    def _start(self, kind: str, serialized: Any, given: Any, run: Mapping[str, Any]) -> None:
        name, run_id = _name(serialized, run), run.get("run_id")
        if run_id is not None:
            self._runs[str(run_id)] = _Run(kind, name, time.monotonic())
        if len(self._runs) > _MAX_RUNS:
            self._runs.popitem(last=False)
        given = _only(given) if kind in _MODELS else "" if _is_placeholder(given) else given
        tell = describe_end if kind == "llm" and issubclass(type(given), str) else describe
        self._put(f"{kind}_start", name, given, run, tell=tell)

    def _end(self, kind: str, outcome: Any, run: Mapping[str, Any], how: str = "end") -> None:
        started = self._runs.pop(str(run.get("run_id")), None)
        took = None if started is None else time.monotonic() - started.began
        kind, name = (kind, _name(None, run)) if started is None else (started.kind, started.name)
        if how == "end" and kind != "chain" and kind != "tool":
            outcome = _extract(partial(_outcome, kind), outcome, outcome)
        self._put(f"{kind}_{how}", name, outcome, run, took)

    def _fail(self, kind: str, error: BaseException, run: Mapping[str, Any]) -> None:
        self._end(kind, error, run, "error")

    def _agent_action(self, action: Any, run: Mapping[str, Any]) -> None:
        detail = _extract(lambda action: {"tool": action.tool, "input": action.tool_input}, action, action)
        self._put("agent_action", _extract(lambda detail: detail["tool"], detail, ""), detail, run)

    def _agent_finish(self, finish: Any, run: Mapping[str, Any]) -> None:
        self._put("agent_finish", "", _extract(lambda finish: finish.return_values, finish, finish), run)

    def _retry(self, state: Any, run: Mapping[str, Any]) -> None:
        started = self._runs.get(str(run.get("run_id")))
        self._put("retry", "" if started is None else started.name, _extract(_attempt, state, state), run)

    def _put(
        self,
        action: str,
        name: str,
        detail: Any,
        run: Mapping[str, Any],
        took: float | None = None,
        tell: Callable[[Any, int], str] = describe,
    ) -> None:
        fields = stream_fields(
            action,
            tell(detail, self._max_detail_bytes),
            time.time(),
            run_id=_id(run.get("run_id")),
            parent_run_id=_id(run.get("parent_run_id")),
            name=_shown(name) if type(name) is str and len(name) < MAX_NAME_BYTES else _described(name),
            user=self._user,
            duration_seconds=took,
        )
        self._sink.put(self._thread_id, fields)


class AsyncEventLogHandler(EventLogHandler):
    """Async version of `EventLogHandler`: when a root run ends, it awaits the writing of its events.

    Only the ends are coroutines. LangChain calls an inline handler's other methods directly.
    """

    async def on_chain_end(self, outputs: dict[str, Any], **run: Any) -> None:
        """Async version of `EventLogHandler.on_chain_end`."""
        self._record(self._end, "chain", outputs, run)
        await self._asettle(run)

    async def on_chain_error(self, error: BaseException, **run: Any) -> None:
        """Async version of `EventLogHandler.on_chain_error`."""
        self._record(self._fail, "chain", error, run)
        await self._asettle(run)

    async def on_llm_end(self, response: LLMResult, **run: Any) -> None:
        """Async version of `EventLogHandler.on_llm_end`."""
        self._record(self._end, "llm", response, run)
        await self._asettle(run)

    async def on_llm_error(self, error: BaseException, **run: Any) -> None:
        """Async version of `EventLogHandler.on_llm_error`."""
        self._record(self._fail, "llm", error, run)
        await self._asettle(run)

    async def on_tool_end(self, output: Any, **run: Any) -> None:
        """Async version of `EventLogHandler.on_tool_end`."""
        self._record(self._end, "tool", output, run)
        await self._asettle(run)

    async def on_tool_error(self, error: BaseException, **run: Any) -> None:
        """Async version of `EventLogHandler.on_tool_error`."""
        self._record(self._fail, "tool", error, run)
        await self._asettle(run)

    async def on_retriever_end(self, documents: Sequence[Document], **run: Any) -> None:
        """Async version of `EventLogHandler.on_retriever_end`."""
        self._record(self._end, "retriever", documents, run)
        await self._asettle(run)

    async def on_retriever_error(self, error: BaseException, **run: Any) -> None:
        """Async version of `EventLogHandler.on_retriever_error`."""
        self._record(self._fail, "retriever", error, run)
        await self._asettle(run)

    async def _asettle(self, run: Mapping[str, Any]) -> None:
        if run.get("parent_run_id") is None:
            await self._sink.asettle()


def _on_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _id(run_id: Any) -> str:
    return str(run_id) if type(run_id) is UUID else cut(str(run_id or ""), MAX_NAME_BYTES)


def _is_placeholder(given: Any) -> bool:
    """Return whether this is what LangChain passes for a streamed run, whose input it does not have yet."""
    only = given.get("input") if type(given) is dict and len(given) == 1 else None
    return type(only) is str and not only


def _extract(extract: Callable[[Any], Any], value: Any, default: Any) -> Any:
    """Return what matters of a value; the default, if the value is not of LangChain's usual form."""
    try:
        return extract(value)
    except Exception:  # noqa: BLE001 - an odd value must not cost the event
        return default


def _attempt(state: Any) -> dict[str, Any]:
    outcome = getattr(state, "outcome", None)
    error = outcome.exception() if outcome is not None and outcome.done() else None
    return {"attempt": getattr(state, "attempt_number", None), "error": error}


def _outcome(kind: str, outcome: Any) -> Any:
    """Return what matters of the result of a model or a retriever."""
    if kind in _MODELS:
        return _only([_generation(one, outcome) for batch in outcome.generations for one in batch])
    texts = [describe(document.page_content, _DOCUMENT_BYTES) for document in outcome[:_DOCUMENTS]]
    return {"documents": len(outcome), "texts": texts}


def _generation(generation: Any, result: Any) -> dict[str, Any]:
    message = getattr(generation, "message", None)
    usage = getattr(message, "usage_metadata", None) or (result.llm_output or {}).get("token_usage")
    described = {
        "text": str(generation.text),
        "tool_calls": [
            {"name": call["name"], "args": call["args"]} for call in getattr(message, "tool_calls", ())
        ],
        "usage": {name: value for name, value in (usage or {}).items() if isinstance(value, int)},
    }
    return {name: value for name, value in described.items() if value or name == "text"}


def _only(items: Any) -> Any:
    """Return the only item of a list of one, and anything else as it is."""
    return items[0] if type(items) is list and len(items) == 1 else items


def _name(serialized: Any, run: Mapping[str, Any]) -> str:
    name: str = _extract(lambda serialized: str(run.get("name") or _class(serialized)), serialized, "")
    return name


def _described(name: Any) -> str:
    return describe(name, MAX_NAME_BYTES)


_shown = lru_cache(maxsize=1024)(_described)  # the same few names recur


def _class(serialized: Any) -> Any:
    described = serialized if isinstance(serialized, Mapping) else {}
    path = described.get("id") or [""]
    return described.get("name") or (path[-1] if isinstance(path, list | tuple) else path)
