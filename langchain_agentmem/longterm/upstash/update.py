"""The change of a memory in place on Upstash. No I/O."""

from __future__ import annotations

import time

import orjson

from langchain_agentmem.core.operations import Op, call, reads
from langchain_agentmem.core.scripts import together
from langchain_agentmem.longterm.digest import digest
from langchain_agentmem.longterm.types import Refusal, Scope, UpdateDraft
from langchain_agentmem.longterm.upstash.document import NAMESPACE, memory_id
from langchain_agentmem.longterm.upstash.queries import UpstashStore, readable

_UPDATE = together(("langchain_agentmem.longterm", "extend"), (__package__, "seen"), (__package__, "update"))
_CHANGED_MEANWHILE = 2
_REFUSALS: dict[int, Refusal] = {0: "missing", 3: "text_changed"}


def change(store: UpstashStore, update: UpdateDraft) -> Op[Refusal | None]:
    """Change a memory; return why that cannot be, `None` if it is done.

    Two round trips: its scope is read, on which its digest depends, and it is changed in one atomic step.

    Raises:
        StoreError: The document is no memory.
        WrongKeyTypeError: The key holds something else.
    """
    key = store.keys.upstash_memory(update.id)
    done = _CHANGED_MEANWHILE
    while done == _CHANGED_MEANWHILE:
        reply = yield from call(reads("JSON.GET", key, "$"))
        if reply is None:
            return "missing"
        record, document = readable(key, update.id, reply)
        if update.user not in (None, record.user):
            return "missing"
        if record.superseded_by is not None:
            return "superseded"
        before = document.get("same")
        before = before if isinstance(before, str) else ""
        said = (
            None
            if update.text is None
            else digest(store.rule, Scope(record.user, NAMESPACE, record.kind), update.text)
        )
        after = before if update.text is None else said or ""
        done = yield from call(
            _UPDATE.call(
                [key, *(store.keys.upstash_same(record.user, same) for same in (before, after))],
                *(before, after, "1" if update.id == memory_id(record.user, after) else ""),
                "" if update.text is None else orjson.dumps(update.text),
                "" if update.metadata is None else orjson.dumps(update.metadata.decode()),
                *("", "1") if update.ttl_seconds is ... else (update.ttl_seconds or "", ""),
                int(time.time() * 1000),
                *("" if update.if_text is None else "1", update.if_text or "", update.text or ""),
            )
        )
    return _REFUSALS.get(int(done))
