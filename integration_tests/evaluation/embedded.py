"""Embeddings that are kept on disk, so that a second run embeds nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from langchain_core.embeddings import Embeddings

_AT_ONCE = 64


class KeptEmbeddings(Embeddings):
    """Another model's vectors, by text.

    Args:
        model: What makes the vectors.
        folder: Where they are kept.
        name: What the model is called there.

    Attributes:
        files: The texts (JSON) and their vectors (numpy), in the same order.
    """

    def __init__(self, model: Embeddings, folder: Path, *, name: str = "minilm") -> None:
        self.model = model
        self.files = self._texts, self._numbers = folder / f"{name}.json", folder / f"{name}.npy"
        self._vectors: dict[str, list[float]] = {}
        if self._texts.exists() and self._numbers.exists():
            texts, vectors = json.loads(self._texts.read_text("utf-8")), np.load(self._numbers)
            if len(texts) == len(vectors):  # else another run was just writing them
                self._vectors = dict(zip(texts, vectors.tolist(), strict=True))

    def prepare(self, texts: Iterable[str], on_progress: Callable[[int, int], object]) -> None:
        """Embed texts that are not known yet, and keep their vectors."""
        new = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        for at in range(0, len(new), _AT_ONCE):
            part = new[at : at + _AT_ONCE]
            self._vectors.update(zip(part, self.model.embed_documents(part), strict=True))
            on_progress(at + len(part), len(new))
        if new:
            self._texts.parent.mkdir(parents=True, exist_ok=True)
            np.save(self._numbers, np.array([*self._vectors.values()], dtype=np.float32))
            self._texts.write_text(json.dumps([*self._vectors], ensure_ascii=False), "utf-8")

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a text."""
        if text not in self._vectors:
            self._vectors[text] = self.model.embed_query(text)
        return self._vectors[text]

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return the vectors of texts."""
        return [self.embed_query(text) for text in texts]
