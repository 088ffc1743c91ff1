"""Searches of the store, as commands and the reading of their replies. No I/O.

Where there is an index, the server finds and sorts; filters that it cannot apply exactly are applied here,
page by page, until there are enough items. Where there is none, or it lacks some of the items, the records
name the items, which are then read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from langchain_agentmem.agents.store.documents import BARE, Namespace, StoredItem, decode, within
from langchain_agentmem.agents.store.filters import ItemFilter
from langchain_agentmem.agents.store.items import Place, StoreItems, pages
from langchain_agentmem.core.keys import backfilling
from langchain_agentmem.core.operations import Command, Op, T, gather, ok, reads, text
from langchain_agentmem.errors import (
    IndexMismatchError,
    IndexMissingError,
    InvalidInputError,
    SearchUnavailableError,
    StoreError,
)
from langchain_agentmem.longterm.redisearch.index import IndexBackfillingError, MemoryIndex
from langchain_agentmem.longterm.redisearch.queries import (
    MAX_ROWS,
    found_in_script,
    in_script,
    row_keys,
    rows_of,
)

logger = logging.getLogger("langchain_agentmem")

P = TypeVar("P")
Scored = tuple[StoredItem, float | None]
_MEMBERS = ("$['created','updated','ttl','user','item']", "AS", "members")
_FIRST, _FACTOR, _PAGE = 100, 4, 2000  # how many are looked at if they are filtered here
_MOST_EQUAL = 1000


@dataclass(frozen=True)
class Wanted:
    """Says what a search is for: items in namespaces that begin with `prefix` and meet `filter`.

    Attributes:
        vector: What they have to be near to, in the index's number format; `None` for the newest.
    """

    prefix: Namespace
    filter: ItemFilter
    limit: int
    offset: int
    vector: Any = None

    @property
    def end(self) -> int:
        """Return how many items have to be found."""
        return self.offset + self.limit

    @property
    def from_the_first(self) -> Wanted:
        """Return the same search without an offset, for each of several partitions."""
        return replace(self, limit=self.end, offset=0)

    @property
    def condition(self) -> str:
        """Return the search condition that all wanted items meet, and perhaps others."""
        tags = [*([within(self.prefix)] if self.prefix else []), *self.filter.tags]
        return " ".join(f"@tags:{{{tag}}}" for tag in tags)


class StoreSearch:
    """Searches the items of a store.

    Args:
        items: The items and their records.
        index: The search index; `None` where there can be none.
        timeout_ms: How long a search may take.
        partitioned: Whether it is a partition, which a cluster may move to another node.
    """

    def __init__(
        self, items: StoreItems, index: MemoryIndex | None, timeout_ms: int, *, partitioned: bool = False
    ) -> None:
        self._items = items
        self._index = index
        self._timeout_ms = timeout_ms
        self._partitioned = partitioned

    def found_op(self, wanted: Wanted) -> Op[list[Scored]]:
        """Return the items of a search, the nearest first, or the last put.

        One round trip, unless more have to be looked at than are wanted, because of the filter. Without an
        index, three, and one per 500 items in the namespaces beyond; likewise if the index could not take
        every item it was given.

        Raises:
            SearchUnavailableError: It is by meaning, and the server has no Search.
            IndexMismatchError: The index is another one than it should be, or the search is by meaning, and
                the index lacks items of these namespaces, whose vectors have another length.
            InvalidInputError: More items would have to be looked at than the server returns.
        """
        if not wanted.limit:
            return []
        if wanted.vector is not None:
            found, lacking = yield from self._by_index(
                wanted, len(wanted.vector), lambda: self._nearest(wanted)
            )
            if lacking:
                raise self._mismatch(wanted, lacking)
            return found[wanted.offset : wanted.end]
        if self._index is not None and wanted.end <= MAX_ROWS:
            try:
                newest, lacking = yield from self._by_index(
                    wanted, None, lambda: self._newest(wanted, wanted.condition)
                )
                if not lacking:
                    return [(one, None) for one in newest[wanted.offset : wanted.end]]
            except (IndexMissingError, SearchUnavailableError):
                pass  # nobody needed it yet, or there cannot be one
        return (yield from self._recorded(wanted))

    def _by_index(
        self, wanted: Wanted, dimensions: int | None, search: Callable[[], Op[T]]
    ) -> Op[tuple[T, int]]:
        """Return what a search finds, and how many items of its namespaces the index lacks.

        The state of the index comes in the round trip of the search, as others may have recreated it.
        """
        index = self._index
        assert index is not None, "searches need an index"

        def both() -> Op[tuple[T, int]]:
            state, found = yield from gather([index.info(), search()])
            if ok(state).mismatch(index.settings, dimensions):
                yield from index.ensure(dimensions)  # looks again, and raises
            result: T = ok(found)
            return result, ((yield from self._lacking(wanted)) if state.failures else 0)

        return (yield from index.using(dimensions, both))

    def _lacking(self, wanted: Wanted) -> Op[int]:
        """Return how many items of the namespaces the index lacks.

        Its own count of failures does not tell: it never falls, even when those items are put again.
        """
        assert self._index is not None, "searches need an index"
        keys = [self._items.keys.item(*place).encode() for place in (yield from self._places(wanted))]
        condition = f"@tags:{{{within(wanted.prefix)}}}" if wanted.prefix else "*"
        tail = ("NOCONTENT", "LIMIT", 0, MAX_ROWS, "TIMEOUT", self._timeout_ms, "DIALECT", 2)
        _, reply = yield from self._asked(reads("FT.SEARCH", self._index.settings.name, condition, *tail))
        held = set(row_keys(reply))
        there = 0
        for page in pages(key for key in keys if key not in held):  # some may have expired meanwhile
            there += sum(map(ok, (yield [reads("EXISTS", key) for key in page])))
        return there

    def _mismatch(self, wanted: Wanted, lacking: int) -> IndexMismatchError:
        assert self._index is not None, "searches need an index"
        return IndexMismatchError(
            f"The index {self._index.settings.name!r} lacks {lacking:,} of the items in namespaces that "
            f"begin with {wanted.prefix!r}: their vectors have another length than the "
            f"{self._index.dimensions} numbers it takes, so no search by meaning finds them. Put them again "
            "with these embeddings; get and searches without a query return them."
        )

    def _nearest(self, wanted: Wanted) -> Op[list[Scored]]:
        """Return as many items as wanted, if there are: the nearest, then those without vectors."""
        bare = f"{wanted.condition} @tags:{{{BARE}}}"
        near, rest = yield from gather([self._scored(wanted), self._newest(wanted, bare)])
        scored: list[Scored] = ok(near)
        return [*scored, *((one, None) for one in ok(rest))]

    def _scored(self, wanted: Wanted) -> Op[list[Scored]]:
        """Return the nearest items that meet the filter, as many as wanted if there are.

        Equally near ones are in the order of their places, so that pages fit together. The server returns any
        of them; so it is asked for more until all that are as near as the last one wanted are known, unless
        there are more than 1,000.
        """
        k = max(wanted.end * _FACTOR, _FIRST) if wanted.filter else wanted.end + 1
        while True:
            k = min(k, MAX_ROWS)
            rows = yield from self._rows(
                f"({wanted.condition or '*'})=>[KNN $k @embedding $vector AS distance]",
                *("PARAMS", 4, "k", k, "vector", wanted.vector.tobytes(), "SORTBY", "distance"),
                *("LIMIT", 0, k, "RETURN", 4, *_MEMBERS, "distance"),
            )
            read = [(item, 1 - float(row[b"distance"])) for item, row in rows if item is not None]
            met = [(item, score) for item, score in read if wanted.filter.meets(item)]
            met.sort(key=lambda one: (-one[1], one[0].namespace, one[0].key))
            found: list[Scored] = [*met[: wanted.end]]
            if len(rows) < k or (k == MAX_ROWS and len(met) >= wanted.end):
                return found
            if k == MAX_ROWS:
                raise _too_many()
            if len(met) >= wanted.end and (
                met[wanted.end - 1][1] > read[-1][1] or k >= wanted.end + _MOST_EQUAL
            ):
                return found
            k *= _FACTOR

    def _newest(self, wanted: Wanted, condition: str) -> Op[list[StoredItem]]:
        """Return the last put items that meet a condition and the filter, as many as wanted if there are."""
        met: dict[tuple[Namespace, str], StoredItem] = {}
        size = min(max(wanted.end, _FIRST) if wanted.filter else wanted.end, MAX_ROWS)
        until = ""
        while True:
            rows = yield from self._rows(
                f"{condition}{until}".strip() or "*",
                *("SORTBY", "updated", "DESC", "LIMIT", 0, size, "RETURN", 3, *_MEMBERS),
            )
            items = [item for item, _ in rows if item is not None]
            met |= {(one.namespace, one.key): one for one in items if wanted.filter.meets(one)}
            if len(met) >= wanted.end or len(rows) < size:
                return list(met.values())[: wanted.end]
            # The next page begins where this one ended, so that what is deleted meanwhile moves nothing.
            further = f" @updated:[-inf {items[-1].updated_us}]" if items else until
            if further == until and size == MAX_ROWS:
                raise _too_many()
            size = min(size * _FACTOR, max(size, _PAGE) if further != until else MAX_ROWS)
            until = further

    def _rows(self, query: str, *arguments: Any) -> Op[list[tuple[StoredItem | None, Any]]]:
        """Return the rows of a search, each with its item; `None` for what has expired, or is no item."""
        assert self._index is not None, "searches need an index"
        name = self._index.settings.name
        tail = ("TIMEOUT", self._timeout_ms, "DIALECT", 3)
        incomplete, reply = yield from self._asked(reads("FT.SEARCH", name, query, *arguments, *tail))
        if incomplete:
            raise IndexBackfillingError("The search index does not hold every item yet.")
        return [(_item(key, row), row) for key, row in rows_of(reply).items()]

    def _asked(self, search: Command) -> Op[tuple[bool, Any]]:
        """Return whether the index does not hold every item yet, and the reply to a search."""
        name = str(search.args[1])
        if self._partitioned:
            (reply,) = yield [in_script(name, [search])]
            incomplete, (found,) = found_in_script(reply)
            return incomplete, ok(found)
        incomplete, reply = yield [reads("EXISTS", backfilling(name)), search]
        return bool(ok(incomplete)), ok(reply)

    def _places(self, wanted: Wanted) -> Op[list[Place]]:
        """Return where the items of the namespaces are, by the records."""
        depth = len(wanted.prefix)
        namespaces = yield from self._items.namespaces_op()
        return (yield from self._items.places_op([one for one in namespaces if one[:depth] == wanted.prefix]))

    def _recorded(self, wanted: Wanted) -> Op[list[Scored]]:
        """Return the last put items, by the records."""
        items = []
        for one in (yield from self._items.items_op((yield from self._places(wanted)))):
            if isinstance(one, StoredItem):
                items.append(one)
            else:
                logger.warning("Left out of a search: %s", one)
        items.sort(key=lambda one: -one.updated_us)
        met = [one for one in items if wanted.filter.meets(one)]
        return [(one, None) for one in met[wanted.offset : wanted.end]]


def merged(
    found: Iterable[tuple[P, list[Scored]]], wanted: Wanted
) -> list[tuple[P, StoredItem, float | None]]:
    """Return what was found in several partitions as if it were one, each with where it was found.

    Args:
        found: What each partition has found of the first items wanted.
        wanted: What was searched for.
    """
    rows = [(part, item, score) for part, scored in found for item, score in scored]
    near = [row for row in rows if row[2] is not None]
    near.sort(key=lambda row: (-(row[2] or 0.0), row[1].namespace, row[1].key))
    rest = sorted((row for row in rows if row[2] is None), key=lambda row: -row[1].updated_us)
    return [*near, *rest][wanted.offset : wanted.end]


def _item(key: bytes, row: Any) -> StoredItem | None:
    if row is None or b"members" not in row:
        return None
    try:
        return decode(row[b"members"])
    except StoreError as error:
        logger.warning("Left out of a search: %s (%s)", error, text(key))
        return None


def _too_many() -> InvalidInputError:
    return InvalidInputError(
        f"A search looks at {MAX_ROWS:,} items at most, and this one would have to look at more: lower limit "
        "and offset, or search in fewer namespaces."
    )
