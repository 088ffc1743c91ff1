"""The picture of the ratios, readable on light and dark pages."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from integration_tests.benchmarks.measure import Measured

_GREY, _REACHED, _MISSED = "#8b949e", "#2da44e", "#cf5b4c"


def plot(rows: Sequence[Measured], path: Path) -> Path:
    """Draw a bar for each judged comparison, with the target as a mark."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    judged = [(row, one) for row in rows for one in row.others if one.judged and one.reach]
    style = {"svg.fonttype": "none", "svg.hashsalt": "agentmem", "font.size": 9, "text.color": _GREY}
    with mpl.rc_context(style | {"axes.labelcolor": _GREY, "xtick.color": _GREY, "ytick.color": _GREY}):
        figure, axes = plt.subplots(figsize=(9, 0.9 + 0.55 * len(judged)))
        for at, (_, one) in enumerate(judged):
            axes.barh(at, one.ratio, height=0.5, color=_REACHED if one.reached else _MISSED)
            assert one.reach is not None
            axes.plot([one.reach] * 2, [at - 0.42, at + 0.42], color=_GREY, linewidth=2)
            right = max(one.ratio, one.reach)
            axes.text(right + 0.02, at, f"{one.ratio:.2f}  (target ≤ {one.reach})", va="center")
        labels = [
            textwrap.shorten(row.what.partition(";")[0].partition(" (")[0], 60, placeholder=" …")
            + "\n"
            + textwrap.shorten(f"vs {one.name}", 60, placeholder=" …")
            for row, one in judged
        ]
        axes.set_yticks(range(len(judged)), labels)
        axes.invert_yaxis()
        axes.set_xlim(0, 1.4 * max((max(one.ratio, one.reach or 0) for _, one in judged), default=1))
        axes.set_xlabel("our time / theirs: shorter is better; the grey mark is the target")
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        for side in ("left", "bottom"):
            axes.spines[side].set_color(_GREY)
        figure.tight_layout()
        figure.savefig(path, transparent=True, metadata={"Date": None})
        plt.close(figure)
    return path
