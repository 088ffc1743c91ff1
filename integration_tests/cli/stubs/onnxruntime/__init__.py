"""A model that loads at once: texts with the same words are near."""

from __future__ import annotations

import numpy as np


class SessionOptions:
    def add_session_config_entry(self, name: str, value: str) -> None:
        pass

    def add_external_initializers(self, names: list[str], values: list[object]) -> None:
        pass


class OrtValue:
    @staticmethod
    def ortvalue_from_numpy(array: np.ndarray) -> None:
        pass


class InferenceSession:
    def __init__(self, *args: object, **options: object) -> None:
        pass

    def run(self, outputs: None, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        ids, mask = inputs["ids"], inputs["mask"]
        vectors = np.full((len(ids), 384), 1e-3, np.float32)
        for row, (tokens, length) in enumerate(zip(ids, mask.sum(axis=1), strict=True)):
            np.add.at(
                vectors[row], tokens[1 : length - 1] % 384, 1
            )  # without those that begin and end a text
        return [vectors / np.linalg.norm(vectors, axis=1, keepdims=True)]
