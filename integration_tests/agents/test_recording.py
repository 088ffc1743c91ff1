"""What a middleware records by itself: each call of a model and a tool once, in threads and tasks alike."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import pytest
from langchain.agents.middleware import AgentMiddleware
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool

from integration_tests.agents.conftest import Agent, Run, actions, config, events, said
from integration_tests.agents.scripted_model import ScriptedModel, calls
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory

pytestmark = pytest.mark.task_contexts

LOOKS = calls(("look", {"at": "a"}), ("look", {"at": "b"}))
BY_ITSELF = [
    *("turn_start", "recall", "chat_model_start", "chat_model_end"),
    *("tool_start", "tool_start", "tool_end", "tool_end", "chat_model_start", "chat_model_end"),
]


async def test_a_turn_is_recorded_without_a_callback(memory: AgentMemory, run: Run) -> None:
    await run(Agent(memory, LOOKS, "ok").graph, said("go"), config())
    assert sorted(actions(memory)) == sorted(BY_ITSELF)
    assert actions(memory)[:3] == BY_ITSELF[:3]
    assert {event.user for event in events(memory)} == {"alice"}


async def test_calls_tell_where_they_were_and_what_they_took(memory: AgentMemory, once: Run) -> None:
    await once(Agent(memory, LOOKS, "ok").graph, said("go"), config())
    model, last = (event for event in events(memory) if event.action == "chat_model_end")
    assert (model.model, model.finish_reason, model.node) == ("scripted-1", "tool_calls", "model")
    assert last.finish_reason == "stop"
    assert (last.step or 0) > (model.step or 0) > 0
    assert dict(model.usage)["output_tokens"] == 2
    tools = [event for event in events(memory) if event.action == "tool_end"]
    assert {(event.tool_call_id, event.node) for event in tools} == {("c1", "tools"), ("c2", "tools")}
    assert memory.usage("t1").model_calls == 2


async def test_the_recall_names_its_memories(memory: AgentMemory, once: Run) -> None:
    stored = memory.long_term.remember("My cat is called Tom", user="alice")
    await once(Agent(memory, "ok").graph, said("what is my cat called?"), config())
    (recall,) = [event for event in events(memory) if event.action == "recall"]
    assert recall.memory_ids == (stored.id,)
    assert "My cat is called Tom" in recall.detail


async def test_the_callers_own_callback_makes_no_event_twice(memory: AgentMemory, run: Run) -> None:
    given = {**config(), "callbacks": [memory.callback("t1", user="alice")]}
    await run(Agent(memory, LOOKS, "ok").graph, said("go"), given)
    recorded = [event for event in events(memory) if event.run_id]
    assert max(Counter((event.run_id, event.action) for event in recorded).values()) == 1
    counted = Counter(actions(memory))
    assert (counted["chat_model_end"], counted["tool_end"]) == (2, 2)


async def test_a_callback_of_another_memory_of_the_store_makes_no_event_twice(
    memory: AgentMemory, url: str, once: Run
) -> None:
    async with AgentMemory(url, embeddings=WordEmbeddings()) as other:
        given = {**config(), "callbacks": [other.callback("t1", user="alice")]}
        await once(Agent(memory, LOOKS, "ok").graph, said("go"), given)
        assert other.events.sink.flush(5)
    counted = Counter(actions(memory))
    assert (counted["chat_model_end"], counted["tool_end"]) == (2, 2)


async def test_a_callback_of_another_thread_takes_nothing_away(memory: AgentMemory, once: Run) -> None:
    given = {**config(), "callbacks": [memory.callback("other")]}
    await once(Agent(memory, LOOKS, "ok").graph, said("go"), given)
    for thread in ("t1", "other"):
        counted = Counter(actions(memory, thread))
        assert (counted["chat_model_end"], counted["tool_end"]) == (2, 2)


async def test_no_events_if_asked_for(memory: AgentMemory, once: Run) -> None:
    await once(Agent(memory, LOOKS, "ok", options={"events": False}).graph, said("go"), config())
    assert actions(memory) == []


async def test_what_a_tool_runs_is_recorded_too(memory: AgentMemory, once: Run) -> None:
    model: BaseChatModel = ScriptedModel.of(lambda _: "inner")

    @tool
    def think(about: str) -> str:
        """Think."""
        return model.invoke([HumanMessage(about)]).text

    await once(
        Agent(memory, calls(("think", {"about": "x"})), "ok", tools=[think]).graph, said("go"), config()
    )
    assert Counter(actions(memory))["chat_model_end"] == 3


async def test_what_runs_around_the_calls_of_a_turn_is_not_recorded(memory: AgentMemory, once: Run) -> None:
    class Thinking(AgentMiddleware):
        """Asks a model of its own before and after each call."""

        def wrap_model_call(self, request: Any, handler: Any) -> Any:
            ScriptedModel.of("before").invoke("hi")
            response = handler(request)
            ScriptedModel.of("after").invoke("hi")
            return response

        async def awrap_model_call(self, request: Any, handler: Any) -> Any:
            await ScriptedModel.of("before").ainvoke("hi")
            response = await handler(request)
            await ScriptedModel.of("after").ainvoke("hi")
            return response

    await once(Agent(memory, "ok", before=[Thinking()]).graph, said("go"), config())
    await once(ScriptedModel.of("x"), "hi", None)
    assert Counter(actions(memory))["chat_model_end"] == 1


def test_one_memory_serves_one_event_loop_after_another(memory: AgentMemory) -> None:
    agent = Agent(memory, lambda _: "ok")

    async def turn(text: str) -> Any:
        output = await agent.graph.ainvoke(said(text), config())
        await memory.events.sink.asettle()
        return output

    for text in ("one", "two"):
        asyncio.run(turn(text))
    assert Counter(actions(memory))["chat_model_end"] == 2
    assert [m.text for m in memory.working.messages("t1")] == ["one", "ok", "two", "ok"]


async def test_an_error_of_a_tool_is_told_once(memory: AgentMemory, once: Run) -> None:
    agent = Agent(memory, calls(("fail", {"at": "a"})), "ok")
    with pytest.raises(ZeroDivisionError):
        await once(agent.graph, said("go"), config())
    counted = Counter(actions(memory))
    assert (counted["tool_error"], counted["turn_error"]) == (1, 1)
    (error,) = [event for event in events(memory) if event.action == "turn_error"]
    assert json.loads(error.detail)["in"] == "tool fail"
