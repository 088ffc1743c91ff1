"""A map of a user's memories: their vectors in two dimensions, for the page to draw.

Memories are placed one after the other, oldest first, and then stay where they are. The first 600 become
landmarks: each goes to the best of some 400 spots, near the landmarks that it resembles, and away from the
others. What comes after them is placed among the landmarks it resembles most, whatever else is on the map.
So additions and deletions move nobody, and a map that is begun anew over the same memories is the same
again, unless some of the oldest are gone.

Measured by `python -m integration_tests.demo.measure_map`, with all-MiniLM-L6-v2, on memories of two invented
users, one with many topics and one with few: how near in meaning the 5 nearest points are (trustworthiness;
0.5 is chance), the same of the first two principal components, and how often the memory that a question
recalls is among the 3 points nearest to the question's own.

    user       memories  trustworthy  components  recalled
    everyday         10         0.60        0.66      1.00
    everyday         50         0.88        0.78      1.00
    everyday        500         0.95        0.77      1.00
    everyday     10,000         0.88        0.76      1.00
    developer        10         0.52        0.83      1.00
    developer        50         0.87        0.85      1.00
    developer       500         0.98        0.87      1.00
    developer    10,000         0.98        0.86      0.98

Two CPUs place 10,000 in 0.3 s, and one more in 6 ms. Axes that are fixed for all users separate less than
components; a layout of the first memories alone has no room for later topics.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from math import cos, sin, tau
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from langchain_agentmem import MemoryRecord

    Floats = NDArray[np.float32]

_LANDMARKS = 600  # the more, the better are many thousand memories placed, and the longer it takes
_RESEMBLING = 8  # landmarks that attract a new one
_SHARPNESS = 0.06  # what similarity a landmark may lack to attract 1/e as much as the most similar one
_SIMILAR = 0.3  # what similarity above the usual one attracts in full
_UNUSUAL = 0.25  # what a question has above the usual one if it is about a memory
_NEAR = 0.03  # the distance at which attraction begins to be felt as far
_REPULSION = 6.0  # the more, the more of the map is used
_RADII = (0.015, 0.03, 0.06, 0.1)  # around what it resembles, where a landmark may go
_AMONG_SHARPNESS = 0.02  # the same for a memory that becomes no landmark: all attract, few of them much
_AT_ONCE = 1000
_MARGIN = 0.02
_SCATTER = 0.003  # that no two points are on each other
_CENTRE = (0.5, 0.5)


class _Placed(NamedTuple):
    """A memory on the map: its embedding as it was given, the same of length one, and where it is."""

    embedding: Sequence[float]
    vector: Floats
    at: tuple[float, float]


class MemoryMap:
    """The places of one scope's memories, kept from call to call. Not for several threads at once."""

    def __init__(self) -> None:
        self._landmarks = _Landmarks(0)
        self._placed: dict[str, _Placed] = {}
        self._shown: list[_Placed] = []
        self._arrays: tuple[Floats, Floats] | None = None  # the vectors and places of those that are shown

    def place(self, records: Sequence[MemoryRecord]) -> dict[str, tuple[float, float]]:
        """Return where memories are, by id: x and y from 0 to 1, no two the same.

        Memories that are on the map stay, unless their embedding has changed; new ones are placed, the oldest
        first. Those without an embedding, as superseded ones, are left out.

        Args:
            records: All memories to show, listed with `include_embeddings=True`, in any order.
        """
        shown = [record for record in records if record.embedding]
        dimensions = len(shown[0].embedding or ()) if shown else self._landmarks.dimensions
        if dimensions != self._landmarks.dimensions:  # another model
            self._landmarks, self._placed = _Landmarks(dimensions), {}
        new = [record for record in shown if self._is_new(record)]
        if new:
            self._add(sorted(new, key=lambda record: (record.created_ts, record.id)))
        self._shown = [self._placed[record.id] for record in shown]
        self._arrays = None
        kept = self._landmarks.ids.union(record.id for record in shown)
        self._placed = {name: placed for name, placed in self._placed.items() if name in kept}
        return {record.id: self._placed[record.id].at for record in shown}

    def locate(self, vector: Sequence[float]) -> tuple[float, float]:
        """Return where a question is: beside the shown memory that it resembles most, towards the next ones.

        If it resembles none more than the others, it is at some distance. On a map without memories, it is in
        the middle.

        Args:
            vector: The question's embedding, by the model of the memories.
        """
        import numpy as np

        if not self._shown:
            return _CENTRE
        if self._arrays is None:
            vectors = np.stack([placed.vector for placed in self._shown])
            self._arrays = vectors, np.array([placed.at for placed in self._shown], np.float32)
        vectors, places = self._arrays
        similar = vectors @ _units([vector])[0]
        best = np.argsort(-similar)[:3]
        weights = np.exp((similar[best] - similar[best[0]]) / _SHARPNESS)
        start = places[best[0]]
        towards = weights @ places[best] / weights.sum() - start
        length = float(np.hypot(*towards))
        apart = np.hypot(*(places - start).T)
        apart[best[0]] = 1.0
        unknown = _UNUSUAL - float(similar[best[0]] - np.median(similar)) if len(similar) > 1 else 0.0
        distance = max(min(length, 0.4 * float(apart.min())), 0.3 * max(0.0, unknown), _SCATTER / 10)
        step = towards / length if length > 0 else np.array(_CENTRE) - start + 1e-6
        x, y = start + distance * step / np.hypot(*step)
        return float(np.clip(x, 0.0, 1.0)), float(np.clip(y, 0.0, 1.0))

    def _is_new(self, record: MemoryRecord) -> bool:
        known = self._placed.get(record.id)
        return known is None or not (
            known.embedding is record.embedding or known.embedding == record.embedding
        )

    def _add(self, records: Sequence[MemoryRecord]) -> None:
        vectors = _units([record.embedding or () for record in records])
        taken = {placed.at for placed in self._placed.values()}
        room = self._landmarks.room
        spots = [
            self._landmarks.add(record.id, vector)
            for record, vector in zip(records, vectors[:room], strict=False)
        ]
        spots += self._landmarks.among(vectors[room:]) if len(records) > room else []
        for record, vector, (x, y) in zip(records, vectors, spots, strict=True):
            at = _scattered(record.id, x, y, taken)
            taken.add(at)
            self._placed[record.id] = _Placed(record.embedding or (), vector, at)


class _Landmarks:
    """The memories that others are placed by. They stay for good: their vectors, and where they are."""

    def __init__(self, dimensions: int) -> None:
        import numpy as np

        self.dimensions = dimensions
        self.ids: set[str] = set()
        self._count = 0
        self._vectors = np.zeros((_LANDMARKS, self.dimensions), np.float32)
        self._places = np.zeros((_LANDMARKS, 2), np.float32)
        line = np.linspace(_MARGIN, 1 - _MARGIN, 16)[1:-1]
        self._grid = np.array([(x, y) for x in line for y in line], np.float32)
        ring = np.array([(cos(tau * n / 16), sin(tau * n / 16)) for n in range(16)], np.float32)
        self._around = np.concatenate([ring * radius for radius in _RADII])

    @property
    def room(self) -> int:
        """Return how many more there can be."""
        return _LANDMARKS - self._count

    def add(self, name: str, vector: Floats) -> tuple[float, float]:
        """Return the best spot for a memory that becomes a landmark."""
        x, y = self._best_spot(vector) if self._count else _CENTRE
        self._vectors[self._count], self._places[self._count] = vector, (x, y)
        self._count += 1
        self.ids.add(name)
        return float(x), float(y)

    def among(self, vectors: Floats) -> list[tuple[float, float]]:
        """Return the spots of memories that become no landmarks: between those that they resemble most."""
        import numpy as np

        # A product of float32 depends, in its last digits, on how many vectors there are; this does not.
        landmarks, places = self._vectors.astype(np.float64).T, self._places.astype(np.float64)
        spots: list[tuple[float, float]] = []
        for start in range(0, len(vectors), _AT_ONCE):
            weights = vectors[start : start + _AT_ONCE].astype(np.float64) @ landmarks
            weights -= weights.max(1, keepdims=True)
            weights *= 1 / _AMONG_SHARPNESS
            np.exp(weights, out=weights)
            exact = weights @ places / weights.sum(1, keepdims=True)
            spots += map(tuple, exact.round(6).tolist())
        return spots

    def _best_spot(self, vector: Floats) -> Floats:
        """Return the spot with the least tension: attraction grows with distance, repulsion with nearness."""
        import numpy as np

        places = self._places[: self._count]
        similar = self._vectors[: self._count] @ vector
        nearest = np.argsort(-similar, kind="stable")[:_RESEMBLING]
        most = similar[nearest[0]]
        usual = np.median(similar) if self._count > 2 else 0.2
        strength = np.clip((most - usual) / _SIMILAR, 0, 1)
        attraction = strength * np.exp((similar[nearest] - most) / _SHARPNESS)
        repulsion = 1 - strength * np.clip((similar - usual) / _SIMILAR, 0, 1)
        spots = np.concatenate([self._grid, *(places[one] + self._around for one in nearest[:3])])
        spots = spots[((spots > _MARGIN) & (spots < 1 - _MARGIN)).all(1)]
        squares = (spots**2).sum(1)[:, None] + (places**2).sum(1) - 2 * spots @ places.T
        squares = np.maximum(squares, 1e-5) / _NEAR**2
        tension = np.log1p(squares[:, nearest]) @ attraction + _REPULSION / (squares + 0.02) @ repulsion
        return np.asarray(spots[np.argmin(tension)], np.float32)


def _units(vectors: Sequence[Sequence[float]]) -> Floats:
    """Return vectors of length one, a row each."""
    import numpy as np

    rows = np.array(vectors, np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1), np.float32)


def _scattered(name: str, x: float, y: float, taken: set[tuple[float, float]]) -> tuple[float, float]:
    """Return a place by a spot that nobody has, the same for the same name."""
    for attempt in range(len(taken) + 1):
        digest = int.from_bytes(blake2b(f"{attempt}:{name}".encode(), digest_size=8).digest(), "big")
        angle, radius = tau * (digest >> 32) / 2**32, _SCATTER * ((digest & 0xFFFFFFFF) / 2**32) ** 0.5
        at = (x + radius * cos(angle), y + radius * sin(angle))
        if at not in taken:
            break
    return at
