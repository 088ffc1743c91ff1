"""A memory, exchanges that wait in it for a worker, and who extracts from them and sums them up."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from integration_tests.words import WordEmbeddings
from langchain_agentmem import Add, AgentMemory, Exchange
from langchain_agentmem.core.operations import gather, ok
from langchain_agentmem.tasks.task import Place, Task

WINDOW = 2


def listing(summary: str, messages: Sequence[BaseMessage]) -> str:
    """Sum up by listing who said what, in order."""
    return "\n".join([*summary.splitlines(), *(message.text for message in messages)])


def memory_of(url: str, **options: Any) -> AgentMemory:
    return AgentMemory(
        url,
        embeddings=WordEmbeddings(),
        **({"max_turns": WINDOW, "summarise": listing, "summarise_when": "background"} | options),
    )


@pytest.fixture
def memory(url: str) -> Iterator[AgentMemory]:
    with memory_of(url) as memory:
        yield memory


def place(
    thread: str = "t1", user: str = "alice", what: Any = "extract", namespace: str = "default"
) -> Place:
    return Place(what, thread, user, namespace)


def said(memory: AgentMemory, words: str, ts: float | None = None) -> list[bytes]:
    """A question with its answer, as they are stored."""
    now = time.time() if ts is None else ts
    messages = [HumanMessage(words), AIMessage(f"So {words}")]
    return [memory.working.encode(message, now) for message in messages]


def enqueue(memory: AgentMemory, words: str, thread: str = "t1", user: str = "alice", **task: Any) -> None:
    """Let an exchange wait to be extracted from, as a turn does."""
    made = Task(uuid.uuid4().hex, time.time(), tuple(said(memory, words)))
    memory.transport.run(memory.tasks.enqueue_op(place(thread, user), replaced(made, **task)))


def converse(memory: AgentMemory, words: str, thread: str = "t1", user: str = "alice") -> None:
    """Store an exchange in its session, and let it wait for both, in a round trip, as a turn does."""
    stored = said(memory, words)
    extract, fold = (Task(uuid.uuid4().hex, time.time(), messages) for messages in (tuple(stored), ()))
    ops = [
        memory.working.write_turns_op(thread, stored, user=user),
        memory.tasks.enqueue_op(place(thread, user), extract),
        memory.tasks.enqueue_op(place(thread, user, "fold"), fold),
    ]
    for result in memory.transport.run(gather(ops)):
        ok(result)


def replaced(task: Task, **members: Any) -> Task:
    from dataclasses import replace

    return replace(task, **members)


class Facts:
    """Extract what the user says, each line as a fact; raise for what it is told to.

    Attributes:
        asked: The exchanges that it was given.
    """

    def __init__(self, *, failing: str = "", times: int = 10**6) -> None:
        self.asked: list[Exchange] = []
        self.failing, self.times = failing, times

    def __call__(self, exchange: Exchange) -> list[Add]:
        self.asked.append(exchange)
        words = [message.text for message in exchange.messages if message.type == "human"]
        if self.failing and self.failing in " ".join(words) and self.times:
            self.times -= 1
            raise TimeoutError("no answer")
        return [Add(one) for one in words]


def texts(memory: AgentMemory, user: str = "alice") -> list[str]:
    """The memories of a user, sorted."""
    return sorted(one.text for one in memory.long_term.list_memories(user=user, limit=1000))


def waiting(memory: AgentMemory) -> tuple[int, int]:
    """How many queues are not empty, and how many tasks are set aside."""
    return tuple(memory.transport.run(memory.tasks.waiting_op()))
