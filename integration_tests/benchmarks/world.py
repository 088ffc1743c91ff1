"""What both sides of a comparison share: one server, one client, the same messages, facts and vectors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import redis
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from integration_tests.benchmarks import embedders, natural
from integration_tests.benchmarks.counting import CountedConnection, Traffic, open_client
from integration_tests.benchmarks.targets import FLAT
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


@dataclass(frozen=True)
class Fact:
    """Something to remember: a text, and its embedding as embedding models return it."""

    text: str
    embedding: list[float]


class Facts(Protocol):
    """Facts that are stored, and facts that are not."""

    stored: list[Fact]
    new: list[Fact]


class MadeUpFacts:
    """Facts whose vectors are made up, in topics of 25; the same at every run.

    Each new one has five stored ones within the recall threshold, and none within that of deduplication.
    """

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


class NaturalFacts:
    """Facts as people say them, and messages that state and ask something, with the model's vectors."""

    _FARTHER = 0.22  # than the dedup threshold of the guide: a new message has to be stored by every side

    def __init__(self, stored: int, new: int) -> None:
        self.stored = self._embedded(natural.facts(stored))
        known = np.array([fact.embedding for fact in self.stored])
        candidates = self._embedded(natural.messages(2 * new))
        self.new = [
            fact for fact in candidates if 1 - (known @ np.array(fact.embedding)).max() > self._FARTHER
        ][:new]

    @staticmethod
    def _embedded(texts: list[str]) -> list[Fact]:
        vectors = embedders.ours().embed_documents(texts)
        return [Fact(text, vector) for text, vector in zip(texts, vectors, strict=True)]


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


@dataclass(frozen=True)
class Store:
    """A memory that holds facts, and further facts that are new to it."""

    memory: AgentMemory
    facts: Facts

    @property
    def index(self) -> str:
        """The name of its search index."""
        return self.memory.settings.index_name

    @property
    def prefix(self) -> str:
        """The key prefix of its memories."""
        return self.memory.settings.memory_prefix

    def fact(self, number: int) -> Fact:
        """A fact that is not stored."""
        return self.facts.new[number % len(self.facts.new)]

    def exchange(self, number: int) -> list[BaseMessage]:
        """That fact as a user's message, and an answer of about 300 characters."""
        return [HumanMessage(content=self.fact(number).text), exchange(number)[1]]


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
        self._sizes = stored, new
        self.facts = MadeUpFacts(stored, new)
        self.memory = self.new_memory(algorithm="flat")
        self.closing = ExitStack()
        self._stores: dict[str, Store] = {}
        self.store_facts(self.memory)

    def new_memory(self, **settings: Any) -> AgentMemory:
        """An `AgentMemory` on the client that the other side uses too."""
        return AgentMemory(client=self.client, **settings)

    def store_facts(self, memory: AgentMemory, facts: Facts | None = None) -> None:
        """Give a memory the stored facts: the made-up ones, unless others are given."""
        stored = (facts or self.facts).stored
        memory.long_term.remember_many(
            [fact.text for fact in stored], user=USER, embeddings=[fact.embedding for fact in stored]
        )

    @cached_property
    def natural_facts(self) -> NaturalFacts:
        """Facts in natural sentences. They need the embedding model."""
        return NaturalFacts(*self._sizes)

    def store(self, algorithm: str = FLAT, facts: Facts | None = None, **settings: Any) -> Store:
        """A memory with the stored facts, behind an index of this algorithm; the same for the same arguments."""
        facts = facts or self.facts
        kind = "natural" if facts is not self.facts else "facts"
        slug = "-".join([kind, algorithm.lower(), *map(str, settings.values())])
        if slug not in self._stores:
            memory = self.memory
            if slug != f"facts-{FLAT.lower()}":
                names = {"index_name": f"{slug}:idx", "memory_prefix": f"store:{slug}:mem:"}
                memory = self.new_memory(algorithm=algorithm.lower(), **names, **settings)
                self.store_facts(memory, facts)
            self._stores[slug] = Store(memory, facts)
        return self._stores[slug]

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
