"""Storing memories, each only once: in one script, or under a lock where the server allows no such script."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from langchain_agentmem.core.keys import filling, scope_lock
from langchain_agentmem.core.operations import Argument, Command, Op, asks, call, ok, writes
from langchain_agentmem.core.scripts import load, together
from langchain_agentmem.errors import (
    AgentMemoryError,
    InvalidInputError,
    StoreError,
    StoreTimeoutError,
)
from langchain_agentmem.longterm.redisearch.document import encode
from langchain_agentmem.longterm.redisearch.filters import condition
from langchain_agentmem.longterm.redisearch.index import IndexFillingError, MemoryIndex, pause
from langchain_agentmem.longterm.redisearch.queries import Store, alive, memory_id
from langchain_agentmem.longterm.types import Draft, RememberResult

_HIT = (("langchain_agentmem.longterm", "prolong"), (__package__, "hit"))
_REMEMBER = together(*_HIT, (__package__, "remember"))
_RENEW = together(*_HIT, (__package__, "renew"))
_RELEASE = load(__package__, "release")
# What servers answer that allow no search in a script: Redis on several shards, older RediSearch,
# Dragonfly, managed services; and a cluster when the search names a key of another shard.
_REFUSED = re.compile(
    "Cannot block|Blocking module command|not allowed from script|non local key|undeclared key"
    "|CROSSSLOT|same slot",
    re.IGNORECASE,
)
_LOCK_MILLISECONDS = 10_000  # a lock outlives its holder's last command by this at most
_MAX_PAUSES = 1000


@dataclass(frozen=True, slots=True)
class Entry:
    """A memory to be stored, with its embedding."""

    draft: Draft
    embedding: Any

    @property
    def life(self) -> str:
        """The time to live as scripts take it: seconds, or empty for ever."""
        return "" if self.draft.ttl_seconds is None else str(self.draft.ttl_seconds)

    def call(self, store: Store, index_name: str, threshold: float) -> Command:
        """The script call that stores it, looking for a known one unless `index_name` is empty."""
        draft, dedup = self.draft, index_name != ""
        arguments: list[Argument] = [
            *(store.storage, *draft.scope.tags(), self.life),
            *(index_name, condition(draft.scope) if dedup else ""),
            *(self.embedding.tobytes() if dedup else b"", threshold, store.search_timeout_ms),
        ]
        document = encode(draft, self.embedding, store.storage)
        keys = [store.keys.memory(draft.id), *([filling(index_name)] if dedup else [])]
        return _REMEMBER.call(keys, *arguments, *document)


def remember(
    store: Store,
    index: MemoryIndex,
    entries: Sequence[Entry],
    threshold: float | None,
    results: list[RememberResult | None],
) -> Op[None]:
    """Store memories in their order, each unless its scope holds one within the threshold.

    One round trip for all of them; each is atomic, and sees those before it. One whose id was chosen is
    stored in any case, in place of what has the same id; a threshold of `None` does that with every one.

    Args:
        store: Where they go.
        index: What is known about the index.
        entries: The memories.
        threshold: Up to which distance a memory is known.
        results: One for each entry, `None` for those yet to be stored; filled in also if an error is
            raised, so that one can go on with the rest and does nothing twice.

    Raises:
        IndexMissingError: What has no result was not stored.
        InvalidInputError: An id belongs to a memory of another scope; that one was left as it is.
    """
    limits = [None if threshold is None or entry.draft.replaces else threshold for entry in entries]
    if index.searches_in_scripts or threshold is None:
        yield from _in_one_batch(store, index, entries, limits, results)
    for at, entry in enumerate(entries):
        if results[at] is None:
            results[at] = yield from _remember_locked(store, entry, limits[at])


def _in_one_batch(
    store: Store,
    index: MemoryIndex,
    entries: Sequence[Entry],
    limits: Sequence[float | None],
    results: list[RememberResult | None],
) -> Op[None]:
    """Store what the server stores without locks; what has no result then needs them."""
    rest = [at for at, result in enumerate(results) if result is None]
    if not rest:
        return
    calls: list[Command] = []
    for at in rest:
        limit = limits[at]
        looked_in = "" if limit is None else store.index_name
        calls.append(entries[at].call(store, looked_in, (limit or 0.0) + store.tolerance))
    only_looking = all(limits[at] is not None for at in rest)
    replies = yield calls if only_looking else [*calls, _probe(store, entries[rest[0]])]
    failed: AgentMemoryError | None = None
    for at, reply in zip(rest, replies, strict=False):
        if isinstance(reply, StoreError) and _REFUSED.search(str(reply)):
            index.searches_in_scripts = False
            continue
        try:
            results[at] = _result(store, reply)
        except AgentMemoryError as error:
            failed = failed or error
    if failed is not None:
        raise failed
    if not only_looking:
        ok(replies[-1])  # once the index is made again, it holds what was stored now too


def _probe(store: Store, entry: Entry) -> Command:
    """A search that finds nothing: it notices what storing alone does not.

    The index is gone, or somebody has made it anew for vectors of another length.
    """
    return asks(
        *("FT.SEARCH", store.index_name, "(@user:{nobody})=>[KNN 1 @embedding $vector]"),
        *("PARAMS", 2, "vector", entry.embedding.tobytes(), "LIMIT", 0, 0, "DIALECT", 2),
    )


def _result(store: Store, reply: Any) -> RememberResult:
    if isinstance(reply, StoreError) and "FILLING" in str(reply):
        raise IndexFillingError(str(reply)) from reply
    if isinstance(reply, StoreError) and "TAKEN" in str(reply):
        raise InvalidInputError("The id belongs to a memory of another user, namespace or kind.") from reply
    deduped, key, distance = ok(reply)
    known = memory_id(key, store.keys.memory_prefix)
    return RememberResult(known, bool(deduped), max(float(distance), 0.0) if distance else None)


def _remember_locked(store: Store, entry: Entry, threshold: float | None) -> Op[RememberResult]:
    """The same in several round trips, under a lock that all writers of the scope wait for.

    Also what only replaces waits for it: else it could change a memory that another writer has just
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
        if threshold is None:
            reply, state = yield [entry.call(store, "", 0.0), _probe(store, entry)]
            result = _result(store, reply)
            ok(state)
        else:
            result = yield from _find_or_store(store, entry, threshold)
    except AgentMemoryError:
        yield [_RELEASE.call([lock], token)]
        raise
    yield [_RELEASE.call([lock], token)]
    return result


def _find_or_store(store: Store, entry: Entry, threshold: float) -> Op[RememberResult]:
    scope, vector = condition(entry.draft.scope), entry.embedding.tobytes()
    refused: set[bytes] = set()  # what cannot be read, is of another scope, or has vanished meanwhile
    while True:
        k = 2 + len(refused)
        found = yield from alive(store.nearest(scope, vector, k))
        others = [(key, fields) for key, fields in found if key not in refused and fields is not None]
        if not others and len(found) == k:
            refused.update(key for key, _ in found)
            continue
        distance = max(float(others[0][1][b"distance"]), 0.0) if others else None
        if distance is None or distance > threshold + store.tolerance:
            (reply,) = yield [entry.call(store, "", 0.0)]
            return replace(_result(store, reply), existing_distance=distance)
        key = others[0][0]
        known = memory_id(key, store.keys.memory_prefix)
        renew = _RENEW.call([key], store.storage, entry.life, *entry.draft.scope.tags())
        if (yield from call(renew)):
            return RememberResult(known, True, distance)
        refused.add(key)
