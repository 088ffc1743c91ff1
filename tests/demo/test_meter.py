"""What a request is told it cost."""

from __future__ import annotations

from langchain_core.embeddings import DeterministicFakeEmbedding

from langchain_agentmem.core.embed import Embed
from langchain_agentmem.core.operations import reads
from langchain_agentmem.demo import meter
from langchain_agentmem.transport.connections import RoundTrip


def test_an_embedding_is_metered_and_is_no_round_trip() -> None:
    spent = meter.measure()
    step = Embed(DeterministicFakeEmbedding(size=3), ["tea"], "query")
    vectors = step.run()
    meter._spend(RoundTrip(step, 1.0, vectors))
    assert (spent.embedding_seconds, spent.vector, spent.round_trips) == (1.0, vectors[0], 0)


def test_a_batch_is_a_round_trip_and_no_embedding() -> None:
    spent = meter.measure()
    meter._spend(RoundTrip([reads("GET", "a"), reads("GET", "b")], 0.5, [None, None]))
    assert (spent.round_trips, spent.redis_seconds, spent.embedding_seconds) == (1, 0.5, 0.0)
