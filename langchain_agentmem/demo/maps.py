"""The maps of memories, one per user and namespace: kept, so that a memory stays where it once was shown."""

from __future__ import annotations

import asyncio
from array import array
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from langchain_agentmem import MemoryRecord
from langchain_agentmem.demo.memory_map import MemoryMap

MAPPED = 10_000  # memories on a map, the newest ones
_KEPT = 50
_SUPERSEDED_PLACED = 50  # by their texts, at a time; a superseded memory has no embedding any more
_ARRIVING = 10  # memories that may be stored between two listings

Placed = list[tuple[MemoryRecord, float, float]]


class Maps:
    """Reads the embeddings of what is new on a map only, however many memories are on it.

    Args:
        long_term: Whose memories.
    """

    def __init__(self, long_term: Any) -> None:
        self._long_term = long_term
        self._maps: OrderedDict[tuple[str, str], _Map] = OrderedDict()

    async def place(self, user: str, namespace: str) -> Placed:
        """Return the memories of a scope, newest first, each with x and y from 0 to 1.

        One listing, without embeddings after the first one; another of the newest if some are new.
        """
        found = self._maps.setdefault((user, namespace), _Map(self._long_term, user, namespace))
        self._maps.move_to_end((user, namespace))
        while len(self._maps) > _KEPT:
            self._maps.popitem(last=False)
        return await found.place()

    async def locate(self, user: str, namespace: str, vector: Sequence[float]) -> tuple[float, float] | None:
        """Return where a query is on a map; `None` as long as it is empty, or nobody has looked at it."""
        found = self._maps.get((user, namespace))
        return None if found is None else await found.locate(vector)


class _Map:
    def __init__(self, long_term: Any, user: str, namespace: str) -> None:
        self._long_term = long_term
        self._scope = {"user": user, "namespace": namespace, "include_superseded": True}
        self._map = MemoryMap()
        self._known: dict[str, MemoryRecord] = {}  # as they were read with their embeddings
        self._placed = False
        self._reading = asyncio.Lock()
        self._placing = asyncio.Lock()  # a map is not for two threads at once

    async def place(self) -> Placed:
        async with self._reading:
            listed = await self._list(MAPPED, include_embeddings=not self._known)
            self._keep(listed)
            await self._read_embeddings(listed)
            self._known = {one.id: self._known[one.id] for one in listed if one.id in self._known}
            shown = [self._with_embedding(one) for one in listed if one.id in self._known]
            async with self._placing:
                places = await asyncio.to_thread(self._map.place, shown)
                self._placed = bool(places)
        return [(record, *places[record.id]) for record in shown if record.id in places]

    async def _list(self, limit: int, *, include_embeddings: bool) -> list[MemoryRecord]:
        listed: list[MemoryRecord] = await self._long_term.alist_memories(
            **self._scope, limit=limit, include_embeddings=include_embeddings
        )
        return listed

    async def locate(self, vector: Sequence[float]) -> tuple[float, float] | None:
        async with self._placing:
            return self._map.locate(vector) if self._placed else None

    async def _read_embeddings(self, listed: list[MemoryRecord]) -> None:
        new = [at for at, record in enumerate(listed) if self._is_new(record)]
        searchable = [at for at in new if listed[at].superseded_by is None]
        if searchable:
            limit = min(searchable[-1] + 1 + _ARRIVING, MAPPED)
            self._keep(await self._list(limit, include_embeddings=True))
        superseded = [listed[at] for at in new if listed[at].superseded_by is not None][:_SUPERSEDED_PLACED]
        if superseded:
            vectors = await self._long_term.embeddings.aembed_documents([one.text for one in superseded])
            pairs = zip(superseded, vectors, strict=True)
            self._keep([replace(one, embedding=tuple(vector)) for one, vector in pairs])

    def _with_embedding(self, listed: MemoryRecord) -> MemoryRecord:
        known = self._known[listed.id]
        if known.superseded_by == listed.superseded_by:
            return known
        return replace(listed, embedding=known.embedding)

    def _is_new(self, record: MemoryRecord) -> bool:
        known = self._known.get(record.id)
        return known is None or known.updated_ts != record.updated_ts

    def _keep(self, records: Sequence[MemoryRecord]) -> None:
        for record in records:
            if record.embedding and self._is_new(record):
                small = cast(Any, array("f", record.embedding))  # an eighth of a tuple of floats
                self._known[record.id] = replace(record, embedding=small)
