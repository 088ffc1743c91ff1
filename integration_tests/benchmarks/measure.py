"""Measuring: all sides in every round, in an order that is drawn anew each time; medians."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from integration_tests.benchmarks.counting import Traffic, redis_traffic
from integration_tests.benchmarks.targets import TARGETS

SEED = 11
_PARTS = 5
_TIDY_EVERY = 25


@dataclass(frozen=True)
class Side:
    """One way to do something.

    Attributes:
        name: What it is called in the table.
        run: Does it; its argument is the round's number, so that all sides of a round have the same input.
        undo: Takes the result and puts things back, so that each round finds what the first found.
        result: What of the result has to be the same on every side.
        target: The target that is judged by this side, by its name in `TARGETS`; empty if it is shown only.
        each: How many single things a run does; the time is divided by it.
        times_itself: Whether `run` returns the seconds.
        traffic: What went out so far.
    """

    name: str
    run: Callable[[int], Any]
    undo: Callable[[Any], object] = lambda result: None
    result: Callable[[Any], Any] = lambda result: result
    target: str = ""
    each: int = 1
    times_itself: bool = False
    traffic: Callable[[], Traffic] = redis_traffic


@dataclass(frozen=True)
class Row:
    """A comparison.

    Attributes:
        key: What it is called on the command line.
        what: What it is called in the table.
        ours: This package's side.
        others: What it is compared with.
        share: What part of the usual number of rounds it gets.
        tidy: Called every 25 rounds, outside of what is timed.
        index: The algorithm of our index, where that matters.
        on_redis: Whether its time can be split into the server's and the client's.
    """

    key: str
    what: str
    ours: Side
    others: list[Side]
    share: float = 1.0
    tidy: Callable[[], object] = lambda: None
    index: str = ""
    on_redis: bool = True

    @property
    def sides(self) -> list[Side]:
        """All of them, ours first."""
        return [self.ours, *self.others]

    @property
    def judged(self) -> list[Side]:
        """The sides that a target names."""
        return [side for side in self.others if side.target]


@dataclass(frozen=True)
class Compared:
    """Ours against one other side."""

    name: str
    milliseconds: float
    ratio: float
    lowest: float
    highest: float
    round_trips: int | None
    sent_bytes: int | None
    target: str = ""
    reached: bool | None = None


@dataclass(frozen=True)
class Measured:
    """A row's result."""

    key: str
    what: str
    ours: str
    milliseconds: float
    round_trips: int | None
    sent_bytes: int | None
    rounds: int
    index: str = ""
    others: list[Compared] = field(default_factory=list)


@dataclass(frozen=True)
class Figure:
    """A number that is judged by itself: a rate, a duration, a size; or a ratio that was measured elsewhere.

    Attributes:
        target: Its target, by its name in `TARGETS`.
        value: The number, in the target's unit.
        detail: What it is made of, in a sentence without its full stop.
        index: The algorithm of the index, where that matters.
    """

    target: str
    value: float
    detail: str = ""
    index: str = ""

    @property
    def reached(self) -> bool:
        """Whether it is within its target."""
        return TARGETS[self.target].reached(self.value)


def measure(
    row: Row, rounds: int, on_round: Callable[[], None] = lambda: None, *, seed: int = SEED
) -> Measured:
    """Run every side once per round, in an order drawn anew each round.

    With a fixed order each side would always follow the same other one, and find what that left in the
    caches: the same code took a quarter longer after one side than after another.
    """
    order = random.Random(f"{seed} {row.key}")
    sent = [_sent(side) for side in row.sides]
    times: list[list[float]] = [[] for _ in row.sides]
    gc.collect()
    gc.disable()  # as timeit does: a collection would hit whoever is running
    try:
        for number in range(rounds):
            for at in order.sample(range(len(row.sides)), len(row.sides)):
                times[at].append(_time(row.sides[at], number))
            on_round()
            if number % _TIDY_EVERY == _TIDY_EVERY - 1:
                gc.collect()
                row.tidy()
    finally:
        gc.enable()
    compared = [
        _compare(side, times[0], other, traffic)
        for side, other, traffic in zip(row.others, times[1:], sent[1:], strict=True)
    ]
    ours = median(times[0]) * 1000
    return Measured(row.key, row.what, row.ours.name, ours, *sent[0], rounds, row.index, compared)


def _time(side: Side, number: int) -> float:
    began = time.perf_counter()
    result = side.run(number)
    took = time.perf_counter() - began
    side.undo(result)
    return (result if side.times_itself else took) / side.each


def _sent(side: Side) -> Traffic | tuple[None, None]:
    """Counted the second time: the first loads scripts and looks at the index."""
    if side.times_itself:
        return None, None
    side.undo(side.run(0))
    before = side.traffic()
    result = side.run(1)
    after = side.traffic()
    side.undo(result)
    return Traffic(after.round_trips - before.round_trips, after.sent_bytes - before.sent_bytes)


def _compare(
    side: Side, ours: Sequence[float], theirs: Sequence[float], sent: Traffic | tuple[None, None]
) -> Compared:
    ratio = median(ours) / median(theirs)
    step = max(1, len(ours) // _PARTS)
    parts = [
        median(ours[at : at + step]) / median(theirs[at : at + step]) for at in range(0, len(ours), step)
    ]
    reached = TARGETS[side.target].reached(ratio) if side.target else None
    return Compared(
        side.name, median(theirs) * 1000, ratio, min(parts), max(parts), *sent, side.target, reached
    )
