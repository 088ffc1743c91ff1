"""An agent's memory on Upstash's REST API: the same turns, on another engine."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from integration_tests.agents.conftest import Agent, Run, config, count, events, said, turns
from integration_tests.agents.scripted_model import calls
from integration_tests.conftest import Counting
from integration_tests.upstash.emulator import Emulator
from langchain_agentmem import AgentMemory


@pytest.fixture
async def memory(emulator: Emulator) -> AsyncIterator[AgentMemory]:
    async with AgentMemory(emulator.url, token=emulator.token) as memory:
        yield memory


async def test_turns_are_stored_recalled_and_recorded(memory: AgentMemory, run: Run) -> None:
    memory.long_term.remember("Speaks Portuguese", user="alice", kind="profile")
    agent = Agent(memory, calls(("look", {"at": "a"}), ("look", {"at": "b"})), "done", "again")
    await run(agent.graph, said("My cat is called Tom"), config())
    whole = [("My cat is called Tom", False), ("", False), ("saw a", False), ("saw b", False)]
    assert turns(memory) == [*whole, ("done", False)]
    memory.long_term.wait_indexing()  # type: ignore[attr-defined]
    await run(agent.graph, said("my cat?"), config("t2"))
    assert "Tom" in agent.told
    assert "Portuguese" in agent.told
    assert [event.action for event in events(memory)].count("chat_model_end") == 2


@pytest.mark.task_contexts
async def test_an_interrupted_turn_is_stored_once(memory: AgentMemory, run: Run) -> None:
    agent = Agent(
        memory,
        calls(("look", {"at": "a"})),
        "done",
        behind=[HumanInTheLoopMiddleware({"look": True})],
        checkpointer=InMemorySaver(),
    )
    await run(agent.graph, said("go"), config())
    assert turns(memory) == [("go", True)]
    await run(agent.graph, Command(resume={"decisions": [{"type": "approve"}]}), config())
    assert [unanswered for _, unanswered in turns(memory)] == [False] * 4
    assert count(memory) == 4


async def test_two_round_trips_per_turn(memory: AgentMemory, once: Run) -> None:
    options = {"events": False}
    await once(Agent(memory, "ok", options=options).graph, said("My cat is Tom"), config())
    counting = Counting(memory.transport)
    await once(Agent(memory, "ok", options=options).graph, said("My dog is Rex"), config())
    assert counting.round_trips == 2


async def test_ids_are_told_as_the_tools_take_them(memory: AgentMemory, once: Run) -> None:
    stored = memory.long_term.remember("Speaks Portuguese", user="alice", kind="profile").id
    memory.long_term.wait_indexing()  # type: ignore[attr-defined]
    shown = stored.removeprefix("alice:")
    assert shown != stored
    agent = Agent(memory, calls(("forget", {"memory_id": shown})), "done", tools=memory.tools())
    await once(agent.graph, said("what do I speak?"), config())
    assert f"- [{shown}] 20" in agent.told
    assert memory.long_term.get(stored) is None
