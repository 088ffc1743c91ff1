"""Partitions: which part of a cluster a user's memories, tasks and record of threads are in.

A script touches keys of one cluster slot only, and a search index sees the documents of its own. So all that
is changed together has the hash tag of the user's partition in its keys, and each partition has an index of
its own. Sessions and events are one key each, and have no partition.
"""

from __future__ import annotations

import binascii
from functools import lru_cache
from itertools import count

from langchain_agentmem.errors import ConfigurationError

SLOTS = 16_384
DEFAULT_PARTITIONS = 256  # on a cluster; an index each; evenly many on each of up to 32 nodes
MAX_PARTITIONS = 4_096


def key_slot(key: object) -> int:
    """Return the slot of a key, which only what stands between its first braces decides, if there are any."""
    name = key if isinstance(key, bytes) else str(key).encode("utf-8", "surrogatepass")
    start = name.find(b"{")
    if start >= 0:
        end = name.find(b"}", start + 1)
        if end > start + 1:
            name = name[start + 1 : end]
    return binascii.crc_hqx(name, 0) % SLOTS


def partition_of(user: str, partitions: int) -> int:
    """Return the partition of a user, from 0."""
    return binascii.crc_hqx(user.encode(), 0) % partitions


def partitions_on(wanted: int | None, *, cluster: bool) -> int:
    """Return how many partitions there are, 0 for none.

    Args:
        wanted: How many were asked for; `None` for as many as fit.
        cluster: Whether the keys are on a cluster, where there must be some.
    """
    return (DEFAULT_PARTITIONS if cluster else 0) if wanted is None else wanted


def check_names(**names: str) -> None:
    """Refuse names of keys that have a brace, where the hash tag of a partition is to stand behind them.

    Args:
        **names: What keys begin with, or the name of an index, by the setting it comes from.

    Raises:
        ConfigurationError: Names the setting.
    """
    for setting, name in names.items():
        if "{" in name or "}" in name:
            raise ConfigurationError(
                f"{setting} must have no braces, not {name!r}: with partitions, which a Redis Cluster always "
                "has, the part of the key between braces says in which partition it is."
            )


@lru_cache(maxsize=8)
def tags(partitions: int) -> tuple[str, ...]:
    """Return the hash tags of partitions, in order: `p0`, `p1`, …, but never those that lie unevenly.

    The slots are divided among the partitions in equal ranges, and each has the first of these tags that lies
    in its own. So nodes, which own ranges of slots, have about equally many partitions.
    """
    found: dict[int, str] = {}
    for number in count():
        tag = f"p{number}"
        found.setdefault(key_slot(tag) * partitions // SLOTS, tag)
        if len(found) == partitions:
            return tuple(found[at] for at in range(partitions))
    raise AssertionError
