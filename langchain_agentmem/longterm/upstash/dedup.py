"""The writes on Upstash, which skip duplicates: in one script, or in two steps where it may not search."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any

from langchain_agentmem.core.operations import Argument, Command, Op, text
from langchain_agentmem.core.scripts import together
from langchain_agentmem.errors import SearchUnavailableError, StoreError
from langchain_agentmem.longterm.types import Draft, RememberResult
from langchain_agentmem.longterm.upstash.document import encode, memory_id
from langchain_agentmem.longterm.upstash.queries import UpstashStore, condition

_SEEN = (("langchain_agentmem.longterm", "extend"), (__package__, "seen"))
_REMEMBER = together(*_SEEN, (__package__, "remember"))
_STORE = together(*_SEEN, (__package__, "store"))
_REFUSED = re.compile("not (allowed|available|supported)|unknown (redis )?command", re.IGNORECASE)


def remember(store: UpstashStore, drafts: Sequence[Draft]) -> Op[list[RememberResult]]:
    """Store memories in their order; skip duplicates. One script each, all in one round trip.

    Where the server allows no search in a script it is two round trips, and then only the same text is
    guarded against writers at the same time. A missing index is created, which is a round trip more.

    Raises:
        IndexMismatchError: The index has another schema. Of several memories, others may be stored.
    """
    if not drafts:
        return []
    replies: list[Any] = [None] * len(drafts)
    if store.index.knowledge.searches_in_scripts:
        replies = yield [_remember(store, draft) for draft in drafts]
    refused = [at for at, reply in enumerate(replies) if reply is None or _no_search_in_scripts(reply)]
    missing = False
    if refused:
        store.index.knowledge.searches_in_scripts = False
        again, missing = yield from _find_and_store(store, [drafts[at] for at in refused])
        for at, reply in zip(refused, again, strict=True):
            replies[at] = reply
    for reply in replies:
        if isinstance(reply, Exception):
            yield from _raise(store, reply)
    if missing or any(reply[2] for reply in replies):
        yield from store.index.ensure()
    return [RememberResult(text(key)[len(store.prefix) :], bool(seen), None) for seen, key, _ in replies]


def _remember(store: UpstashStore, draft: Draft) -> Command:
    score = "" if store.dedup_score is None else repr(store.dedup_score)
    look = (store.index.name, condition(draft.scope, draft.text), score)
    return _REMEMBER.call([store.keys.upstash_memory(memory_id(draft))], *_content(draft), *look)


def _content(draft: Draft) -> tuple[Argument, Argument]:
    return ("" if draft.ttl_seconds is None else str(draft.ttl_seconds), encode(draft, time.time()))


def _no_search_in_scripts(reply: Any) -> bool:
    return isinstance(reply, SearchUnavailableError) or (
        isinstance(reply, StoreError) and _REFUSED.search(str(reply)) is not None
    )


def _find_and_store(store: UpstashStore, drafts: list[Draft]) -> Op[tuple[list[Any], bool]]:
    """Return what the scripts reply, and whether there is no index."""
    found = yield [
        store.query(condition(draft.scope, draft.text), "LIMIT", 1, "NOCONTENT") for draft in drafts
    ]
    for rows in found:
        if isinstance(rows, Exception):
            yield from store.index.explain(rows)
    stored = yield [
        _STORE.call([store.keys.upstash_memory(memory_id(draft)), *_alike(store, rows)], *_content(draft))
        for draft, rows in zip(drafts, found, strict=True)
    ]
    return stored, None in found


def _alike(store: UpstashStore, rows: Any) -> list[Argument]:
    limit = float("inf") if store.dedup_score is None else store.dedup_score
    return [key for key, score, *_ in rows or () if float(text(score)) > limit]


def _raise(store: UpstashStore, refusal: Exception) -> Op[None]:
    if "TAKEN what" in str(refusal):
        raise StoreError(
            "The memory's key holds a document that is no memory: delete it, or choose another key_prefix."
        ) from refusal
    yield from store.index.explain(refusal)
