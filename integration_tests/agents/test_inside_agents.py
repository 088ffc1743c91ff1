"""Agents as tools of agents, agents in graphs, and agents in wrapped chains: nothing is stored twice."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from langchain.agents import AgentState
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph

from integration_tests.agents.conftest import Agent, Run, config, contents, count, events, look, said, turns
from integration_tests.agents.scripted_model import calls
from langchain_agentmem import AgentMemory


def delegating(
    memory: AgentMemory, *, saver: Any, thread: str | None = None, **options: Any
) -> tuple[Agent, Agent]:
    """An agent with another one as its tool, in the same thread or one of its own."""
    inner = Agent(memory, calls(("look", {"at": "inside"})), "found", **options)
    given = None if thread is None else config(thread)

    @tool
    def delegate(task: str) -> str:
        """Delegate."""
        return str(inner.graph.invoke(said(task), given)["messages"][-1].text)

    @tool
    async def adelegate(task: str) -> str:
        """Delegate."""
        return str((await inner.graph.ainvoke(said(task), given))["messages"][-1].text)

    script = (lambda messages: _of(messages),)
    outer = Agent(memory, *script, tools=[delegate, adelegate], checkpointer=saver, **options)
    return outer, inner


def _of(messages: list[Any]) -> Any:
    last = messages[-1]
    if last.type != "human":
        return f"so: {last.text}"
    name = "adelegate" if last.text.startswith("async") else "delegate"
    return calls((name, {"task": "look inside"}))


@pytest.fixture(params=[None, InMemorySaver], ids=["alone", "checkpointer"])
def saver(request: pytest.FixtureRequest) -> Any:
    return None if request.param is None else request.param()


async def asked(outer: Agent, text: str, run: Run) -> Any:
    how = "async" if run.__name__.startswith("a") else "sync"
    return await run(outer.graph, said(f"{how} {text}"), config())


async def test_an_agent_as_a_tool_in_the_same_thread_is_stored_by_the_outer_one(
    memory: AgentMemory, run: Run, saver: Any
) -> None:
    memory.long_term.remember("Speaks Portuguese", user="alice", kind="profile")
    outer, inner = delegating(memory, saver=saver)
    await asked(outer, "My cat is Tom", run)
    assert [content for content, _ in turns(memory)][1:] == ["", "found", "so: found"]
    assert {unanswered for _, unanswered in turns(memory)} == {False}
    assert count(memory) == 4
    assert [m.type for m in inner.model.requests[0]] == ["system", "human"]  # not the outer conversation
    assert "Portuguese" in inner.told
    remembered = [one.text for one in memory.long_term.list_memories(user="alice", kind="episodic")]
    assert [text.split(" ", 1)[1] for text in remembered] == ["My cat is Tom"]


async def test_events_of_an_agent_in_an_agent_are_recorded_once(
    memory: AgentMemory, run: Run, saver: Any
) -> None:
    outer, _ = delegating(memory, saver=saver)
    await asked(outer, "go", run)
    recorded = [event for event in events(memory) if event.run_id]
    assert max(Counter((event.run_id, event.action) for event in recorded).values()) == 1
    counted = Counter(event.action for event in recorded)
    assert counted["chat_model_end"] == 4
    assert counted["tool_end"] == 2
    assert [event.action for event in events(memory)].count("turn_start") == 1


async def test_an_agent_as_a_tool_with_a_thread_of_its_own_is_stored_there(
    memory: AgentMemory, once: Run, saver: Any
) -> None:
    outer, _ = delegating(memory, saver=saver, thread="inner")
    await asked(outer, "go", once)
    assert contents(memory, "inner") == ["look inside", "", "saw inside", "found"]
    assert contents(memory)[1:] == ["", "found", "so: found"]


async def test_an_agent_that_is_a_node_of_a_graph_is_stored(
    memory: AgentMemory, run: Run, saver: Any
) -> None:
    agent = Agent(memory, lambda _: "ok")
    builder: Any = StateGraph(AgentState)
    builder.add_node("agent", agent.graph)
    builder.add_edge(START, "agent")
    builder.add_edge("agent", END)
    graph = builder.compile(checkpointer=saver)
    for text in ("one", "two"):
        await run(graph, said(text), config())
    assert contents(memory) == ["one", "ok", "two", "ok"]
    assert count(memory) == 4


async def test_the_second_agent_of_a_graph_is_told_what_the_first_one_is(
    memory: AgentMemory, run: Run, saver: Any
) -> None:
    memory.long_term.remember("My cat is called Tom", user="alice")
    agents = [Agent(memory, lambda _, name=name: name) for name in ("one", "two")]
    builder: Any = StateGraph(AgentState)
    builder.add_sequence([("one", agents[0].graph), ("two", agents[1].graph)])
    builder.add_edge(START, "one")
    graph = builder.compile(checkpointer=saver)
    await run(graph, said("My cat is old"), config())
    for agent in agents:
        assert "My cat is called Tom" in agent.told
    assert contents(memory) == ["My cat is old", "one", "two"]
    remembered = memory.long_term.list_memories(user="alice")
    assert sorted(one.text for one in remembered) == ["My cat is called Tom", "My cat is old"]
    assert {one.hit_count for one in remembered} == {0}


async def test_an_agent_in_a_wrapped_chain_of_its_thread_is_stored_by_the_chain(
    memory: AgentMemory,
) -> None:
    agent = Agent(memory, "ok", tools=[look])
    chain = memory.wrap(
        RunnableLambda(lambda inputs: agent.graph.invoke(said(inputs["input"]))["messages"][-1])
    )
    given = {"configurable": {"session_id": "t1", "user_id": "alice"}}
    chain.invoke("My cat is Tom", given)
    assert turns(memory) == [("My cat is Tom", False), ("ok", False)]
    recorded = [event for event in events(memory) if event.run_id]
    assert max(Counter((event.run_id, event.action) for event in recorded).values()) == 1
