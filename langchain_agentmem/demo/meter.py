"""What a request costs, counted and timed where it happens, for each request by itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from langchain_core.embeddings import Embeddings

from langchain_agentmem.agent_memory import AgentMemory
from langchain_agentmem.core.embed import Embed
from langchain_agentmem.core.operations import Effect
from langchain_agentmem.demo.store import redis_memories
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
    """Return a new meter, on which this task, and those it starts, spend from now on."""
    meter = Meter()
    _meter.set(meter)
    return meter


def measured(memory: AgentMemory) -> AgentMemory:
    """Return the same memory over the same connections, whose every cost is metered. Close both.

    Raises:
        ConfigurationError: It is on a database that cannot search by vectors.
    """
    embeddings = MeasuredEmbeddings(redis_memories(memory).embeddings)
    twin = AgentMemory(settings=memory.settings, embeddings=embeddings)
    twin.transport.observer = _spend
    return twin


def _spend(trip: RoundTrip) -> None:
    meter, step = _meter.get(), trip.step
    if meter is None:
        return
    if isinstance(step, Embed) and isinstance(step.embeddings, MeasuredEmbeddings):
        return  # which meter themselves
    if isinstance(step, Effect):
        meter.embedding_seconds += trip.seconds
        meter.vector = trip.answer[-1] if trip.answer else meter.vector
    else:
        meter.round_trips += 1
        meter.redis_seconds += trip.seconds


class MeasuredEmbeddings(Embeddings):
    """Embeddings that meter the time they take, wherever they are called from."""

    def __init__(self, inner: Embeddings) -> None:
        self._inner = inner
        self.dimensions: int | None = getattr(inner, "dimensions", None)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return the vectors of texts, in their order."""
        with _embedding():
            return self._inner.embed_documents(texts)

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a text."""
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
