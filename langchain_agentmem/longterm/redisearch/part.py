"""The memories in one place: in one partition, or all of them where there are none. Operations, no I/O."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from langchain_agentmem.core.embed import Embed
from langchain_agentmem.core.operations import Op, T, gather, ok
from langchain_agentmem.core.removal import Removed
from langchain_agentmem.errors import IndexMissingError, InvalidInputError
from langchain_agentmem.longterm.apply_in_steps import apply_in_steps
from langchain_agentmem.longterm.changes import ChangeResult, CheckedChanges, Delete
from langchain_agentmem.longterm.config import LongTermMemoryConfig
from langchain_agentmem.longterm.drafts import Drafting
from langchain_agentmem.longterm.long_term_memory import only
from langchain_agentmem.longterm.question import as_asked
from langchain_agentmem.longterm.redisearch import clearing, dedup, inexact, queries
from langchain_agentmem.longterm.redisearch import update as updating
from langchain_agentmem.longterm.redisearch.apply import Applying, RefusedInOneStepError
from langchain_agentmem.longterm.redisearch.document import UnitVector, cosine_distance, vector
from langchain_agentmem.longterm.redisearch.index import MemoryIndex
from langchain_agentmem.longterm.redisearch.listing import count, links, listed
from langchain_agentmem.longterm.redisearch.merge import RedisMerging
from langchain_agentmem.longterm.redisearch.write_calls import Entry
from langchain_agentmem.longterm.types import (
    Draft,
    Listing,
    MemoryRecord,
    Refusal,
    RememberResult,
    Scope,
    Search,
    UpdateDraft,
    WriteBatch,
)
from langchain_agentmem.tasks.task import Taking

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings


@dataclass(slots=True)
class Part:
    """Memories that are in one place, with one index. `LongTermMemory` says what its operations do.

    Attributes:
        config: The options.
        drafting: The rules for what is stored.
        load_embeddings: Returns what turns texts into vectors.
        store: Where the memories are.
        index: Their index.
    """

    config: LongTermMemoryConfig
    drafting: Drafting
    load_embeddings: Callable[[], Embeddings]
    store: queries.Store
    index: MemoryIndex

    @property
    def embeddings(self) -> Embeddings:
        """Return what turns texts into vectors."""
        return self.load_embeddings()

    def store_op(self, batch: WriteBatch) -> Op[list[RememberResult]]:
        """Store a batch in one round trip, each memory unless it is a duplicate by the rule of `dedup`.

        Raises:
            EmbeddingError: An embedding is not usable; nothing is stored.
        """
        if batch.embeddings is None:
            return self._embed_and_store(batch)
        return self._store(self._entries(batch.drafts, batch.embeddings), batch)

    def _embed_and_store(self, batch: WriteBatch) -> Op[list[RememberResult]]:
        vectors = yield Embed(self.embeddings, batch.texts)
        return (yield from self._store(self._entries(batch.drafts, vectors), batch))

    def _entries(self, drafts: Sequence[Draft], vectors: Sequence[Sequence[float]]) -> list[Entry]:
        entries = [
            Entry(draft, self.as_vector(embedding)) for draft, embedding in zip(drafts, vectors, strict=True)
        ]
        sizes = {len(entry.embedding) for entry in entries}
        if len(sizes) > 1:
            raise InvalidInputError(f"Embeddings of different lengths: {sorted(sizes)}.")
        return entries

    def _store(
        self, entries: list[Entry], batch: WriteBatch, *, counts: bool = True
    ) -> Op[list[RememberResult]]:
        threshold = self.config.near_distance
        looking = dedup.Looking(self.drafting.digest, threshold, batch.known, batch.near, counts)
        return dedup.remember(self.store, self.index, entries, looking)

    def add_op(self, drafts: Sequence[Draft]) -> Op[list[RememberResult]]:
        """Store memories, except duplicates of what is there, or of one before; what is there stays as it is.

        One embedding, and one round trip; by nearness two, because duplicates are looked for rather than left
        to the storing, which would count them as learnt again.
        """
        batch = WriteBatch(drafts)
        entries = self._entries(drafts, (yield Embed(self.embeddings, batch.texts)))
        if self.config.dedup != "near":
            return (yield from self._store(entries, batch, counts=False))
        return (yield from self._add_unless_near(entries, batch))

    def _add_unless_near(self, entries: list[Entry], batch: WriteBatch) -> Op[list[RememberResult]]:
        others = [at for at, entry in enumerate(entries) if not entry.draft.overwrites]
        replies = yield from gather(self._duplicates(entries[at]) for at in others)
        new = {at: entry for at, entry in enumerate(entries) if entry.draft.overwrites}
        known: dict[int, str] = {}
        for at, reply in zip(others, replies, strict=True):
            there = (record.id for record in ok(reply))
            before = (one.draft.id for one in new.values() if self._near(one, entries[at]))
            same = next(chain(there, before), None)
            if same is None:
                new[at] = entries[at]
            else:
                known[at] = same
        order = sorted(new)
        stored = (yield from self._store([new[at] for at in order], batch)) if new else []
        results = dict(zip(order, stored, strict=True))
        return [RememberResult(known[at], True) if at in known else results[at] for at in range(len(entries))]

    def _near(self, one: Entry, other: Entry) -> bool:
        """Return whether two new memories are duplicates by nearness."""
        most = self.config.dedup_threshold + self.store.tolerance
        return (
            one.draft.scope == other.draft.scope and cosine_distance(one.embedding, other.embedding) <= most
        )

    def _duplicates(self, entry: Entry) -> Op[list[MemoryRecord]]:
        """Return the memory that a new one is a duplicate of by nearness, if there is one."""
        search = Search(entry.draft.scope, 1, "vector", distance_threshold=self.config.dedup_threshold)
        vector = entry.embedding.tobytes()
        return self.index.using(len(entry.embedding), lambda: self._ranked(self.store, search, "", vector))

    def search_op(
        self, search: Search, query: str, embedding: Sequence[float] | None
    ) -> Op[list[MemoryRecord]]:
        """Return the memories that answer a query best, best first.

        One round trip, and the embedding of the query.

        Raises:
            EmbeddingError: The embedding is not usable.
        """
        if search.mode == "hybrid" and not query.strip():  # nothing is asked: only the vector is known
            known = self.config.recall_threshold if search.gated else None
            threshold = known if search.distance_threshold is None else search.distance_threshold
            search = replace(search, mode="vector", distance_threshold=threshold)
        if search.mode == "text":
            return self._indexed(self._recall(search, query, None))
        if embedding is None:
            return self._embed_and_search(search, query)
        return self._found(search, query, self.as_vector(embedding))

    def _embed_and_search(self, search: Search, query: str) -> Op[list[MemoryRecord]]:
        (embedding,) = yield Embed(self.embeddings, [as_asked(query)], "query")
        return (yield from self._found(search, query, self.as_vector(embedding)))

    def _found(self, search: Search, query: str, numbers: Any) -> Op[list[MemoryRecord]]:
        return self.index.using(len(numbers), self._recall(search, query, numbers.tobytes()))

    def _recall(
        self, search: Search, query: str, vector: bytes | None
    ) -> Callable[[], Op[list[MemoryRecord]]]:
        """Return what makes the operation of a recall: by replicas the first time, if they may answer."""
        stores = iter([replace(self.store, by_replicas=True)] if self.config.recall_from_replicas else [])
        return lambda: self._ranked(next(stores, self.store), search, query, vector)

    def _ranked(
        self, store: queries.Store, search: Search, query: str, vector: bytes | None
    ) -> Op[list[MemoryRecord]]:
        from langchain_agentmem.longterm.redisearch import recall  # loads numpy

        self._check_filter(search)
        if search.mode == "vector" and vector is not None:
            return recall.nearest(store, search, query, vector)
        return recall.recall(store, search, query, vector)

    def _check_filter(self, search: Search) -> None:
        if not self.index.knowledge.exact:
            inexact.check_filter(self.config.index_name, search.condition)

    def revise_op(self, update: UpdateDraft, embedding: Sequence[float] | None) -> Op[Refusal | None]:
        """Change a memory in place; return why that cannot be, `None` if it is done.

        Raises:
            EmbeddingError: The embedding is not usable, or nothing is embedded; nothing is changed.
        """
        if embedding is not None and update.text is None:
            raise InvalidInputError("An embedding goes with a text; give both, or leave it out.")
        numbers = None if embedding is None else self.as_vector(embedding)
        return self._update(update, numbers)

    def _update(self, update: UpdateDraft, numbers: Any) -> Op[Refusal | None]:
        def change() -> Op[Refusal | None]:
            return updating.update(self.store, update, numbers, self.drafting.digest)

        if update.text is None:
            return (yield from change())
        if numbers is None:
            (embedding,) = yield Embed(self.embeddings, [update.text])
            numbers = self.as_vector(embedding)
        return (yield from self.index.using(len(numbers), change, backfilled=False))

    def changes_op(
        self, checked: CheckedChanges, known: Sequence[MemoryRecord], taking: Taking | None
    ) -> Op[list[ChangeResult] | None]:
        """Make changes in one atomic step; where the server allows none, each in its own."""
        texts = checked.texts
        made = (yield Embed(self.embeddings, texts)) if texts else []
        vectors = [self.as_vector(one) for one in made]
        sizes = {len(one) for one in vectors}
        if len(sizes) > 1:
            raise InvalidInputError(f"Embeddings of different lengths: {sorted(sizes)}.")
        results = yield from self._apply(
            checked, vectors, {record.id: record.kind for record in known}, taking
        )
        self.index.knowledge.sizes.forget()
        return results

    def _apply(
        self, checked: CheckedChanges, vectors: list[Any], kinds: dict[str, str], taking: Taking | None
    ) -> Op[list[ChangeResult] | None]:
        threshold = self.config.near_distance
        rest = iter(vectors)
        each = [None if isinstance(change, Delete) else next(rest) for change in checked.changes]
        applying = Applying(self.store, self.drafting, checked, each, threshold, kinds, taking=taking)
        knowledge = self.index.knowledge
        if knowledge.spans_slots and (threshold is None or knowledge.searches_in_scripts):
            try:
                if not vectors:
                    return (yield from applying.run())
                backfilled = threshold is not None
                return (yield from self.index.using(len(vectors[0]), applying.run, backfilled=backfilled))
            except RefusedInOneStepError:
                if threshold is None:
                    knowledge.spans_slots = False
                else:
                    knowledge.searches_in_scripts = False
        return (yield from apply_in_steps(self, checked, [UnitVector(one) for one in vectors], taking))

    def merging(self) -> RedisMerging:
        """Return the operations that a consolidation is made of."""
        return RedisMerging(self.store, self.index)

    def links_op(self, scope: Scope) -> Op[dict[str, str]]:
        """Return which memory superseded each superseded one of a user and namespace. One round trip."""
        return self._indexed(lambda: links(self.store, scope))

    def get_op(self, memory_id: str, user: str | None) -> Op[MemoryRecord | None]:
        """Return the operation of `get`."""
        return only(queries.get(self.store, [memory_id], Scope.of_any(user, None, None)))

    def get_many_op(self, ids: list[str], scope: Scope) -> Op[list[MemoryRecord | None]]:
        """Return memories by id, `None` for each that is missing or in another scope. One round trip."""
        return queries.get(self.store, ids, scope)

    def list_op(self, listing: Listing) -> Op[list[MemoryRecord]]:
        """Return the operation of `list_memories`."""
        return self._indexed(lambda: listed(self.store, listing))

    def count_op(self, listing: Listing) -> Op[int]:
        """Return the operation of `count_memories`."""
        return self._indexed(lambda: count(self.store, listing))

    def delete_op(self, memory_id: str, user: str | None) -> Op[bool]:
        """Return the operation of `delete_memory`."""
        return _deleted(clearing.delete(self.store, [memory_id], Scope.of_any(user, None, None)))

    def delete_many_op(self, ids: list[str], scope: Scope) -> Op[int]:
        """Delete memories by their ids, those in the scope only; return how many. One round trip."""
        return clearing.delete(self.store, ids, scope)

    def clear_op(self, scope: Scope, *, thorough: bool = False, dry_run: bool = False) -> Op[Removed]:
        """Delete the memories of a scope; in a dry run, they are only counted."""
        clear = clearing.count_scope if dry_run else clearing.clear_scope
        return clear([(self.store, self.index.settings)], scope, thorough=thorough)

    def ids_op(self, scope: Scope) -> Op[list[str]]:
        """Return the ids of a scope's memories, as `clearing.scope_ids` does."""
        return clearing.scope_ids(self.store, self.index.settings, scope)

    def create_index_op(self) -> Op[None]:
        """Create the index, verify it, and wait until it holds every memory."""
        yield from self.index.ensure((yield from self.dimensions_op(self.index.dimensions)))

    def dimensions_op(self, found: int | None) -> Op[int]:
        """Return the vectors' length: as found, as the embeddings declare it, or of a vector they make."""
        if found is not None:
            return found
        declared = getattr(self.embeddings, "dimensions", None)
        if isinstance(declared, int) and declared > 0:
            return declared
        (made,) = yield Embed(self.embeddings, ["dimensions"], "query")
        return len(made)

    def _indexed(self, operation: Callable[[], Op[T]]) -> Op[T]:
        """Run an operation that has no vector at hand, if need be after creating the index."""
        try:
            return (yield from self.index.using(None, operation))
        except IndexMissingError:
            yield from self.create_index_op()
        return (yield from operation())

    def as_vector(self, embedding: Sequence[float]) -> Any:
        """Return the embedding as the index takes it, an array of length one."""
        wanted = self.index.settings.vector_type
        if isinstance(embedding, UnitVector) and embedding.numbers.dtype == wanted:
            numbers = embedding.numbers
        else:
            numbers = vector(embedding, wanted)  # also one that was made for another index
        self.index.fits(len(numbers))
        return numbers


def _deleted(op: Op[int]) -> Op[bool]:
    return (yield from op) == 1
