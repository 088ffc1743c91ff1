"""The other libraries and growth, which are measured in processes of their own, as parts of the same run."""

from __future__ import annotations

from collections.abc import Sequence

from rich.progress import Progress

from integration_tests.benchmarks.growth import last_over_first
from integration_tests.benchmarks.measure import Figure
from integration_tests.benchmarks.peers import run
from integration_tests.benchmarks.targets import FLAT, HNSW

_GROWING = {FLAT: "agentmem-flat", HNSW: "agentmem-hnsw"}


def libraries(names: Sequence[str], progress: Progress, *, quick: bool) -> run.Measured:
    """Measure other libraries and growth; what comes of it shows and writes itself."""
    return run.measure(names, run.QUICK if quick else run.Scale(), progress)


def figures(measured: run.Measured | None) -> list[Figure]:
    """What growth has to reach: the time of remember at the largest size over that at the smallest."""
    if measured is None:
        return []
    cells = measured.growth.memories.get("remember", {})
    grown = {index: last_over_first(cells.get(key, {})) for index, key in _GROWING.items()}
    return [
        Figure("growth", value, "medians of the table of growth", index)
        for index, value in grown.items()
        if value
    ]
