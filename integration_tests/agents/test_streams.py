"""Streams of agents with a memory, in every mode: neither memories nor old messages come along."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessageChunk
from langgraph.checkpoint.memory import InMemorySaver

from integration_tests.agents.conftest import Agent, config, contents, said
from integration_tests.agents.scripted_model import calls
from integration_tests.conftest import Both
from langchain_agentmem import AgentMemory

pytestmark = pytest.mark.task_contexts

SECRET = "Speaks Portuguese"
MODES = ["values", "updates", "messages", "custom", "debug", ["values", "updates", "messages", "custom"]]


@pytest.fixture
def agent(memory: AgentMemory) -> Agent:
    memory.long_term.remember(SECRET, user="alice", kind="profile")
    agent = Agent(memory, "an old answer", calls(("look", {"at": "a"})), "a new answer")
    agent.graph.invoke(said("an old question"), config())
    return agent


async def parts(both: Both, agent: Agent, **more: Any) -> list[Any]:
    return [part async for part in both(agent.graph).astream(said("a new question"), config(), **more)]


@pytest.mark.parametrize("subgraphs", [False, True])
@pytest.mark.parametrize("mode", MODES, ids=str)
async def test_no_memory_comes_along(
    agent: Agent, memory: AgentMemory, both: Both, mode: Any, subgraphs: bool
) -> None:
    streamed = await parts(both, agent, stream_mode=mode, subgraphs=subgraphs)
    assert SECRET in agent.told
    assert SECRET not in repr(streamed)
    assert contents(memory)[-4:] == ["a new question", "", "saw a", "a new answer"]


async def test_the_stream_of_messages_has_the_new_ones_only(agent: Agent, both: Both) -> None:
    streamed = [message for message, _ in await parts(both, agent, stream_mode="messages")]
    tokens = [m.text for m in streamed if isinstance(m, AIMessageChunk) and m.text]
    assert tokens == ["a ", "new ", "answer"]
    assert [m.text for m in streamed if m.type == "tool"] == ["saw a"]
    assert not any("old" in m.text for m in streamed)


async def test_the_output_has_no_private_state(agent: Agent, both: Both) -> None:
    output = await both(agent.graph).ainvoke(said("a new question"), config())
    assert set(output) == {"messages"}


async def test_a_whole_stream_of_values_ends_with_the_conversation(agent: Agent, both: Both) -> None:
    last = (await parts(both, agent, stream_mode="values"))[-1]
    assert [m.text for m in last["messages"]][:3] == ["an old question", "an old answer", "a new question"]


async def test_state_that_is_checkpointed_is_plain(memory: AgentMemory) -> None:
    memory.long_term.remember(SECRET, user="alice", kind="profile")
    saver = InMemorySaver()
    agent = Agent(memory, "ok", checkpointer=saver)
    agent.graph.invoke(said("hi"), config())
    kept = [one.checkpoint["channel_values"] for one in saver.list(config())]
    own = [(name, value) for values in kept for name, value in values.items() if name.startswith("agentmem")]
    assert own
    names = {"agentmem_turn", "agentmem_summarised"}
    assert {(name, type(value)) for name, value in own} == {(name, str) for name in names}
