"""Rows of embedding alone: this package's embeddings beside sentence-transformers, in one process."""

from __future__ import annotations

from typing import Any

import numpy as np

from integration_tests.benchmarks import embedders, natural
from integration_tests.benchmarks.measure import Row, Side
from integration_tests.benchmarks.world import World

_MANY = 512


class _Vectors:
    """Vectors that equal others if they differ by rounding only."""

    def __init__(self, vectors: Any) -> None:
        self._vectors = np.asarray(vectors)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Vectors) and np.allclose(self._vectors, other._vectors, atol=1e-5)

    __hash__ = None  # type: ignore[assignment]  # equal ones would need equal hashes


def embed_one(world: World) -> Row:
    """A user's message, embedded as a turn embeds it."""
    embed, encode = embedders.ours().embed_query, embedders.sentence_transformers()
    texts = natural.messages(200)
    return Row(
        "embed-one",
        "embed one sentence",
        Side("MiniLMEmbeddings.embed_query", lambda at: embed(texts[at % 200]), result=_Vectors),
        [
            Side(
                "sentence-transformers' encode",
                lambda at: encode([texts[at % 200]])[0],
                result=_Vectors,
                target="embed-one",
            )
        ],
        share=0.25,
        on_redis=False,
    )


def embed_many(world: World) -> Row:
    """Texts of one to six sentences, as an import has them."""
    embed, encode = embedders.ours().embed_documents, embedders.sentence_transformers()
    texts = natural.texts(min(_MANY, len(world.facts.stored)))
    return Row(
        "embed-many",
        f"embed {len(texts)} texts of one to six sentences",
        Side("MiniLMEmbeddings.embed_documents", lambda at: embed(texts), result=_Vectors),
        [
            Side(
                "sentence-transformers' encode",
                lambda at: encode(texts),
                result=_Vectors,
                target="embed-many",
            )
        ],
        share=0.00625,
        on_redis=False,
    )
