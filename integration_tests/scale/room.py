"""Whether the machine has the memory for a world, looked at before it is started."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from integration_tests.scale.people import SESSIONS
from integration_tests.scale.servers import STANDALONE
from integration_tests.scale.worlds import Place
from langchain_agentmem.longterm.types import VectorType

# Generous: what was measured is in docs/scale.md.
_MEMORY: dict[VectorType, int] = {"float32": 6_500, "float16": 4_800}
_SESSION = 12_000
_SERVER, _PARTITIONS = 20_000_000, 256 * 400_000
_RESERVE = 2_000_000_000  # for the client, and for copies of pages while a server forks
_GB = 1e9


class Room:
    """The memory that is free, and what worlds have been promised of it."""

    def __init__(self) -> None:
        self._free = free_bytes() - _RESERVE

    def take(self, place: Place) -> tuple[VectorType | None, str]:
        """Return the type of vectors with which a world fits, the larger one if it can be; or none, and why."""
        needed = 0
        for vector_type in _MEMORY:
            needed = needed_bytes(place, vector_type)
            if needed <= self._free:
                self._free -= needed
                return vector_type, ""
        return None, f"it needs about {needed / _GB:.1f} GB, and {max(0, self._free) / _GB:.1f} GB are free"


def needed_bytes(place: Place, vector_type: VectorType) -> int:
    """Return about how much memory a world takes at most."""
    of_users = place.memories * _MEMORY[vector_type] + place.users * SESSIONS * _SESSION
    servers = 1 if place.on == STANDALONE else int(place.on)
    return of_users + servers * _SERVER + (0 if place.on == STANDALONE else _PARTITIONS)


def free_bytes() -> int:
    """Return how much memory can be taken, of the machine and of the limit that this process is under."""
    found = re.search(r"MemAvailable:\s*(\d+) kB", Path("/proc/meminfo").read_text())
    free = int(found[1]) * 1024 if found else 0
    with suppress(OSError, ValueError):  # there is no such limit
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
        free = min(free, limit - int(Path("/sys/fs/cgroup/memory.current").read_text()))
    return free
