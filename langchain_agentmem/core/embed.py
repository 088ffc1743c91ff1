"""Turning texts into vectors, as an effect of an operation."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from langchain_agentmem.core.operations import Effect
from langchain_agentmem.errors import EmbeddingError

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings

Vectors: TypeAlias = Sequence[Sequence[float]]


class Embed(Effect):
    """The effect of embedding texts; the result is one vector per text, in their order.

    Args:
        embeddings: The model.
        texts: What to embed.
        role: Whether the texts are looked for (`query`) or stored (`document`): some models tell them apart.
    """

    __slots__ = ("embeddings", "role", "texts")

    def __init__(
        self, embeddings: Embeddings, texts: Sequence[str], role: Literal["query", "document"] = "document"
    ) -> None:
        self.embeddings = embeddings
        self.texts = list(texts)
        self.role = role

    @property
    def group(self) -> Hashable:
        """Return the model and the role: texts of both alike are embedded in one call."""
        return id(self.embeddings), self.role

    def merge(self, others: Sequence[Embed]) -> tuple[Embed, Callable[[Vectors], list[Any]]]:
        """Return one effect for all texts; its vectors are split as the texts were given."""
        parts = [self, *others]

        def split(vectors: Vectors) -> list[Any]:
            rest = iter(vectors)
            return [list(islice(rest, len(part.texts))) for part in parts]

        return Embed(self.embeddings, [text for part in parts for text in part.texts], self.role), split

    def run(self) -> Vectors:
        """Embed the texts, in one call of the model.

        Raises:
            EmbeddingError: The model returned more or fewer vectors than texts.
        """
        if self.role == "query":
            return [self.embeddings.embed_query(text) for text in self.texts]
        return self._each(self.embeddings.embed_documents(self.texts))

    async def arun(self) -> Vectors:
        """Async version of `run`."""
        if self.role == "query":
            return [await self.embeddings.aembed_query(text) for text in self.texts]
        return self._each(await self.embeddings.aembed_documents(self.texts))

    def _each(self, vectors: Vectors) -> Vectors:
        if len(vectors) != len(self.texts):
            raise EmbeddingError(f"{len(self.texts)} texts have {len(vectors)} embeddings.")
        return vectors
