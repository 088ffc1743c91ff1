"""Long-term memory in partitions: which of them an operation is about, and what several of them say together.

What names a user is about one partition, and what names none is about all of them, side by side.
Ids do not say in which partition a memory is: two users may each have one with the same chosen id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from langchain_agentmem.core.keys import index_in
from langchain_agentmem.core.lazy import cached_property
from langchain_agentmem.core.operations import Op, T, gather, ok, reads
from langchain_agentmem.core.partitions import partition_of, tags
from langchain_agentmem.core.removal import Removed
from langchain_agentmem.errors import IndexMissingError, InvalidInputError
from langchain_agentmem.longterm.redisearch import clearing
from langchain_agentmem.longterm.redisearch.part import Part
from langchain_agentmem.longterm.redisearch.rebuild import rebuild
from langchain_agentmem.longterm.types import MemoryRecord, RebuiltIndex, RememberResult, Scope, WriteBatch


class Parts:
    """The partitions of a long-term memory; a single one if it has none.

    Args:
        index_name: The search index, without a hash tag.
        partitions: How many there are; 0 if it has none.
        make: Makes one, given its number, or `None` for the only one.

    Attributes:
        partitions: How many there are; 0 if it has none.
    """

    def __init__(self, index_name: str, partitions: int, make: Callable[[int | None], Part]) -> None:
        self.partitions = partitions
        self._index_name = index_name
        self._make = make
        self._made: dict[int, Part] = {}

    @cached_property
    def _only(self) -> Part | None:
        return None if self.partitions else self._make(None)

    @property
    def any(self) -> Part:
        """Return one of them, for what they all have in common."""
        return self._only or self._at(0)

    def of(self, user: str | None) -> Part:
        """Return the one that a user's memories are in.

        Raises:
            InvalidInputError: There are several, and no user is named.
        """
        return self._only or self._at(self.number_of(user))

    def number_of(self, user: str | None) -> int:
        """Return the number of the one that a user's memories are in; 0 if there is only one.

        Raises:
            InvalidInputError: There are several, and no user is named.
        """
        if self._only is not None:
            return 0
        if user is None:
            raise InvalidInputError("Name a user: memories are in partitions, and this is about one of them.")
        return partition_of(user, self.partitions)

    def every(self) -> list[Part]:
        """Return all of them, in order."""
        if self._only is not None:
            return [self._only]
        return [self._at(one) for one in range(self.partitions)]

    def _at(self, number: int) -> Part:
        part = self._made.get(number)
        if part is None:  # two threads may make one each: they share what they know
            part = self._made.setdefault(number, self._make(number))
        return part

    def split(
        self, batch: WriteBatch, store: Callable[[Part, WriteBatch], Op[list[RememberResult]]]
    ) -> Op[list[RememberResult]]:
        """Store each memory of a batch in its user's partition, all side by side; return results in order."""
        if self._only is not None:
            return store(self._only, batch)
        places: dict[int, list[int]] = {}
        for at, draft in enumerate(batch.drafts):
            places.setdefault(self.number_of(draft.scope.user), []).append(at)
        if len(places) == 1:
            (number,) = places
            return store(self._at(number), batch)
        return self._split(batch, places, store)

    def _split(
        self,
        batch: WriteBatch,
        places: dict[int, list[int]],
        store: Callable[[Part, WriteBatch], Op[list[RememberResult]]],
    ) -> Op[list[RememberResult]]:
        ops = [store(self._at(number), _those(batch, chosen)) for number, chosen in places.items()]
        replies = yield from gather(ops)
        results: dict[int, RememberResult] = {}
        for chosen, reply in zip(places.values(), replies, strict=True):
            results.update(zip(chosen, ok(reply), strict=True))
        return [results[at] for at in range(len(batch.drafts))]

    def at(self, memory_id: str, user: str | None, act: Callable[[Part], Op[T]], missing: T) -> Op[T]:
        """Do something with a memory in the partition it is in. One round trip more if no user is named.

        To read it in every partition at once takes six times as long.

        Args:
            memory_id: The memory.
            user: Whose it is; `None` if that is not known.
            act: What to do there.
            missing: The result if no partition has the memory.

        Raises:
            InvalidInputError: Several partitions have one with this id; nothing was done.
        """
        if self._only is not None or user is not None:
            return act(self.of(user))
        return self._found(memory_id, act, missing)

    def _found(self, memory_id: str, act: Callable[[Part], Op[T]], missing: T) -> Op[T]:
        parts = self.every()
        replies = yield [reads("EXISTS", part.store.keys.memory(memory_id)) for part in parts]
        found = [part for part, reply in zip(parts, replies, strict=True) if ok(reply)]
        if not found:
            return missing
        return (yield from act(_single(memory_id, found)))

    def clear(self, scope: Scope) -> Op[Removed]:
        """Delete the memories of a scope, which may span users."""
        if scope.user is not None:
            return self.of(scope.user).clear_op(scope)
        if scope == Scope(None, None, None):
            return clearing.clear_prefix([part.store for part in self.every()])
        return clearing.clear_scope([(part.store, part.index.settings) for part in self.every()], scope)

    def ids(self, user: str | None) -> Op[list[str]]:
        """Return the ids of a user's memories, or of everybody's; an id may be there more than once."""
        if user is not None or self._only is not None:
            return self.of(user).ids_op(Scope.of_any(user, None, None))
        return self._every_id()

    def _every_id(self) -> Op[list[str]]:
        found = yield from clearing.every_id([part.store for part in self.every()])
        return [memory_id for _, memory_id in found]

    def readers(self, user: str | None) -> Op[list[Callable[[], Op[MemoryRecord | None]]]]:
        """Return an operation that reads it for each memory of a user, or of everybody."""
        if user is not None or self._only is not None:
            part = self.of(user)
            ids = yield from self.ids(user)
            return [partial(part.get_op, one, user) for one in ids]
        parts = {part.store.keys.memory_prefix: part for part in self.every()}
        found = yield from clearing.every_id([part.store for part in parts.values()])
        return [partial(parts[store.keys.memory_prefix].get_op, one, None) for store, one in found]

    def create_index(self) -> Op[None]:
        """Create every index, verify it, and wait until it holds every memory."""
        if self._only is not None:
            yield from self._only.create_index_op()
            return
        parts = self.every()
        known = next((part.index.dimensions for part in parts if part.index.dimensions), None)
        dimensions = yield from self.any.dimensions_op(known)
        yield from self._together(part.index.ensure(dimensions, 0, waits=False) for part in parts)
        for part in parts:  # in turn, because the server waits for one at a time
            if not part.index.knowledge.checked:
                yield from part.index.ensure(dimensions)

    def rebuild(self) -> Op[RebuiltIndex]:
        """Recreate every index over the memories that are there."""
        dimensions = yield from self.any.dimensions_op(None)
        places = [(part.store, part.index) for part in self.every()]
        return (yield from rebuild(places, dimensions, self.any.drafting.digest))

    def drop(self, delete_documents: bool) -> Op[None]:
        """Remove every index, and perhaps the memories."""
        yield from self._together(part.index.drop() for part in self.every())
        if delete_documents:
            yield from self.clear(Scope(None, None, None))

    def info(self) -> Op[dict[str, Any]]:
        """Return what the server says about the index, or about all of them together. One round trip.

        Raises:
            IndexMissingError: There is none.
        """
        if self._only is not None:
            return self._only.index.describe()
        return self._info()

    def _info(self) -> Op[dict[str, Any]]:
        replies = yield from gather(part.index.describe() for part in self.every())
        found = [ok(reply) for reply in replies if not isinstance(reply, IndexMissingError)]
        if not found:
            ok(replies[0])
        worst = next((one for one in found if one["mismatch"] or one["limits"]), found[0])
        return {
            **worst,
            "name": self._index_name,
            "schema": {**worst["schema"], "prefix": self.any.config.key_prefix},
            **{name: sum(one[name] for one in found) for name in ("documents", "failures", "memory_mb")},
            "indexing": any(one["indexing"] for one in found),
            "partitions": self.partitions,
            "indexes": len(found),
        }

    @staticmethod
    def _together(ops: Iterable[Op[T]]) -> Op[list[T]]:
        replies = yield from gather(ops)
        return [ok(reply) for reply in replies]


def index_of(index_name: str, partitions: int, number: int | None) -> str:
    """Return the name of the index in a partition; without partitions, the name itself."""
    return index_name if number is None else index_in(index_name, tags(partitions)[number])


def _those(batch: WriteBatch, chosen: Sequence[int]) -> WriteBatch:
    embeddings = None if batch.embeddings is None else [batch.embeddings[at] for at in chosen]
    return WriteBatch([batch.drafts[at] for at in chosen], embeddings, batch.known, batch.near)


def _single(memory_id: str, found: Sequence[T]) -> T:
    if len(found) > 1:
        raise InvalidInputError(
            f"{len(found)} users have a memory with the id {memory_id!r}: say which is meant, with user=.",
            plain=f"Several users have a memory with the id {memory_id!r}: name the user, too.",
        )
    return found[0]
