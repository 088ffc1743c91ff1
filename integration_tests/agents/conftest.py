"""A memory, agents with scripted models, and every way in which an agent is run."""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain_core.tools import tool

from integration_tests.agents.scripted_model import Reply, ScriptedModel
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory


@pytest.fixture(autouse=True)
def _task_contexts(request: pytest.FixtureRequest) -> None:
    """Skip what LangGraph cannot do in async code before Python 3.11.

    It has interrupts, streams of messages, and the config inside a node by the context of a task.
    """
    marked = request.node.get_closest_marker("task_contexts") is not None
    if marked and sys.version_info < (3, 11) and re.search("ainvoke|astream|async", request.node.name):
        pytest.skip("LangGraph needs Python 3.11 for this")


@pytest.fixture(params=["hash", "list"])
async def memory(url: str, request: pytest.FixtureRequest) -> AsyncIterator[AgentMemory]:
    async with AgentMemory(url, embeddings=WordEmbeddings(), session_storage=request.param) as memory:
        yield memory


@tool
def look(at: str) -> str:
    """Look at something."""
    return f"saw {at}"


@tool
def fail(at: str) -> str:
    """Fail."""
    raise ZeroDivisionError(f"cannot {at}")


def config(thread: str = "t1", user: str = "alice", **more: Any) -> Any:
    return {"configurable": {"thread_id": thread, "user_id": user, **more}}


class Agent:
    """An agent with a memory, its model, and what it was sent."""

    def __init__(
        self, memory: AgentMemory, *script: Reply, before: Any = (), behind: Any = (), **options: Any
    ) -> None:
        self.model = ScriptedModel.of(*script)
        self.of_memory: AgentMiddleware[Any, Any] = memory.middleware(**options.pop("options", {}))
        self.graph: Any = create_agent(
            self.model,
            **{"tools": [look, fail], **options},
            middleware=[*before, self.of_memory, *behind],
        )

    @property
    def last_request(self) -> list[Any]:
        return self.model.requests[-1]

    @property
    def told(self) -> str:
        """The system message of the last request; empty if it had none."""
        first = self.last_request[0]
        return first.text if first.type == "system" else ""


async def invoke(graph: Any, value: Any, config: Any, **more: Any) -> Any:
    return graph.invoke(value, config, **more)


async def ainvoke(graph: Any, value: Any, config: Any, **more: Any) -> Any:
    return await graph.ainvoke(value, config, **more)


async def stream(graph: Any, value: Any, config: Any, **more: Any) -> Any:
    return list(graph.stream(value, config, stream_mode="values", **more))[-1]


async def astream(graph: Any, value: Any, config: Any, **more: Any) -> Any:
    return [part async for part in graph.astream(value, config, stream_mode="values", **more)][-1]


Run = Callable[..., Any]


@pytest.fixture(params=[invoke, ainvoke, stream, astream], ids=lambda function: function.__name__)
def run(request: pytest.FixtureRequest) -> Run:
    function: Run = request.param
    return function


@pytest.fixture(params=[invoke, ainvoke], ids=lambda function: function.__name__)
def once(request: pytest.FixtureRequest) -> Run:
    """Run it sync and async, where streaming makes no difference."""
    function: Run = request.param
    return function


def said(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


def turns(memory: AgentMemory, thread: str = "t1") -> list[tuple[Any, bool]]:
    state = memory.working.load(thread)
    return [] if state is None else [(turn.content, turn.unanswered) for turn in state.recent_turns]


def contents(memory: AgentMemory, thread: str = "t1") -> list[Any]:
    return [content for content, _ in turns(memory, thread)]


def count(memory: AgentMemory, thread: str = "t1") -> int:
    state = memory.working.load(thread)
    return 0 if state is None else state.turn_count


def events(memory: AgentMemory, thread: str = "t1") -> list[Any]:
    """The events of a thread, oldest first, once they are written."""
    assert memory.events.sink.flush(5)
    return memory.events.recent(thread, 100)[::-1]


def actions(memory: AgentMemory, thread: str = "t1") -> list[str]:
    return [event.action for event in events(memory, thread)]
