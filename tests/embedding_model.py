"""A small real model that records how it was called."""

from __future__ import annotations

from langchain_core.embeddings import Embeddings


class RecordingEmbeddings(Embeddings):
    """Embed a text as its length.

    Args:
        fails: Raise this in place of an answer.

    Attributes:
        calls: The method and the texts of each call, in order.
    """

    def __init__(self, fails: Exception | None = None) -> None:
        self.fails = fails
        self.calls: list[tuple[str, list[str]]] = []

    def _answer(self, method: str, texts: list[str]) -> list[list[float]]:
        self.calls.append((method, texts))
        if self.fails is not None:
            raise self.fails
        return [[float(len(text))] for text in texts]

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self._answer("embed_documents", texts)

    def embed_query(self, text: str) -> list[float]:
        return self._answer("embed_query", [text])[0]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        return self._answer("aembed_documents", texts)

    async def aembed_query(self, text: str) -> list[float]:
        return self._answer("aembed_query", [text])[0]
