"""How times grow with the number of memories, and with the length of a conversation: ours, and the peers'."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from integration_tests.benchmarks.measure import Figure
from integration_tests.benchmarks.peers.compare import Advance, Cell, asking, attempt, interleaved
from integration_tests.benchmarks.peers.running import NoResultError, Running
from integration_tests.benchmarks.peers.work import PER_USER, user_name
from integration_tests.benchmarks.targets import FLAT, HNSW

SIZES = (1_000, 10_000, 100_000)
MESSAGES = (10, 100, 1_000)
MEMORY_OPERATIONS, MESSAGE_OPERATIONS = ("recall", "remember"), ("append", "read")
LOAD_SECONDS, _LONGEST_SECONDS = 75.0, 600.0
BURSTS, _MESSAGE_BURSTS = 8, 2
_LOADED_AT_ONCE = 2  # libraries; what they load is not timed
DEFAULT = "agentmem-flat"
_JUDGED = {FLAT: DEFAULT, HNSW: "agentmem-hnsw"}


@dataclass
class Growth:
    """Median milliseconds, by operation, library and size.

    Attributes:
        memories: Of recall and remember; the size is how many memories there are, 100 of each user.
        messages: Of append and read; the size is how many messages the session has.
    """

    memories: dict[str, dict[str, dict[int, Cell]]] = field(default_factory=dict)
    messages: dict[str, dict[str, dict[int, Cell]]] = field(default_factory=dict)


def steps(libraries: int, sizes: Sequence[int], messages: Sequence[int], bursts: int) -> int:
    """Return how often `grow` calls `advance`, besides what is loaded."""
    of_memories = len(sizes) * len(MEMORY_OPERATIONS) * bursts
    return libraries * (of_memories + len(messages) * len(MESSAGE_OPERATIONS) * _MESSAGE_BURSTS)


def grow(
    libraries: Mapping[str, Mapping[int, Running]],
    advance: Advance,
    *,
    messages: Sequence[int] = MESSAGES,
    load_seconds: float = LOAD_SECONDS,
    bursts: int = BURSTS,
    on_load: Callable[[str, int], object] = lambda key, count: None,
) -> Growth:
    """Fill libraries to several sizes, and measure all of them in turns, so that other work hits every size alike.

    Args:
        libraries: A process for each library and each number of memories; the smallest comes first.
        advance: Called at every burst.
        messages: How many messages a session has when append and read are timed.
        load_seconds: How long a library may take to be filled, all sizes together; what is not full by then is not
            measured. Ours with its default index may take ten minutes.
        bursts: How often each recalls and remembers ten times in a row.
        on_load: Called with a library and how many memories were added, as they become more.
    """
    order = random.Random(7)
    smallest = {key: next(iter(by_size.values())) for key, by_size in libraries.items()}
    for one in smallest.values():
        attempt(lambda one=one: one.ask("start", window=None))  # type: ignore[misc]
    of_messages = interleaved(
        {
            (operation, key, size): asking(one, "sessions", operation=operation, messages=size)
            for operation in MESSAGE_OPERATIONS
            for key, one in smallest.items()
            for size in messages
        },
        _MESSAGE_BURSTS,
        order,
        advance,
    )
    with ThreadPoolExecutor(_LOADED_AT_ONCE) as pool:
        filled = pool.map(lambda key: _fill(key, libraries[key], load_seconds, on_load), libraries)
        problems = dict(zip(libraries, filled, strict=True))
    every = [
        (operation, key, size)
        for operation in MEMORY_OPERATIONS
        for key, by_size in libraries.items()
        for size in by_size
    ]
    of_memories = {(_, key, size): Cell(words=problems[key].get(size, "")) for _, key, size in every}
    of_memories |= interleaved(
        {
            name: asking(libraries[key][size], "users", operation=operation, users=size // PER_USER)
            for name in every
            for operation, key, size in [name]
            if size not in problems[key]
        },
        bursts,
        order,
        advance,
    )
    return Growth(_nested(of_memories), _nested(of_messages))


def _nested(cells: Mapping[tuple[str, str, int], Cell]) -> dict[str, dict[str, dict[int, Cell]]]:
    found: dict[str, dict[str, dict[int, Cell]]] = {}
    for (operation, key, size), cell in cells.items():
        found.setdefault(operation, {}).setdefault(key, {})[size] = cell
    return found


def _fill(
    key: str, by_size: Mapping[int, Running], seconds: float, on_load: Callable[[str, int], object]
) -> dict[int, str]:
    """Fill a library's processes, each with its number of memories; return why which are not full."""
    # What the default index grows to is a target, so it is filled however long that takes.
    seconds = _LONGEST_SECONDS if key == DEFAULT else seconds
    until, problem, problems = time.monotonic() + seconds, "", dict[int, str]()
    for size, one in by_size.items():
        held = 0
        try:
            if not problem:
                one.ask("start")
            while held < size and not problem:
                if time.monotonic() > until:
                    problem = f"holds {held:,} after {seconds:.0f} s"
                    break
                one.ask("load", user=user_name(held // PER_USER), first=held, count=PER_USER)
                held += PER_USER
                on_load(key, PER_USER)
        except NoResultError as error:
            problem = str(error)
        if problem:
            problems[size] = problem
    return problems


def last_over_first(cells: dict[int, Cell]) -> float | None:
    """Return how many times the first size's time the last size's is; `None` if either was not measured."""
    if not cells:
        return None
    first, last = cells[min(cells)].value, cells[max(cells)].value
    return last / first if first and last else None


def figures(growth: Growth) -> list[Figure]:
    """Return what growth has to reach: the time of remember at the largest size over that at the smallest."""
    cells = growth.memories.get("remember", {})
    grown = {index: last_over_first(cells.get(key, {})) for index, key in _JUDGED.items()}
    return [
        Figure("growth", value, "medians of the table of growth", index)
        for index, value in grown.items()
        if value
    ]
