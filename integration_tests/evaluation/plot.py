"""The pictures: recall at k, and recall against false recalls; readable on light and dark pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from integration_tests.evaluation.scores import Figures

_GREY = "#8b949e"
_COLOURS = ("#2da44e", "#0969da", "#bf8700", "#cf5b4c", "#8250df", "#1b7c83", "#bc4c00", "#6e7781")
_MARKS = "osD^vPX*"

Measured = dict[str, dict[str, Figures]]
"""Figures by system, by group of questions."""


def recall_at_k(measured: Sequence[tuple[str, Measured]], path: Path) -> Path:
    """Draw the recall of every system over k, a panel for each set of data with conversations."""
    sets = [(title, systems) for title, systems in measured if _having(systems, "chat")]

    def draw(axes: Any, at: int) -> None:
        title, systems = sets[at]
        for number, (name, groups) in enumerate(reversed(systems.items())):
            if "chat" in groups:
                recall = groups["chat"].recall
                axes.plot(
                    range(len(recall)),
                    recall.values(),
                    color=_COLOURS[number % len(_COLOURS)],
                    marker=_MARKS[number % len(_MARKS)],
                    linewidth=2.4 if number == 0 else 1.2,
                    label=name,
                )
                axes.set_xticks(range(len(recall)), [str(k) for k in recall])
        axes.set_ylim(0, 1)
        axes.set_xlabel("k")
        axes.set_title(title, color=_GREY, fontsize=9)
        if at == 0:
            axes.set_ylabel("share of the evidence among the first k")

    return _figure(draw, len(sets), path)


def recall_and_false_recalls(measured: Sequence[tuple[str, Measured]], path: Path) -> Path:
    """Draw what each system finds against how often it recalls something where nothing is known.

    A panel for conversations and one for facts, for each set of data that has conversations, or for all sets.
    """
    with_chat = [(title, systems) for title, systems in measured if _having(systems, "chat")]
    panels = [
        (f"{title}, {asked}", systems, asked, rejected)
        for title, systems in with_chat or measured
        for asked, rejected in (("chat", "chat, not known"), ("facts", "facts, unrelated"))
        if _having(systems, asked) and _having(systems, rejected)
    ]

    def draw(axes: Any, at: int) -> None:
        title, systems, asked, rejected = panels[at]
        for number, (name, groups) in enumerate(reversed(systems.items())):
            if asked in groups:
                axes.scatter(
                    groups[rejected].answered,
                    groups[asked].recall[5],
                    color=_COLOURS[number % len(_COLOURS)],
                    marker=_MARKS[number % len(_MARKS)],
                    s=70 if number == 0 else 36,
                    label=name,
                )
        axes.set_xlim(-0.05, 1.05)
        axes.set_ylim(0, 1.05)
        axes.set_xlabel("false recalls: further left is better")
        axes.set_title(title, color=_GREY, fontsize=9)
        if at == 0:
            axes.set_ylabel("recall among the first 5")

    return _figure(draw, len(panels), path)


def _having(systems: Measured, group: str) -> bool:
    return any(group in groups for groups in systems.values())


def _figure(draw: Callable[[Any, int], None], panels: int, path: Path) -> Path:
    """Draw panels beside each other, and one legend below."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    style = {"svg.fonttype": "none", "svg.hashsalt": "agentmem", "font.size": 9, "text.color": _GREY}
    with mpl.rc_context(style | {"axes.labelcolor": _GREY, "xtick.color": _GREY, "ytick.color": _GREY}):
        figure, grid = plt.subplots(1, max(panels, 1), figsize=(max(3.2 * panels, 4.5), 4.2), squeeze=False)
        for at, axes in enumerate(grid[0]):
            if panels:
                draw(axes, at)
            axes.set_facecolor("none")
            axes.grid(color=_GREY, alpha=0.25)
            for side in ("top", "right"):
                axes.spines[side].set_visible(False)
            for side in ("left", "bottom"):
                axes.spines[side].set_color(_GREY)
        handles, labels = grid[0][0].get_legend_handles_labels()
        rows = -(-len(labels) // 2)
        figure.legend(handles, labels, loc="lower center", ncols=2, frameon=False)
        figure.tight_layout(rect=(0, 0.06 * rows, 1, 1))
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, transparent=True, metadata={"Date": None})
        plt.close(figure)
    return path
