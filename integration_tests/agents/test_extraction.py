"""An agent's turns are extracted from: at once, or by a worker, each once."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

import pytest
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from integration_tests.agents.conftest import Agent, Run, config, contents, look, said
from integration_tests.agents.scripted_model import ScriptedModel, calls
from integration_tests.words import WordEmbeddings
from langchain_agentmem import Add, AgentMemory, Exchange, ExchangeReport, model_extractor
from langchain_agentmem.tasks.task import Place, Queued

PLACE = Place("extract", "t1", "alice", "default")
LOOKS = calls(("look", {"at": "a"}))
APPROVE = Command(resume={"decisions": [{"type": "approve"}]})


class Telling:
    """An extractor that tells each thing the user says, and notes what it was given."""

    def __init__(self) -> None:
        self.given: list[Exchange] = []

    def __call__(self, exchange: Exchange) -> Sequence[Any]:
        self.given.append(exchange)
        return [Add(f"told: {one.text}") for one in exchange.messages if one.type == "human"]


def texts(memory: AgentMemory) -> list[str]:
    return sorted(record.text for record in memory.long_term.list_memories(user="alice"))


def times(memory: AgentMemory) -> list[float]:
    state = memory.working.load("t1")
    assert state is not None
    return [turn.ts for turn in state.recent_turns]


def queued(memory: AgentMemory) -> list[Queued]:
    return memory.transport.run(memory.tasks.read_op(PLACE, 10))


async def test_a_turn_with_its_tools_is_extracted_from_once(memory: AgentMemory, run: Run) -> None:
    extract, reports = Telling(), list[ExchangeReport]()
    agent = Agent(memory, LOOKS, "done", options={"remember": extract, "on_turn": reports.append})
    await run(agent.graph, said("My cat is Tom"), config())
    assert texts(memory) == ["told: My cat is Tom"]
    (exchange,) = extract.given
    assert [one.type for one in exchange.messages] == ["human", "ai", "tool", "ai"]
    assert [one.outcome for one in reports[0].changes] == ["stored"]
    assert queued(memory) == []


async def test_a_turn_costs_two_round_trips_and_leaves_it_to_a_worker(memory: AgentMemory, once: Run) -> None:
    agent = Agent(memory, lambda _: "ok", options={"remember_when": "background", "events": False})
    await once(agent.graph, said("hello"), config())
    with memory.trace() as trace:
        await once(agent.graph, said("My cat is Tom"), config())
    assert len(trace.round_trips) == 2
    assert [memory.working.decode(one.task.messages[0]).text for one in queued(memory)] == [
        "hello",
        "My cat is Tom",
    ]
    assert texts(memory) == []


@pytest.mark.task_contexts
async def test_a_turn_that_is_interrupted_is_extracted_from_when_it_is_whole(
    memory: AgentMemory, once: Run
) -> None:
    extract = Telling()
    agent = Agent(
        memory,
        LOOKS,
        "done",
        behind=[HumanInTheLoopMiddleware({"look": True})],
        checkpointer=InMemorySaver(),
        options={"remember": extract},
    )
    await once(agent.graph, said("My cat is Tom"), config())
    assert (extract.given, queued(memory)) == ([], [])
    asked_at, resumed_at = times(memory)[0], time.time()
    await once(agent.graph, APPROVE, config())
    assert times(memory)[0] == asked_at
    (exchange,) = extract.given
    assert [one.text for one in exchange.messages] == ["My cat is Tom", "", "saw a", "done"]
    if memory.working.config.storage == "hash":  # a list knows no times
        assert exchange.times[0] == asked_at < resumed_at <= exchange.times[-1]
    assert texts(memory) == ["told: My cat is Tom"]


@pytest.mark.task_contexts
async def test_a_stream_of_the_answer_does_not_show_what_is_extracted(memory: AgentMemory) -> None:
    facts = json.dumps({"facts": [{"text": "My cat is Tom.", "kind": "semantic", "replaces": None}]})
    extract = model_extractor(ScriptedModel.of(lambda _: facts))
    agent = Agent(memory, lambda _: "ok", options={"remember": extract})
    streamed = agent.graph.stream(said("My cat is Tom"), config(), stream_mode="messages")
    shown = [part.text for part, _ in streamed]
    streamed = agent.graph.astream(said("My cat is Tim"), config(), stream_mode="messages")
    shown += [part.text async for part, _ in streamed]
    assert "facts" not in "".join(shown)
    assert "ok" in "".join(shown)
    assert texts(memory) == ["My cat is Tom."]


async def test_what_the_model_remembered_itself_is_known_to_the_extractor(
    memory: AgentMemory, once: Run
) -> None:
    extract = Telling()
    call = calls(("remember", {"text": "My cat is Tom", "kind": "profile"}))
    agent = Agent(memory, call, "ok", tools=memory.tools(), options={"remember": extract})
    await once(agent.graph, said("My cat is Tom"), config())
    (exchange,) = extract.given
    assert [record.text for record in exchange.memories] == ["My cat is Tom"]


async def test_a_failed_extraction_costs_the_agent_nothing(memory: AgentMemory, run: Run) -> None:
    def broken(exchange: Exchange) -> Sequence[Any]:
        raise OSError("no network")

    agent = Agent(memory, LOOKS, "done", options={"remember": broken})
    state = await run(agent.graph, said("My cat is Tom"), config())
    assert state["messages"][-1].text == "done"
    assert contents(memory) == ["My cat is Tom", "", "saw a", "done"]
    assert [one.task.attempts for one in queued(memory)] == [1]


async def test_an_agent_that_is_a_tool_is_extracted_from_by_the_outer_one(
    memory: AgentMemory, once: Run
) -> None:
    from langchain_core.tools import tool

    inner, extract = Telling(), Telling()
    helper = Agent(memory, "inside", options={"remember": inner})

    @tool
    def delegate(to: str) -> str:
        """Delegate."""
        return str(helper.graph.invoke(said(to), config())["messages"][-1].text)

    call = calls(("delegate", {"to": "help"}))
    agent = Agent(memory, call, "ok", tools=[look, delegate], options={"remember": extract})
    await once(agent.graph, said("My cat is Tom"), config())
    assert inner.given == []
    assert len(extract.given) == 1


async def test_users_of_one_middleware_are_extracted_from_apart(url: str, run: Run) -> None:
    async with AgentMemory(url, embeddings=WordEmbeddings()) as memory:
        agent = Agent(memory, lambda _: "ok", options={"remember": Telling()})
        for user in ("alice", "bob"):
            await run(agent.graph, said(f"I am {user}"), config(f"t-{user}", user))
        for user in ("alice", "bob"):
            found = memory.long_term.list_memories(user=user)
            assert [record.text for record in found] == [f"told: I am {user}"]


def approved(memory: AgentMemory, *script: Any, saver: Any, **options: Any) -> Agent:
    return Agent(
        memory,
        *script,
        behind=[HumanInTheLoopMiddleware({"look": True})],
        checkpointer=saver,
        options=options,
    )


@pytest.mark.task_contexts
@pytest.mark.parametrize("when", ["inline", "background"])
async def test_a_turn_that_goes_on_in_another_process_is_extracted_from_there(
    memory: AgentMemory, url: str, once: Run, when: Any
) -> None:
    memory.long_term.remember("My cat is Tim", user="alice", id="cat")
    storage = memory.working.config.storage
    saver, extract = InMemorySaver(), Telling()
    chosen: dict[str, Any] = {"remember": extract, "remember_when": when}
    await once(approved(memory, LOOKS, saver=saver, **chosen).graph, said("My cat is Tom"), config())
    async with AgentMemory(url, embeddings=WordEmbeddings(), session_storage=storage) as other:
        await once(approved(other, "done", saver=saver, **chosen).graph, APPROVE, config())
    if when == "inline":
        (exchange,) = extract.given
        assert [one.text for one in exchange.messages] == ["My cat is Tom", "", "saw a", "done"]
        assert [one.id for one in exchange.memories] == ["cat"]
        assert (texts(memory), queued(memory)) == (["My cat is Tim", "told: My cat is Tom"], [])
    else:
        (task,) = queued(memory)
        assert memory.working.decode(task.task.messages[0]).text == "My cat is Tom"
        assert (extract.given, texts(memory)) == ([], ["My cat is Tim"])


@pytest.mark.task_contexts
@pytest.mark.parametrize("when", ["inline", "background"])
async def test_of_two_who_resume_a_turn_at_once_one_extracts_from_it(
    memory: AgentMemory, once: Run, monkeypatch: pytest.MonkeyPatch, when: Any
) -> None:
    extract = Telling()
    agent = approved(memory, LOOKS, "one", "two", saver=InMemorySaver(), remember=extract, remember_when=when)
    await once(agent.graph, said("My cat is Tom"), config())
    states = [state async for state in agent.graph.aget_state_history(config())]
    at = next(one.config["configurable"] for one in states if any("HumanInTheLoop" in to for to in one.next))
    write, first = memory.working.write_turns_op, [True]

    def overtaken(*args: Any, **more: Any) -> Any:
        if first.pop() if first else False:
            agent.graph.invoke(APPROVE, config(**at))
        return write(*args, **more)

    monkeypatch.setattr(memory.working, "write_turns_op", overtaken)
    await once(agent.graph, APPROVE, config())
    assert contents(memory) == ["My cat is Tom", "", "saw a", "two", "one"]
    if when == "inline":
        assert (len(extract.given), texts(memory), queued(memory)) == (1, ["told: My cat is Tom"], [])
    else:
        assert len(queued(memory)) == 1
