"""What the event log tells of an agent's run: every call once, where it was, what it took, how it failed."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, HumanInTheLoopMiddleware
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command, interrupt

from integration_tests.agents.scripted_model import ScriptedModel, calls
from langchain_agentmem import AgentMemory, Event

pytestmark = pytest.mark.task_contexts

SECRET = "hunter2SECRETx9"
ASKED = {"messages": [("user", "How is the weather?")]}


@tool
def weather(city: str) -> str:
    """Return the weather."""
    return f"sunny in {city}"


@tool
def broken(city: str) -> str:
    """Fail."""
    password = SECRET
    raise ValueError(f"no {city}, password={password}")


@tool
def confirm(question: str) -> str:
    """Ask the user."""
    return str(interrupt({"question": question, "api_key": SECRET}))


@tool
def cautious(city: str) -> ToolMessage:
    """Answer that it failed."""
    return ToolMessage("no such city", tool_call_id="c1", status="error")


@pytest.fixture
def memory(url: str) -> Iterator[AgentMemory]:
    with AgentMemory(url) as memory:
        yield memory


def told(memory: AgentMemory, thread: str = "t") -> list[Event]:
    return memory.events.after(thread, "", 500)


def named(events: list[Event]) -> list[str]:
    return [f"{event.action} {event.name}" for event in events]


def agent(*script: Any, **options: Any) -> Any:
    return create_agent(ScriptedModel.of(*script), [weather, broken, confirm, cautious], **options)


def config(memory: AgentMemory, thread: str = "t", **more: Any) -> Any:
    return {"callbacks": [memory.callback(thread, user="ada")], "configurable": {"thread_id": thread}, **more}


class Hooks(AgentMiddleware):
    """Has a node at each place, none of which changes anything."""

    def before_agent(self, state: Any, runtime: Any) -> None: ...
    def before_model(self, state: Any, runtime: Any) -> None: ...
    def after_model(self, state: Any, runtime: Any) -> None: ...
    def after_agent(self, state: Any, runtime: Any) -> None: ...


TWO_CALLS = calls(("weather", {"city": "Rome"}), ("weather", {"city": "Oslo"}), text="Let me look.")


async def by_invoke(one: Any, config: Any) -> None:
    one.invoke(ASKED, config)


async def by_ainvoke(one: Any, config: Any) -> None:
    await one.ainvoke(ASKED, config)


async def by_stream(one: Any, config: Any) -> None:
    for _ in one.stream(ASKED, config, stream_mode="messages"):
        pass


async def by_astream(one: Any, config: Any) -> None:
    async for _ in one.astream(ASKED, config, stream_mode="messages"):
        pass


WAYS: list[Any] = [by_invoke, by_ainvoke, by_stream, by_astream]
STREAMS = [by_stream, by_astream]
HANDLERS = ["callback", "acallback"]


class TestARun:
    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("handler", HANDLERS)
    async def test_each_call_is_told_once_with_start_and_end(
        self, memory: AgentMemory, way: Callable[..., Any], handler: str
    ) -> None:
        given = {"callbacks": [getattr(memory, handler)("t", user="ada")]}
        await way(agent(TWO_CALLS, "Sunny in both.", middleware=[Hooks()]), given)
        events = told(memory)
        assert sorted(named(events)) == sorted(
            [
                *("chain_start LangGraph", "chain_end LangGraph"),
                *["chat_model_start ScriptedModel", "chat_model_end ScriptedModel"] * 2,
                *["tool_start weather", "tool_end weather"] * 2,
            ]
        )
        root, *inner, root_end = events
        assert (root.run_id, root.parent_run_id) == (root_end.run_id, "")
        assert {event.parent_run_id for event in inner} == {root.run_id}
        assert '{"type":"ai","content":"Sunny in both."}' in root_end.detail

    @pytest.mark.parametrize("way", WAYS)
    async def test_an_answer_tells_model_usage_and_why_it_ended(
        self, memory: AgentMemory, way: Callable[..., Any]
    ) -> None:
        await way(agent(TWO_CALLS, "Sunny in both."), config(memory))
        first, last = (event for event in told(memory) if event.action == "chat_model_end")
        assert (first.model, first.finish_reason, last.finish_reason) == ("scripted-1", "tool_calls", "stop")
        assert first.usage == {
            "input_tokens": 4,
            "output_tokens": 5,
            "total_tokens": 9,
            "cache_read_tokens": 2,
            "reasoning_tokens": 2,
        }
        assert '"args":{"city":"Oslo"},"id":"c2"' in first.detail
        assert (first.node, first.step, last.node, last.step) == ("model", 1, "model", 3)
        streams = way in STREAMS
        for event in (first, last):
            assert (event.first_token_seconds is not None) == streams
            assert not streams or 0 <= event.first_token_seconds <= event.duration_seconds  # type: ignore[operator]

    @pytest.mark.parametrize("way", WAYS)
    async def test_parallel_calls_of_one_tool_are_told_apart(
        self, memory: AgentMemory, way: Callable[..., Any]
    ) -> None:
        await way(agent(TWO_CALLS, "Sunny."), config(memory))
        tools = [event for event in told(memory) if event.name == "weather"]
        found = {(event.action, event.tool_call_id): event.detail for event in tools}
        assert found["tool_start", "c1"] == '{"city":"Rome"}'
        assert found["tool_start", "c2"] == '{"city":"Oslo"}'
        assert '"content":"sunny in Oslo"' in found["tool_end", "c2"]
        assert {(event.node, event.step, event.status) for event in tools} == {("tools", 2, "")}

    def test_the_time_to_the_first_token_of_a_stream_of_content_blocks(self, memory: AgentMemory) -> None:
        model = ScriptedModel.of("one two")
        with_version: Any = model
        stream = with_version.stream_events("hi", config(memory), version="v3")
        assert "".join(stream.text) == "one two"
        (ended,) = (event for event in told(memory) if event.action == "chat_model_end")
        assert ended.first_token_seconds is not None

    def test_usage_is_what_the_models_and_tools_took(self, memory: AgentMemory) -> None:
        one = agent(TWO_CALLS, "Sunny in both.")
        one.invoke(ASKED, config(memory))
        usage = memory.usage("t", user="ada")
        ends = [event for event in told(memory) if event.action == "chat_model_end"]
        assert usage.input_tokens == sum(event.usage["input_tokens"] for event in ends) > 0
        assert (usage.model_calls, usage.tool_calls, [*usage.by_model]) == (2, 2, ["scripted-1"])


class TestWhatFails:
    @pytest.mark.parametrize("way", [by_invoke, by_ainvoke])
    async def test_an_error_is_told_in_full_once_where_it_was_raised(
        self, memory: AgentMemory, bare: redis.Redis, way: Callable[..., Any]
    ) -> None:
        with pytest.raises(ValueError, match="no Atlantis"):
            await way(agent(calls(("broken", {"city": "Atlantis"}))), config(memory))
        of_tool, of_root = (event for event in told(memory) if event.action.endswith("_error"))
        assert (of_tool.action, of_tool.name, of_tool.tool_call_id) == ("tool_error", "broken", "c1")
        assert of_tool.detail == of_root.detail == "ValueError: no Atlantis, password=[redacted]"
        assert of_tool.frames[0].startswith("test_agent_events.py:")
        assert of_tool.frames[0].endswith(" broken")
        assert 1 < len(of_tool.frames) <= 5
        assert "/" not in "".join(of_tool.frames)
        assert (of_root.action, of_root.frames) == ("chain_error", ())
        assert SECRET.encode() not in b"".join(bare.dump(key) for key in bare.scan_iter())

    def test_a_failing_model_is_told_with_its_name(self, memory: AgentMemory) -> None:
        with pytest.raises(OSError, match="away"):
            agent(OSError("away")).invoke(ASKED, config(memory))
        failed, _ = (event for event in told(memory) if event.action.endswith("_error"))
        assert (failed.action, failed.model, failed.detail) == (
            "chat_model_error",
            "scripted-1",
            "OSError: away",
        )
        assert memory.usage("t").model_calls == 1

    def test_an_answer_of_a_tool_that_says_it_failed(self, memory: AgentMemory) -> None:
        agent(calls(("cautious", {"city": "x"})), "Oh.").invoke(ASKED, config(memory))
        (ended,) = (event for event in told(memory) if event.action == "tool_end")
        assert (ended.status, ended.tool_call_id) == ("error", "c1")

    def test_a_call_of_no_tool_is_told_by_the_node_that_refused_it(self, memory: AgentMemory) -> None:
        agent(calls(("nonsense", {})), "Oh.").invoke(ASKED, config(memory))
        (node,) = (event for event in told(memory) if event.name == "tools")
        assert (node.action, node.node) == ("chain_end", "tools")
        assert "nonsense is not a valid tool" in node.detail
        assert '"status":"error"' in node.detail


class TestInterrupts:
    def test_an_interrupt_is_no_error_and_tells_what_it_asks(
        self, memory: AgentMemory, bare: redis.Redis
    ) -> None:
        one = agent(calls(("confirm", {"question": "Sure?"})), "Done.", checkpointer=InMemorySaver())
        one.invoke(ASKED, config(memory))
        events = told(memory)
        (asked,) = (event for event in events if event.action == "interrupt")
        assert asked.detail == '{"question":"Sure?","api_key":"[redacted]"}'
        assert (asked.name, asked.tool_call_id, asked.frames) == ("confirm", "c1", ())
        assert asked.duration_seconds is not None
        assert not [event for event in events if event.action.endswith("_error")]
        one.invoke(Command(resume="yes"), config(memory))
        resumed = told(memory)[len(events) :]
        assert named(resumed) == [
            *("chain_start LangGraph", "tool_start confirm", "tool_end confirm"),
            *("chat_model_start ScriptedModel", "chat_model_end ScriptedModel", "chain_end LangGraph"),
        ]
        assert memory.usage("t").tool_calls == 1
        assert SECRET.encode() not in b"".join(bare.dump(key) for key in bare.scan_iter())

    def test_of_a_middleware_that_asks_a_person(self, memory: AgentMemory) -> None:
        asks = HumanInTheLoopMiddleware(interrupt_on={"weather": True})
        one = agent(TWO_CALLS, "Done.", middleware=[asks], checkpointer=InMemorySaver())
        one.invoke(ASKED, config(memory))
        (asked,) = (event for event in told(memory) if event.action == "interrupt")
        assert asked.name == "HumanInTheLoopMiddleware.after_model"
        assert '"action_requests"' in asked.detail

    def test_of_an_agent_that_is_the_tool_of_another(self, memory: AgentMemory) -> None:
        inner = agent(calls(("confirm", {"question": "Sure?"})), "Yes.", checkpointer=True)

        @tool
        def delegate(task: str) -> str:
            """Let another agent do it."""
            return str(inner.invoke({"messages": [("user", task)]})["messages"][-1].content)

        outer = create_agent(
            ScriptedModel.of(calls(("delegate", {"task": "ask"})), "Done."),
            [delegate],
            checkpointer=InMemorySaver(),
        )
        outer.invoke(ASKED, config(memory))
        events = told(memory)
        assert not [event for event in events if event.action.endswith("_error")]
        asked = [event for event in events if event.action == "interrupt"]
        assert [event.detail for event in asked if event.detail] == [
            '{"question":"Sure?","api_key":"[redacted]"}'
        ]
        starts = [event.run_id for event in events if event.action.endswith("_start")]
        ends = [event.run_id for event in events if not event.action.endswith("_start")]
        assert sorted(starts) == sorted(ends)

    def test_a_handover_to_the_graph_around_is_neither(self, memory: AgentMemory) -> None:
        def hand_over(state: MessagesState) -> Command[Any]:
            return Command(goto="last", graph=Command.PARENT, update={"messages": [HumanMessage("over")]})

        inner = StateGraph(MessagesState).add_node("hand", hand_over).add_edge(START, "hand").compile()
        graph = StateGraph(MessagesState).add_node("inner", inner).add_node("last", lambda state: {})
        graph.add_edge(START, "inner").add_edge("last", END)
        graph.compile().invoke({"messages": [("user", "go")]}, config(memory))
        events = told(memory)
        assert {event.action for event in events} == {"chain_start", "chain_end"}
        assert sum('"goto":"last"' in event.detail for event in events) == 1


class TestNodes:
    def test_what_a_node_adds_is_told_and_what_it_passes_on_is_not(self, memory: AgentMemory) -> None:
        class Notes(AgentMiddleware):
            def before_model(self, state: Any, runtime: Any) -> dict[str, Any]:
                return {"messages": [*state["messages"], HumanMessage("be short")]}

        agent("Sunny.", middleware=[Notes()]).invoke(ASKED, config(memory))
        node, *others = (event for event in told(memory) if event.name == "Notes.before_model")
        assert others == []
        assert node.action == "chain_end"
        assert '{"type":"human","content":"be short"}' in node.detail

    def test_a_chain_inside_counts_the_messages_it_is_given(self, memory: AgentMemory) -> None:
        inner = agent("Rome is sunny.", "again")

        def ask(state: MessagesState) -> Any:
            return {"messages": inner.invoke({"messages": state["messages"]})["messages"][-1]}

        graph = StateGraph(MessagesState).add_node("ask", ask).add_edge(START, "ask").compile()
        said = [HumanMessage(f"question {number}", id=str(number)) for number in range(30)]
        graph.invoke({"messages": said}, config(memory))
        events = told(memory)
        assert named(events) == [
            *("chain_start LangGraph", "chain_start LangGraph", "chat_model_start ScriptedModel"),
            *("chat_model_end ScriptedModel", "chain_end LangGraph", "chain_end LangGraph"),
        ]
        assert (events[1].detail, events[1].node) == ('{"messages":"30 messages"}', "ask")
        assert events[4].detail == '{"messages":"31 messages"}'
        assert "question 29" in events[0].detail
        assert "Rome is sunny." in events[5].detail

    def test_metadata_and_parameters_are_not_recorded(self, memory: AgentMemory, bare: redis.Redis) -> None:
        given = config(memory, metadata={"note": "METADATA", "token": SECRET}, tags=["TAGGED"])
        given["configurable"]["api_key"] = SECRET
        agent(TWO_CALLS, "Sunny.").invoke(ASKED, given)
        dump = repr(bare.xrange("agent:events:t"))
        assert "LangGraph" in dump
        assert not [word for word in (SECRET, "METADATA", "TAGGED", "checkpoint_ns") if word in dump]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="LangGraph needs Python 3.11 for this")
async def test_runs_side_by_side_keep_their_calls_apart(memory: AgentMemory) -> None:
    handler = memory.acallback("t", user="ada")
    asked = ({"messages": [HumanMessage(f"run {number}")]} for number in range(8))
    await asyncio.gather(
        *(agent(TWO_CALLS, "Sunny.").ainvoke(one, {"callbacks": [handler]}) for one in asked)
    )
    assert_whole(told(memory), 8)


def test_threads_share_a_handler(memory: AgentMemory) -> None:
    handler = memory.callback("t", user="ada")
    one = [agent(TWO_CALLS, AIMessage("Sunny.")) for _ in range(8)]
    workers = [
        threading.Thread(target=lambda each=each: each.invoke(ASKED, {"callbacks": [handler]}))
        for each in one
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert_whole(told(memory), 8)
    assert handler.dropped == 0


def assert_whole(events: list[Event], runs: int) -> None:
    assert len(events) == 10 * runs
    roots = [event.run_id for event in events if not event.parent_run_id]
    assert len(set(roots)) == runs
    for root in set(roots):
        tools = [event for event in events if event.parent_run_id == root and event.name == "weather"]
        assert sorted((event.tool_call_id, event.action) for event in tools) == [
            *(("c1", "tool_end"), ("c1", "tool_start"), ("c2", "tool_end"), ("c2", "tool_start"))
        ]
