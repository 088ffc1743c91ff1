"""A memory, and every way in which a runnable is run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import reduce
from operator import add
from typing import Any

import pytest
from langchain_core.runnables import Runnable

from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory


def config(session: str = "t1", user: str = "alice", **more: str) -> Any:
    return {"configurable": {"session_id": session, "user_id": user, **more}}


async def invoke(chain: Runnable[Any, Any], value: Any, config: Any) -> Any:
    return chain.invoke(value, config)


async def ainvoke(chain: Runnable[Any, Any], value: Any, config: Any) -> Any:
    return await chain.ainvoke(value, config)


async def stream(chain: Runnable[Any, Any], value: Any, config: Any) -> Any:
    chunks = list(chain.stream(value, config))
    return reduce(add, chunks)


async def astream(chain: Runnable[Any, Any], value: Any, config: Any) -> Any:
    chunks = [chunk async for chunk in chain.astream(value, config)]
    return reduce(add, chunks)


async def batch(chain: Runnable[Any, Any], value: Any, config: Any) -> Any:
    return chain.batch([value], [config])[0]


async def abatch(chain: Runnable[Any, Any], value: Any, config: Any) -> Any:
    return (await chain.abatch([value], [config]))[0]


Run = Callable[[Runnable[Any, Any], Any, Any], Any]


@pytest.fixture(
    params=[invoke, ainvoke, stream, astream, batch, abatch], ids=lambda function: function.__name__
)
def run(request: pytest.FixtureRequest) -> Run:
    function: Run = request.param
    return function


@pytest.fixture
async def memory(url: str) -> AsyncIterator[AgentMemory]:
    async with AgentMemory(url, embeddings=WordEmbeddings()) as memory:
        yield memory


def contents(memory: AgentMemory, thread: str = "t1") -> list[Any]:
    return [message.content for message in memory.working.messages(thread)]


def actions(memory: AgentMemory, thread: str = "t1") -> list[str]:
    return [event.action for event in reversed(memory.events.recent(thread, 100))]
