"""Small real embeddings for tests: words hashed into a vector, so that shared words mean nearness."""

from __future__ import annotations

import hashlib
import re

from langchain_core.embeddings import Embeddings


class WordEmbeddings(Embeddings):
    """A bag of words in `dimensions` buckets. Counts how many texts it was asked for."""

    def __init__(self, dimensions: int = 64) -> None:
        self.dimensions = dimensions
        self.embedded = 0

    def embed_query(self, text: str) -> list[float]:
        self.embedded += 1
        vector = [1e-3] * self.dimensions
        for word in re.findall(r"\w+", text.lower()):
            vector[int(hashlib.sha256(word.encode()).hexdigest(), 16) % self.dimensions] += 1
        return vector

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]
