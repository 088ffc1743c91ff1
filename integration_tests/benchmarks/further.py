"""The other libraries and growth, which are measured in processes of their own, as parts of the same run."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from rich.progress import Progress

from integration_tests.benchmarks.measure import Figure
from integration_tests.benchmarks.targets import FLAT, HNSW

_GROWING = {FLAT: "agentmem-flat", HNSW: "agentmem-hnsw"}


def _peers() -> list[str]:
    if find_spec("integration_tests.benchmarks.peers") is None:
        return []
    from integration_tests.benchmarks.peers import libraries as known

    return [*known.PEERS]


PEERS = _peers()


def libraries(names: Sequence[str], progress: Progress, *, quick: bool) -> Any:
    """Measure other libraries and growth; what comes of it shows and writes itself."""
    from integration_tests.benchmarks.peers import run

    return run.measure(names, run.QUICK if quick else run.Scale(), progress)


def figures(measured: Any) -> list[Figure]:
    """What growth has to reach: the time of remember at the largest size over that at the smallest."""
    if measured is None:
        return []
    from integration_tests.benchmarks.growth import last_over_first

    cells = measured.growth.memories.get("remember", {})
    grown = {index: last_over_first(cells.get(key, {})) for index, key in _GROWING.items()}
    return [
        Figure("growth", value, "medians of the table of growth", index)
        for index, value in grown.items()
        if value
    ]
