"""What a request costs, counted and timed where it happens, for each request by itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from langchain_core.embeddings import Embeddings

from langchain_agentmem.agent_memory import AgentMemory
from langchain_agentmem.core.operations import Op, T
from langchain_agentmem.errors import ConfigurationError
from langchain_agentmem.longterm.long_term_memory import LongTermMemory
from langchain_agentmem.transport.connections import Transport


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
    twin.transport = MeasuredTransport(twin.transport)
    return twin


class MeasuredTransport:
    """A transport that meters the round trips made through it."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner

    @property
    def async_only(self) -> bool:
        """As of the transport it is around."""
        return self._inner.async_only

    @property
    def known(self) -> dict[Any, Any]:
        """As of the transport it is around."""
        return self._inner.known

    @property
    def rest(self) -> bool:
        """As of the transport it is around."""
        return self._inner.rest

    def run(self, op: Op[T]) -> T:
        """Run an operation to its result."""
        return self._inner.run(_metered(op))

    async def arun(self, op: Op[T]) -> T:
        """Async version of `run`."""
        return await self._inner.arun(_metered(op))

    def close(self) -> None:
        """Close the transport it is around."""
        self._inner.close()

    async def aclose(self) -> None:
        """Async version of `close`."""
        await self._inner.aclose()


def _metered(op: Op[T]) -> Op[T]:
    meter = _meter.get()
    if meter is None:
        return (yield from op)
    try:
        batch = next(op)
        while True:
            began = time.perf_counter()
            try:
                replies = yield batch
            finally:
                meter.round_trips += 1
                meter.redis_seconds += time.perf_counter() - began
            batch = op.send(replies)
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        op.close()


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
