"""What a request costs, counted and timed where it happens, for each request by itself."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from langchain_agentmem.agent_memory import AgentMemory
from langchain_agentmem.core.operations import Effect
from langchain_agentmem.demo.store import vector_memories
from langchain_agentmem.transport.connections import RoundTrip


@dataclass
class Meter:
    """The cost of what happened since `measure` was called.

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
    twin = AgentMemory(settings=memory.settings, embeddings=vector_memories(memory).embeddings)
    twin.transport.observer = _spend
    return twin


def _spend(trip: RoundTrip) -> None:
    meter, step = _meter.get(), trip.step
    if meter is None:
        return
    if isinstance(step, Effect):
        meter.embedding_seconds += trip.seconds
        meter.vector = trip.answer[-1] if trip.answer else meter.vector
    else:
        meter.round_trips += 1
        meter.redis_seconds += trip.seconds
