"""LangChain callback handlers that write the event log. `langchain_core.callbacks` is imported only here.

What runs is told once. A root run, a model, a tool and a retriever have a start and an end, with what they
were given and what they returned. So does a chain inside another, but messages, and long texts, that earlier
events of the root run have told are only counted there. The node of a LangGraph graph is no event: `node` and
`step` of what runs in it say where that was. Only what it returns besides, or how it failed, is one.

Of a stream's tokens, only the time of the first is taken. Of the metadata, only the model's name and provider
and the graph's node and step are recorded; the rest, invocation parameters and tags may hold credentials.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

from langchain_core.agents import AgentAction, AgentFinish
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.messages import BaseMessage
from langchain_core.outputs import LLMResult

from langchain_agentmem.core.checks import validate_id
from langchain_agentmem.events.background import EventBuffer, Sink
from langchain_agentmem.events.event import MAX_NAME_BYTES, Fields, stream_fields
from langchain_agentmem.events.event_log import EventLog
from langchain_agentmem.events.failures import Bubble, bubble_of, frames_of
from langchain_agentmem.events.outcomes import call_id_of, of_model, of_retriever, of_tool
from langchain_agentmem.events.runs import Run, Runs, run_id_of
from langchain_agentmem.events.sanitize import describe, describe_end
from langchain_agentmem.events.told import says_something

__all__ = ["AsyncEventLogHandler", "EventBuffer", "EventLogHandler"]

_HIDDEN = "langsmith:hidden"  # how LangChain marks its internal runs
_MODELS = ("chat_model", "llm")
_OF_MODELS = ("model", "provider")  # the fields that only their ends have
_CONTENT = "content-block-delta"  # the event of a stream that brings a token


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
        # Not the log itself: one that nobody uses any more writes what is left, and ends.
        self._store = event_log.transport.known if self._sink.losses is event_log.sink.losses else None
        self._thread_id = validate_id("thread_id", thread_id)
        self._key = event_log.key(thread_id)
        self._user = validate_id("user", user) if user else ""
        self._max_detail_bytes = event_log.config.max_detail_bytes
        self._runs = Runs()

    @property
    def dropped(self) -> int:
        """Return how many events were dropped, by all handlers of the log."""
        return self._sink.losses.events

    def records(self, event_log: EventLog, thread_id: str) -> bool:
        """Return whether what runs under it is recorded as events of this thread in this log.

        Logs of several memories are the same if they share a connection and the stream's key.
        """
        return self._store is event_log.transport.known and self._key == event_log.key(thread_id)

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

    def on_llm_new_token(self, token: Any, **run: Any) -> None:
        """Take the time of a stream's first token; nothing is recorded."""
        self._take_first(run, token, run.get("chunk"))

    def on_stream_event(self, event: Any, **run: Any) -> None:
        """Take the time of the first token of a stream of content blocks; nothing is recorded."""
        self._take_first(run, None, event)

    def _take_first(self, run: Mapping[str, Any], token: Any, chunk: Any) -> None:
        # Called for each token, so it does next to nothing after the first.
        run_id = run.get("run_id")
        started = self._runs.get(run_id) if type(run_id) is UUID else None
        if started is None or started.first_token is not None:
            return
        if (type(token) is str and token) or _extract(_has_content, chunk, False):
            started.first_token = time.monotonic()

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
        started = self._runs.begin(kind, _name(serialized, run), run)
        if started.is_node:
            return
        given = _only(given) if kind in _MODELS else "" if _is_placeholder(given) else given
        if kind == "chain":
            given = self._untold(started, given)
        tell = describe_end if kind == "llm" and issubclass(type(given), str) else describe
        more = {name: value for name, value in started.fields.items() if name not in _OF_MODELS}
        self._put(f"{kind}_start", started.name, given, run, tell=tell, more=more, of=started)

    def _untold(self, run: Run, value: Any) -> Any:
        """Return what a chain's event tells of its input or its result: of a root run's, all."""
        shown = value if run.is_root else run.told.untold(value)
        run.told.once(value)
        return shown

    def _end(self, kind: str, outcome: Any, run: Mapping[str, Any]) -> None:
        ended = self._runs.end(kind, _name, run)
        fields = ended.fields
        if kind == "chain":
            outcome = self._untold(ended, outcome)
            if ended.is_node and not says_something(outcome):
                return
        elif kind == "tool":
            fields = {**_extract(of_tool, outcome, {}), **fields}
        elif kind == "retriever":
            outcome = _extract(of_retriever, outcome, outcome)
        else:
            outcome, fields = self._answer(ended, outcome)
        self._put_end(f"{ended.kind}_end", outcome, ended, run, fields)

    def _answer(self, ended: Run, result: Any) -> tuple[Any, Fields]:
        detail, fields = _extract(lambda one: of_model(one, ended.fields), result, (result, ended.fields))
        for message in _extract(_messages, result, ()):
            ended.told.add(message)
            ended.told.add(_extract(lambda one: one.text, message, ""))
        if ended.name and "model" not in fields:
            fields = {**fields, "model": _shown(ended.name)}
        if ended.first_token is not None and ended.began is not None:
            fields = {**fields, "first_token_seconds": f"{ended.first_token - ended.began:.6f}"}
        return detail, fields

    def _fail(self, kind: str, error: BaseException, run: Mapping[str, Any]) -> None:
        ended = self._runs.end(kind, _name, run)
        call_id = call_id_of(run.get("tool_call_id"))
        fields = {"tool_call_id": call_id, **ended.fields} if call_id else ended.fields
        bubble = _extract(bubble_of, error, None)
        if bubble is not None:
            self._bubble(bubble, ended, run, fields)
            return
        new = ended.told.once(error)
        if ended.is_node and not new:
            return
        if kind == "llm" and ended.name and "model" not in fields:
            fields = {**fields, "model": _shown(ended.name)}
        if new and (frames := _extract(frames_of, error, "")):
            fields = {**fields, "frames": frames}
        self._put_end(f"{ended.kind}_error", error, ended, run, fields)

    def _bubble(self, bubble: Bubble, ended: Run, run: Mapping[str, Any], fields: Fields) -> None:
        new = [ended.told.once(part) for part in bubble.parts]
        if ended.is_node and not any(new):
            return
        value = bubble.value if any(new) else ""
        if bubble.how == "interrupt":
            self._put_end("interrupt", "" if value is None else value, ended, run, fields)
        else:
            self._put_end(f"{ended.kind}_end", ended.told.untold(value), ended, run, fields)

    def _put_end(self, action: str, detail: Any, ended: Run, run: Mapping[str, Any], fields: Fields) -> None:
        took = None if ended.began is None else time.monotonic() - ended.began
        self._put(action, ended.name, detail, run, took, more=fields, of=ended)

    def _agent_action(self, action: Any, run: Mapping[str, Any]) -> None:
        detail = _extract(lambda action: {"tool": action.tool, "input": action.tool_input}, action, action)
        self._put("agent_action", _extract(lambda detail: detail["tool"], detail, ""), detail, run)

    def _agent_finish(self, finish: Any, run: Mapping[str, Any]) -> None:
        self._put("agent_finish", "", _extract(lambda finish: finish.return_values, finish, finish), run)

    def _retry(self, state: Any, run: Mapping[str, Any]) -> None:
        started = self._runs.get(run.get("run_id"))
        self._put("retry", "" if started is None else started.name, _extract(_attempt, state, state), run)

    def _put(
        self,
        action: str,
        name: str,
        detail: Any,
        run: Mapping[str, Any],
        took: float | None = None,
        *,
        tell: Callable[[Any, int], str] = describe,
        more: Fields | None = None,
        of: Run | None = None,
    ) -> None:
        if of is not None:
            of.told.add(detail)
        fields = stream_fields(
            action,
            tell(detail, self._max_detail_bytes),
            time.time(),
            run_id=run_id_of(run.get("run_id")),
            parent_run_id=run_id_of(run.get("parent_run_id")) if of is None else of.parent,
            name=_shown(name) if type(name) is str and len(name) < MAX_NAME_BYTES else _described(name),
            user=self._user,
            duration_seconds=took,
            more=more,
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


def _messages(result: Any) -> list[Any]:
    return [one.message for batch in result.generations for one in batch]


def _has_content(chunk: Any) -> bool:
    """Return whether a chunk, or an event of a stream, brings a part of the answer, such as a tool call."""
    if type(chunk) is dict:
        return bool(chunk.get("event") == _CONTENT)
    message = chunk.message
    return bool(message.content or message.additional_kwargs or getattr(message, "tool_call_chunks", ()))


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
