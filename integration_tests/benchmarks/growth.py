"""How times grow with the number of memories, and with the length of a conversation: ours, and the peers'."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

from integration_tests.benchmarks.peers.compare import Advance, Cell, asking, attempt, interleaved
from integration_tests.benchmarks.peers.running import NoResultError, Running
from integration_tests.benchmarks.peers.work import PER_USER, user_name

SIZES = (1_000, 10_000, 100_000)
MESSAGES = (10, 100, 1_000)
MEMORY_OPERATIONS, MESSAGE_OPERATIONS = ("recall", "remember"), ("append", "read")
LOAD_SECONDS = 75.0
BURSTS, _MESSAGE_BURSTS = 8, 2
_LOADED_AT_ONCE = 2  # libraries; what they load is not timed
DEFAULT = "agentmem-flat"
_LIMIT = 1.5


@dataclass
class Growth:
    """Median milliseconds, by operation, library and size.

    Attributes:
        memories: Of recall and remember; the size is how many memories there are, 100 of each user.
        messages: Of append and read; the size is how many messages the session has.
    """

    memories: dict[str, dict[str, dict[int, Cell]]] = field(default_factory=dict)
    messages: dict[str, dict[str, dict[int, Cell]]] = field(default_factory=dict)


class Target(NamedTuple):
    """Something that is to be reached: what, how many times it grew, how many it may, and whether that holds."""

    what: str
    ratio: float
    limit: float
    reached: bool


def steps(libraries: int, sizes: Sequence[int], messages: Sequence[int], bursts: int) -> int:
    """Return how often `grow` calls `advance`, besides what is loaded."""
    of_memories = len(sizes) * len(MEMORY_OPERATIONS) * bursts
    return libraries * (of_memories + len(messages) * len(MESSAGE_OPERATIONS) * _MESSAGE_BURSTS)


def grow(
    libraries: Sequence[Running],
    advance: Advance,
    *,
    sizes: Sequence[int] = SIZES,
    messages: Sequence[int] = MESSAGES,
    load_seconds: float = LOAD_SECONDS,
    bursts: int = BURSTS,
    on_load: Callable[[str, int], object] = lambda key, count: None,
) -> Growth:
    """Measure libraries while they are filled.

    Args:
        libraries: Their processes.
        advance: Called after every burst.
        sizes: How many memories there are when recall and remember are timed.
        messages: How many messages a session has when append and read are timed.
        load_seconds: How long a library may take to be filled; one that takes longer is not measured any further.
            Ours with its default index may take ten minutes.
        bursts: How often each library recalls and remembers ten times in a row, with each number of memories.
        on_load: Called with a library and how many memories it holds, as they become more.
    """
    found, order = Growth(), random.Random(7)
    for one in libraries:
        attempt(lambda one=one: one.ask("start", window=None))  # type: ignore[misc]
    measured = interleaved(
        {
            (operation, one.key, size): asking(one, "sessions", operation=operation, messages=size)
            for operation in MESSAGE_OPERATIONS
            for one in libraries
            for size in messages
        },
        _MESSAGE_BURSTS,
        order,
        advance,
    )
    _note(found.messages, measured)
    filling = [_Filling(one, load_seconds, on_load) for one in libraries]
    for size in sizes:
        with ThreadPoolExecutor(_LOADED_AT_ONCE) as pool:
            problems = [*pool.map(_Filling.fill, filling, [size] * len(filling))]
        names = [(operation, one.key, size) for operation in MEMORY_OPERATIONS for one in libraries]
        found_out = [Cell(words=problem) for problem in problems] * len(MEMORY_OPERATIONS)
        contenders = {
            (operation, one.key, size): asking(one, "users", operation=operation, users=size // PER_USER)
            for operation in MEMORY_OPERATIONS
            for one, problem in zip(libraries, problems, strict=True)
            if not problem
        }
        measured = interleaved(contenders, bursts, order, advance)
        _note(found.memories, dict(zip(names, found_out, strict=True)) | measured)
    return found


def _note(growing: dict[str, dict[str, dict[int, Cell]]], cells: dict[tuple[str, str, int], Cell]) -> None:
    for (operation, key, size), cell in cells.items():
        growing.setdefault(operation, {}).setdefault(key, {})[size] = cell


class _Filling:
    """A library that is being filled, user by user."""

    def __init__(self, library: Running, seconds: float, on_load: Callable[[str, int], object]) -> None:
        self._library = library
        # What the default index grows to is a target, so it is filled however long that takes.
        self._left = self._seconds = 600.0 if library.key == DEFAULT else seconds
        self._held = 0
        self._problem = ""
        self._on_load = on_load

    def fill(self, size: int) -> str:
        """Fill it up to so many memories; return why it holds fewer, or nothing."""
        try:
            if not self._held and not self._problem:
                self._library.ask("start", window=None)
            while self._held < size and not self._problem:
                began = time.perf_counter()
                user = user_name(self._held // PER_USER)
                self._library.ask("load", user=user, first=self._held, count=PER_USER)
                self._held += PER_USER
                self._on_load(self._library.key, self._held)
                self._left -= time.perf_counter() - began
                if self._left < 0 and self._held < size:
                    self._problem = f"holds {self._held:,} after {self._seconds:.0f} s"
        except NoResultError as error:
            self._problem = str(error)
        return self._problem


def last_over_first(cells: dict[int, Cell]) -> float | None:
    """Return how many times the first size's time the last size's is; `None` if either was not measured."""
    if not cells:
        return None
    first, last = cells[min(cells)].value, cells[max(cells)].value
    return last / first if first and last else None


def targets(growth: Growth) -> list[Target]:
    """Return what growth is to be reached, and is: remembering with 100,000 memories against 1,000."""
    cells = growth.memories.get("remember", {}).get(DEFAULT, {})
    grown = last_over_first(cells)
    if grown is None:
        return []
    what = f"remember at {max(cells):,} memories against {min(cells):,}, FLAT"
    return [Target(what, grown, _LIMIT, grown <= _LIMIT)]
