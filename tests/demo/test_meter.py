"""What a request is told it cost."""

from __future__ import annotations

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding

from langchain_agentmem.core.embed import Embed
from langchain_agentmem.core.operations import reads
from langchain_agentmem.demo import meter
from langchain_agentmem.transport.connections import RoundTrip

PLAIN = DeterministicFakeEmbedding(size=3)


@pytest.mark.parametrize("embeddings", [PLAIN, meter.MeasuredEmbeddings(PLAIN)], ids=["plain", "measured"])
def test_an_embedding_is_metered_once_and_is_no_round_trip(embeddings: meter.Embeddings) -> None:
    spent = meter.measure()
    step = Embed(embeddings, ["tea"], "query")
    vectors = step.run()
    metered_itself = spent.embedding_seconds
    meter._spend(RoundTrip(step, 1.0, vectors))
    assert spent.embedding_seconds == (metered_itself or 1.0)
    assert (spent.vector, spent.round_trips) == (vectors[0], 0)


def test_a_batch_is_a_round_trip_and_no_embedding() -> None:
    spent = meter.measure()
    meter._spend(RoundTrip([reads("GET", "a"), reads("GET", "b")], 0.5, [None, None]))
    assert (spent.round_trips, spent.redis_seconds, spent.embedding_seconds) == (1, 0.5, 0.0)
