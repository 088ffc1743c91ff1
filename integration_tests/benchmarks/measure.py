"""Measuring: both sides in turn, many rounds, medians."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from integration_tests.benchmarks.world import Traffic, redis_traffic

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
        reach: How many times this side's time ours may take; `None` if it is shown only.
        each: How many single things a run does; the time is divided by it.
        times_itself: Whether `run` returns the seconds.
        traffic: What went out so far.
    """

    name: str
    run: Callable[[int], Any]
    undo: Callable[[Any], object] = lambda result: None
    result: Callable[[Any], Any] = lambda result: result
    reach: float | None = None
    each: int = 1
    times_itself: bool = False
    traffic: Callable[[], Traffic] = redis_traffic


@dataclass(frozen=True)
class Row:
    """A comparison.

    Of several sides with the same `reach`, the first is what the target says, and each further one
    stricter.
    """

    key: str
    what: str
    ours: Side
    others: list[Side]
    share: float = 1.0
    """What part of the usual number of rounds it gets."""
    tidy: Callable[[], object] = lambda: None
    """Called every 25 rounds, outside of what is timed."""

    @property
    def sides(self) -> list[Side]:
        """All of them, ours first."""
        return [self.ours, *self.others]


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
    reach: float | None
    reached: bool | None
    judged: bool = False


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
    others: list[Compared] = field(default_factory=list)


def measure(row: Row, rounds: int, on_round: Callable[[], None] = lambda: None) -> Measured:
    """Run every side once a round, beginning with another one each round."""
    sent = [_sent(side) for side in row.sides]
    times: list[list[float]] = [[] for _ in row.sides]
    gc.collect()
    gc.disable()  # as timeit does: a collection would hit whoever is running
    try:
        for number in range(rounds):
            for step in range(len(row.sides)):
                at = (number + step) % len(row.sides)
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
    return Measured(row.key, row.what, row.ours.name, ours, *sent[0], rounds, judge(compared))


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
    reached = None if side.reach is None else ratio <= side.reach
    return Compared(
        side.name, median(theirs) * 1000, ratio, min(parts), max(parts), *sent, side.reach, reached
    )


def judge(compared: Sequence[Compared]) -> list[Compared]:
    """Mark what a target is judged by: the strictest side it is reached against, else what it says."""
    judged: dict[float, Compared] = {}
    for one in compared:
        if one.reach is not None and (one.reach not in judged or one.reached):
            judged[one.reach] = one
    return [
        Compared(**{**vars(one), "judged": True}) if any(one is chosen for chosen in judged.values()) else one
        for one in compared
    ]
