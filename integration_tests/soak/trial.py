"""What every trial has: its time, its dice, and the figures it ends with."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random

from langchain_agentmem.errors import StoreError


class Clock:
    """The time of a trial.

    Args:
        seconds: How long it may go on.
        on_progress: Told the share of it that is over, between 0 and 1.
    """

    def __init__(self, seconds: float, on_progress: Callable[[float], None] | None = None) -> None:
        self.seconds = seconds
        self._on_progress = on_progress or (lambda share: None)
        self._start = time.monotonic()

    @property
    def gone_seconds(self) -> float:
        """How long the trial has been going on."""
        return time.monotonic() - self._start

    def is_over(self) -> bool:
        """Whether the time is over; called again and again, it shows the progress."""
        share = self.gone_seconds / self.seconds
        self._on_progress(min(share, 1.0))
        return share >= 1


@dataclass
class Figures:
    """How a trial ended.

    Attributes:
        counts: What was done, by name.
        broken: What must not have happened, by name.
        skipped: Why the trial could not be made here, if so.
    """

    counts: dict[str, int] = field(default_factory=dict)
    broken: dict[str, int] = field(default_factory=dict)
    skipped: str = ""

    @property
    def held(self) -> bool:
        """Whether nothing happened that must not."""
        return not any(self.broken.values())

    def add(self, other: Figures) -> None:
        """Add the figures of a further round."""
        for mine, others in ((self.counts, other.counts), (self.broken, other.broken)):
            for name, count in others.items():
                mine[name] = mine.get(name, 0) + count


Trial = Callable[[Clock, Random], Figures]


class Ledger:
    """What was written where, and whether it was acknowledged. Thread-safe.

    An entry is `writer:number`. A writer's numbers grow, so that their order can be checked.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers: Counter[str] = Counter()
        self.acknowledged: dict[str, list[str]] = {}
        self.unknown: dict[str, list[str]] = {}

    @contextmanager
    def sending(self, place: str, writer: str) -> Iterator[str]:
        """An entry to send to a place; it is acknowledged unless a `StoreError` comes of it, which ends here."""
        with self._lock:
            self._numbers[writer] += 1
            entry = f"{writer}:{self._numbers[writer]}"
        into = self.unknown  # also if a task is cancelled
        try:
            yield entry
            into = self.acknowledged
        except StoreError:
            pass
        finally:
            with self._lock:
                into.setdefault(place, []).append(entry)

    @property
    def places(self) -> list[str]:
        """Wherever anything was sent."""
        return sorted(self.acknowledged.keys() | self.unknown.keys())

    def compare(self, stored: Callable[[str], Sequence[str]]) -> Figures:
        """The figures, given what each place holds."""
        broken: Counter[str] = Counter(lost=0, doubled=0, strangers=0, disordered=0)
        found = 0
        for place in self.places:
            entries = list(stored(place))
            found += len(entries)
            acknowledged = set(self.acknowledged.get(place, ()))
            broken["lost"] += len(acknowledged - set(entries))
            broken["doubled"] += len(entries) - len(set(entries))
            broken["strangers"] += len(set(entries) - acknowledged - set(self.unknown.get(place, ())))
            broken["disordered"] += _disorder(entries)
        counts = [sum(map(len, of.values())) for of in (self.acknowledged, self.unknown)]
        return Figures(
            {"attempts": sum(counts), "acknowledged": counts[0], "unknown": counts[1], "stored": found},
            dict(broken),
        )


def _disorder(entries: Iterable[str]) -> int:
    """How many entries stand before an earlier one of their writer."""
    last: dict[str, int] = {}
    count = 0
    for entry in entries:
        writer, _, number = entry.rpartition(":")
        count += int(number) < last.get(writer, 0)
        last[writer] = int(number)
    return count


class Places:
    """Names a place that is changed for a new one after so many entries: a longer session takes longer.

    Args:
        name: What they begin with.
        entries: How many each takes.
    """

    def __init__(self, name: str, entries: int = 200) -> None:
        self._name, self._entries, self._count = name, entries, 0

    def next(self) -> str:
        """The place for the next entry."""
        self._count += 1
        return f"{self._name}-{self._count // self._entries}"


def side_by_side(*works: Callable[[], object]) -> None:
    """Run each in a thread of its own, and raise the first error when all have ended."""
    errors: list[BaseException] = []

    def run(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised below, in the thread that waits
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
