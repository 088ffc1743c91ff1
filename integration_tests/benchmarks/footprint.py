"""How much memory a memory takes, by storage: measured with as many as a world stores."""

from __future__ import annotations

from collections.abc import Callable
from statistics import mean
from typing import Any

import redis

from integration_tests.benchmarks.world import DIMENSIONS, World

_STORAGES: dict[str, dict[str, Any]] = {
    "JSON, FLAT (default)": {"algorithm": "flat"},
    "JSON, HNSW": {"algorithm": "hnsw"},
    "JSON, FLAT, FLOAT16": {"algorithm": "flat", "vector_type": "float16"},
    "Hash, FLAT": {"algorithm": "flat", "storage": "hash"},
    "Hash, HNSW": {"algorithm": "hnsw", "storage": "hash"},
    "Hash, FLAT, FLOAT16": {"algorithm": "flat", "storage": "hash", "vector_type": "float16"},
}
STORAGES = len(_STORAGES)


def footprints(world: World, on_storage: Callable[[], None] = lambda: None) -> dict[str, dict[str, float]]:
    """Bytes a memory, each storage on an emptied database: the key alone, and with its share of the index."""
    found: dict[str, dict[str, float]] = {}
    for name, settings in _STORAGES.items():
        world.client.flushall()
        memory = world.new_memory(**settings)
        memory.transport.run(memory.long_term.index.ensure(DIMENSIONS))
        before = _used(world.client)
        world.store_facts(memory)
        keys = list(world.client.scan_iter("agent:mem:*", count=1000))
        found[name] = {
            "key": mean(int(world.client.memory_usage(key, samples=0) or 0) for key in keys),
            "total": (_used(world.client) - before) / len(keys),
        }
        on_storage()
    world.client.flushall()
    return found


def _used(client: redis.Redis) -> int:
    info: Any = client.info("memory")
    return int(info["used_memory"])
