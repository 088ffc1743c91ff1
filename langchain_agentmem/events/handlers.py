"""LangChain callback handlers that write the event log. `langchain_core.callbacks` is imported only here.

Every callback but those for single tokens is recorded; what is recorded of it is `Recorder`'s to say.
Metadata and invocation parameters, where credentials may stand, never are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from langchain_core.agents import AgentAction, AgentFinish
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.messages import BaseMessage
from langchain_core.outputs import LLMResult

from langchain_agentmem.events.event_log import EventLog
from langchain_agentmem.events.recorder import Recorder
from langchain_agentmem.events.sinks import EventBuffer, Sink

__all__ = ["AsyncEventLogHandler", "EventBuffer", "EventLogHandler"]


class _Recording:
    """What both handlers have."""

    def __init__(
        self, event_log: EventLog, thread_id: str, *, user: str = "", sink: Sink | None = None
    ) -> None:
        self._sink: Sink = event_log.sink if sink is None else sink
        self._recorder = Recorder(self._sink, thread_id, user, event_log.max_detail_bytes)

    @property
    def dropped(self) -> int:
        """How many events were dropped, by all handlers of the log."""
        return self._sink.losses.events

    def flush(self, timeout_seconds: float = 5.0) -> bool:
        """Wait until every event so far is written, or dropped; whether it was, in time."""
        return self._sink.flush(timeout_seconds)


class EventLogHandler(_Recording, BaseCallbackHandler):
    """Records what runs under it as events of a thread. Thread-safe; never raises into a chain.

    Events are written in the background. When a root run ends, the handler waits for them: a second
    at most, and not at all on the thread of an event loop or while the server does not answer.

    Args:
        event_log: Where events go.
        thread_id: The thread they belong to.
        user: Whose they are; empty for nobody's.
        sink: Something else that takes the events, such as `event_log.buffer()`.

    Raises:
        InvalidInputError: The thread or the user is not a scope.
    """

    # Async chains call it on the loop's own thread, in order: its work is little, and in memory.
    run_inline = True

    def on_chain_start(self, serialized: dict[str, Any], inputs: dict[str, Any], **run: Any) -> None:
        """A chain begins."""
        self._recorder.start("chain", serialized, inputs, run)

    def on_chain_end(self, outputs: dict[str, Any], **run: Any) -> None:
        """A chain ends."""
        self._end("chain", outputs, run)

    def on_chain_error(self, error: BaseException, **run: Any) -> None:
        """A chain fails."""
        self._fail("chain", error, run)

    def on_chat_model_start(
        self, serialized: dict[str, Any], messages: list[list[BaseMessage]], **run: Any
    ) -> None:
        """A chat model begins; it ends with `on_llm_end`."""
        self._recorder.start("chat_model", serialized, messages, run)

    def on_llm_start(self, serialized: dict[str, Any], prompts: list[str], **run: Any) -> None:
        """A model that completes text begins."""
        self._recorder.start("llm", serialized, prompts, run)

    def on_llm_end(self, response: LLMResult, **run: Any) -> None:
        """A model of either kind ends."""
        self._end("llm", response, run)

    def on_llm_error(self, error: BaseException, **run: Any) -> None:
        """A model of either kind fails."""
        self._fail("llm", error, run)

    def on_tool_start(self, serialized: dict[str, Any], input_str: str, **run: Any) -> None:
        """A tool begins."""
        given = input_str if run.get("inputs") is None else run["inputs"]
        self._recorder.start("tool", serialized, given, run)

    def on_tool_end(self, output: Any, **run: Any) -> None:
        """A tool ends."""
        self._end("tool", output, run)

    def on_tool_error(self, error: BaseException, **run: Any) -> None:
        """A tool fails."""
        self._fail("tool", error, run)

    def on_retriever_start(self, serialized: dict[str, Any], query: str, **run: Any) -> None:
        """A retriever begins."""
        self._recorder.start("retriever", serialized, query, run)

    def on_retriever_end(self, documents: Sequence[Document], **run: Any) -> None:
        """A retriever ends."""
        self._end("retriever", documents, run)

    def on_retriever_error(self, error: BaseException, **run: Any) -> None:
        """A retriever fails."""
        self._fail("retriever", error, run)

    def on_agent_action(self, action: AgentAction, **run: Any) -> None:
        """An agent decides to use a tool."""
        self._recorder.agent_action(action, run)

    def on_agent_finish(self, finish: AgentFinish, **run: Any) -> None:
        """An agent is done."""
        self._recorder.agent_finish(finish, run)

    def on_retry(self, retry_state: Any, **run: Any) -> None:
        """A run is tried again."""
        self._recorder.retry(retry_state, run)

    def on_custom_event(self, name: str, data: Any, **run: Any) -> None:
        """Somebody dispatched an event."""
        self._recorder.note("custom", name, data, run)

    def _end(self, kind: str, outcome: Any, run: dict[str, Any]) -> None:
        self._recorder.end(kind, outcome, run)
        self._settle(run)

    def _fail(self, kind: str, error: BaseException, run: dict[str, Any]) -> None:
        self._recorder.fail(kind, error, run)
        self._settle(run)

    def _settle(self, run: dict[str, Any]) -> None:
        if run.get("parent_run_id") is None and not _on_a_loop():
            self._sink.settle()


class AsyncEventLogHandler(_Recording, AsyncCallbackHandler):
    """Async version of `EventLogHandler`: when a root run ends, it awaits that its events are written."""

    async def on_chain_start(self, serialized: dict[str, Any], inputs: dict[str, Any], **run: Any) -> None:
        """A chain begins."""
        self._recorder.start("chain", serialized, inputs, run)

    async def on_chain_end(self, outputs: dict[str, Any], **run: Any) -> None:
        """A chain ends."""
        await self._end("chain", outputs, run)

    async def on_chain_error(self, error: BaseException, **run: Any) -> None:
        """A chain fails."""
        await self._fail("chain", error, run)

    async def on_chat_model_start(
        self, serialized: dict[str, Any], messages: list[list[BaseMessage]], **run: Any
    ) -> None:
        """A chat model begins; it ends with `on_llm_end`."""
        self._recorder.start("chat_model", serialized, messages, run)

    async def on_llm_start(self, serialized: dict[str, Any], prompts: list[str], **run: Any) -> None:
        """A model that completes text begins."""
        self._recorder.start("llm", serialized, prompts, run)

    async def on_llm_end(self, response: LLMResult, **run: Any) -> None:
        """A model of either kind ends."""
        await self._end("llm", response, run)

    async def on_llm_error(self, error: BaseException, **run: Any) -> None:
        """A model of either kind fails."""
        await self._fail("llm", error, run)

    async def on_tool_start(self, serialized: dict[str, Any], input_str: str, **run: Any) -> None:
        """A tool begins."""
        given = input_str if run.get("inputs") is None else run["inputs"]
        self._recorder.start("tool", serialized, given, run)

    async def on_tool_end(self, output: Any, **run: Any) -> None:
        """A tool ends."""
        await self._end("tool", output, run)

    async def on_tool_error(self, error: BaseException, **run: Any) -> None:
        """A tool fails."""
        await self._fail("tool", error, run)

    async def on_retriever_start(self, serialized: dict[str, Any], query: str, **run: Any) -> None:
        """A retriever begins."""
        self._recorder.start("retriever", serialized, query, run)

    async def on_retriever_end(self, documents: Sequence[Document], **run: Any) -> None:
        """A retriever ends."""
        await self._end("retriever", documents, run)

    async def on_retriever_error(self, error: BaseException, **run: Any) -> None:
        """A retriever fails."""
        await self._fail("retriever", error, run)

    async def on_agent_action(self, action: AgentAction, **run: Any) -> None:
        """An agent decides to use a tool."""
        self._recorder.agent_action(action, run)

    async def on_agent_finish(self, finish: AgentFinish, **run: Any) -> None:
        """An agent is done."""
        self._recorder.agent_finish(finish, run)

    async def on_retry(self, retry_state: Any, **run: Any) -> None:
        """A run is tried again."""
        self._recorder.retry(retry_state, run)

    async def on_custom_event(self, name: str, data: Any, **run: Any) -> None:
        """Somebody dispatched an event."""
        self._recorder.note("custom", name, data, run)

    async def _end(self, kind: str, outcome: Any, run: dict[str, Any]) -> None:
        self._recorder.end(kind, outcome, run)
        await self._settle(run)

    async def _fail(self, kind: str, error: BaseException, run: dict[str, Any]) -> None:
        self._recorder.fail(kind, error, run)
        await self._settle(run)

    async def _settle(self, run: dict[str, Any]) -> None:
        if run.get("parent_run_id") is None:
            await self._sink.asettle()


def _on_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
