"""The search index, as both backends share it: knowledge about it, comparison of schemas, reading of TTLs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any

from langchain_agentmem.core.operations import Op, ok, reads
from langchain_agentmem.longterm.types import MemoryRecord

GONE = -2  # what TTL answers for a key that is not there
_SIZE_SECONDS = 60
_MAX_SIZES = 1024
_MAX_CONDITION = 1024  # characters


class Sizes:
    """The sizes of scopes, each as it was within the last minute: ranking takes their logarithm."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, float]] = {}

    def get(self, condition: str) -> int | None:
        """Return how many memories meet a search condition; `None` if that is to be asked."""
        size, until = self._known.get(condition, (None, 0.0))
        return size if monotonic() < until else None

    def note(self, condition: str, size: int) -> None:
        """Note how many memories meet a search condition, unless it is a long one."""
        if len(condition) > _MAX_CONDITION:
            return
        if len(self._known) >= _MAX_SIZES:
            self._known.clear()
        self._known[condition] = (size, monotonic() + _SIZE_SECONDS)

    def forget(self) -> None:
        """Have them asked anew."""
        self._known.clear()


@dataclass(slots=True)
class IndexKnowledge:
    """The knowledge about an index over one connection, gained by whoever asked first.

    Attributes:
        exists: Whether it was there, with the right schema.
        checked: Whether it was backfilled besides.
        dimensions: The length of its vectors then.
        contexts: Whether it holds the contexts of memories.
        exact: Whether it tells all scopes apart, and any filter is safe.
        searches_in_scripts: Whether the server allows a search inside a script, as far as known.
        spans_slots: Whether it lets a script touch keys of several cluster slots, as far as known.
        sizes: How many memories scopes have.
    """

    exists: bool = False
    checked: bool = False
    dimensions: int | None = None
    searches_in_scripts: bool = True
    contexts: bool = True
    exact: bool = True
    spans_slots: bool = True
    sizes: Sizes = field(default_factory=Sizes)


class SearchIndex(ABC):
    """A search index. No I/O of its own.

    Attributes:
        knowledge: What is known about it, shared by all objects of one connection and the same identity.
    """

    __slots__ = ("_identity", "_known", "knowledge")

    def __init__(self, identity: Hashable) -> None:
        self._identity = identity
        self.share({})

    def share(self, known: dict[Any, Any]) -> None:
        """Share what is known with all objects that keep their knowledge here: those of one connection."""
        self._known = known
        self.knowledge: IndexKnowledge = known.setdefault(self._identity, IndexKnowledge())

    @abstractmethod
    def describe(self) -> Op[dict[str, Any]]:
        """Return what the server says about the index: `name`, `documents`, `schema`, …. One round trip.

        Raises:
            IndexMissingError: There is none.
        """

    @abstractmethod
    def drop(self) -> Op[None]:
        """Remove the index, if it is there; documents stay. One round trip."""


def differences(found: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    """Return a line for each part of a schema that is not as wanted, by the part's name."""
    return {
        part: f"  {part}: is {found.get(part) or 'missing'}, wanted {line}"
        for part, line in wanted.items()
        if found.get(part) != line
    }


def ttl_left(seconds: int) -> int | None:
    """Return the TTL in what `TTL` replies for a key that is there, in seconds; `None` for no expiry."""
    return seconds if seconds >= 0 else None


def with_ttl(listed: Sequence[MemoryRecord], keys: Iterable[str]) -> Op[list[MemoryRecord]]:
    """Return memories with the TTL they have left, except those that have expired. One round trip.

    Args:
        listed: The memories; if there are none, nothing is sent.
        keys: Where each of them is.
    """
    if not listed:
        return []
    replies = yield [reads("TTL", key) for key in keys]
    return [
        replace(record, ttl_seconds=ttl_left(seconds))
        for record, seconds in zip(listed, map(ok, replies), strict=True)
        if seconds != GONE
    ]
