"""A world: servers with so many users on them. How it is filled, and what is done in it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, HumanMessage

from integration_tests.benchmarks.world import exchange
from integration_tests.scale.people import (
    MEMORIES,
    MESSAGES,
    SESSIONS,
    GivenVectors,
    Said,
    conversation,
    memories_of,
    saying,
    thread_name,
    user_name,
)
from integration_tests.scale.servers import STANDALONE, Servers, started
from langchain_agentmem import AgentMemory
from langchain_agentmem.longterm.types import VectorType

_AT_ONCE = 32  # conversations that are stored
_LOGGED = 1_000  # conversations that have events before anything is measured


@dataclass(frozen=True, order=True)
class Place:
    """Says where and how much: `standalone` or a number of primaries, and how many memories.

    Attributes:
        on: What it runs on.
        memories: How many memories there are, of all users.
    """

    on: str
    memories: int

    @property
    def users(self) -> int:
        """How many users there are."""
        return self.memories // MEMORIES

    @property
    def name(self) -> str:
        """What it is called in files and on the screen."""
        return f"{self.memories} on {where(self.on)}"


def where(on: str) -> str:
    """Return what `standalone` or a number of primaries is called."""
    return on if on == STANDALONE else f"{on} {'primary' if on == '1' else 'primaries'}"


@dataclass(frozen=True)
class Footprint:
    """What a world takes on its primaries, in bytes.

    Attributes:
        on: What it runs on.
        memories: How many memories there are.
        vector_type: Of the index.
        empty: Before anything was stored.
        long_term: What the memories added, with their indexes.
        sessions: What the conversations and their listing added.
        events: What the events of one conversation take.
        resident: What the system gave to the servers in the end.
        memories_per_second: How quickly memories were stored, by one client, 64 per round trip.
    """

    on: str
    memories: int
    vector_type: str
    empty: int
    long_term: int
    sessions: int
    events: float
    resident: int
    memories_per_second: float


class World:
    """Servers with so many users on them, each with the same share.

    Attributes:
        place: Where, and how many.
        vector_type: Of the index.
        servers: The servers.
        memory: What is measured.
    """

    def __init__(self, place: Place, servers: Servers, vector_type: VectorType) -> None:
        self.place = place
        self.vector_type = vector_type
        self.servers = servers
        self._given = GivenVectors()
        self.memory = AgentMemory(
            servers.url, embeddings=self._given, storage="hash", vector_type=vector_type, algorithm="flat"
        )
        self._random = random.Random(f"{place}")
        self._said = 0

    def fill(self, advance: Callable[[int], object]) -> Footprint:
        """Store every user's memories and conversations; `advance` is told how many memories more there are."""
        empty, began = self.servers.used_bytes(), time.perf_counter()
        for user in range(self.place.users):
            texts, vectors = memories_of(user)
            self.memory.long_term.remember_many(
                texts, user=user_name(user), embeddings=vectors.tolist(), deduplicate=False
            )
            advance(MEMORIES)
        took = time.perf_counter() - began
        remembered = self.servers.used_bytes()
        asyncio.run(self._converse())
        conversed = self.servers.used_bytes()
        logged = self._log()
        return Footprint(
            self.place.on,
            self.place.memories,
            self.vector_type,
            empty,
            remembered - empty,
            conversed - remembered,
            (self.servers.used_bytes() - conversed) / logged,
            self.servers.resident_bytes(),
            self.place.memories / took,
        )

    def _log(self) -> int:
        """Record what the turns of some conversations do, and return how many conversations that were."""
        texts, _ = memories_of(0)
        told = "; ".join(f"0.340 {text}" for text in texts[:5])
        turn = [
            {"action": "turn_start", "detail": texts[0]},
            {"action": "recall", "detail": told, "memory_ids": ["0" * 32] * 5},
        ]
        threads = [
            (user_name(user), thread_name(user, at))
            for user in range(min(self.place.users, _LOGGED // SESSIONS))
            for at in range(SESSIONS)
        ]
        for user, thread in threads:
            events = [(thread, event | {"user": user}) for event in turn * (MESSAGES // 2)]
            self.memory.events.record_many(events)
        return len(threads)

    async def _converse(self) -> None:
        messages, working = conversation(), self.memory.working
        threads = iter([(user, at) for user in range(self.place.users) for at in range(SESSIONS)])

        async def store() -> None:
            for user, at in threads:
                await working.aappend(thread_name(user, at), messages, user=user_name(user))

        await asyncio.gather(*(store() for _ in range(_AT_ONCE)))

    def saying(self) -> Said:
        """Return what one of its users says next."""
        self._said += 1
        return saying(self.place.users, self._said, self._random)

    def recall_hybrid(self, said: Said) -> Any:
        """Recall by meaning and words."""
        return self.memory.long_term.recall(said.text, user=said.user, embedding=said.vector)

    def recall_vector(self, said: Said) -> Any:
        """Recall by meaning alone."""
        return self.memory.long_term.recall(said.text, user=said.user, embedding=said.vector, mode="vector")

    def remember(self, said: Said) -> Any:
        """Remember something new; returns what has to be forgotten."""
        stored = self.memory.long_term.remember(said.text, user=said.user, embedding=said.vector)
        return [stored.id]

    def append(self, said: Said) -> Any:
        """Append an exchange to a conversation."""
        return self.memory.working.append(said.thread, exchange(self._said), user=said.user)

    def turn(self, said: Said) -> Any:
        """Read a turn and write it; returns what has to be forgotten."""
        self._given.give(said.text, said.vector)
        context = self.memory.read_turn(said.thread, user=said.user, text=said.text)
        answer = AIMessage(exchange(self._said)[1].content)
        result = self.memory.write_turn(context, [HumanMessage(said.text), answer])
        return [one.id for one in result.remembered]

    def forget(self, said: Said, ids: list[str]) -> None:
        """Forget what was remembered, so that each user keeps its share."""
        assert ids, f"nothing was remembered of {said.text!r}"
        for one in ids:
            self.memory.long_term.delete_memory(one, user=said.user)

    def close(self) -> None:
        """Close the memory."""
        self.memory.close()


@dataclass(frozen=True)
class Operation:
    """An operation that is measured.

    Attributes:
        title: What it is called in tables.
        run: Does it.
        undo: Puts things back.
        check: Whether the result is what was asked for.
    """

    title: str
    run: Callable[[World, Said], Any]
    undo: Callable[[World, Said, Any], object] = lambda world, said, result: None
    check: Callable[[Any], object] = bool


OPERATIONS: dict[str, Operation] = {
    "recall": Operation("recall, by meaning and words", World.recall_hybrid),
    "recall-vector": Operation('recall, `mode="vector"`', World.recall_vector),
    "remember": Operation("remember", World.remember, World.forget),
    "append": Operation("append an exchange", World.append),
    "turn": Operation("a turn: `read_turn` and `write_turn`", World.turn, World.forget),
}


@contextmanager
def opened(place: Place, vector_type: VectorType) -> Iterator[World]:
    """Start servers, with nothing on them yet."""
    with ExitStack() as stack:
        world = World(place, stack.enter_context(started(place.on)), vector_type)
        stack.callback(world.close)
        yield world
