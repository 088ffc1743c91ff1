"""The rebuilding of the index over existing memories, other programs' among them."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from langchain_agentmem.core.operations import Command, Op, ok
from langchain_agentmem.core.scan import scan
from langchain_agentmem.core.scripts import load
from langchain_agentmem.errors import StoreError
from langchain_agentmem.longterm.redisearch.document import (
    REDIS_TYPES,
    decode,
    fields_of,
    id_of,
    raw_scope,
)
from langchain_agentmem.longterm.redisearch.index import MemoryIndex
from langchain_agentmem.longterm.redisearch.queries import Store, read
from langchain_agentmem.longterm.types import RebuiltIndex, UnreadableDocument, report_unreadable

_RETAG = load(__package__, "retag")


def rebuild(store: Store, index: MemoryIndex, dimensions: int) -> Op[RebuiltIndex]:
    """Recreate the index. Two or three round trips per 1,000 keys of the database, and a few more.

    Args:
        store: Where the memories are.
        index: Their index.
        dimensions: The length of its vectors.

    Raises:
        IndexMismatchError: The index is over other documents; nothing was changed.
        StoreTimeoutError: The server takes more than ten minutes; it goes on.
    """
    yield from index.check_place()
    unreadable, rewritten = yield from _rewrite(store)
    state = yield from index.rebuild(dimensions)
    return RebuiltIndex(state.documents, state.failures, unreadable, rewritten)


def _rewrite(store: Store) -> Op[tuple[int, int]]:
    """Rewrite scope values as the index wants them; return how many are no memories, and were rewritten."""
    unreadable = rewritten = 0

    def visit(keys: list[bytes]) -> Op[bool]:
        nonlocal unreadable, rewritten
        replies = yield [read(store, key) for key in keys]
        calls: list[Command] = []
        for key, reply in zip(keys, replies, strict=True):
            try:
                fields = fields_of(ok(reply))
                if not fields:
                    continue  # gone meanwhile
                changed, exact = raw_scope(fields)
                if changed:
                    calls.append(_retag(store, key, changed, exact))
                    fields = {**fields, **{name.encode(): tag.encode() for name, (_, tag) in changed.items()}}
                    fields[b"exact"] = orjson.dumps(exact)
                decode(id_of(key, store.keys.memory_prefix), fields)
            except (UnreadableDocument, StoreError) as error:
                unreadable += 1
                report_unreadable(key, error)
        if calls:
            rewritten += sum([int(ok(reply)) for reply in (yield calls)])
        return False

    yield from scan(store.keys.memory_prefix, REDIS_TYPES[store.storage], visit)
    return unreadable, rewritten


def _retag(
    store: Store, key: bytes, changed: Mapping[str, tuple[str, str]], exact: Mapping[str, str]
) -> Command:
    arguments = [part for name, (value, tag) in changed.items() for part in (name, value, tag)]
    return _RETAG.call([key], store.storage, orjson.dumps(exact), *arguments)
