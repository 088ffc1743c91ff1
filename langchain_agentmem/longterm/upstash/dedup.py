"""The writes on Upstash, which skip duplicates: what says the same is found by its digest, without search."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_agentmem.core.operations import Argument, Command, Op, gather, ok, text
from langchain_agentmem.core.scripts import Script, together
from langchain_agentmem.errors import InvalidInputError, SearchUnavailableError, StoreError
from langchain_agentmem.longterm.digest import digest
from langchain_agentmem.longterm.types import Draft, MemoryRecord, RememberResult
from langchain_agentmem.longterm.upstash.document import encode, memory_id
from langchain_agentmem.longterm.upstash.queries import UpstashStore, condition

_SAME = (("langchain_agentmem.longterm", "extend"), (__package__, "seen"), (__package__, "same"))
_REMEMBER = together(*_SAME, (__package__, "remember"))
_NEAR = together(*_SAME, (__package__, "alike"), (__package__, "near"))
_NEAR_FOUND = together(*_SAME, (__package__, "alike"), (__package__, "near_found"))
_REFUSED = re.compile("not (allowed|available|supported)|unknown (redis )?command", re.IGNORECASE)
_POINTS_ELSEWHERE = 2  # what a script replies that has to be passed the memory to which a pointer leads

_Write = tuple[Draft, Mapping[str, str]]  # what is to be stored, and the memories that may say the same


def remember(
    store: UpstashStore, drafts: Sequence[Draft], known: Sequence[MemoryRecord] = (), *, counts: bool = True
) -> Op[list[RememberResult]]:
    """Store memories in their order; skip duplicates. One script each, all in one round trip.

    One round trip more if the memory that says the same was updated, or one was superseded before. With
    `dedup="near"`, two where the server allows no search in a script, and then only what says the same is
    guarded against writers at the same time. The first write over a connection creates a missing index.

    Args:
        store: Where they go.
        drafts: The memories.
        known: Memories that were just recalled; those without a digest get it if they say the same.
        counts: Whether a duplicate counts as seen, and has its TTL extended.

    Raises:
        InvalidInputError: A memory that is to be replaced is of another user. Of several drafts, others may
            be stored.
        IndexMismatchError: The index has another schema. The memories are stored.
    """
    if not drafts:
        return []
    ready, results = yield from gather([store.index.ready(), _remember(store, drafts, known, counts)])
    stored: list[RememberResult] = ok(results)
    ok(ready)
    return stored


def _remember(
    store: UpstashStore, drafts: Sequence[Draft], known: Sequence[MemoryRecord], counts: bool
) -> Op[list[RememberResult]]:
    may_be_same = [_saying_the_same(store, draft, known) for draft in drafts]
    results: list[RememberResult | None] = [None] * len(drafts)
    while waiting := [at for at, result in enumerate(results) if result is None]:
        replies = yield from _send(store, [(drafts[at], may_be_same[at]) for at in waiting], counts)
        for reply in replies:
            if isinstance(reply, Exception):
                yield from _raise(store, reply)
        for at, reply in zip(waiting, replies, strict=True):
            if reply[0] == _POINTS_ELSEWHERE:
                may_be_same[at] = {text(reply[1]): "", **may_be_same[at]}
            else:
                results[at] = _result(store, drafts[at], *reply)
    return [result for result in results if result is not None]


def _saying_the_same(store: UpstashStore, draft: Draft, known: Sequence[MemoryRecord]) -> dict[str, str]:
    """Return the keys of known memories that say the same as a draft, with the texts that say so."""
    same = _digest(store, draft)
    return {
        store.keys.upstash_memory(record.id): record.text
        for record in known
        if same is not None
        and not draft.overwrites
        and record in draft.scope
        and record.id != memory_id(draft.user, same)
        and digest(store.rule, draft.scope, record.text) == same
    }


def _digest(store: UpstashStore, draft: Draft) -> str | None:
    """Return the digest of a draft; one that is compared by nearness has that of what says the same, too."""
    return digest(store.rule, draft.scope, draft.text) if draft.by_nearness else draft.digest


def _send(store: UpstashStore, writes: Sequence[_Write], counts: bool) -> Op[list[Any]]:
    """Return what the scripts reply."""
    if store.dedup_score is None or not any(draft.by_nearness for draft, _ in writes):
        replies: list[Any] = yield [_call(store, _REMEMBER, write, counts) for write in writes]
        return replies
    replies = [None] * len(writes)
    if store.index.knowledge.searches_in_scripts:
        score = repr(store.dedup_score)
        replies = yield [
            _call(store, _NEAR, write, counts, (store.index.name, _text_of(write), score)) for write in writes
        ]
    refused = [at for at, reply in enumerate(replies) if reply is None or _no_search_in_scripts(reply)]
    if refused:
        store.index.knowledge.searches_in_scripts = False
        again = yield from _find_and_send(store, [writes[at] for at in refused], counts)
        for at, reply in zip(refused, again, strict=True):
            replies[at] = reply
    return replies


def _find_and_send(store: UpstashStore, writes: Sequence[_Write], counts: bool) -> Op[list[Any]]:
    found = yield [store.query(_text_of(write), "LIMIT", 1, "NOCONTENT") for write in writes]
    calls = []
    for write, rows in zip(writes, found, strict=True):
        if isinstance(rows, Exception):
            yield from store.index.explain(rows)
        near = [key for key, score, *_ in rows or () if float(text(score)) > (store.dedup_score or 0)]
        calls.append(_call(store, _NEAR_FOUND, write, counts, ("1" if near else "", "", ""), near))
    replies: list[Any] = yield calls
    return replies


def _text_of(write: _Write) -> str:
    return condition(write[0].scope, write[0].text)


def _call(
    store: UpstashStore,
    script: Script,
    write: _Write,
    counts: bool,
    look: Sequence[Argument] = ("", "", ""),
    found: Sequence[Argument] = (),
) -> Command:
    draft, may_be_same = write
    keys = store.keys
    same = _digest(store, draft)
    return script.call(
        [
            keys.upstash_memory(memory_id(draft.user, same or draft.id)),
            keys.upstash_same(draft.user, same or draft.id),
            keys.upstash_memory(memory_id(draft.user, draft.id if draft.overwrites else uuid.uuid4().hex)),
            *([] if draft.replaces is None else [keys.upstash_memory(draft.replaces)]),
            *may_be_same,
            *found,
        ],
        "" if draft.ttl_seconds is None else str(draft.ttl_seconds),
        encode(draft, time.time()),
        same or "",
        "new" if draft.overwrites else "count" if counts else "leave",
        "" if draft.replaces is None else "1",
        len(store.prefix.encode()),
        *look,
        *may_be_same.values(),
    )


def _no_search_in_scripts(reply: Any) -> bool:
    return isinstance(reply, SearchUnavailableError) or (
        isinstance(reply, StoreError) and _REFUSED.search(str(reply)) is not None
    )


def _result(store: UpstashStore, draft: Draft, known: int, key: Any, replaced: int) -> RememberResult:
    memory = text(key)[len(store.prefix) :]
    return RememberResult(memory, bool(known), replaced=draft.replaces if replaced else None)


def _raise(store: UpstashStore, refusal: Exception) -> Op[None]:
    if "SCOPE the memory" in str(refusal):
        raise InvalidInputError("replaces names a memory of another user; nothing was stored.") from refusal
    yield from store.index.explain(refusal)
