"""The making of one memory of several: what a consolidation asks of Redis. No I/O."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_agentmem.core.operations import Argument, Command, Op, ok, reads
from langchain_agentmem.core.scripts import together
from langchain_agentmem.errors import EmbeddingError, StoreError, WrongKeyTypeError
from langchain_agentmem.longterm.consolidate import Merge, ReadMemories, Stored, member_text
from langchain_agentmem.longterm.redisearch import clearing, write_calls
from langchain_agentmem.longterm.redisearch.document import (
    decode,
    distance_in,
    embedding_of,
    fields_of,
    id_of,
    vector,
)
from langchain_agentmem.longterm.redisearch.filters import condition
from langchain_agentmem.longterm.redisearch.index import MemoryIndex
from langchain_agentmem.longterm.redisearch.listing import read_embedding
from langchain_agentmem.longterm.redisearch.queries import MAX_ROWS, Store, read, searched
from langchain_agentmem.longterm.redisearch.write_calls import SlotsRefusedError, pointer
from langchain_agentmem.longterm.types import Scope, UnreadableDocument, report_unreadable

_PUT = (("langchain_agentmem.longterm", "extend"), (__package__, "seen"), (__package__, "put"))
_MERGE = together(*_PUT, ("langchain_agentmem.longterm", "outlive"), (__package__, "merge"))
_JUDGED = together(*_PUT[:2], (__package__, "judged"))
_DIGEST = re.compile(r"\b[0-9a-f]{32}\b")
_NEAREST = 16  # looked at first
_ONE_SLOT = (
    "The server lets no script touch memories of several cluster slots, so that two cannot be made one in an "
    "atomic step. Give memory_prefix a hash tag, such as '{agent}:mem:'. Nothing was changed."
)


@dataclass(frozen=True, slots=True)
class RedisMerging:
    """The operations of a consolidation on Redis.

    Attributes:
        store: Where the memories are.
        index: Their index.
    """

    store: Store
    index: MemoryIndex

    def ids(self, scope: Scope) -> Op[list[str]]:
        """Return the ids of a scope's memories, as `clearing.scope_ids` does."""
        return clearing.scope_ids(self.store, self.index.settings, scope)

    def read(self, ids: Sequence[str]) -> Op[tuple[ReadMemories, int]]:
        """Return memories, `None` for each that is none, and how many documents are none. One round trip."""
        if not ids:
            return [], 0
        keys = [self.store.keys.memory(one) for one in ids]
        replies = yield [command for key in keys for command in self._reads(key)]
        found: ReadMemories = []
        unreadable = 0
        for key, *members in zip(keys, replies[::3], replies[1::3], replies[2::3], strict=True):
            try:
                found.append(self._stored(key, *map(ok, members)))
            except (UnreadableDocument, WrongKeyTypeError) as error:
                report_unreadable(key, error)
                found.append(None)
                unreadable += 1
        return found, unreadable

    def _reads(self, key: str) -> tuple[Command, ...]:
        return read(self.store, key), self._member(key, "metadata"), self._member(key, "judged")

    def _stored(self, key: str, document: Any, metadata: Any, judged: Any) -> Stored | None:
        fields = fields_of(document)
        if not fields and not isinstance(document, bytes):
            return None  # gone
        record = decode(id_of(key.encode(), self.store.keys.memory_prefix), fields)
        same = fields.get(b"same", b"").decode("utf-8", "replace")
        return Stored(record, self._text(metadata), tuple(_DIGEST.findall(same)), self._text(judged))

    def _member(self, key: str, name: str) -> Command:
        return (
            reads("HGET", key, name) if self.store.storage == "hash" else reads("JSON.GET", key, f"$.{name}")
        )

    def _text(self, reply: Any) -> str:
        """Return a member that is a text, empty if there is none; one that is no text as JSON has it."""
        if not isinstance(reply, bytes):
            return ""
        return reply.decode("utf-8", "replace") if self.store.storage == "hash" else member_text(reply)

    def superseded_by(self, ids: Sequence[str]) -> Op[list[str | None]]:
        """Return which memory superseded each; `None` if none did. One round trip."""
        replies = yield [self._member(self.store.keys.memory(one), "superseded_by") for one in ids]
        return [self._text(reply) or None for reply in replies]

    def merge(self, merges: Sequence[Merge]) -> Op[list[bool]]:
        """Make memories one, each pair in one atomic step. One round trip, and seldom one more.

        Raises:
            StoreError: The server lets no script touch two memories.
        """
        if not self.index.knowledge.spans_slots:
            raise StoreError(_ONE_SLOT)
        replies = yield [self._merge(one) for one in merges]
        made, drops = [], list[Command]()
        for merge, reply in zip(merges, replies, strict=True):
            try:
                is_made, *lost = write_calls.done(reply)
            except SlotsRefusedError as error:
                if self.store.partitioned:
                    raise
                self.index.knowledge.spans_slots = False
                raise StoreError(_ONE_SLOT) from error
            made.append(bool(is_made))
            drops += write_calls.drop_pointers(self.store, lost[0], merge.kept.record.id) if lost else []
        if drops:
            yield drops
        self.index.knowledge.sizes.forget()
        return made

    def _merge(self, merge: Merge) -> Command:
        store, kept, other = self.store, merge.kept, merge.other
        deletes = merge.deletes
        how = "delete" if deletes else "count" if merge.counts else "supersede"
        digests = (
            dict.fromkeys([*other.pointed, *([merge.digest] if merge.digest else [])]) if deletes else {}
        )
        followed = merge.superseded if deletes else ()
        keys: list[Argument] = [
            store.keys.memory(one) for one in (kept.record.id, other.record.id, *followed)
        ]
        return _MERGE.call(
            [*keys, *(pointer(store, one) for one in digests)],
            *(store.storage, *kept.scope.tags(), how),
            *(kept.record.id, other.record.id, kept.record.text, other.record.text),
            *(kept.metadata, other.metadata, merge.metadata, other.record.hit_count, merge.digest),
            len(followed),
            *digests,
        )

    def near(self, stored: Stored, most: float, size: int | None, without: Container[str]) -> Op[list[str]]:
        """Return the ids of the memories nearest to one in its scope, nearest first. Two round trips."""
        store = self.store
        (reply,) = yield [read_embedding(store, store.keys.memory(stored.record.id))]
        embedding = embedding_of(ok(reply), store.storage, store.vector_type)
        try:
            numbers = None if embedding is None else vector(embedding, store.vector_type)
        except EmbeddingError:  # no vector: the index does not hold it either
            numbers = None
        if numbers is None or len(numbers) != (self.index.knowledge.dimensions or len(numbers)):
            return []
        return (
            yield from self.index.using(
                len(numbers), lambda: self._near(stored, numbers.tobytes(), most, size, without)
            )
        )

    def _near(
        self, stored: Stored, numbers: bytes, most: float, size: int | None, without: Container[str]
    ) -> Op[list[str]]:
        k = _NEAREST
        while True:
            ((_, rows),) = yield from searched(self.store, [self._nearest(stored, numbers, k)], stored.scope)
            found = [
                (id_of(key, self.store.keys.memory_prefix), distance_in(fields))
                for key, fields in rows.items()
                if fields is not None
            ]
            limit = most + self.store.tolerance
            near = [one for one, distance in found if distance is not None and distance <= limit]
            others = [one for one in near if one != stored.record.id and one not in without]
            enough = size is not None and len(others) >= size
            if enough or len(near) < len(found) or len(rows) < k or k == MAX_ROWS:
                return others[:size]
            k = min(4 * k, MAX_ROWS)

    def _nearest(self, stored: Stored, numbers: bytes, k: int) -> Command:
        store = self.store
        return reads(
            *(
                "FT.SEARCH",
                store.index_name,
                f"{condition(stored.scope)}=>[KNN $k @embedding $vector AS distance]",
            ),
            *("PARAMS", 4, "k", k, "vector", numbers, "SORTBY", "distance", "LIMIT", 0, k),
            *("RETURN", 1, "distance", "TIMEOUT", store.search_timeout_ms, "DIALECT", 2),
        )

    def note_judged(self, judged: Sequence[Stored]) -> Op[None]:
        """Note that memories have been judged, as they read. One round trip."""
        store = self.store
        replies = yield [
            _JUDGED.call([store.keys.memory(one.record.id)], store.storage, *one.scope.tags(), one.mark)
            for one in judged
        ]
        for reply in replies:
            ok(reply)
