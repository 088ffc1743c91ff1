"""Embed texts without a model, so that examples run at once: hash words into a vector.

Texts that share words are close to each other; these embeddings know nothing else. Leave `embeddings=` out of
`AgentMemory` to get all-MiniLM-L6-v2, which knows what words mean.
"""

from __future__ import annotations

import hashlib
import re

from langchain_core.embeddings import Embeddings


class TinyEmbeddings(Embeddings):
    """A bag of words in 1,024 buckets; common words count for nothing."""

    dimensions = 1024
    ignored = frozenset("a am an and are do does i in is it my of the to what where which you".split())

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a text."""
        vector = [1e-3] * self.dimensions
        for word in set(re.findall(r"\w+", text.lower())) - self.ignored:
            bucket = int(hashlib.sha256(word.encode()).hexdigest(), 16) % self.dimensions
            vector[bucket] += 1.0
        return vector

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return the vectors of texts, in the same order."""
        return [self.embed_query(text) for text in texts]
