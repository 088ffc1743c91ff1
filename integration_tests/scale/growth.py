"""What is measured together, in which order, and what becomes of the times."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from integration_tests.benchmarks.report import environment
from integration_tests.scale.room import Room
from integration_tests.scale.servers import STANDALONE
from integration_tests.scale.worlds import OPERATIONS, Footprint, Operation, Place, World, opened

TOGETHER = 100_000
"""Worlds of at most so many memories are measured side by side; each larger one with small ones to compare."""
_SMALL = 10_000
_MOST_EMPTY = 0.01  # of the calls

Progress = Callable[[str, int], object]
"""Told what is done, and how many memories or calls more."""


@dataclass(frozen=True)
class Measured:
    """An operation in a world. Times are in milliseconds of one call.

    Attributes:
        operation: Which, of `OPERATIONS`.
        on: What it ran on.
        memories: How many memories there were.
        calls: How many times it ran.
        p50: The median time.
        p99: What one call in a hundred exceeded.
        client: The client's CPU, on average.
        server: The CPU of all primaries together, on average.
    """

    operation: str
    on: str
    memories: int
    calls: int
    p50: float
    p99: float
    client: float
    server: float


@dataclass(frozen=True)
class Phase:
    """Worlds that are measured in one run, so that their times can be compared.

    Attributes:
        name: What its results are called.
        places: Where, and how much.
    """

    name: str
    places: tuple[Place, ...]


@dataclass(frozen=True)
class Results:
    """What came of a phase.

    Attributes:
        phase: Its name.
        environment: The machine and the versions.
        options: What it was measured with.
        footprints: What each world took.
        measured: What each operation took in each world.
        left_out: Worlds that were not measured, and why.
    """

    phase: str
    environment: dict[str, str]
    options: dict[str, Any]
    footprints: list[Footprint] = field(default_factory=list)
    measured: list[Measured] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    def worlds(self) -> set[str]:
        """Return the names of the worlds that were measured, or left out."""
        return {Place(one.on, one.memories).name for one in self.measured} | {*self.left_out}


@dataclass
class _Taken:
    """What the calls of one operation in one world took, in seconds, and how many of them found nothing."""

    times: list[float] = field(default_factory=list)
    client: float = 0.0
    server: float = 0.0
    empty: int = 0


def phases(sizes: Collection[int], on: Sequence[str]) -> list[Phase]:
    """Return what is measured together.

    A large world has beside it the smallest one of its kind and the smallest standalone one.
    """
    small = sorted(size for size in sizes if size <= TOGETHER)
    together = [Place(one, size) for size in small for one in on]
    found = [Phase(f"up-to-{small[-1]}", tuple(together))] if together else []
    for size in sorted(set(sizes) - set(small)):
        for one in on:
            beside = {Place(other, small[0]) for other in (one, STANDALONE) if other in on} if small else ()
            found.append(Phase(f"{size}-on-{one}", (*sorted(beside), Place(one, size))))
    return found


def run(phase: Phase, options: dict[str, Any], progress: Progress = lambda what, count: None) -> Results:
    """Start and fill the worlds of a phase, and measure every operation in all of them, in turns.

    Args:
        phase: What is measured.
        options: The `operations`, the `rounds`, how many calls make a `burst`, and the `seed`.
        progress: Told what is done.
    """
    room, worlds = Room(), list[World]()
    results = Results(phase.name, {}, options)
    with ExitStack() as stack:
        for place in sorted(phase.places, key=lambda place: place.memories):
            vector_type, why_not = room.take(place)
            if vector_type is None:
                results.left_out[place.name] = why_not
                continue
            worlds.append(stack.enter_context(opened(place, vector_type)))
        for world in worlds:
            what = f"storing {world.place.name}"
            filled = world.fill(lambda count, what=what: progress(what, count))  # type: ignore[misc]
            results.footprints.append(filled)
        if worlds:
            results.environment.update(environment(worlds[0].servers.clients[0]))
        results.measured.extend(measure(worlds, options, progress))
    results.footprints.extend(_with_float16(phase))
    return results


def _with_float16(phase: Phase) -> Iterator[Footprint]:
    """Yield what a small world takes with 16-bit vectors, if the phase has small worlds only."""
    alone = [place for place in phase.places if place.on == STANDALONE and place.memories <= _SMALL]
    if alone and all(place.memories <= TOGETHER for place in phase.places):
        with opened(max(alone), "float16") as world:
            yield world.fill(lambda count: None)


def measure(
    worlds: Sequence[World], options: dict[str, Any], progress: Progress = lambda what, count: None
) -> list[Measured]:
    """Run every operation in every world, a few times in a row, in an order drawn anew each round.

    Args:
        worlds: The worlds, filled.
        options: As for `run`.
        progress: Told what is done.
    """
    rounds, burst = options["rounds"], options["burst"]
    order = random.Random(f"{options['seed']} growth")
    pairs = [(name, world) for name in options["operations"] for world in worlds]
    taken = {pair: _Taken() for pair in pairs}
    gc.collect()
    gc.freeze()  # what is there for measuring alone costs no collection anything
    try:
        for number in range(-1, rounds):
            for name, world in order.sample(pairs, len(pairs)):
                # What is loaded late is loaded in the first round, which does not count.
                into = taken[name, world] if number >= 0 else _Taken()
                _burst(world, OPERATIONS[name], burst, into)
                progress("measuring", burst if number >= 0 else 0)
    finally:
        gc.unfreeze()
    return [_measured(name, world.place, taken[name, world]) for name, world in pairs]


def _burst(world: World, operation: Operation, count: int, into: _Taken) -> None:
    said = [world.saying() for _ in range(count)]
    results = []
    server = world.servers.cpu_seconds()
    client = time.process_time()
    for one in said:
        began = time.perf_counter()
        results.append(operation.run(world, one))
        into.times.append(time.perf_counter() - began)
    into.client += time.process_time() - client
    into.server += world.servers.cpu_seconds() - server
    for one, result in zip(said, results, strict=True):
        into.empty += not operation.check(result)
        operation.undo(world, one, result)
    # A vector that was drawn far from all memories has no answer. That is rare: else something is broken.
    assert into.empty <= max(3, _MOST_EMPTY * len(into.times)), f"{operation.title}: {into.empty} were empty"


def _measured(name: str, place: Place, taken: _Taken) -> Measured:
    times, calls = sorted(taken.times), len(taken.times)
    each = 1000 / calls
    return Measured(
        name,
        place.on,
        place.memories,
        calls,
        share(times, 0.5) * 1000,
        share(times, 0.99) * 1000,
        taken.client * each,
        taken.server * each,
    )


def share(ordered: Sequence[float], part: float) -> float:
    """Return what this part of ordered numbers does not exceed; 0 if there are none."""
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0
