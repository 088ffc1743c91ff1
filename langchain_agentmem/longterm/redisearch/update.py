"""The change of a memory in place."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast

from langchain_agentmem.core.operations import Command, Op, call, text
from langchain_agentmem.core.scripts import together
from langchain_agentmem.errors import StoreError
from langchain_agentmem.longterm.redisearch import write_calls
from langchain_agentmem.longterm.redisearch.document import changes
from langchain_agentmem.longterm.redisearch.queries import Store, get
from langchain_agentmem.longterm.types import Refusal, Scope, UpdateDraft

_UPDATE = together(
    *(("langchain_agentmem.longterm", "extend"), (__package__, "seen"), (__package__, "put")),
    (__package__, "update"),
)


def update(
    store: Store, change: UpdateDraft, embedding: Any, digest: Callable[[Scope, str], str | None]
) -> Op[Refusal | None]:
    """Change a memory; return why that cannot be, `None` if it is done.

    One round trip. With a text, one more to learn its scope, and one for the pointer by which it is found
    to be known.

    Args:
        store: Where it is.
        change: What changes.
        embedding: The new text's vector, of length one, in the index's number format; `None` without a text.
        digest: What all texts of a scope have in common that say the same.

    Raises:
        StoreError: What is stored there is no memory.
    """
    scope, same = Scope.of_any(change.user, None, None), ""
    if change.text is not None:
        (record,) = yield from get(store, [change.id], scope)
        if record is None:
            return "missing"
        scope = Scope(record.user, record.namespace, record.kind)
        same = digest(scope, change.text) or ""
    (reply,) = yield [_call(store, change, scope, embedding, same)]
    what, *rest = write_calls.done(reply)
    if what == b"unreadable":
        raise StoreError(f"The document at {store.keys.memory(change.id)!r} is no memory.")
    if what != b"updated":
        return cast("Refusal", text(what))
    ttl, digest_now, lost = rest
    if lost:
        yield write_calls.drop_pointers(store, lost, change.id)
    stands_elsewhere = re.fullmatch(rb"[0-9a-f]{32}", digest_now) and digest_now.decode() != change.id
    if stands_elsewhere and (change.text is not None or change.ttl_seconds is not ...):
        ttl_ms = "" if ttl < 0 else str(ttl)
        yield from call(write_calls.point(store, scope, digest_now.decode(), change.id, ttl_ms))
    return None


def _call(store: Store, change: UpdateDraft, scope: Scope, embedding: Any, same: str) -> Command:
    ttl = change.ttl_seconds
    return _UPDATE.call(
        [store.keys.memory(change.id)],
        *(store.storage, *scope.tags(), "keep" if ttl is ... else "" if ttl is None else str(ttl)),
        "" if change.text is None else same or "-",
        *("" if change.if_text is None else "1", change.if_text or "", change.text or ""),
        *changes(store.storage, text=change.text, embedding=embedding, metadata=change.metadata),
    )
