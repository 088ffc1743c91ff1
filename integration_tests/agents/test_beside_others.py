"""A memory beside other middleware: summaries, removed messages, limits; and on Python 3.10."""

from __future__ import annotations

from typing import Any

import langgraph._internal._runnable as langgraph_runnable
import pytest
from langchain.agents.middleware import (
    AgentMiddleware,
    HumanInTheLoopMiddleware,
    ModelCallLimitMiddleware,
    SummarizationMiddleware,
    after_model,
    before_agent,
    before_model,
)
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_config
from langgraph.graph.message import REMOVE_ALL_MESSAGES
from langgraph.types import Command

from integration_tests.agents.conftest import Agent, Run, config, contents, count, said, turns
from integration_tests.agents.scripted_model import ScriptedModel, calls
from langchain_agentmem import AgentMemory
from langchain_agentmem.agents.messages import is_summary
from langchain_agentmem.errors import InvalidInputError, WrongOwnerError


def summing(messages: int, keep: int) -> SummarizationMiddleware:
    return SummarizationMiddleware(
        ScriptedModel.of(lambda _: "a summary"), trigger=("messages", messages), keep=("messages", keep)
    )


@after_model(can_jump_to=["model"])
def take_back(state: Any, runtime: Any) -> Any:
    last = state["messages"][-1]
    return {"messages": [RemoveMessage(last.id)], "jump_to": "model"} if last.text == "rude" else None


TAKE_BACK: Any = take_back
NO = "User rejected the tool call for `fail` with reason: no"


@pytest.mark.parametrize("saver", [None, InMemorySaver], ids=["alone", "checkpointer"])
async def test_what_a_summary_replaces_is_stored_once_and_the_summary_is_not(
    memory: AgentMemory, run: Run, saver: Any
) -> None:
    agent = Agent(
        memory, lambda _: "ok", behind=[summing(4, 2)], checkpointer=None if saver is None else saver()
    )
    expected = []
    for n in range(5):
        await run(agent.graph, said(f"q{n}"), config())
        expected += [f"q{n}", "ok"]
    assert contents(memory) == expected
    assert count(memory) == 10
    assert any("a summary" in message.text for message in agent.last_request)


@pytest.mark.parametrize("saver", [None, InMemorySaver], ids=["alone", "checkpointer"])
async def test_what_a_summary_replaces_within_a_turn_is_stored(
    memory: AgentMemory, run: Run, saver: Any
) -> None:
    script = [calls(("look", {"at": f"a{n}"}), ("look", {"at": f"b{n}"}), first=2 * n + 1) for n in range(3)]
    agent = Agent(
        memory,
        *script,
        "ok",
        "again",
        behind=[summing(4, 1)],
        checkpointer=None if saver is None else saver(),
    )
    await run(agent.graph, said("go"), config())
    assert not any(message.text == "go" for message in agent.last_request)
    made = [text for n in range(3) for text in ("", f"saw a{n}", f"saw b{n}")]
    assert turns(memory) == [(text, False) for text in ["go", *made, "ok"]]
    await run(agent.graph, said("more"), config())
    assert contents(memory) == ["go", *made, "ok", "more", "again"]


@pytest.mark.task_contexts
async def test_what_a_summary_replaces_before_an_interrupt_is_stored(memory: AgentMemory, run: Run) -> None:
    script = [calls(("look", {"at": f"a{n}"}), first=n + 1) for n in range(3)]
    agent = Agent(
        memory,
        *script,
        calls(("fail", {"at": "b"}), first=4),
        "ok",
        "again",
        behind=[summing(4, 1), HumanInTheLoopMiddleware({"fail": True})],
        checkpointer=InMemorySaver(),
    )
    await run(agent.graph, said("go"), config())
    rejected: Any = Command(resume={"decisions": [{"type": "reject", "message": "no"}]})
    await run(agent.graph, rejected, config())
    expected = ["go", *(text for n in range(3) for text in ("", f"saw a{n}")), "", NO, "ok"]
    assert turns(memory) == [(text, False) for text in expected]
    await run(agent.graph, said("more"), config())
    assert contents(memory) == [*expected, "more", "again"]


async def test_what_is_removed_without_a_summary_is_not_stored(memory: AgentMemory, once: Run) -> None:
    agent = Agent(memory, "rude", "kind", behind=[TAKE_BACK])
    await once(agent.graph, said("go"), config())
    assert contents(memory) == ["go", "kind"]


@before_model
def forget_the_question(state: Any, runtime: Any) -> Any:
    """Keep the first message, and the results of tools with their calls."""
    first, *_, call, one, other = (
        state["messages"] if len(state["messages"]) == 6 and state["messages"][2].text == "go" else [None] * 5
    )
    return first and {"messages": [RemoveMessage(REMOVE_ALL_MESSAGES), first, call, one, other]}


FORGET_THE_QUESTION: Any = forget_the_question


@pytest.mark.parametrize("asks", [False, True], ids=["at-once", "resumed"])
@pytest.mark.task_contexts
async def test_what_stood_before_a_question_that_is_removed_is_not_stored_again(
    memory: AgentMemory, once: Run, asks: bool
) -> None:
    looks = calls(("look", {"at": "a"}), ("look", {"at": "a"}))
    last = [HumanInTheLoopMiddleware({"fail": True})] if asks else []
    script = ["one", looks, *([calls(("fail", {"at": "c"}))] if asks else []), "done", "again"]
    agent = Agent(memory, *script, behind=[FORGET_THE_QUESTION, *last], checkpointer=InMemorySaver())
    await once(agent.graph, said("first"), config())
    await once(agent.graph, said("go"), config())
    assert not any(message.text == "go" for message in agent.last_request)
    if asks:
        await once(
            agent.graph, Command(resume={"decisions": [{"type": "reject", "message": "no"}]}), config()
        )
    await once(agent.graph, said("more"), config())
    kept = ["", "User rejected the tool call for `fail` with reason: no"] if asks else []
    assert contents(memory) == ["first", "one", "go", "", "saw a", "saw a", *kept, "done", "more", "again"]


async def test_a_question_whose_answer_is_removed_is_not_stored_again(memory: AgentMemory, run: Run) -> None:
    agent = Agent(memory, "one", "two", "again", "three", checkpointer=InMemorySaver())
    await run(agent.graph, said("first"), config())
    output = await run(agent.graph, said("second"), config())
    output = await run(agent.graph, {"messages": [RemoveMessage(output["messages"][-1].id)]}, config())
    assert contents(memory) == ["first", "one", "second", "two", "again"]
    agent.graph.update_state(config(), {"messages": [RemoveMessage(output["messages"][-1].id)]})
    await run(agent.graph, said("third"), config())
    assert contents(memory)[4:] == ["again", "third", "three"]
    assert count(memory) == 7


async def test_an_earlier_summary_does_not_bring_back_what_is_removed(memory: AgentMemory, once: Run) -> None:
    script = ("one", "two", "three", "rude", "kind")
    agent = Agent(memory, *script, behind=[summing(5, 1), TAKE_BACK], checkpointer=InMemorySaver())
    for text in ("a", "b", "c", "d"):
        output = await once(agent.graph, said(text), config())
    assert any(is_summary(message) for message in output["messages"])
    assert contents(memory) == ["a", "one", "b", "two", "c", "three", "d", "kind"]


async def test_a_question_that_another_middleware_changes_is_stored_as_it_was_asked(
    memory: AgentMemory, once: Run
) -> None:
    @before_model
    def shout(state: Any, runtime: Any) -> Any:
        last = state["messages"][-1]
        return {"messages": [HumanMessage(last.text.upper(), id=last.id)]}

    agent = Agent(memory, "ok", behind=[shout])
    await once(agent.graph, said("go"), config())
    assert agent.last_request[-1].text == "GO"
    assert contents(memory) == ["go", "ok"]


async def test_a_guard_behind_the_memory_ends_a_turn_whose_question_is_kept(
    memory: AgentMemory, run: Run
) -> None:
    @before_agent(can_jump_to=["end"])
    def refuse(state: Any, runtime: Any) -> Any:
        return {"messages": [AIMessage("no")], "jump_to": "end"}

    guard: Any = refuse
    agent = Agent(memory, behind=[guard])
    await run(agent.graph, said("go"), config())
    assert agent.model.requests == []
    assert contents(memory)[0] == "go"


async def test_a_turn_that_a_limit_ends_is_stored(memory: AgentMemory, once: Run) -> None:
    limit: Any = ModelCallLimitMiddleware(run_limit=1, exit_behavior="end")
    agent = Agent(memory, calls(("look", {"at": "a"})), behind=[limit])
    await once(agent.graph, said("go"), config())
    assert contents(memory)[:3] == ["go", "", "saw a"]
    assert count(memory) == 4


class TestPython310:
    """Where a task cannot be given a context, `get_config` does not work in async nodes."""

    @pytest.fixture(autouse=True)
    def old(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(langgraph_runnable, "ASYNCIO_ACCEPTS_CONTEXT", False)

    async def test_turns_are_stored_recalled_and_recorded(self, memory: AgentMemory) -> None:
        class NoConfig(AgentMiddleware):  # type: ignore[type-arg]
            async def awrap_model_call(self, request: Any, handler: Any) -> Any:
                with pytest.raises(RuntimeError):
                    get_config()
                return await handler(request)

        agent = Agent(memory, calls(("look", {"at": "a"})), "ok", "again", behind=[NoConfig()])
        await agent.graph.ainvoke(said("My cat is Tom"), config())
        assert contents(memory) == ["My cat is Tom", "", "saw a", "ok"]
        await agent.graph.ainvoke(said("my cat?"), config("t2"))
        assert "My cat is Tom" in agent.told
        assert memory.events.sink.flush(5)
        actions = [event.action for event in memory.events.recent("t1", 50)]
        assert actions.count("chat_model_end") == 2
        assert actions.count("tool_end") == 1

    async def test_who_resumes_is_known_by_the_context_alone(self, memory: AgentMemory) -> None:
        options: Any = {"checkpointer": InMemorySaver(), "interrupt_before": ["model"]}
        agent = Agent(memory, "ok", context_schema=dict, **options)
        await agent.graph.ainvoke(said("go"), config())
        with pytest.raises(InvalidInputError, match="context"):
            await agent.graph.ainvoke(None, config())
        for user in ("bob", "alice"):
            context = {"user_id": user, "thread_id": "t1"}
            if user == "alice":
                await agent.graph.ainvoke(None, config(), context=context)
                continue
            with pytest.raises(WrongOwnerError):
                await agent.graph.ainvoke(None, config(user=user), context=context)
            assert agent.model.requests == []
            assert turns(memory) == [("go", True)]
        assert contents(memory) == ["go", "ok"]
