"""The rows and the correctness table of every library, in one run.

Each library has a process and a Redis of its own. All rows of all libraries take turns in short bursts, in another order
each time, so that other work on the machine hits all alike.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, TypeVar

from integration_tests.benchmarks.peers.checks import CHECKS
from integration_tests.benchmarks.peers.libraries import OURS, PEERS
from integration_tests.benchmarks.peers.running import NoResultError, Running
from integration_tests.benchmarks.peers.work import ROWS

BURST, WARM_UP = 10, 3
LOADED, LOADS, LOAD_SECONDS = 1000, 3, 5.0
ROW_SECONDS = 6.0
BULK, BYTES = "bulk", "bytes"

Advance = Callable[[], object]
Burst = Callable[[int, int], list[float]]
"""Takes the number of its first round, and how many rounds there are; returns their seconds."""
Key = TypeVar("Key")


@dataclass(frozen=True)
class Cell:
    """What is in a cell.

    Attributes:
        value: What was measured: milliseconds, facts a second, bytes.
        words: Why there is none; or what a check saw.
        kept: Whether a promise is kept.
    """

    value: float | None = None
    words: str = ""
    kept: bool | None = None


@dataclass
class Comparison:
    """What came of a run.

    Attributes:
        versions: By library; or why it did not run.
        rows: Cells by row, and by library.
        correctness: Cells by check, and by library.
    """

    versions: dict[str, Cell] = field(default_factory=dict)
    rows: dict[str, dict[str, Cell]] = field(default_factory=dict)
    correctness: dict[str, dict[str, Cell]] = field(default_factory=dict)


def attempt(measure: Callable[[], Any]) -> Cell:
    """Return a cell with what was measured, or with why it was not."""
    try:
        return Cell(measure())
    except NoResultError as error:
        return Cell(words=str(error))


def steps(libraries: int, rounds: int) -> int:
    """Return how often `compare` calls `advance`."""
    return libraries * (len(CHECKS) + LOADS + len(ROWS) * _bursts(rounds))


def compare(
    libraries: Sequence[Running], rounds: int, advance: Advance, *, loaded: int = LOADED
) -> Comparison:
    """Check and measure libraries.

    Args:
        libraries: Their processes.
        rounds: How often each row is timed.
        advance: Called after every burst.
        loaded: How many facts are loaded, and recalled from.
    """
    found, order = Comparison(), random.Random(7)
    for one in libraries:
        try:
            found.versions[one.key] = Cell(words=one.ask("versions"), kept=True)
        except NoResultError as error:
            found.versions[one.key] = Cell(words=str(error), kept=False)
    for check in CHECKS:
        found.correctness[check] = {
            one.key: _checked(one, check, advance) for one in libraries if one.key in (OURS, *PEERS)
        }
    found.rows = _loaded(libraries, loaded, order, advance)
    cells = interleaved(
        {(row, one.key): asking(one, "row", row=row) for row in ROWS for one in libraries},
        _bursts(rounds),
        order,
        advance,
    )
    found.rows |= {row: {one.key: cells[row, one.key] for one in libraries} for row in ROWS}
    return found


def asking(one: Running, do: str, **arguments: Any) -> Burst:
    """Return what asks a library for a burst: one of `Worker`'s methods, with these arguments and its rounds."""

    def ask(first: int, rounds: int) -> list[float]:
        taken: list[float] = one.ask(do, **arguments, first=first, rounds=rounds)
        return taken

    return ask


def _bursts(rounds: int) -> int:
    return max(1, rounds // BURST)


def _checked(one: Running, check: str, advance: Advance) -> Cell:
    try:
        verdict = one.ask("check", name=check)
        return Cell(words=verdict["words"], kept=verdict["kept"])
    except NoResultError as error:
        return Cell(words=str(error), kept=False)
    finally:
        advance()


def _loaded(
    libraries: Sequence[Running], count: int, order: random.Random, advance: Advance
) -> dict[str, dict[str, Cell]]:
    """Load each library a few times, what is slow once; return facts a second, and bytes a fact."""
    rates: dict[str, list[float]] = {one.key: [] for one in libraries}
    sizes: dict[str, list[float]] = {one.key: [] for one in libraries}
    failed: dict[str, Cell] = {}

    def load(one: Running) -> None:
        one.ask("start")
        before = one.ask("used_memory")
        one.ask("load", user="other", first=count, count=1)  # what is made on first need takes no time below
        rates[one.key].append(count / one.ask("load", user="bench", first=0, count=count))
        sizes[one.key].append((one.ask("used_memory") - before) / (count + 1))

    for _ in range(LOADS):
        for one in order.sample(libraries, len(libraries)):
            spent = sum(count / rate for rate in rates[one.key])
            if one.key not in failed and spent < LOAD_SECONDS:
                cell = attempt(lambda one=one: load(one))  # type: ignore[misc]
                failed |= {one.key: cell} if cell.words else {}
            advance()
    return {
        name: {key: failed.get(key) or Cell(median(numbers[key])) for key in numbers}
        for name, numbers in ((BULK, rates), (BYTES, sizes))
    }


def interleaved(
    contenders: Mapping[Key, Burst], bursts: int, order: random.Random, advance: Advance
) -> dict[Key, Cell]:
    """Return the median milliseconds of each contender: an operation of a library. They take turns in bursts.

    Args:
        contenders: What does a burst, by name; one that fails, or has had `ROW_SECONDS`, takes part no longer.
        bursts: How many there are, besides one that warms up.
        order: What draws the order of each turn.
        advance: Called at every burst.
    """
    cells: dict[Key, Cell] = {}
    taken: dict[Key, list[float]] = {key: [] for key in contenders}
    spent = dict.fromkeys(contenders, 0.0)
    for number in range(-1, bursts):
        for key in order.sample([*contenders], len(contenders)):
            first, count = (0, WARM_UP) if number < 0 else (WARM_UP + number * BURST, BURST)
            if number >= 0:
                advance()
            if key in cells or (number > 1 and spent[key] > ROW_SECONDS):
                continue
            began = time.perf_counter()
            try:
                seconds = contenders[key](first, count)
            except NoResultError as error:
                cells[key] = Cell(words=str(error))
                continue
            spent[key] += time.perf_counter() - began
            taken[key] += seconds if number >= 0 else []
    return {key: cells.get(key) or Cell(1000 * median(seconds)) for key, seconds in taken.items()}


def ratio(cells: Mapping[str, Cell], key: str, *, more_is_better: bool = False) -> float | None:
    """Return how many times ours a library's figure is; `None` if either has none."""
    ours, theirs = cells.get(OURS, Cell()).value, cells.get(key, Cell()).value
    if not ours or not theirs:
        return None
    return ours / theirs if more_is_better else theirs / ours
