"""The picture of the targets, readable on light and dark pages."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from integration_tests.benchmarks.reach import Line

_GREY, _REACHED, _MISSED = "#8b949e", "#2da44e", "#cf5b4c"


def plot(found: Sequence[Line], path: Path) -> Path:
    """Draw a bar for each target that was measured: how much of its limit is used."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    bars = [(line, _used(line)) for line in found if line.value is not None]
    style = {"svg.fonttype": "none", "svg.hashsalt": "agentmem", "font.size": 9, "text.color": _GREY}
    with mpl.rc_context(style | {"axes.labelcolor": _GREY, "xtick.color": _GREY, "ytick.color": _GREY}):
        figure, axes = plt.subplots(figsize=(9, 0.9 + 0.5 * len(bars)))
        for at, (line, used) in enumerate(bars):
            axes.barh(at, used, height=0.5, color=_REACHED if line.reached else _MISSED)
            assert line.value is not None
            text = f"{line.target.show(line.value)}  ({line.target})"
            axes.text(max(used, 1) + 0.03, at, text, va="center")
        axes.axvline(1, color=_GREY, linewidth=1.5)
        labels = [
            "\n".join(
                textwrap.shorten(text.replace("`", ""), 62, placeholder=" …")
                for text in (line.target.what, f"against {line.target.against}")
            )
            for line, _ in bars
        ]
        axes.set_yticks(range(len(bars)), labels)
        axes.invert_yaxis()
        axes.set_xlim(0, 1.45 * max([1.0, *(used for _, used in bars)]))
        axes.set_xlabel("how much of each limit is used: up to the line, the target is reached")
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        for side in ("left", "bottom"):
            axes.spines[side].set_color(_GREY)
        figure.tight_layout()
        figure.savefig(path, transparent=True, metadata={"Date": None})
        plt.close(figure)
    return path


def _used(line: Line) -> float:
    assert line.value is not None
    return line.target.limit / line.value if line.target.at_least else line.value / line.target.limit
