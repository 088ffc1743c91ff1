"""What is moved: which keys belong to a memory, and what they are called on either side. No I/O.

A unit is a key, or an entry of the stream of tasks that were set aside. Without partitions its key is the
prefix of its kind and a rest; in a partition the partition's hash tag stands between the two. The records of
the LangGraph store and the signals of queues are no units: whoever writes items and queues makes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, TypeAlias

from langchain_agentmem.agents.store.documents import Namespace
from langchain_agentmem.core.keys import ITEM, Keys, path_digest, same_prefix
from langchain_agentmem.core.partition_count import PartitionCount
from langchain_agentmem.core.partitions import partition_of
from langchain_agentmem.errors import ConfigurationError

Kind: TypeAlias = Literal[
    "session", "list", "threads", "memory", "pointer", "events", "item", "queue", "failed"
]
KINDS: tuple[Kind, ...] = (
    "session", "list", "threads", "memory", "pointer", "events", "item", "queue", "failed",
)  # fmt: skip


class Unit(NamedTuple):
    """Holds what is moved as one.

    Attributes:
        kind: What it is.
        key: Its key at the source.
        rest: What its key has behind the prefix, and behind the hash tag of a partition.
        partition: In which partition of the source it is; `None` if that kind has none there.
        entry: The id of an entry, if only that is moved; else empty.
    """

    kind: Kind
    key: bytes
    rest: bytes
    partition: int | None = None
    entry: bytes = b""

    @property
    def name(self) -> bytes:
        """Return what it is called among the units of the source."""
        return self.key + b" " + self.entry if self.entry else self.key


class _Prefix(NamedTuple):
    text: bytes
    kind: Kind | None  # None for keys that are not moved
    partition: int | None


@dataclass(frozen=True)
class Layout:
    """The names of a memory's keys on one side.

    Attributes:
        keys: The key names, with how many partitions there are.
        others: What other keys begin with that are no units.
        lists: Whether a list under the prefix of lists is a session.
        counts: How many partitions there are, by the keys that say it, if they are there.
    """

    keys: Keys
    others: tuple[str, ...] = ()
    lists: bool = False
    counts: tuple[PartitionCount, ...] = ()

    @cached_property
    def _prefixes(self) -> list[_Prefix]:
        """Return the prefixes, the longest first: a key belongs to the longest that it begins with."""
        keys = self.keys
        found = [
            _Prefix(keys.session_prefix.encode(), None, None),
            _Prefix(keys.sessions_prefix.encode(), "session", None),
            _Prefix(keys.events_prefix.encode(), "events", None),
            *(_Prefix(one.encode(), None, None) for one in self.others),
        ]
        plain = keys.every() == [keys]
        for at, one in enumerate(keys.every()):
            partition = None if plain else at
            found += [
                _Prefix(_prefix(one, kind), kind, partition)
                for kind in ("threads", "memory", "pointer", "item", "queue", "failed")
            ]
            found += [_Prefix(each.encode(), None, None) for each in (one.store_prefix, one.tasks_prefix)]
        return sorted(found, key=lambda one: -len(one.text))

    @cached_property
    def _lengths(self) -> list[int]:
        return sorted({len(one.text) for one in self._prefixes}, reverse=True)

    @cached_property
    def _by_text(self) -> dict[bytes, _Prefix]:
        return {one.text: one for one in sorted(self._prefixes, key=lambda one: one.kind is not None)}

    def unit(self, key: bytes) -> Unit | None:
        """Return the unit that a key is; `None` if it is none, or belongs to another program.

        The stream of tasks that were set aside is returned as a unit without an entry.
        """
        for length in self._lengths:
            found = self._by_text.get(key[:length]) if len(key) >= length else None
            if found is None:
                continue
            rest = key[length:]
            if found.kind is None or (found.kind == "failed") is bool(rest):
                return None
            if found.kind == "queue" and b":" in rest:  # its signal
                return None
            if found.kind == "session" and self.keys.beside_list:
                rest = rest.removesuffix(b"}")
            return Unit(found.kind, key, rest, found.partition)
        prefix = self.keys.list_prefix.encode()
        return Unit("list", key, key[len(prefix) :]) if self.lists and key.startswith(prefix) else None

    def in_partition(self, partition: int | None) -> Keys:
        """Return the key names in a partition; those of all if there are none."""
        return self.keys if partition is None else self.keys.in_partition(partition)

    def key(self, unit: Unit, partition: int | None) -> bytes:
        """Return the key that a unit of another layout has in this one.

        Args:
            unit: The unit.
            partition: In which partition it lies here; `None` for a kind that has none.
        """
        if unit.kind == "list":
            return self.keys.list_prefix.encode() + unit.rest
        rest = unit.rest
        if unit.kind == "pointer":
            return self.in_partition(partition).same(self.memory_key(rest, partition).decode()).encode()
        end = b"}" if unit.kind == "session" and self.keys.beside_list else b""
        return _prefix(self.in_partition(partition), unit.kind) + rest + end

    def memory_key(self, memory_id: bytes, partition: int | None) -> bytes:
        """Return the key of a memory, given its id or the digest of what it says."""
        digits = memory_id.removesuffix(b"}")  # of a pointer without another hash tag
        return self.in_partition(partition).memory_prefix.encode() + digits

    @property
    def partitioned(self) -> bool:
        """Return whether there are partitions."""
        return self.keys.partitions > 0

    def of_user(self, user: str) -> int | None:
        """Return the partition of a user; `None` if there are none."""
        return partition_of(user, self.keys.partitions) if self.partitioned else None

    def of_item(self, namespace: Namespace, user: str) -> int | None:
        """Return the partition of an item of the LangGraph store; `None` if there are none.

        Args:
            namespace: Its namespace.
            user: Whose it is; empty if nobody's.
        """
        return self.of_user(user or path_digest(namespace))


def has_partition(kind: Kind) -> bool:
    """Return whether units of a kind are in partitions, if there are any."""
    return kind not in ("session", "list", "events")


def refuse_tag(unit: Unit) -> None:
    """Refuse a key with the hash tag of a partition where no partitions were expected.

    Raises:
        ConfigurationError: It has one, and would be moved as if that were part of an id.
    """
    head, brace, _ = unit.rest.partition(b"}:")
    if brace and has_partition(unit.kind) and head[:2] == b"{p" and head[2:].isdigit():
        raise ConfigurationError(
            f"The source has partitions ({unit.key[:60]!r}): say how many with from_partitions=.",
            plain="The source has partitions: say how many with --from-partitions.",
        )


def _prefix(keys: Keys, kind: Kind) -> bytes:
    texts: dict[Kind, str] = {
        "session": keys.sessions_prefix,
        "events": keys.events_prefix,
        "threads": keys.threads_prefix,
        "memory": keys.memory_prefix,
        "pointer": same_prefix(keys.memory_prefix),
        "item": f"{keys.store_prefix}{ITEM}",
        "queue": f"{keys.tasks_prefix}queue:",
        "failed": keys.tasks_failed,
    }
    return texts[kind].encode()


def pages(units: list[Unit], sizes: list[int], most: int) -> Iterator[list[Unit]]:
    """Yield units in groups of at most so many bytes together; one that is larger alone."""
    page: list[Unit] = []
    total = 0
    for unit, size in zip(units, sizes, strict=True):
        if page and total + size > most:
            yield page
            page, total = [], 0
        page.append(unit)
        total += size
    if page:
        yield page
