"""What both sides of a comparison share: one server, one client, the same messages, facts and vectors."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import redis
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from integration_tests.upstash.emulator import Emulator
from langchain_agentmem import AgentMemory, EmbeddedRedis

USER = "bench"
DIMENSIONS = 384
WINDOW = 20
TTL_SECONDS = 3600
EPISODIC_SECONDS = 604800
TOPIC_SIZE = 25
# Vectors of one topic are about 0.4 apart: nearer than the recall threshold, farther than the dedup threshold.
_NOISE = (1 / 0.6 - 1) ** 0.5


class Traffic(NamedTuple):
    """What went out so far."""

    round_trips: int
    sent_bytes: int


class CountedConnection(redis.UnixDomainSocketConnection):
    """A connection that counts its writes: whatever is written at once is one round trip.

    Attributes:
        writes: How many there were, on all connections.
        sent_bytes: How many bytes they were.
        distance_seconds: How far away the server is made to seem: a wait at every write.
    """

    writes = 0
    sent_bytes = 0
    distance_seconds = 0.0

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        CountedConnection.writes += 1
        CountedConnection.sent_bytes += sum(map(len, [command] if isinstance(command, bytes) else command))
        if CountedConnection.distance_seconds:
            time.sleep(CountedConnection.distance_seconds)
        super().send_packed_command(command, check_health)


def redis_traffic() -> Traffic:
    """What went out on the connections to Redis."""
    return Traffic(CountedConnection.writes, CountedConnection.sent_bytes)


def open_client(url: str, **options: Any) -> redis.Redis:
    """A redis-py client as it comes, but for the counting."""
    pool = redis.ConnectionPool.from_url(url, **options)
    pool.connection_class = CountedConnection
    return redis.Redis(connection_pool=pool)


@dataclass(frozen=True)
class Fact:
    """Something to remember: a text, and its embedding as embedding models return it."""

    text: str
    embedding: list[float]


class Facts:
    """Made-up facts in topics of 25; the same at every run."""

    def __init__(self, stored: int, new: int) -> None:
        self._numbers = np.random.default_rng(17)
        topics = [self._direction() for _ in range(max(1, stored // TOPIC_SIZE))]
        facts = [self._fact(topics[at % len(topics)], at) for at in range(stored + new)]
        self.stored, self.new = facts[:stored], facts[stored:]

    def _direction(self) -> Any:
        direction = self._numbers.normal(size=DIMENSIONS)
        return direction / np.linalg.norm(direction)

    def _fact(self, topic: Any, number: int) -> Fact:
        near = topic + _NOISE * self._direction()
        # Through float32, as a model's numbers are.
        vector = (near / np.linalg.norm(near)).astype(np.float32)
        return Fact(
            f"Fact {number}: the user moved the budget review with finance to week {number % 52}.",
            vector.tolist(),
        )


def exchange(number: int) -> list[BaseMessage]:
    """A user's message of about 80 characters and an answer of about 300."""
    said = f"Question {number}: could you schedule the budget review with finance for next week?"
    answer = (
        f"Answer {number}: the budget review is set for Tuesday at ten. " + "Finance has confirmed. " * 10
    )
    return [HumanMessage(content=said), AIMessage(content=answer)]


def conversation() -> list[BaseMessage]:
    """As many messages as the window holds."""
    return [message for number in range(WINDOW // 2) for message in exchange(number)]


class World:
    """A server with the stored facts on it.

    Args:
        url: A server of its own: it is emptied.
        stored: How many memories there are.
        new: How many further facts there are to be learnt.
    """

    def __init__(self, url: str, *, stored: int = 1000, new: int = 200) -> None:
        self.url = url
        self.client = open_client(url)
        self.client.flushall()
        self.client.execute_command("FT.CONFIG", "SET", "FORK_GC_CLEAN_THRESHOLD", 0)
        self.facts = Facts(stored, new)
        self.memory = self.new_memory()
        self.closing = ExitStack()
        self.store_facts(self.memory)

    def new_memory(self, **settings: Any) -> AgentMemory:
        """An `AgentMemory` on the client that the other side uses too."""
        return AgentMemory(client=self.client, **settings)

    def store_facts(self, memory: AgentMemory) -> None:
        """Give a memory the stored facts."""
        memory.long_term.remember_many(
            [fact.text for fact in self.facts.stored],
            user=USER,
            embeddings=[fact.embedding for fact in self.facts.stored],
        )

    @contextmanager
    def far_away(self, seconds: float) -> Iterator[None]:
        """Let every round trip take this much longer."""
        CountedConnection.distance_seconds = seconds
        try:
            yield
        finally:
            CountedConnection.distance_seconds = 0.0

    def tidy(self) -> None:
        """Have the index forget deleted memories now, not half a minute later: searches pass over them."""
        for index in self.client.execute_command("FT._LIST"):
            self.client.execute_command("FT.DEBUG", "GC_FORCEINVOKE", index)

    def fact(self, number: int) -> Fact:
        """A fact that is not stored."""
        return self.facts.new[number % len(self.facts.new)]

    @cached_property
    def resp2_client(self) -> redis.Redis:
        """A client for langchain-redis, which cannot read RESP3, redis-py's default."""
        return open_client(self.url, protocol=2)

    @cached_property
    def rest_server(self) -> EmbeddedRedis:
        """A Redis of its own behind the REST API, whose emulation needs notifications of every write."""
        return self.closing.enter_context(EmbeddedRedis(search=False))

    @cached_property
    def emulator(self) -> Emulator:
        """Upstash's REST API on this machine."""
        return self.closing.enter_context(Emulator(self.rest_server.url))

    @cached_property
    def rest_client(self) -> redis.Redis:
        """A client beside the REST API, on what is behind it."""
        return self.closing.enter_context(redis.Redis.from_url(self.rest_server.url))

    def rest_traffic(self) -> Traffic:
        """What went out to the REST API: requests, with their headers."""
        requests = self.emulator.requests
        heads = (len(f"{name}: {value}\r\n") for one in requests for name, value in one.headers.items())
        lines = (len(f"POST {one.path} HTTP/1.1\r\n\r\n") for one in requests)
        return Traffic(len(requests), sum(heads) + sum(lines) + sum(one.size_bytes for one in requests))

    def close(self) -> None:
        """Close the clients."""
        self.closing.close()
        self.memory.close()
        self.client.close()
        if "resp2_client" in self.__dict__:
            self.resp2_client.close()
