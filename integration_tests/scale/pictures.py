"""The pictures of docs/scale.md: times and memory by the number of memories."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from integration_tests.benchmarks.panels import GREY, picture
from integration_tests.scale.growth import Results
from integration_tests.scale.worlds import OPERATIONS, where

_COLOURS = ("#2da44e", "#bf8700", "#3f7fd0", "#cf5b4c", "#a371d6")
_COLUMNS, _HEIGHT = 3, 2.6


def draw(results: Sequence[Results], path: Path) -> Path:
    """Draw a panel per operation (solid: the median; dotted: p99), and one of the memory per user."""
    measured = {
        (one.operation, one.on, one.memories): one for result in results[::-1] for one in result.measured
    }
    stored = {
        (one.on, one.memories): (one.empty + one.long_term + one.sessions) / one.memories
        for result in results[::-1]
        for one in result.footprints
        if one.vector_type == "float32"
    }
    names = [name for name in OPERATIONS if any(key[0] == name for key in measured)]
    kinds = list(dict.fromkeys(on for _, on, _ in measured))
    colours = dict(zip(kinds, _COLOURS, strict=False))
    with picture(path, len(names) + 1, _COLUMNS, _HEIGHT) as all_axes:
        for axes, name in zip(all_axes, names, strict=False):
            for on in kinds:
                points = sorted(
                    (size, one.p50, one.p99)
                    for (what, at, size), one in measured.items()
                    if (what, at) == (name, on)
                )
                sizes, middle, slow = zip(*points, strict=True)
                axes.plot(sizes, middle, marker="o", markersize=3, color=colours[on], label=where(on))
                axes.plot(sizes, slow, linestyle=":", linewidth=1, color=colours[on])
            axes.set_title(f"{OPERATIONS[name].title.replace('`', '')}, ms", fontsize=9, color=GREY)
            axes.set_ylim(bottom=0)
        last = all_axes[len(names)]
        for on in kinds:
            points = sorted((size, value) for (at, size), value in stored.items() if at == on)
            last.plot(*zip(*points, strict=True), marker="o", markersize=3, color=colours[on])
        last.set_title("bytes per memory, all in all", fontsize=9, color=GREY)
        last.set(yscale="log")
        for axes in all_axes[: len(names) + 1]:
            axes.set(xscale="log")
            axes.set_xlabel("memories")
            axes.grid(color=GREY, alpha=0.2)
        all_axes[0].legend(fontsize=7, frameon=False, labelcolor=GREY)
    return path
