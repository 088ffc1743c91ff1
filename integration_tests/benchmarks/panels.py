"""A picture of several panels, readable on light and dark pages, the same bytes for the same data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

GREY = "#8b949e"


@contextmanager
def picture(path: Path, count: int, columns: int, height: float) -> Iterator[list[Any]]:
    """Give axes for so many panels in so many columns, and write the picture; a panel's height is in inches."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    lines = -(-count // columns)
    grey = dict.fromkeys(
        ("text.color", "axes.labelcolor", "xtick.color", "ytick.color", "axes.edgecolor"), GREY
    )
    style = {"svg.fonttype": "none", "svg.hashsalt": "agentmem", "font.size": 8, **grey}
    with mpl.rc_context(style):
        figure, axes = plt.subplots(lines, columns, figsize=(9, height * lines), squeeze=False)
        every = [*axes.flat]
        for one in every:
            one.spines[["top", "right"]].set_visible(False)
            one.patch.set_alpha(0)
        for one in every[count:]:
            one.set_visible(False)
        yield every
        figure.tight_layout()
        figure.savefig(path, transparent=True, metadata={"Date": None})
        plt.close(figure)
