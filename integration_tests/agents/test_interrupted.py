"""Turns of agents that are interrupted, resumed elsewhere, left, retried or killed: each message stands once."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import pytest
from langchain.agents.middleware import (
    HumanInTheLoopMiddleware,
    ModelFallbackMiddleware,
    ModelRetryMiddleware,
    ToolRetryMiddleware,
)
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import InjectedToolCallId, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, interrupt

from integration_tests.agents.conftest import (
    Agent,
    Run,
    actions,
    config,
    contents,
    count,
    events,
    look,
    said,
    turns,
)
from integration_tests.agents.scripted_model import ScriptedModel, calls
from integration_tests.conftest import Counting
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory
from langchain_agentmem.errors import ExchangeNotStoredError, StoreError, WrongOwnerError

pytestmark = pytest.mark.task_contexts

APPROVE = Command(resume={"decisions": [{"type": "approve"}]})
REJECT = Command(resume={"decisions": [{"type": "reject", "message": "no"}]})


@tool
def ask(what: str) -> str:
    """Ask somebody."""
    return f"told: {interrupt(what)}"


def approved(memory: AgentMemory, *script: Any, saver: Any = None, **options: Any) -> Agent:
    return Agent(
        memory,
        *script,
        behind=[HumanInTheLoopMiddleware({"look": True})],
        checkpointer=saver or InMemorySaver(),
        **options,
    )


LOOKS = calls(("look", {"at": "a"}))


@pytest.fixture
async def elsewhere(memory: AgentMemory, url: str) -> AsyncIterator[AgentMemory]:
    """A memory as another process has it."""
    storage = memory.working.config.storage
    async with AgentMemory(url, embeddings=WordEmbeddings(), session_storage=storage) as other:
        yield other


async def test_what_was_said_is_kept_while_somebody_is_asked(memory: AgentMemory, run: Run) -> None:
    agent = approved(memory, LOOKS, "done")
    await run(agent.graph, said("My cat is Tom"), config())
    assert turns(memory) == [("My cat is Tom", True)]
    assert "turn_error" not in actions(memory)
    await run(agent.graph, APPROVE, config())
    assert turns(memory) == [("My cat is Tom", False), ("", False), ("saw a", False), ("done", False)]
    assert count(memory) == 4
    assert [one.text for one in memory.long_term.list_memories(user="alice")] == ["My cat is Tom"]


async def test_a_turn_goes_on_in_another_process(
    memory: AgentMemory, elsewhere: AgentMemory, run: Run
) -> None:
    memory.long_term.remember("Speaks Portuguese", user="alice", kind="profile")
    saver = InMemorySaver()
    await run(approved(memory, LOOKS, saver=saver).graph, said("My cat is Tom"), config())
    agent = approved(elsewhere, "done", "again", saver=saver)
    await run(agent.graph, APPROVE, config())
    assert "Portuguese" in agent.told
    assert contents(memory) == ["My cat is Tom", "", "saw a", "done"]
    assert [one.text for one in memory.long_term.list_memories(user="alice", kind="episodic")] == [
        "My cat is Tom"
    ]
    await run(agent.graph, said("and now?"), config())
    assert contents(memory)[4:] == ["and now?", "again"]
    assert count(memory) == 6


async def test_the_end_of_a_resumed_turn_costs_two_round_trips(
    memory: AgentMemory, elsewhere: AgentMemory, once: Run
) -> None:
    saver = InMemorySaver()
    agent = approved(memory, LOOKS, saver=saver, options={"events": False})
    await once(agent.graph, said("My cat is Tom"), config())
    elsewhere.long_term.recall("x", user="alice")  # it looks for its index, once
    counting = Counting(elsewhere.transport)
    await once(approved(elsewhere, "done", saver=saver, options={"events": False}).graph, APPROVE, config())
    assert counting.round_trips == 2


async def older(agent: Agent, node: str) -> Any:
    """The config of the first checkpoint after which a node runs."""
    states = [state async for state in agent.graph.aget_state_history(config())]
    *_, at = [state.config["configurable"] for state in states if any(node in one for one in state.next)]
    return config(**at)


async def test_two_who_resume_a_turn_store_each_message_once(memory: AgentMemory) -> None:
    both = threading.Barrier(2)

    def answer(messages: list[Any]) -> str:
        both.wait(5)  # both resume from the checkpoint that asks
        return "done"

    agent = approved(memory, LOOKS, answer, answer)
    agent.graph.invoke(said("My cat is Tom"), config())
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: agent.graph.invoke(APPROVE, config()), range(2)))
    assert turns(memory) == [(text, False) for text in ("My cat is Tom", "", "saw a", "done", "done")]
    assert count(memory) == 5
    (remembered,) = memory.long_term.list_memories(user="alice")
    assert remembered.text == "My cat is Tom"


async def test_a_turn_that_is_stored_while_it_is_written_is_stored_once(
    memory: AgentMemory, once: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = approved(memory, LOOKS, "one", "two")
    await once(agent.graph, said("go"), config())
    asks = await older(agent, "HumanInTheLoop")
    write, first = memory.working.write_turns_op, [True]

    def overtaken(*args: Any, **more: Any) -> Any:
        if first.pop() if first else False:
            agent.graph.invoke(APPROVE, asks)
        return write(*args, **more)

    monkeypatch.setattr(memory.working, "write_turns_op", overtaken)
    await once(agent.graph, APPROVE, config())
    assert turns(memory) == [(text, False) for text in ("go", "", "saw a", "two", "one")]
    assert count(memory) == 5


async def test_a_turn_that_is_resumed_from_an_older_checkpoint_stores_what_is_new(
    memory: AgentMemory, run: Run
) -> None:
    agent = approved(memory, LOOKS, "one", "two")
    await run(agent.graph, said("go"), config())
    await run(agent.graph, APPROVE, config())
    await run(agent.graph, REJECT, await older(agent, "HumanInTheLoop"))
    assert contents(memory) == ["go", "", "saw a", "one", "two"]
    assert [message.type for message in memory.working.messages("t1")] == ["human", "ai", "tool", "ai", "ai"]


@pytest.mark.parametrize("node", ["before_agent", "model", "after_agent"])
async def test_a_turn_that_is_replayed_stores_what_is_new(memory: AgentMemory, once: Run, node: str) -> None:
    agent = Agent(memory, "one", "two", checkpointer=InMemorySaver())
    await once(agent.graph, said("go"), config())
    await once(agent.graph, None, await older(agent, node))
    new = [] if node == "after_agent" else [("two", False)]
    assert turns(memory) == [("go", False), ("one", False), *new]
    assert count(memory) == 2 + len(new)


async def test_a_question_of_a_resumed_turn_is_kept_if_others_spoke_meanwhile(
    memory: AgentMemory, once: Run
) -> None:
    agent = approved(memory, LOOKS, "done")
    await once(agent.graph, said("go"), config())
    await once(Agent(memory, "hello", checkpointer=InMemorySaver()).graph, said("hi"), config())
    await once(agent.graph, APPROVE, config())
    assert turns(memory) == [(text, False) for text in ("hi", "hello", "go", "", "saw a", "done")]


async def test_a_rejected_call_is_stored_with_its_answer(memory: AgentMemory, once: Run) -> None:
    agent = approved(memory, LOOKS, "then not")
    await once(agent.graph, said("look"), config())
    await once(agent.graph, REJECT, config())
    assert [m.type for m in memory.working.messages("t1")] == ["human", "ai", "tool", "ai"]
    assert contents(memory)[2].endswith("no")


async def test_a_tool_that_asks_somebody_is_no_error(memory: AgentMemory, run: Run) -> None:
    agent = Agent(
        memory,
        calls(("ask", {"what": "sure?"}), ("look", {"at": "a"})),
        "done",
        tools=[ask, look],
        checkpointer=InMemorySaver(),
    )
    await run(agent.graph, said("go"), config())
    assert turns(memory) == [("go", True)]
    assert "turn_error" not in actions(memory)
    await run(agent.graph, Command(resume="yes"), config())
    assert contents(memory) == ["go", "", "told: yes", "saw a", "done"]


@pytest.mark.parametrize("decision", [APPROVE, REJECT], ids=["approve", "reject"])
async def test_another_user_cannot_resume_a_turn(memory: AgentMemory, run: Run, decision: Any) -> None:
    looked: list[str] = []

    @tool
    def look(at: str) -> str:
        """Look."""
        looked.append(at)
        return "saw"

    agent = approved(memory, LOOKS, "done", tools=[look])
    await run(agent.graph, said("go"), config())
    with pytest.raises(WrongOwnerError, match="begun by another user"):
        await run(agent.graph, decision, config(user="bob"))
    assert (looked, len(agent.model.requests)) == ([], 1)
    assert turns(memory) == [("go", True)]
    await run(agent.graph, None, config())
    assert contents(memory)[-1] == "done"


async def test_what_follows_an_interrupt_that_nobody_answered_is_a_valid_request(
    memory: AgentMemory, run: Run
) -> None:
    agent = approved(memory, LOOKS, "fine", "again")
    await run(agent.graph, said("go"), config())
    await run(agent.graph, said("never mind"), config())
    kinds = [message.type for message in agent.last_request]
    assert kinds == ["human", "ai", "tool", "human"]
    assert "not known whether it was carried out" in agent.last_request[2].text
    assert turns(memory) == [("go", True), ("never mind", False), ("fine", False)]
    await run(agent.graph, said("more"), config())
    assert contents(memory) == ["go", "never mind", "fine", "more", "again"]
    assert count(memory) == 5


async def test_the_same_said_again_after_an_interrupt_stands_once(memory: AgentMemory, once: Run) -> None:
    agent = approved(memory, LOOKS, "fine")
    await once(agent.graph, said("go"), config())
    await once(agent.graph, said("go"), config())
    assert turns(memory) == [("go", False), ("fine", False)]
    assert count(memory) == 2


class TestFailing:
    async def test_what_was_said_to_a_model_that_raises_is_kept_with_its_error(
        self, memory: AgentMemory, run: Run
    ) -> None:
        agent = Agent(memory, ZeroDivisionError("no answer"), "ok")
        with pytest.raises(ZeroDivisionError):
            await run(agent.graph, said("I am here"), config())
        assert turns(memory) == [("I am here", True)]
        assert memory.long_term.list_memories(user="alice") == []
        (error,) = [event for event in events(memory) if event.action == "turn_error"]
        assert json.loads(error.detail) == {
            "in": "model scripted-1",
            "error": "ZeroDivisionError: no answer",
        }
        await run(agent.graph, said("I am here"), config())
        assert turns(memory) == [("I am here", False), ("ok", False)]
        assert count(memory) == 2

    async def test_what_was_said_before_a_tool_that_raises_is_kept(
        self, memory: AgentMemory, run: Run
    ) -> None:
        agent = Agent(memory, calls(("fail", {"at": "a"}), ("look", {"at": "b"})), "ok")
        with pytest.raises(ZeroDivisionError):
            await run(agent.graph, said("go"), config())
        assert turns(memory) == [("go", True)]
        (error,) = [event for event in events(memory) if event.action == "turn_error"]
        assert json.loads(error.detail) == {"in": "tool fail", "error": "ZeroDivisionError: cannot a"}
        await run(agent.graph, said("something else"), config())
        assert [m.type for m in agent.last_request] == ["human", "human"]
        assert contents(memory) == ["go", "something else", "ok"]

    @pytest.mark.parametrize("asks", [False, True], ids=["at-once", "resumed"])
    async def test_of_tools_that_run_at_once_the_one_that_failed_is_told(
        self, memory: AgentMemory, asks: bool
    ) -> None:
        begun = asyncio.Event()

        @tool
        async def wait() -> str:
            """Wait."""
            begun.set()
            await asyncio.Event().wait()
            return ""

        @tool
        async def burst() -> str:
            """Burst."""
            await begun.wait()
            raise ZeroDivisionError("burst")

        agent = Agent(
            memory,
            calls(("wait", {}), ("burst", {})),
            tools=[wait, burst],
            checkpointer=InMemorySaver() if asks else None,
            interrupt_before=["tools"] if asks else [],
        )
        if asks:
            await agent.graph.ainvoke(said("go"), config())
        with pytest.raises(ZeroDivisionError):
            await agent.graph.ainvoke(None if asks else said("go"), config())
        (error,) = [event for event in events(memory) if event.action == "turn_error"]
        assert json.loads(error.detail) == {"in": "tool burst", "error": "ZeroDivisionError: burst"}

    async def test_a_failed_tool_leaves_a_valid_request_beside_a_checkpointer(
        self, memory: AgentMemory, run: Run
    ) -> None:
        agent = Agent(
            memory, calls(("fail", {"at": "a"}), ("look", {"at": "b"})), "ok", checkpointer=InMemorySaver()
        )
        with pytest.raises(ZeroDivisionError):
            await run(agent.graph, said("go"), config())
        await run(agent.graph, said("something else"), config())
        assert [m.type for m in agent.last_request] == ["human", "ai", "tool", "tool", "human"]
        assert turns(memory) == [("go", True), ("something else", False), ("ok", False)]

    async def test_a_failed_turn_that_is_run_on_is_stored_whole(self, memory: AgentMemory, once: Run) -> None:
        agent = Agent(memory, LOOKS, ZeroDivisionError("busy"), "ok", checkpointer=InMemorySaver())
        with pytest.raises(ZeroDivisionError):
            await once(agent.graph, said("go"), config())
        await once(agent.graph, None, config())
        assert turns(memory) == [("go", False), ("", False), ("saw a", False), ("ok", False)]
        assert count(memory) == 4

    @pytest.mark.parametrize("outer", [True, False])
    async def test_retries_store_one_question_and_one_answer(
        self, memory: AgentMemory, once: Run, outer: bool
    ) -> None:
        retry = ModelRetryMiddleware(max_retries=2, initial_delay=0, jitter=False)
        agent = Agent(
            memory,
            ZeroDivisionError("busy"),
            ZeroDivisionError("busy"),
            "ok",
            **{"before" if outer else "behind": [retry]},
        )
        await once(agent.graph, said("go"), config())
        assert turns(memory) == [("go", False), ("ok", False)]

    @pytest.mark.parametrize("other", ["retry", "fallback"])
    async def test_only_a_turn_that_fails_in_the_end_has_a_turn_error(
        self, memory: AgentMemory, once: Run, other: str
    ) -> None:
        def behind() -> Any:
            if other == "retry":
                return ModelRetryMiddleware(max_retries=1, initial_delay=0, jitter=False, on_failure="error")
            return ModelFallbackMiddleware(model)

        busy = ZeroDivisionError("busy")
        model = ScriptedModel.of("ok", busy)
        agent = Agent(memory, busy, *(["ok", busy] if other == "retry" else []), busy, behind=[behind()])
        await once(agent.graph, said("go"), config())
        assert "turn_error" not in actions(memory)
        with pytest.raises(ZeroDivisionError):
            await once(agent.graph, said("go on"), config())
        assert actions(memory).count("turn_error") == 1

    async def test_a_retried_tool_has_one_result(self, memory: AgentMemory, once: Run) -> None:
        retry = ToolRetryMiddleware(max_retries=1, initial_delay=0, jitter=False, on_failure="continue")
        agent = Agent(memory, calls(("fail", {"at": "a"})), "ok", behind=[retry])
        await once(agent.graph, said("go"), config())
        stored = memory.working.messages("t1")
        assert [message.type for message in stored] == ["human", "ai", "tool", "ai"]
        assert "turn_error" not in actions(memory)

    async def test_nothing_is_kept_if_asked_for(self, memory: AgentMemory, run: Run) -> None:
        agent = Agent(memory, ZeroDivisionError("no"), "ok", options={"on_failure": "drop"})
        with pytest.raises(ZeroDivisionError):
            await run(agent.graph, said("I am here"), config())
        assert turns(memory) == []
        await run(agent.graph, said("hello"), config())
        assert turns(memory) == [("hello", False), ("ok", False)]

    async def test_a_cancelled_turn_keeps_what_was_said(self, memory: AgentMemory) -> None:
        begun = asyncio.Event()

        @tool
        async def wait() -> str:
            """Wait."""
            begun.set()
            await asyncio.Event().wait()
            return ""

        agent = Agent(memory, calls(("wait", {})), tools=[wait])
        task = asyncio.create_task(agent.graph.ainvoke(said("go"), config()))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert turns(memory) == [("go", True)]
        (error,) = [event for event in events(memory) if event.action == "turn_error"]
        assert json.loads(error.detail)["error"].startswith("the call was cancelled")

    async def test_a_stream_that_is_left_keeps_what_was_said(self, memory: AgentMemory) -> None:
        agent = Agent(memory, lambda _: "one two three")
        for _ in agent.graph.stream(said("a"), config("t1"), stream_mode="messages"):
            break
        async for _ in agent.graph.astream(said("b"), config("t2"), stream_mode="messages"):
            break
        assert turns(memory, "t1") == [("a", True)]
        assert turns(memory, "t2") == [("b", True)]

    def test_a_killed_process_has_kept_what_was_said(self, memory: AgentMemory, url: str) -> None:
        storage = memory.working.config.storage
        code = textwrap.dedent(f"""
            import time
            from integration_tests.agents.conftest import Agent, config, said
            from integration_tests.words import WordEmbeddings
            from langchain_agentmem import AgentMemory
            def hang(_):
                print("asked", flush=True)
                time.sleep(60)
            memory = AgentMemory({url!r}, embeddings=WordEmbeddings(), session_storage={storage!r})
            Agent(memory, hang).graph.invoke(said("I am here"), config())
        """)
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "asked\n"
            os.kill(process.pid, signal.SIGKILL)
        assert turns(memory) == [("I am here", True)]
        Agent(memory, "ok").graph.invoke(said("I am here"), config())
        assert turns(memory) == [("I am here", False), ("ok", False)]


async def test_turns_of_one_thread_at_once_keep_each_message_once(memory: AgentMemory) -> None:
    agent = Agent(memory, lambda messages: f"re {messages[-1].text}")
    await asyncio.gather(*(agent.graph.ainvoke(said(f"q{n}"), config()) for n in range(5)))
    stored = contents(memory)
    assert sorted(stored) == sorted([f"q{n}" for n in range(5)] + [f"re q{n}" for n in range(5)])
    assert all(stored[stored.index(f"q{n}") + 1] == f"re q{n}" for n in range(5))
    assert count(memory) == 10


class TestServerGone:
    @pytest.fixture
    async def memory(self, url: str, impatient: None) -> AsyncIterator[AgentMemory]:
        async with AgentMemory("redis://127.0.0.1:1", embeddings=WordEmbeddings()) as memory:
            yield memory

    async def test_it_is_an_error(self, memory: AgentMemory, once: Run) -> None:
        agent = Agent(memory, "ok", options={"events": False})
        with pytest.raises(StoreError):
            await once(agent.graph, said("hi"), config())
        assert agent.model.requests == []

    async def test_the_agent_answers_if_asked_for(self, memory: AgentMemory, once: Run) -> None:
        reports: list[Any] = []
        options = {"on_error": "continue", "on_turn": reports.append, "events": False}
        agent = Agent(memory, "ok", options=options)
        output = await once(agent.graph, said("hi"), config())
        assert output["messages"][-1].text == "ok"
        assert memory.settings.on_error == "raise"
        assert memory.failures >= 2
        assert reports[0].turn_count is None
        assert reports[0].failures


class TestNotStored:
    async def test_the_answer_comes_with_the_error(
        self, memory: AgentMemory, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*args: Any, **more: Any) -> Any:
            raise OSError("disk")

        agent = Agent(memory, lambda _: "ok")
        monkeypatch.setattr(memory.working, "encode", _failing_after(memory.working.encode, 1, fail))
        with pytest.raises(ExchangeNotStoredError, match="disk") as caught:
            await run(agent.graph, said("I am here"), config())
        assert caught.value.output["messages"][-1].text == "ok"
        assert turns(memory) == [("I am here", True)]

    async def test_a_turn_that_is_not_remembered_is_marked(
        self, memory: AgentMemory, once: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*args: Any, **more: Any) -> Any:
            raise OSError("disk")

        agent = Agent(memory, lambda _: "ok")
        with monkeypatch.context() as broken:
            broken.setattr(memory.long_term, "remember_op", fail)
            with pytest.raises(ExchangeNotStoredError, match="disk"):
                await once(agent.graph, said("I am here"), config())
        assert turns(memory) == [("I am here", True), ("ok", True)]
        await once(agent.graph, said("I am here"), config())
        assert turns(memory) == [("I am here", False), ("ok", False)]

    async def test_a_turn_that_is_not_remembered_is_whole_when_it_is_run_on(
        self, memory: AgentMemory, once: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*args: Any, **more: Any) -> Any:
            raise OSError("disk")

        agent = Agent(memory, LOOKS, "ok", checkpointer=InMemorySaver())
        with monkeypatch.context() as broken:
            broken.setattr(memory.long_term, "remember_op", fail)
            with pytest.raises(ExchangeNotStoredError, match="disk"):
                await once(agent.graph, said("I am here"), config())
        await once(agent.graph, None, config())
        assert turns(memory) == [(text, False) for text in ("I am here", "", "saw a", "ok")]
        assert count(memory) == 4
        (remembered,) = memory.long_term.list_memories(user="alice")
        assert remembered.text == "I am here"


def _failing_after(function: Any, times: int, fail: Any) -> Any:
    left = [times]

    def call(*args: Any, **more: Any) -> Any:
        left[0] -= 1
        return function(*args, **more) if left[0] >= 0 else fail()

    return call


@tool
def note(tool_call_id: Annotated[str, InjectedToolCallId]) -> Any:
    """Note."""
    return Command(update={"messages": [ToolMessage("noted", tool_call_id=tool_call_id)]})


async def test_a_tool_result_that_is_a_command_is_stored(memory: AgentMemory, once: Run) -> None:
    agent = Agent(memory, calls(("note", {})), "ok", tools=[note])
    await once(agent.graph, said("go"), config())
    assert contents(memory) == ["go", "", "noted", "ok"]
    assert isinstance(memory.working.messages("t1")[1], AIMessage)
