"""How many servers so many users need: computed from what was measured, and from assumptions that are stated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from integration_tests.scale.growth import Measured
from integration_tests.scale.people import MEMORIES, MESSAGES, SESSIONS
from integration_tests.scale.servers import STANDALONE
from integration_tests.scale.worlds import Footprint, where
from langchain_agentmem.core.partitions import DEFAULT_PARTITIONS, MAX_PARTITIONS

USERS = (10_000, 1_000_000, 100_000_000)
_GB = 1e9
_DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Assumptions:
    """What was not measured: change it to what you have.

    Attributes:
        turns_per_day: Of a user.
        peak: How many times the average the busiest hour is.
        utilisation: What part of a server's memory, and of a core, is to be used at most.
        session_hours: How long a conversation is kept after its last message (`session_ttl_seconds`), in hours.
        event_days: How long the events of a conversation are kept (`events_ttl_seconds`), in days.
        server_gb: The memory of a server, of as many sizes as there are.
        most_primaries: Above so many, a larger server is chosen, if there is one.
        replicas: Of each primary.
    """

    turns_per_day: float = 20
    peak: float = 3
    utilisation: float = 0.6
    session_hours: float = 1
    event_days: float = 7
    server_gb: tuple[int, ...] = (16, 64, 256)
    most_primaries: int = 16
    replicas: int = 1


@dataclass(frozen=True)
class Unit:
    """What was measured, for one of each.

    Attributes:
        memory: Bytes of a memory with its part of the index.
        memory_float16: The same with 16-bit vectors.
        session: Bytes of a conversation.
        events: Bytes of the events of a conversation.
        server: Seconds of the servers' CPU per turn.
        client: Seconds of the client's CPU per turn.
        sources: Where these come from.
    """

    memory: float
    memory_float16: float
    session: float
    events: float
    server: float
    client: float
    sources: str


@dataclass(frozen=True)
class Plan:
    """What so many users need.

    Attributes:
        users: How many.
        vector_type: Of the index.
        bytes: Of all data.
        turns_per_second: In the busiest hour.
        server_gb: The memory of a server.
        by_memory: How many primaries the data needs, not rounded.
        by_cpu: How many primaries the CPU needs, not rounded.
        primaries: How many there are to be.
        servers: The same with replicas.
        client_cores: Of the processes that use the memory.
        partitions: The setting; `None` on one server.
    """

    users: int
    vector_type: str
    bytes: float
    turns_per_second: float
    server_gb: int
    by_memory: float
    by_cpu: float
    primaries: int
    servers: int
    client_cores: int
    partitions: int | None

    @property
    def bottleneck(self) -> str:
        """What is used up first as more users come."""
        return "memory" if self.by_memory >= self.by_cpu else "the server's CPU"


def unit(footprints: Sequence[Footprint], measured: Sequence[Measured]) -> Unit | None:
    """Return what was measured, for one of each, from the largest worlds; `None` if something is missing."""
    turns = [one for one in measured if one.operation == "turn"]
    by_type = {
        vector_type: max(
            (one for one in footprints if one.vector_type == vector_type and one.on == STANDALONE),
            key=lambda one: one.memories,
            default=None,
        )
        for vector_type in ("float32", "float16")
    }
    large, half = by_type["float32"], by_type["float16"]
    if not turns or large is None:
        return None
    most = max(one.memories for one in turns)
    turn = max((one for one in turns if one.memories == most), key=lambda one: one.server)
    # Each vector is stored twice, in its Hash and in the index.
    saved = 2 * 2 * 384
    memory = large.long_term / large.memories
    return Unit(
        memory,
        half.long_term / half.memories if half is not None else memory - saved,
        large.sessions / (large.memories / MEMORIES * SESSIONS),
        large.events,
        turn.server / 1000,
        turn.client / 1000,
        f"memories and conversations on {where(large.on)} with {large.memories:,} memories, turns on "
        f"{where(turn.on)} with {most:,}",
    )


def plan(users: int, unit: Unit, assumed: Assumptions) -> Plan:
    """Return what so many users need. One server has 32-bit vectors, several have 16-bit ones."""
    rate = users * assumed.turns_per_day * assumed.peak / _DAY_SECONDS
    by_cpu = rate * unit.server / assumed.utilisation
    chosen: Plan | None = None
    for size in assumed.server_gb:
        for vector_type, each in (("float32", unit.memory), ("float16", unit.memory_float16)):
            data = _bytes(users, each, unit, assumed)
            by_memory = data / (size * _GB * assumed.utilisation)
            primaries = max(1, math.ceil(by_memory), math.ceil(by_cpu))
            if 1 < primaries < 3:
                primaries = 3  # fewer cannot agree that one of them has failed
            partitions = None if primaries == 1 else _partitions(primaries)
            chosen = Plan(
                users,
                vector_type,
                data,
                rate,
                size,
                by_memory,
                by_cpu,
                primaries,
                primaries * (1 + assumed.replicas),
                math.ceil(rate * unit.client / assumed.utilisation),
                partitions,
            )
            if primaries == 1:
                return chosen
        if primaries <= assumed.most_primaries:
            break
    assert chosen is not None
    return chosen


def _bytes(users: int, memory: float, unit: Unit, assumed: Assumptions) -> float:
    conversations_per_day = assumed.turns_per_day / (MESSAGES / 2)
    kept = conversations_per_day * assumed.session_hours / 24 * assumed.peak
    logged = conversations_per_day * assumed.event_days
    return users * (MEMORIES * memory + kept * unit.session + logged * unit.events)


def _partitions(primaries: int) -> int:
    """Return how many partitions fill so many primaries evenly, with room to double them twice."""
    wanted = DEFAULT_PARTITIONS
    while wanted < 8 * primaries and wanted < MAX_PARTITIONS:
        wanted *= 2
    return wanted
