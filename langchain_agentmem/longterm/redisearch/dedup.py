"""The write of memories, which skips duplicates by the rule that was chosen, and what is told besides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from langchain_agentmem.core.operations import Op, call, gather, ok
from langchain_agentmem.errors import IndexMissingError
from langchain_agentmem.longterm.hits import Candidate
from langchain_agentmem.longterm.redisearch import near
from langchain_agentmem.longterm.redisearch.filters import condition
from langchain_agentmem.longterm.redisearch.found import candidates
from langchain_agentmem.longterm.redisearch.index import MemoryIndex
from langchain_agentmem.longterm.redisearch.queries import Store, recorded, rows_of
from langchain_agentmem.longterm.redisearch.same import SameWriter
from langchain_agentmem.longterm.redisearch.write_calls import Entry
from langchain_agentmem.longterm.types import (
    Draft,
    MemoryRecord,
    NearMemory,
    Ranked,
    RememberResult,
    Scope,
)

_NEAREST = 8  # some may say the same, or have expired


@dataclass(frozen=True, slots=True)
class Looking:
    """The way duplicates are looked for.

    Attributes:
        digest: What all texts of a scope have in common that say the same; `None` without such a rule.
        threshold: Up to which cosine distance a memory is a duplicate; `None` if nearness makes none.
        known: Memories that were just recalled by the text that is stored.
        near: Whether the nearest memory that says something else is looked for.
        counts: Whether a duplicate is counted as seen again.
    """

    digest: Callable[[Scope, str], str | None]
    threshold: float | None
    known: Sequence[MemoryRecord] = ()
    near: bool = False
    counts: bool = True


def remember(
    store: Store, index: MemoryIndex, entries: Sequence[Entry], looking: Looking
) -> Op[list[RememberResult]]:
    """Store memories in their order, each unless it is a duplicate. One round trip for all of them.

    Args:
        store: Where they go.
        index: Their index. By nearness, it has to hold every memory.
        entries: The memories.
        looking: How duplicates are looked for.

    Raises:
        IndexMismatchError: The index has another schema; nothing was stored.
        InvalidInputError: An id belongs to a memory of another scope; that one was left as it is.
        StoreError: The server refused one. Others may be stored.
    """
    if looking.threshold is not None:
        storing = near.remember(store, index, entries, looking.threshold)
    else:
        storing = _unless_said(store, index, entries, looking)
    if len(entries) > 1:
        index.knowledge.sizes.forget()
    if not looking.near:
        results = yield from storing
        found = [_recalled(entry.draft, looking.known) for entry in entries]
    else:  # in front, so that none finds itself
        looks = [_nearest(store, entry) for entry in entries]
        *replies, stored = yield from gather([*looks, storing])
        results = ok(stored)
        found = [ok(reply) for reply in replies]
    return [
        _with_near(result, entry.draft, records, looking.digest)
        for result, entry, records in zip(results, entries, found, strict=True)
    ]


def _unless_said(
    store: Store, index: MemoryIndex, entries: Sequence[Entry], looking: Looking
) -> Op[list[RememberResult]]:
    """Store memories unless one says the same, in an index that is there but need not hold every memory.

    What is stored in any case is followed by a look at the index: a store of documents has nobody else who
    would notice that it is gone, or was recreated for vectors of another length.
    """
    writer = SameWriter(store, index.knowledge, looking.digest, looking.known, looking.counts)
    looks = [one for one in entries if one.draft.overwrites][:1]
    results: list[RememberResult] = []

    def write() -> Op[list[RememberResult]]:
        if not results:
            if not looks:
                return (yield from writer.remember(entries))
            stored, state = yield from gather([writer.remember(entries), call(near.probe(store, looks[0]))])
            results.extend(ok(stored))
            ok(state)
        return results

    return (yield from index.using(len(entries[0].embedding) if entries else None, write, backfilled=False))


def _nearest(store: Store, entry: Entry) -> Op[list[MemoryRecord]]:
    """Return the nearest memories of a draft's user and namespace, as far as the index holds them."""
    scope = replace(entry.draft.scope, kind=None)
    search = store.nearest(condition(scope), entry.embedding.tobytes(), _NEAREST)
    _, (reply,), _ = yield from store.ask([search])
    if isinstance(reply, IndexMissingError):
        return []
    rows = {key: fields for key, fields in rows_of(ok(reply)).items() if fields is not None}
    near: list[tuple[Candidate, Ranked]] = [
        (one, {"distance": 1 - one.similarity})
        for one in candidates(rows, store.storage)
        if one.similarity is not None
    ]
    records = yield from recorded(store, scope, near)
    return [record for record in records.values() if record is not None]


def _recalled(draft: Draft, known: Sequence[MemoryRecord]) -> list[MemoryRecord]:
    scope = replace(draft.scope, kind=None)
    near = [record for record in known if record in scope and record.distance is not None]
    return sorted(near, key=lambda record: record.distance or 0.0)


def _with_near(
    result: RememberResult,
    draft: Draft,
    records: Sequence[MemoryRecord],
    digest: Callable[[Scope, str], str | None],
) -> RememberResult:
    """Return a result with the nearest of some memories, nearest first, that says something else."""
    others = (
        record
        for record in records
        if record.id not in (result.id, draft.replaces)
        and record.superseded_by is None
        and record.text != draft.text
        and (draft.digest is None or digest(draft.scope, record.text) != draft.digest)
    )
    nearest = next(others, None)
    if nearest is None or nearest.distance is None:
        return result
    hint = NearMemory(nearest.id, nearest.text, nearest.distance)
    distance = nearest.distance if result.existing_distance is None else result.existing_distance
    return replace(result, near=hint, existing_distance=distance)
