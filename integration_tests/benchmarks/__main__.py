"""`python -m integration_tests.benchmarks`: measure, show, write."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from integration_tests.benchmarks import reach, report, tables
from integration_tests.benchmarks.figures import FIGURES, install
from integration_tests.benchmarks.footprint import STORAGES, footprints
from integration_tests.benchmarks.measure import SEED, measure
from integration_tests.benchmarks.peers import run as peers
from integration_tests.benchmarks.peers.libraries import PEERS
from integration_tests.benchmarks.report import Results
from integration_tests.benchmarks.rows import ROWS
from integration_tests.benchmarks.time_spent import time_spent
from integration_tests.benchmarks.world import World
from langchain_agentmem import EmbeddedRedis

_DOCS = Path(__file__).parents[2] / "docs"
_FEWEST_ROUNDS = 1
_RUNS_TO_SPLIT = 200  # a row's time into the server's, the client's and the rest


def _arguments(words: list[str] | None) -> argparse.Namespace:
    every = [*ROWS, *FIGURES]
    parser = argparse.ArgumentParser(prog="python -m integration_tests.benchmarks", description=__doc__)
    parser.add_argument("--rows", help=f"only these, with commas: {','.join(every)}")
    parser.add_argument("--rounds", type=int, default=800, help="how often a row runs (some run less often)")
    parser.add_argument("--seed", type=int, default=SEED, help="what the order of the sides is drawn with")
    parser.add_argument(
        "--quick", action="store_true", help="a few rounds: times mean nothing, nothing is written"
    )
    parser.add_argument("--check", action="store_true", help="exit with 1 if a target is missed")
    parser.add_argument(
        "--install", action="store_true", help="install [all] into an empty environment, too: it downloads"
    )
    parser.add_argument(
        "--peers",
        nargs="?",
        const=",".join(PEERS),
        help=f"no rows, but other libraries and growth: {','.join(PEERS)}, or some of them",
    )
    parser.add_argument("--no-peers", action="store_true", help="without other libraries and growth")
    parser.add_argument(
        "--write",
        action=argparse.BooleanOptionalAction,
        help="write the data, the plots and the tables of docs/performance.md (default for a whole run)",
    )
    parser.add_argument("--docs", type=Path, default=_DOCS, help="the folder that is written to")
    chosen = parser.parse_args(words)
    if chosen.rows and chosen.peers:
        parser.error("--rows is without other libraries: leave out --peers")
    part = bool(chosen.rows or chosen.quick or chosen.no_peers)
    chosen.keys = [] if chosen.peers else chosen.rows.split(",") if chosen.rows else every
    chosen.peers = chosen.peers.split(",") if chosen.peers else [] if part else [*PEERS]
    for what, named, known in (("rows", chosen.keys, every), ("peers", chosen.peers, PEERS)):
        if unknown := [key for key in named if key not in known]:
            parser.error(f"unknown {what}: {', '.join(unknown)}; there are {', '.join(known)}")
    if chosen.write is None:
        chosen.write = not part and len(chosen.peers) == len(PEERS)
    if chosen.write and chosen.rows:
        parser.error("--write needs all rows, because it replaces the page's tables")
    if chosen.quick:
        chosen.rounds = 5
    return chosen


def _measured(chosen: argparse.Namespace, progress: Progress) -> Results:
    """Everything that runs on one server of its own."""
    whole = progress.add_task("rows", total=len(chosen.keys) + 1)
    sizes = {"stored": 100, "new": 40} if chosen.quick else {"stored": 1000, "new": 200}
    with EmbeddedRedis() as server:
        world = World(server.url, **sizes)
        results = Results(report.environment(world.client), chosen.seed)
        for key in chosen.keys:
            if key in ROWS:
                _measure_row(chosen, progress, world, key, results)
            else:
                results.figures.append(FIGURES[key](world, quick=chosen.quick))
            progress.advance(whole)
        if not chosen.rows:
            task = progress.add_task("bytes per memory", total=STORAGES)
            results.bytes_per_memory.update(footprints(world, lambda: progress.advance(task)))
        world.close()
    if chosen.install:
        results.figures.append(install())
    return results


def _measure_row(
    chosen: argparse.Namespace, progress: Progress, world: World, key: str, results: Results
) -> None:
    row = ROWS[key](world)
    rounds = max(_FEWEST_ROUNDS, int(chosen.rounds * row.share))
    task = progress.add_task(key, total=rounds)
    results.rows.append(measure(row, rounds, lambda: progress.advance(task), seed=chosen.seed))
    if row.on_redis and row.judged:
        results.spent.extend(time_spent(world, row, min(rounds, _RUNS_TO_SPLIT)))
    progress.remove_task(task)


def main(words: list[str] | None = None) -> int:
    """Run the benchmarks; the exit code."""
    chosen = _arguments(words)
    console = Console()
    if not console.is_terminal:
        console = Console(width=130)
    results = libraries = None
    with Progress(console=console, transient=True) as progress:
        if chosen.keys:
            results = _measured(chosen, progress)
        if chosen.peers:
            scale = peers.QUICK if chosen.quick else peers.Scale()
            libraries = peers.measure(chosen.peers, scale, progress)
    missed: list[str] = []
    if libraries is not None:
        libraries.show(console)
        written = libraries.write(chosen.docs) if chosen.write else []
        for path in written:
            console.print(f"wrote {path}")
        missed += libraries.broken_promises()
    figures = libraries.figures if libraries is not None else []
    if results is not None:
        results.figures.extend(figures)
        missed += _report(chosen, console, results)
    else:
        missed += reach.missed(reach.lines([], figures))
    for one in missed if not chosen.quick else ():
        console.print(f"[red]missed:[/] {escape(one)}")
    return 1 if missed and chosen.check else 0


def _report(chosen: argparse.Namespace, console: Console, results: Results) -> list[str]:
    """Show the rows and the targets, and write them; the targets that were missed."""
    missed = reach.missed(results.lines)
    console.print(report.machine_markdown(results.environment))
    tables.show_rows(console, results.rows)
    tables.show_figures(console, results.figures)
    for name, size in results.bytes_per_memory.items():
        console.print(f"a memory as {name}: {size['key']:,.0f} bytes, with its index {size['total']:,.0f}")
    if chosen.write:
        results.keep_from(chosen.docs)  # the page shows them as well; they are not judged again
        for path in report.write(chosen.docs, results):
            console.print(f"wrote {path}")
    tables.show_reach(console, [line for line in results.lines if line.value is not None or not chosen.rows])
    return missed


if __name__ == "__main__":
    sys.exit(main())
