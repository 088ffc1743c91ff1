"""An agent is told the summary of what has left its thread's window."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from langchain_core.messages import BaseMessage
from langgraph.checkpoint.memory import InMemorySaver

from integration_tests.agents.conftest import Agent, Run, config, contents, said
from integration_tests.agents.scripted_model import ScriptedModel
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory, model_summariser


def listing(summary: str, messages: Sequence[BaseMessage]) -> str:
    return " ".join([*summary.split(), *(message.text for message in messages)])


@pytest.fixture(params=["hash", "list"])
async def memory(url: str, request: pytest.FixtureRequest) -> AsyncIterator[AgentMemory]:
    options: dict[str, Any] = {"session_storage": request.param, "max_turns": 2, "summarise_when": "inline"}
    async with AgentMemory(url, embeddings=WordEmbeddings(), summarise=listing, **options) as memory:
        yield memory


@pytest.mark.parametrize("place", ["system", "user"])
async def test_the_summary_is_in_the_system_message_before_the_window(
    memory: AgentMemory, run: Run, place: Any
) -> None:
    agent = Agent(
        memory, lambda _: "ok", system_prompt="Be kind.", options={"place": place, "remember": None}
    )
    for text in ("one", "two", "three"):
        await run(agent.graph, said(text), config())
    assert agent.told.startswith("Be kind.\n\n<summary>\n")
    assert "\none ok\n</summary>" in agent.told
    others = [message.text for message in agent.last_request if message.type != "system"]
    assert others == ["two", "ok", "three"]
    assert contents(memory) == ["three", "ok"]
    state = memory.working.load("t1")
    assert state is not None
    assert state.summary == "one ok two ok"


async def test_with_a_checkpointer_the_agent_has_it_all_and_is_told_no_summary(
    memory: AgentMemory, once: Run
) -> None:
    agent = Agent(memory, lambda _: "ok", checkpointer=InMemorySaver(), options={"remember": None})
    for text in ("one", "two", "three"):
        await once(agent.graph, said(text), config())
    assert "<summary>" not in agent.told
    assert [message.text for message in agent.last_request if message.type != "system"] == [
        *("one", "ok", "two", "ok", "three"),
    ]
    state = memory.working.load("t1")
    assert state is not None
    assert state.summary == "one ok two ok"


async def test_a_stream_of_the_answer_does_not_show_the_summary(url: str) -> None:
    summing = ScriptedModel.of(lambda _: "condensed")
    options: dict[str, Any] = {"max_turns": 2, "summarise_when": "inline"}
    summarise = model_summariser(summing)
    async with AgentMemory(url, embeddings=WordEmbeddings(), summarise=summarise, **options) as memory:
        agent = Agent(memory, lambda _: "ok", options={"remember": None})
        for text in ("one", "two"):
            shown = [
                part.text for part, _ in agent.graph.stream(said(text), config(), stream_mode="messages")
            ]
            more = agent.graph.astream(said(text), config(), stream_mode="messages")
            shown += [part.text async for part, _ in more]
            assert "condensed" not in "".join(shown)
            assert "ok" in "".join(shown)
        state = memory.working.load("t1")
    assert state is not None
    assert state.summary == "condensed"
