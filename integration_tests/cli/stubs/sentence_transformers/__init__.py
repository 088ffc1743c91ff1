"""A model that loads at once: texts with the same words are near."""

from __future__ import annotations

import hashlib

import numpy as np


class SentenceTransformer:
    def __init__(self, *args: object, **options: object) -> None:
        pass

    def encode(self, texts: list[str], **options: object) -> np.ndarray:
        vectors = np.full((len(texts), 384), 1e-3)
        for row, text in enumerate(texts):
            for word in text.lower().split():
                vectors[row, hashlib.md5(word.encode()).digest()[0]] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
