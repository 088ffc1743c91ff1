"""`python -m integration_tests.benchmarks`: measure, show, write."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from integration_tests.benchmarks import report
from integration_tests.benchmarks.footprint import footprints
from integration_tests.benchmarks.measure import Measured, measure
from integration_tests.benchmarks.more_rows import ROWS
from integration_tests.benchmarks.peers import run as peers
from integration_tests.benchmarks.peers.libraries import PEERS
from integration_tests.benchmarks.world import World
from langchain_agentmem import EmbeddedRedis

_DOCS = Path(__file__).parents[2] / "docs"
_FEWEST_ROUNDS = 1
_STORAGES = 5


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m integration_tests.benchmarks", description=__doc__)
    parser.add_argument("--rows", help=f"only these, with commas: {','.join(ROWS)}")
    parser.add_argument("--rounds", type=int, default=800, help="how often a row runs (some run less often)")
    parser.add_argument(
        "--quick", action="store_true", help="a few rounds: times mean nothing, nothing is written"
    )
    parser.add_argument("--check", action="store_true", help="exit with 1 if a target is missed")
    parser.add_argument(
        "--write",
        action=argparse.BooleanOptionalAction,
        help="write the data, the plot and the tables of docs/performance.md (default for a whole run)",
    )
    parser.add_argument("--docs", type=Path, default=_DOCS, help="the folder that is written to")
    parser.add_argument(
        "--peers",
        nargs="?",
        const=",".join(PEERS),
        help=f"no rows, but other libraries, what they promise, and growth: {','.join(PEERS)}, or some of them",
    )
    parser.add_argument("--no-peers", action="store_true", help="without other libraries and growth")
    chosen = parser.parse_args(words)
    chosen.keys = chosen.rows.split(",") if chosen.rows else [] if chosen.peers else list(ROWS)
    with_peers = chosen.peers is not None or not (chosen.no_peers or chosen.rows or chosen.quick)
    chosen.peers = (chosen.peers.split(",") if chosen.peers else list(PEERS)) if with_peers else None
    unknown = [key for key in chosen.peers or () if key not in PEERS]
    if unknown:
        parser.error(f"unknown peers: {', '.join(unknown)}; there are {', '.join(PEERS)}")
    unknown = [key for key in chosen.keys if key not in ROWS]
    if unknown:
        parser.error(f"unknown rows: {', '.join(unknown)}; there are {', '.join(ROWS)}")
    if chosen.write is None:
        chosen.write = not (chosen.quick or chosen.rows or (chosen.peers and len(chosen.peers) < len(PEERS)))
    if chosen.write and chosen.rows:
        parser.error("--write needs all rows, because it replaces the page's tables")
    if chosen.quick:
        chosen.rounds = 5
    return chosen


def main(words: list[str] | None = None) -> int:
    """Run the benchmarks; the exit code."""
    chosen = _arguments(words)
    console = Console()
    if not console.is_terminal:
        console = Console(width=130)
    missed = _measure_rows(chosen, console) if chosen.keys else []
    missed += _measure_peers(chosen, console) if chosen.peers is not None else []
    for one in missed if not chosen.quick else ():
        console.print(f"[red]missed:[/] {one}")
    return 1 if missed and chosen.check else 0


def _measure_peers(chosen: argparse.Namespace, console: Console) -> list[str]:
    """Measure, show and write other libraries, promises and growth; return the targets that were missed."""
    with Progress(console=console, transient=True) as progress:
        scale = peers.QUICK if chosen.quick else peers.Scale()
        measured = peers.measure(chosen.peers, scale, progress)
    measured.show(console)
    for path in measured.write(chosen.docs) if chosen.write else ():
        console.print(f"wrote {path}")
    return [] if chosen.quick else measured.missed()


def _measure_rows(chosen: argparse.Namespace, console: Console) -> list[str]:
    """Measure, show and write the rows; return the targets that were missed."""
    sizes = {"stored": 100, "new": 40} if chosen.quick else {"stored": 1000, "new": 200}
    measured: list[Measured] = []
    with EmbeddedRedis() as server, Progress(console=console, transient=True) as progress:
        whole = progress.add_task("rows", total=len(chosen.keys) + 1)
        world = World(server.url, **sizes)
        about = report.environment(world.client)
        for key in chosen.keys:
            row = ROWS[key](world)
            rounds = max(_FEWEST_ROUNDS, int(chosen.rounds * row.share))
            task = progress.add_task(key, total=rounds)
            measured.append(measure(row, rounds, lambda task=task: progress.advance(task)))  # type: ignore[misc]
            progress.remove_task(task)
            progress.advance(whole)
        bytes_per_memory: dict[str, dict[str, float]] = {}
        if not chosen.rows:
            task = progress.add_task("bytes a memory", total=_STORAGES)
            bytes_per_memory = footprints(world, lambda: progress.advance(task))
        world.close()
    console.print(report.machine_markdown(about))
    report.show(console, measured)
    for name, size in bytes_per_memory.items():
        console.print(f"a memory as {name}: {size['key']:,.0f} bytes, with its index {size['total']:,.0f}")
    if chosen.write:
        for path in report.write(chosen.docs, about, measured, bytes_per_memory):
            console.print(f"wrote {path}")
    return report.missed(measured)


if __name__ == "__main__":
    sys.exit(main())
