"""The pictures of the peers and of growth, readable on light and dark pages."""

from __future__ import annotations

from pathlib import Path

from integration_tests.benchmarks.growth import Growth
from integration_tests.benchmarks.panels import GREY, picture
from integration_tests.benchmarks.peers.compare import BULK, BYTES, Comparison
from integration_tests.benchmarks.peers.libraries import COMPARED, GROWING
from integration_tests.benchmarks.peers.tables import TITLES, milliseconds

_COLOURS = {
    "agentmem": "#2da44e",
    "agentmem-hash": "#8fce9f",
    "agentmem-flat": "#2da44e",
    "agentmem-hnsw": "#8fce9f",
    "langchain-redis": "#bf8700",
    "redisvl": "#cf5b4c",
    "langgraph": "#3f7fd0",
    "mem0": "#a371d6",
}


def plot_peers(found: Comparison, path: Path) -> Path:
    """Draw a panel per row: a bar for each library that has a figure."""
    panels = {
        name: found.rows[name] for name in TITLES if any(cell.value for cell in found.rows[name].values())
    }
    with picture(path, len(panels), 2, 1.9) as all_axes:
        for axes, (name, cells) in zip(all_axes, panels.items(), strict=False):
            shown = [(key, cell.value) for key, cell in cells.items() if cell.value is not None]
            axes.barh([COMPARED[key].name for key, _ in shown], [value for _, value in shown], height=0.6)
            for at, (bar, (key, value)) in enumerate(zip(axes.patches, shown, strict=True)):
                bar.set_color(_COLOURS[key])
                text = f"{value:,.0f}" if name in (BULK, BYTES) else milliseconds(value)
                axes.text(value, at, f"\N{NO-BREAK SPACE}{text}", va="center", fontsize=8)
            axes.set_title(TITLES[name], fontsize=9, color=GREY)
            axes.margins(x=0.18)
            axes.invert_yaxis()
            axes.set_xticks([])
    return path


def plot_growth(found: Growth, path: Path) -> Path:
    """Draw a panel per operation: a line for each library, on logarithmic axes."""
    panels = [
        (f"{operation}, ms, by number of {what}", by_key)
        for what, measured in (("memories", found.memories), ("messages", found.messages))
        for operation, by_key in measured.items()
    ]
    with picture(path, len(panels), 2, 2.9) as all_axes:
        for axes, (title, by_key) in zip(all_axes, panels, strict=False):
            for key, cells in by_key.items():
                points = [
                    (size, cell.value) for size, cell in sorted(cells.items()) if cell.value is not None
                ]
                if points:
                    sizes, values = zip(*points, strict=True)
                    name, colour = GROWING[key].name, _COLOURS[key]
                    axes.plot(sizes, values, marker="o", markersize=3, label=name, color=colour)
            axes.set(xscale="log", yscale="log")
            axes.set_title(title, fontsize=9, color=GREY)
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.grid(color=GREY, alpha=0.2)
        all_axes[0].legend(fontsize=7, frameon=False, labelcolor=GREY)
    return path
