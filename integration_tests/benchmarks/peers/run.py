"""The peers' part of `make bench`: starts the processes, measures, shows, writes."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from integration_tests.benchmarks import growth
from integration_tests.benchmarks.measure import Figure
from integration_tests.benchmarks.peers import compare, tables
from integration_tests.benchmarks.peers.checks import CHECKS
from integration_tests.benchmarks.peers.libraries import COMPARED, GROWING, OURS, PEERS
from integration_tests.benchmarks.peers.material import Files, write
from integration_tests.benchmarks.peers.running import Running
from integration_tests.benchmarks.peers.work import PER_USER, TOPICS_PER_USER
from integration_tests.benchmarks.report import fill_page

_NEW = 200


@dataclass(frozen=True)
class Scale:
    """How much is measured.

    Attributes:
        rounds: How often each row is timed.
        loaded: How many facts are loaded at once, and recalled from.
        sizes: With how many memories.
        messages: With how many messages in a session.
        load_seconds: How long a library may take to be filled.
        bursts: How many bursts there are with each number of memories.
    """

    rounds: int = 200
    loaded: int = compare.LOADED
    sizes: Sequence[int] = growth.SIZES
    messages: Sequence[int] = growth.MESSAGES
    load_seconds: float = growth.LOAD_SECONDS
    bursts: int = growth.BURSTS


QUICK = Scale(10, 100, (200,), (10, 20), 10.0, 1)


@dataclass
class Measured:
    """What came of the peers' part: rows and promises, and growth."""

    comparison: compare.Comparison
    growth: growth.Growth

    def show(self, console: Console) -> None:
        """Show the tables on the screen."""
        tables.show(console, "libraries, each with its ratio to ours", tables.peers(self.comparison))
        tables.show(console, "what is kept", tables.correctness(self.comparison), style=tables.verdict_style)
        for what, rows in tables.growth(self.growth).items():
            tables.show(console, f"growth with {what}", rows)

    @property
    def figures(self) -> list[Figure]:
        """What is judged of growth."""
        return growth.figures(self.growth)

    def broken_promises(self) -> list[str]:
        """Return the promises of ours that were not kept."""
        return [
            f"{CHECKS[name][0]}: {cells[OURS].words}"
            for name, cells in self.comparison.correctness.items()
            if not cells[OURS].kept
        ]

    def write(self, docs: Path) -> list[Path]:
        """Write the data, the pictures and the page's tables; return the files."""
        from integration_tests.benchmarks.peers.plot import plot_growth, plot_peers

        folder, page = docs / "performance", docs / "performance.md"
        folder.mkdir(parents=True, exist_ok=True)
        data = folder / "peers.json"
        data.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n", "utf-8")
        written = [data]
        written.append(plot_peers(self.comparison, folder / "peers.svg"))
        written.append(plot_growth(self.growth, folder / "growth.svg"))
        if page.exists():
            fill_page(
                page,
                peers=tables.markdown(tables.peers(self.comparison)),
                correctness=tables.markdown(tables.correctness(self.comparison), figures=False),
                growth="\n\n".join(map(tables.markdown, tables.growth(self.growth).values())),
            )
            written.append(page)
        return written


def measure(peers: Sequence[str], scale: Scale, progress: Progress) -> Measured:
    """Measure ours and the named peers, each in a process and on a Redis of its own.

    Args:
        peers: Keys of `PEERS`.
        scale: How much is measured.
        progress: Where it is shown how far it is.
    """
    compared = [key for key in COMPARED if key in peers or key not in PEERS]
    growing = [key for key in GROWING if key in peers or key not in PEERS]
    with tempfile.TemporaryDirectory(prefix="agentmem-bench-") as name:
        folder = Path(name)
        with _running(compared, write(folder, stored=scale.loaded, new=_NEW), folder, progress) as libraries:
            total = compare.steps(len(libraries), scale.rounds)
            task = progress.add_task("libraries: promises, rows", total=total)
            comparison = compare.compare(
                libraries, scale.rounds, lambda: progress.advance(task), loaded=scale.loaded
            )
            progress.remove_task(task)
        users = max(scale.sizes) // PER_USER
        material = write(folder, stored=max(scale.sizes), new=users * TOPICS_PER_USER)
        names = [key for key in growing for _ in scale.sizes]
        with _running(names, material, folder, progress) as libraries:
            each = iter(libraries)
            by_size = {key: {size: next(each) for size in sorted(scale.sizes)} for key in growing}
            return Measured(comparison, _grow(by_size, scale, progress))


def _grow(libraries: Mapping[str, Mapping[int, Running]], scale: Scale, progress: Progress) -> growth.Growth:
    task = progress.add_task(
        "growth", total=growth.steps(len(libraries), scale.sizes, scale.messages, scale.bursts)
    )
    loading = {
        key: progress.add_task(f"filling {GROWING[key].name}", total=sum(scale.sizes)) for key in libraries
    }
    try:
        return growth.grow(
            libraries,
            lambda: progress.advance(task),
            messages=scale.messages,
            load_seconds=scale.load_seconds,
            bursts=scale.bursts,
            on_load=lambda key, count: progress.advance(loading[key], count),
        )
    finally:
        for one in (task, *loading.values()):
            progress.remove_task(one)


@contextmanager
def _running(
    keys: Sequence[str], material: Files, folder: Path, progress: Progress
) -> Iterator[list[Running]]:
    task = progress.add_task("starting libraries (installs what is missing)", total=len(keys))
    with ExitStack() as stack:
        libraries = []
        for key in keys:
            libraries.append(Running(key, folder, material))
            stack.callback(libraries[-1].close)
            progress.advance(task)
        progress.remove_task(task)
        yield libraries
