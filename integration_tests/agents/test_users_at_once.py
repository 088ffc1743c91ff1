"""Two users through one middleware at once: neither is told anything of the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from langchain_core.messages import BaseMessage
from langgraph.checkpoint.memory import InMemorySaver

from integration_tests.agents.conftest import Agent, config, contents, events, said
from integration_tests.agents.scripted_model import calls
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory

USERS = ("alice", "bob")
TURNS = 50  # of each user, in threads and in tasks


def answer(messages: list[BaseMessage]) -> Any:
    """Call a tool for a question, and repeat what it saw."""
    last = messages[-1]
    if last.type == "human":
        return calls(("look", {"at": last.text.split()[-1]}))
    return last.text


def leaks(agent: Agent) -> int:
    """How many requests hold a secret of a user who does not ask."""
    found = 0
    for request in agent.model.requests:
        text = " ".join(message.text for message in request)
        found += all(f"secret-of-{user}" in text for user in USERS)
    return found


@pytest.fixture
async def memory(url: str) -> AsyncIterator[AgentMemory]:
    async with AgentMemory(url, embeddings=WordEmbeddings(), max_turns=8) as memory:
        for user in USERS:
            memory.long_term.remember(f"secret-of-{user} is here", user=user, kind="profile")
        yield memory


def saying(user: str, turn: int) -> dict[str, Any]:
    return said(f"My number {turn} is secret-of-{user}-{turn}")


@pytest.mark.parametrize("saver", [None, InMemorySaver], ids=["alone", "checkpointer"])
@pytest.mark.parametrize("how", ["threads", "tasks"])
async def test_a_hundred_turns_of_two_users_at_once_leak_nothing(
    memory: AgentMemory, how: str, saver: Any
) -> None:
    agent = Agent(memory, answer, checkpointer=None if saver is None else saver())
    whose = [(user, turn) for turn in range(TURNS) for user in USERS]
    outputs: list[Any]
    if how == "threads":
        with ThreadPoolExecutor(4) as pool:
            outputs = list(
                pool.map(
                    lambda one: agent.graph.invoke(saying(*one), config(f"of-{one[0]}-{one[1] % 5}", one[0])),
                    whose,
                )
            )
    else:
        limit = asyncio.Semaphore(8)

        async def turn(user: str, number: int) -> Any:
            async with limit:
                return await agent.graph.ainvoke(
                    saying(user, number), config(f"of-{user}-{number % 5}", user)
                )

        outputs = await asyncio.gather(*(turn(*one) for one in whose))
    assert len(agent.model.requests) == 2 * len(whose)
    assert leaks(agent) == 0
    for (user, number), output in zip(whose, outputs, strict=True):
        assert output["messages"][-1].text == f"saw secret-of-{user}-{number}"
    for user, other in (USERS, USERS[::-1]):
        remembered = [one.text for one in memory.long_term.list_memories(user=user, limit=200)]
        assert len(remembered) == TURNS + 1
        assert not any(other in text for text in remembered)
        for thread in {f"of-{user}-{number}" for number in range(5)}:
            assert not any(other in str(content) for content in contents(memory, thread))
            assert {event.user for event in events(memory, thread)} <= {user, ""}
