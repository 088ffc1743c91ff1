"""The rebuilding of the index over existing memories, other programs' among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import orjson

from langchain_agentmem.core.operations import Command, Op, gather, ok
from langchain_agentmem.core.scripts import load
from langchain_agentmem.errors import StoreError
from langchain_agentmem.longterm.redisearch import write_calls
from langchain_agentmem.longterm.redisearch.clearing import visit_memories
from langchain_agentmem.longterm.redisearch.document import (
    REDIS_TYPES,
    decode,
    fields_of,
    id_of,
    raw_scope,
)
from langchain_agentmem.longterm.redisearch.index import MemoryIndex
from langchain_agentmem.longterm.redisearch.queries import Store, read
from langchain_agentmem.longterm.types import (
    MemoryRecord,
    RebuiltIndex,
    Scope,
    UnreadableDocument,
    report_unreadable,
)

_RETAG = load(__package__, "retag")


def rebuild(
    places: Sequence[tuple[Store, MemoryIndex]],
    dimensions: int,
    digest: Callable[[Scope, str], str | None],
) -> Op[RebuiltIndex]:
    """Recreate the index. Two to five round trips per 1,000 keys of the database, and a few more.

    Args:
        places: Where the memories are, with their index: one place, or each partition.
        dimensions: The length of its vectors.
        digest: What all texts of a scope have in common that say the same; `None` without such a rule.

    Raises:
        IndexMismatchError: The index is over other documents; nothing was changed.
        StoreTimeoutError: The server takes more than ten minutes; it goes on.
    """
    for reply in (yield from gather(index.check_place() for _, index in places)):
        ok(reply)
    counts = _Counts()

    def visit(store: Store, keys: list[bytes]) -> Op[None]:
        memories = yield from _rewrite(store, keys, counts)
        digested = yield from _digest(store, memories, digest)
        counts.digested += digested

    stores = [store for store, _ in places]
    yield from visit_memories(stores, REDIS_TYPES[stores[0].storage], visit)
    for reply in (yield from gather(index.recreate(dimensions) for _, index in places)):
        ok(reply)
    documents = failures = 0
    for _, index in places:  # in turn, because the server waits for one at a time
        state = yield from index.rebuilt(dimensions)
        documents, failures = documents + state.documents, failures + state.failures
    return RebuiltIndex(documents, failures, counts.unreadable, counts.rewritten, counts.digested)


@dataclass(slots=True)
class _Counts:
    unreadable: int = 0
    rewritten: int = 0
    digested: int = 0


def _rewrite(store: Store, keys: list[bytes], counts: _Counts) -> Op[list[tuple[MemoryRecord, str]]]:
    """Rewrite scope values as the index wants them; return the memories, and the digest that each names."""
    replies = yield [read(store, key) for key in keys]
    calls: list[Command] = []
    memories: list[tuple[MemoryRecord, str]] = []
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
            record = decode(id_of(key, store.keys.memory_prefix), fields)
            named = fields.get(b"same", record.id.encode()).decode().partition(" ")[0]
            memories.append((record, named))
        except (UnreadableDocument, StoreError, UnicodeDecodeError) as error:
            counts.unreadable += 1
            report_unreadable(key, error)
    if calls:
        replies = yield calls
        counts.rewritten += sum(int(ok(reply)) for reply in replies)
    return memories


def _digest(
    store: Store, memories: list[tuple[MemoryRecord, str]], digest: Callable[[Scope, str], str | None]
) -> Op[int]:
    """Give memories the digest they stand for, if they lack it; return how many got it.

    Of several that say the same, the one that is met first is found to be known.
    """
    lacking: list[tuple[MemoryRecord, Scope, str]] = []
    for record, named in memories:
        scope = Scope(record.user, record.namespace, record.kind)
        wanted = digest(scope, record.text)
        if wanted not in (None, named) and record.superseded_by is None:
            lacking.append((record, scope, str(wanted)))
    if not lacking:
        return 0
    replies = yield [
        write_calls.adopt(store, scope, record.id, wanted, record.text) for record, scope, wanted in lacking
    ]
    adopted = 0
    later: list[Command] = []
    for (record, scope, wanted), reply in zip(lacking, replies, strict=True):
        renewed = write_calls.renewed(reply)
        if renewed is not None and renewed.adopted:
            adopted += 1
            later.append(write_calls.point(store, scope, wanted, record.id, renewed.ttl_ms))
    for reply in (yield later) if later else []:
        ok(reply)
    return adopted


def _retag(
    store: Store, key: bytes, changed: Mapping[str, tuple[str, str]], exact: Mapping[str, str]
) -> Command:
    arguments = [part for name, (value, tag) in changed.items() for part in (name, value, tag)]
    return _RETAG.call([key], store.storage, orjson.dumps(exact), *arguments)
