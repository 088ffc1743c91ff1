"""`python -m integration_tests.scale`: measure how things grow, and write docs/scale.md.

What is measured already, with the same options, is not measured again: an interrupted run goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from integration_tests.benchmarks import reach
from integration_tests.scale import growth
from integration_tests.scale.at_once import AtOnce
from integration_tests.scale.growth import Phase
from integration_tests.scale.page import Folder
from integration_tests.scale.people import MEMORIES
from integration_tests.scale.servers import STANDALONE
from integration_tests.scale.worlds import OPERATIONS

_ROOT = Path(__file__).parents[2]
_SIZES = (1_000, 10_000, 100_000, 1_000_000)
_ON = (STANDALONE, "1", "2", "3")
_PARTS = ("growth", "conversations")


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m integration_tests.scale", description=__doc__)
    parser.add_argument(
        "--sizes",
        default=",".join(map(str, _SIZES)),
        help="numbers of memories, 100 of each user, with commas",
    )
    parser.add_argument(
        "--on", default=",".join(_ON), help="standalone, and numbers of primaries, with commas"
    )
    parser.add_argument("--operations", default=",".join(OPERATIONS), help="only these, with commas")
    parser.add_argument("--rounds", type=int, default=400, help="how often each operation has its turn")
    parser.add_argument("--burst", type=int, default=5, help="how often it runs in each turn")
    parser.add_argument("--seed", type=int, default=11, help="what the order is drawn with")
    parser.add_argument("--conversations", default="100,1000", help="how many at once, with commas")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long conversations go on, each time")
    parser.add_argument("--only", choices=_PARTS, help="only this part")
    parser.add_argument("--fresh", action="store_true", help="measure again what is measured already")
    parser.add_argument("--tables", action="store_true", help="measure nothing: write the page from the data")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a target is missed")
    parser.add_argument("--docs", type=Path, default=_ROOT / "docs", help="the folder that is written to")
    chosen = parser.parse_args(words)
    chosen.sizes = [int(size) for size in chosen.sizes.split(",")]
    chosen.on, chosen.operations = chosen.on.split(","), chosen.operations.split(",")
    if bad := [size for size in chosen.sizes if size < MEMORIES or size % MEMORIES]:
        parser.error(f"sizes are multiples of {MEMORIES}, not {bad[0]}")
    if bad := [on for on in chosen.on if on != STANDALONE and not on.isdecimal()]:
        parser.error(f"--on takes {STANDALONE} and numbers of primaries, not {bad[0]}")
    if bad := [name for name in chosen.operations if name not in OPERATIONS]:
        parser.error(f"unknown operation: {bad[0]}; there are {', '.join(OPERATIONS)}")
    return chosen


def _grow(chosen: argparse.Namespace, folder: Folder, console: Console) -> None:
    options = {
        "operations": chosen.operations,
        "rounds": chosen.rounds,
        "burst": chosen.burst,
        "seed": chosen.seed,
    }
    for phase in growth.phases(chosen.sizes, chosen.on):
        known = folder.results(phase.name)
        wanted = {place.name for place in phase.places}
        if known is not None and not chosen.fresh and known.options == options and wanted <= known.worlds():
            console.print(f"{phase.name} is measured already")
            continue
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        ) as progress:
            tasks = {"measuring": progress.add_task(phase.name, total=_calls(phase, chosen))}

            def show(what: str, count: int) -> None:
                if what not in tasks:  # noqa: B023
                    tasks[what] = progress.add_task(what, total=int(what.split()[1]))  # noqa: B023
                progress.advance(tasks[what], count)  # noqa: B023

            results = growth.run(phase, options, show)
        for name, why in results.left_out.items():
            console.print(f"[yellow]{escape(name)}: left out, {escape(why)}[/]")
        console.print(f"wrote {folder.keep(results)}")


def _calls(phase: Phase, chosen: argparse.Namespace) -> int:
    return len(phase.places) * len(chosen.operations) * chosen.rounds * chosen.burst


def _converse(chosen: argparse.Namespace, folder: Folder, console: Console) -> None:
    """Have conversations at once, in a process that has done nothing else; then for a profile."""
    options = {"conversations": chosen.conversations, "seconds": chosen.seconds}
    if folder.conversations()[1] == options and not chosen.fresh:
        console.print("conversations are measured already")
        return
    most = max(chosen.conversations.split(","), key=int)
    found = [
        AtOnce(**one)
        for count, further in ((chosen.conversations, ()), (most, ("--profile", "--modes=hybrid")))
        for one in json.loads(
            subprocess.check_output(
                [
                    *(sys.executable, "-m", "integration_tests.scale.at_once", "--json"),
                    *(f"--conversations={count}", f"--seconds={chosen.seconds}", *further),
                ],
                cwd=_ROOT,
            )
        )
    ]
    console.print(f"wrote {folder.keep_conversations(found, options)}")


def main(words: list[str] | None = None) -> int:
    """Measure what is not measured yet, and write the page; 1 if a target is missed and that is asked for."""
    chosen = _arguments(words)
    console, folder = Console(), Folder(chosen.docs)
    if not chosen.tables:
        if chosen.only != "conversations":
            _grow(chosen, folder, console)
        if chosen.only != "growth":
            _converse(chosen, folder, console)
    for path in folder.write_page():
        console.print(f"wrote {path}")
    missed = reach.missed(folder.lines())
    for one in missed:
        console.print(f"[red]missed:[/] {escape(one)}")
    return 1 if missed and chosen.check else 0


if __name__ == "__main__":
    sys.exit(main())
