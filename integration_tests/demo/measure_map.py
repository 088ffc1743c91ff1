"""Measures the map of memories, with the default embeddings, on memories of invented users.

`python -m integration_tests.demo.measure_map` prints the table that `demo/memory_map.py` shows; it embeds some
20,000 sentences first, which takes a minute or two.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from integration_tests.demo.invented import memories
from langchain_agentmem import MemoryRecord, MiniLMEmbeddings
from langchain_agentmem.demo.memory_map import MemoryMap

Floats = NDArray[np.float32]
USERS = ("everyday", "developer")
SIZES = (10, 50, 500, 10_000)
_NEIGHBOURS = 5
_POINTS = 3
_QUESTIONS = 100


class Measured(NamedTuple):
    """What was measured of one map.

    Attributes:
        trustworthiness: How near in meaning the 5 nearest points are, from about 0.5 (chance) to 1.
        components: The same of the first two principal components.
        recalled: How often the memory that a question recalls is among the 3 nearest points of its own.
        seconds: How long it took to place all.
        added_seconds: How long it took to place one more.
    """

    trustworthiness: float
    components: float
    recalled: float
    seconds: float
    added_seconds: float


def records_of(vectors: Floats) -> list[MemoryRecord]:
    """Return memories with these vectors, each younger than the one before."""
    return [
        MemoryRecord(
            str(n), f"n{n}", "u", "default", "k", created_ts=float(n), embedding=tuple(vector.tolist())
        )
        for n, vector in enumerate(vectors)
    ]


def trustworthiness(vectors: Floats, places: Floats, sample: int = 1000) -> float:
    """Return how far the 5 nearest points of each of some points are also the nearest in meaning."""
    count, k = len(vectors), _NEIGHBOURS
    chosen = np.random.default_rng(0).permutation(count)[:sample]
    lost = 0
    for one in chosen:
        rank = np.empty(count, int)
        rank[np.argsort(-_but(vectors @ vectors[one], one, 9), kind="stable")] = np.arange(count)
        apart = ((places - places[one]) ** 2).sum(1)
        near = np.argsort(_but(apart, one, -1), kind="stable")[1 : k + 1]
        lost += int(np.maximum(0, rank[near] - k).sum())
    return 1 - 2 / (len(chosen) * k * (2 * count - 3 * k - 1)) * lost


def _but(numbers: Floats, at: int, value: float) -> Floats:
    numbers[at] = value
    return numbers


def measure(vectors: Floats, questions: Floats) -> Measured:
    """Measure a map of some vectors, with the questions that resemble one of them most."""
    records = records_of(vectors)
    made = MemoryMap()
    started = time.perf_counter()
    placed = made.place(records)
    seconds = time.perf_counter() - started
    places = np.array([placed[record.id] for record in records], np.float32)
    similar = questions @ vectors.T
    about = np.argsort(-similar.max(1))[: 3 * _QUESTIONS]
    about = about[np.random.default_rng(1).permutation(len(about))[:_QUESTIONS]]
    recalled = 0
    for one in about:
        apart = ((places - np.array(made.locate(questions[one].tolist()), np.float32)) ** 2).sum(1)
        recalled += int((apart < apart[np.argmax(similar[one])]).sum() < _POINTS)
    (added,) = records_of(questions[:1])
    started = time.perf_counter()
    made.place([*records, MemoryRecord("new", "new", "u", "default", "k", embedding=added.embedding)])
    added_seconds = time.perf_counter() - started
    centred = vectors - vectors[:300].mean(0)
    axes = np.linalg.svd(centred[:300], full_matrices=False)[2][:2]
    return Measured(
        trustworthiness(vectors, places),
        trustworthiness(vectors, centred @ axes.T),
        recalled / len(about),
        seconds,
        added_seconds,
    )


def embedded(user: str, count: int, embed: Callable[[list[str]], Any]) -> tuple[Floats, Floats]:
    """Return the vectors of an invented user's memories, and of the questions that they answer."""
    made = memories(user, count)
    questions = sorted({question for _, question, _ in made[:2000]})
    return np.array(embed([said for said, _, _ in made]), np.float32), np.array(embed(questions), np.float32)


def main() -> None:
    """Print the table."""
    embeddings = MiniLMEmbeddings()
    print("user       memories  trustworthy  components  recalled  seconds  one more")
    for user in USERS:
        vectors, questions = embedded(user, SIZES[-1], embeddings.embed_documents)
        for size in SIZES:
            found = measure(vectors[:size], questions)
            print(
                f"{user:9}  {size:8,}  {found.trustworthiness:11.2f}  {found.components:10.2f}"
                f"  {found.recalled:8.2f}  {found.seconds:7.2f}  {found.added_seconds:8.3f}"
            )


if __name__ == "__main__":
    main()
