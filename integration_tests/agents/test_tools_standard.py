"""The tools pass LangChain's own suites for tools, as they are, outside of a run and inside of one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.runnables.config import var_child_runnable_config
from langchain_core.tools import BaseTool
from langchain_tests.integration_tests import ToolsIntegrationTests
from langchain_tests.unit_tests import ToolsUnitTests
from langgraph.prebuilt import ToolRuntime

from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory

EXAMPLES: dict[Any, dict[str, Any]] = {
    "recall": {"query": "Where does Ana live?", "limit": 3},
    "remember": {"text": "Ana lives in Porto.", "kind": "profile"},
    "update": {"memory_id": "0f343b0931126a20f133d67c2b018a3b", "text": "Ana lives in Braga."},
    "forget": {"memory_id": "0f343b0931126a20f133d67c2b018a3b"},
    "set_goal": {"goal": "Plan a trip."},
    "add_note": {"text": "She has not booked yet."},
}


class OneTool:
    """One of the tools, and an example of how it is called."""

    name: Any = "recall"
    user: str | None = "alice"

    @pytest.fixture(autouse=True)
    def made(self, url: str) -> Iterator[None]:
        with AgentMemory(url, embeddings=WordEmbeddings()) as memory:
            (self._tool,) = memory.tools(user=self.user, allow=[self.name])
            yield

    @property
    def tool_constructor(self) -> BaseTool:
        return self._tool

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return EXAMPLES[self.name]


class InARun(OneTool):
    """The same, with the user and the thread of the run around it."""

    user = None

    @pytest.fixture(autouse=True)
    def run(self, made: None) -> Iterator[None]:
        token = var_child_runnable_config.set({"configurable": {"user_id": "alice", "thread_id": "t1"}})
        yield
        var_child_runnable_config.reset(token)


class WithRuntime(OneTool):
    """The same, with the runtime that a `ToolNode` passes."""

    user = None

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        runtime = ToolRuntime(
            state={"messages": []},
            context={"user_id": "alice", "thread_id": "t1"},
            config={},
            stream_writer=lambda _: None,
            tool_call_id="123",
            store=None,
        )
        return {**EXAMPLES[self.name], "runtime": runtime}


for _name in EXAMPLES:
    for _way in (OneTool, InARun, WithRuntime):
        for _suite in (ToolsUnitTests, ToolsIntegrationTests):
            _title = f"Test{_name.title().replace('_', '')}{_way.__name__}{_suite.__name__}"
            globals()[_title] = type(_title, (_way, _suite), {"name": _name, "__module__": __name__})
