"""`python -m integration_tests.soak`: break things for a while, and show what held."""

from __future__ import annotations

import argparse
import secrets
import sys
from random import Random

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from integration_tests.soak.broken_connections import cancelled_tasks, cut_connections
from integration_tests.soak.broken_servers import (
    full_disks,
    full_servers,
    killed_servers,
    killed_servers_as_they_are,
)
from integration_tests.soak.changing_clusters import changing_clusters
from integration_tests.soak.names import hostile_names
from integration_tests.soak.streams import many_streams
from integration_tests.soak.trial import Clock, Figures, Trial

CLUSTER = "changing clusters"
TRIALS: dict[str, tuple[Trial, int]] = {
    "cut connections": (cut_connections, 4),
    "killed servers": (killed_servers, 4),
    "killed servers, synced every second": (killed_servers_as_they_are, 3),
    "hostile names": (hostile_names, 3),
    "cancelled tasks": (cancelled_tasks, 2),
    "full servers": (full_servers, 2),
    "full disks": (full_disks, 3),
    "many streams": (many_streams, 3),
    CLUSTER: (changing_clusters, 4),
}
"""Each with its share of the time."""


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m integration_tests.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="how long in all, about")
    parser.add_argument("--seed", type=int, help="that of an earlier run, which it has printed")
    parser.add_argument("--cluster", action="store_true", help=f"only {CLUSTER}")
    parser.add_argument("--only", help=f"only these, with semicolons: {'; '.join(TRIALS)}")
    chosen = parser.parse_args(words)
    if chosen.cluster:
        chosen.only = CLUSTER
    chosen.names = [name.strip() for name in chosen.only.split(";")] if chosen.only else list(TRIALS)
    unknown = [name for name in chosen.names if name not in TRIALS]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; there are {'; '.join(TRIALS)}")
    if chosen.seconds <= 0:
        parser.error("--seconds must be above 0")
    if chosen.seed is None:
        chosen.seed = secrets.randbelow(1_000_000)
    return chosen


def table(results: dict[str, Figures]) -> Table:
    """What was done, and what must not have happened."""
    table = Table("what", "done", "must be 0", "held")
    for name, figures in results.items():
        held = "skipped" if figures.skipped else "[green]yes" if figures.held else "[bold red]no"
        table.add_row(name, figures.skipped or _listed(figures.counts), _listed(figures.broken), held)
    return table


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def main(words: list[str] | None = None) -> int:
    """Run the trials; 1 if anything happened that must not."""
    chosen = _arguments(words)
    console = Console()
    if not console.is_terminal:
        console = Console(width=130)
    console.print(f"seed {chosen.seed} (again: --seed {chosen.seed})")
    shares = sum(TRIALS[name][1] for name in chosen.names)
    results: dict[str, Figures] = {}
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        for name in chosen.names:
            trial, share = TRIALS[name]
            task = progress.add_task(name, total=1.0)

            def show(done: float, task: object = task) -> None:
                progress.update(task, completed=done)  # type: ignore[arg-type]

            clock = Clock(chosen.seconds * share / shares, show)
            results[name] = trial(clock, Random(f"{chosen.seed} {name}"))
            progress.remove_task(task)
    console.print(table(results))
    return 0 if all(figures.held for figures in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
