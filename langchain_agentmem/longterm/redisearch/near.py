"""The write that skips near-duplicates: in one script, or under a lock where no script may search."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from langchain_agentmem.core.keys import scope_lock
from langchain_agentmem.core.operations import Command, Op, call, ok, reads, writes
from langchain_agentmem.errors import AgentMemoryError, StoreError, StoreTimeoutError
from langchain_agentmem.longterm.redisearch import inexact, write_calls
from langchain_agentmem.longterm.redisearch.document import id_of
from langchain_agentmem.longterm.redisearch.filters import condition
from langchain_agentmem.longterm.redisearch.index import IndexBackfillingError, MemoryIndex, pause
from langchain_agentmem.longterm.redisearch.queries import Store, searched
from langchain_agentmem.longterm.redisearch.write_calls import Entry
from langchain_agentmem.longterm.types import RememberResult

# What servers answer that allow no search in a script: Redis on several shards, older RediSearch,
# Dragonfly, managed services; and a cluster when the search names a key of another shard.
_REFUSED = re.compile(
    "Cannot block|Blocking module command|not allowed from script|non local key|undeclared key"
    "|CROSSSLOT|same slot",
    re.IGNORECASE,
)
_LOCK_MILLISECONDS = 10_000  # a lock outlives its holder's last command by this at most
_MAX_PAUSES = 1000


def remember(
    store: Store, index: MemoryIndex, entries: Sequence[Entry], threshold: float
) -> Op[list[RememberResult]]:
    """Store memories in their order; skip near-duplicates.

    One round trip for all of them; each is atomic, and sees those before it. One whose id was chosen
    overwrites what has the same id.

    Args:
        store: Where they go.
        index: Their index.
        entries: The memories.
        threshold: Up to which cosine distance, from 0 to 2, a memory is a duplicate.

    Raises:
        IndexMismatchError: The index has another schema; nothing was stored.
        InvalidInputError: An id belongs to a memory of another scope; that one was left as it is.
        StoreError: The server refused one. Others may be stored.
    """
    limits = [threshold if entry.draft.by_nearness else None for entry in entries]
    results: list[RememberResult | None] = [None] * len(entries)

    def store_rest() -> Op[None]:
        if not index.knowledge.exact:
            for entry in entries:
                if entry.draft.by_nearness:
                    inexact.check_scope(store.index_name, entry.draft.scope)
        if index.knowledge.searches_in_scripts:
            yield from _in_one_batch(store, index, entries, limits, results)
        for at, entry in enumerate(entries):
            if results[at] is None:
                results[at] = yield from _remember_locked(store, entry, limits[at])

    yield from index.using(len(entries[0].embedding) if entries else None, store_rest)
    return [result for result in results if result is not None]


def _in_one_batch(
    store: Store,
    index: MemoryIndex,
    entries: Sequence[Entry],
    limits: Sequence[float | None],
    results: list[RememberResult | None],
) -> Op[None]:
    """Store the entries without a result as far as the server stores them without locks.

    Results are filled in also if an error is raised, so that one can go on with the rest and does nothing
    twice. What has none when `IndexMissingError` is raised was not stored.
    """
    rest = [at for at, result in enumerate(results) if result is None]
    if not rest:
        return
    calls = [_call(store, entries[at], limits[at]) for at in rest]
    only_looking = all(limits[at] is not None for at in rest)
    replies = yield calls if only_looking else [*calls, probe(store, entries[rest[0]])]
    failed: AgentMemoryError | None = None
    later: list[Command] = []
    for at, reply in zip(rest, replies, strict=False):
        if is_refused(store, reply):
            index.knowledge.searches_in_scripts = False
            continue
        try:
            results[at] = _result(store, entries[at], reply, limits[at])
            later += _drops(store, entries[at], reply, limits[at])
        except AgentMemoryError as error:
            failed = failed or error
    if later:
        yield later
    if failed is not None:
        raise failed
    if not only_looking:
        ok(replies[-1])  # once the index is recreated, it holds what was stored now too


def is_refused(store: Store, reply: Any) -> bool:
    """Return whether a server refuses a search in a script, or keys of several cluster slots.

    Never in a partition, whose keys are in one slot: there it is an error like any other.
    """
    return not store.partitioned and isinstance(reply, StoreError) and _REFUSED.search(str(reply)) is not None


def probe(store: Store, entry: Entry) -> Command:
    """Return a search that finds nothing: it notices what storing alone does not.

    The index is gone, or somebody has recreated it for vectors of another length.
    """
    return reads(
        *("FT.SEARCH", store.index_name, "(@user:{nobody})=>[KNN 1 @embedding $vector]"),
        *("PARAMS", 2, "vector", entry.embedding.tobytes(), "LIMIT", 0, 0, "DIALECT", 2),
    )


def _call(store: Store, entry: Entry, threshold: float | None) -> Command:
    """Return the call that stores a memory; with a threshold, unless it is a duplicate within it."""
    if threshold is None:
        return write_calls.overwrite(store, entry, points=False)
    look = (store.index_name, condition(entry.draft.scope), entry.embedding.tobytes())
    (is_backfilling,) = store.is_backfilling.keys
    return write_calls.remember_near(store, entry, (*look, threshold + store.tolerance), is_backfilling)


def _result(store: Store, entry: Entry, reply: Any, threshold: float | None) -> RememberResult:
    if isinstance(reply, StoreError) and "BACKFILLING" in str(reply):
        raise IndexBackfillingError(str(reply)) from reply
    if threshold is None:
        superseded, _ = write_calls.done(reply)
        return RememberResult(entry.draft.id, False, replaced=_replaced(entry, superseded))
    deduped, key, distance, superseded = write_calls.done(reply)
    nearest = max(float(distance), 0.0) if distance else None
    memory_id = id_of(key, store.keys.memory_prefix)
    return RememberResult(memory_id, bool(deduped), nearest, replaced=_replaced(entry, superseded))


def _drops(store: Store, entry: Entry, reply: Any, threshold: float | None) -> list[Command]:
    """Return what drops pointers to a memory that stood for more digests than it can note."""
    former = reply[1] if threshold is None else b""
    return write_calls.drop_pointers(store, former, entry.draft.id)


def _replaced(entry: Entry, superseded: int) -> str | None:
    return entry.draft.replaces if superseded else None


def _remember_locked(store: Store, entry: Entry, threshold: float | None) -> Op[RememberResult]:
    """Store a memory in several round trips, under a lock that all writers of the scope wait for.

    Also what only overwrites waits for it: else it could change a memory that another writer has just
    found to be the same as its own.
    """
    lock = scope_lock(store.index_name, *entry.draft.scope.tags())
    token = uuid.uuid4().hex
    take = writes("SET", lock, token, "NX", "PX", _LOCK_MILLISECONDS)
    taken = yield from call(take)
    for _ in range(_MAX_PAUSES):
        if taken is not None:
            break
        _, reply = yield [pause(store.index_name), take]
        taken = ok(reply)
    else:
        raise StoreTimeoutError("Other writers have kept this user's memories locked for 20 s; try again.")
    try:
        result = yield from _locked_write(store, entry, threshold)
    except AgentMemoryError:
        yield [write_calls.release(lock, token)]
        raise
    yield [write_calls.release(lock, token)]
    return result


def _locked_write(store: Store, entry: Entry, threshold: float | None) -> Op[RememberResult]:
    """Store a memory unless it is a duplicate, and then supersede another, a step after the other."""
    draft = entry.draft
    if draft.replaces is not None:
        yield from write_calls.run(write_calls.supersede(store, draft, draft.id, only_looks=True))
    alone = entry.replacing(None)
    if threshold is None:
        reply, state = yield [_call(store, alone, None), probe(store, entry)]
        result = _result(store, alone, reply, None)
        ok(state)
        if drops := _drops(store, alone, reply, None):
            yield drops
    else:
        result = yield from _find_or_store(store, alone, threshold, draft.replaces)
    if draft.replaces is not None:
        superseded = yield from write_calls.superseding(store, draft, result.id)
        result = replace(result, replaced=_replaced(entry, superseded))
    return result


def _find_or_store(store: Store, entry: Entry, threshold: float, replaces: str | None) -> Op[RememberResult]:
    scope, vector = entry.draft.scope, entry.embedding.tobytes()
    # What cannot be read, is of another scope, has vanished meanwhile, or is superseded by this one.
    refused = set[bytes]() if replaces is None else {store.keys.memory(replaces).encode()}
    while True:
        k = 2 + len(refused)
        ((_, found),) = yield from searched(store, [store.nearest(condition(scope), vector, k)], scope)
        others = [(key, fields) for key, fields in found.items() if key not in refused and fields is not None]
        if not others and len(found) == k:
            refused.update(found)
            continue
        distance = max(float(others[0][1][b"distance"]), 0.0) if others else None
        if distance is None or distance > threshold + store.tolerance:
            (reply,) = yield [_call(store, entry, None)]
            return replace(_result(store, entry, reply, None), existing_distance=distance)
        key = others[0][0]
        memory_id = id_of(key, store.keys.memory_prefix)
        renew = write_calls.renew(store, entry, memory_id)
        if write_calls.renewed((yield from call(renew))) is not None:
            return RememberResult(memory_id, True, distance)
        refused.add(key)
