"""What a request costs, counted and timed where it happens, for each request by itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from langchain_core.embeddings import Embeddings

from langchain_agentmem.agent_memory import AgentMemory
from langchain_agentmem.core.operations import Effect
from langchain_agentmem.errors import ConfigurationError
from langchain_agentmem.longterm.redisearch.memory import LongTermMemory
from langchain_agentmem.transport.connections import RoundTrip


@dataclass
class Meter:
    """What was spent since `measure` was called.

    Attributes:
        round_trips: How many batches Redis was sent.
        redis_seconds: From sending each to having its replies.
        embedding_seconds: In the embedding model, its queue included.
        vector: Of the last text that was embedded.
    """

    round_trips: int = 0
    redis_seconds: float = 0.0
    embedding_seconds: float = 0.0
    vector: list[float] | None = None


_meter: ContextVar[Meter | None] = ContextVar("agentmem_demo_meter", default=None)


def measure() -> Meter:
    """A new meter, on which this task, and those it starts, spend from now on."""
    meter = Meter()
    _meter.set(meter)
    return meter


def on_redis(memory: AgentMemory) -> LongTermMemory:
    """The long-term memory, if it searches by vectors.

    Raises:
        ConfigurationError: It is on a database that cannot.
    """
    if not isinstance(memory.long_term, LongTermMemory):
        raise ConfigurationError("The demo needs Redis with Search and JSON; a REST API will not do.")
    return memory.long_term


def measured(memory: AgentMemory) -> AgentMemory:
    """The same memory over the same connections, whose every cost is metered. Close both."""
    twin = AgentMemory(settings=memory.settings, embeddings=MeasuredEmbeddings(on_redis(memory).embeddings))
    twin.transport.observer = _spend
    return twin


def _spend(trip: RoundTrip) -> None:
    if (meter := _meter.get()) is None:
        return
    if isinstance(trip.step, Effect):
        meter.embedding_seconds += trip.seconds
        meter.vector = trip.answer[-1] if trip.answer else meter.vector
    else:
        meter.round_trips += 1
        meter.redis_seconds += trip.seconds


class MeasuredEmbeddings(Embeddings):
    """Embeddings that meter the time they take."""

    def __init__(self, inner: Embeddings) -> None:
        self._inner = inner
        self.dimensions: int | None = getattr(inner, "dimensions", None)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """The vectors of texts, in their order."""
        with _embedding():
            return self._inner.embed_documents(texts)

    def embed_query(self, text: str) -> list[float]:
        """The vector of a text."""
        with _embedding() as meter:
            meter.vector = self._inner.embed_query(text)
        return meter.vector

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """Async version of `embed_documents`."""
        with _embedding():
            return await self._inner.aembed_documents(texts)

    async def aembed_query(self, text: str) -> list[float]:
        """Async version of `embed_query`."""
        with _embedding() as meter:
            meter.vector = await self._inner.aembed_query(text)
        return meter.vector


@contextmanager
def _embedding() -> Iterator[Meter]:
    meter = _meter.get() or Meter()
    began = time.perf_counter()
    try:
        yield meter
    finally:
        meter.embedding_seconds += time.perf_counter() - began
