"""Deletion of memories: by the search index where it is certain to name them all, else key by key.

An index that is missing, is being backfilled, has another schema, is another program's, or has refused
documents does not name every memory. Then every key under the prefix is looked at, so that what is
forgotten is gone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from itertools import islice
from typing import Any

from langchain_agentmem.core.keys import same_prefix
from langchain_agentmem.core.operations import Command, Op, asks, call, ok, reads, writes
from langchain_agentmem.core.removal import Removed
from langchain_agentmem.core.scan import keys_under, scan
from langchain_agentmem.core.scripts import together
from langchain_agentmem.errors import IndexMismatchError, IndexMissingError, SearchUnavailableError
from langchain_agentmem.longterm.redisearch import write_calls
from langchain_agentmem.longterm.redisearch.document import REDIS_TYPES, id_of, raw_values
from langchain_agentmem.longterm.redisearch.filters import condition
from langchain_agentmem.longterm.redisearch.queries import MAX_ROWS, Store, row_keys
from langchain_agentmem.longterm.redisearch.schema import IndexSettings, IndexState
from langchain_agentmem.longterm.types import Scope

_PAGE = 1000
_FORGET = together(("langchain_agentmem.longterm", "extend"), (__package__, "seen"), (__package__, "forget"))
_MAX_REPEATS = 10
_POINTED = re.compile(rb"[0-9a-f]{32}\}?")  # a digest, behind the prefix of pointers


def delete(store: Store, ids: list[str], scope: Scope) -> Op[int]:
    """Delete memories by id, those in the scope only; return how many were deleted.

    One round trip, and one more if a pointer leads to one.

    Args:
        store: Where they are.
        ids: Their ids.
        scope: Whose, in which namespace, of which kind they have to be.

    Raises:
        WrongKeyTypeError: A key holds something else.
    """
    keys = [store.keys.memory(one).encode() for one in ids]
    replies = yield [_forget(key, store.storage, scope) for key in keys]
    replies = yield from _with_pointers(store, keys, replies, store.storage, scope)
    return sum(int(ok(reply)) for reply in replies)


def clear_scope(
    store: Store, settings: IndexSettings, scope: Scope, *, thorough: bool = False
) -> Op[Removed]:
    """Delete every memory of a scope, indexed or not.

    One round trip, and one more per 1,000 memories; where the index may not name them all, or with
    `thorough`, also two per page of about 1,000 keys of the database.

    Args:
        store: Where they are.
        settings: The schema that the index has to have to be trusted.
        scope: Whose, in which namespace, of which kind.
        thorough: Look at every key under the prefix in any case.
    """
    removed = Removed()
    try:
        named_all = yield from _clear_indexed(store, settings, scope, removed)
    except SearchUnavailableError:  # Hashes may be there from a server that had Search
        if not thorough:
            raise
        named_all = False
    if thorough or not named_all:
        yield from _clear_scanned(store, scope, removed)
    store.knowledge.sizes.forget()
    return removed


def count_scope(
    store: Store, settings: IndexSettings, scope: Scope, *, thorough: bool = False
) -> Op[Removed]:
    """Count the memories that `clear_scope` would delete, at about the same cost; nothing is deleted.

    Args:
        store: Where they are.
        settings: The schema that the index has to have to be trusted.
        scope: Whose, in which namespace, of which kind.
        thorough: Look at every key under the prefix in any case.
    """
    removed = Removed(dry_run=True)
    found = None if thorough else (yield from _search(store, settings, scope, MAX_ROWS))[1]
    if found is None or len(found) == MAX_ROWS:
        yield from _clear_scanned(store, scope, removed)
        return removed
    for start in range(0, len(found), _PAGE):
        page = found[start : start + _PAGE]
        replies = yield [_forget(key, store.storage, scope, removed=removed) for key in page]
        removed.count += sum(int(reply) for _, reply in removed.answered(page, replies))
    return removed


def clear_prefix(store: Store) -> Op[Removed]:
    """Delete every document under the prefix, indexed or not; return how many.

    Two round trips per page of about 1,000 keys of the whole database.
    """
    removed = Removed()

    def delete_page(keys: list[bytes]) -> Op[bool]:
        removed.count += int((yield from call(Command(("UNLINK", *keys), tuple(keys)))))
        return False

    yield from scan(store.keys.memory_prefix, REDIS_TYPES[store.storage], delete_page)
    yield from _sweep_pointers(store, every=True)
    store.knowledge.sizes.forget()
    return removed


def _forget(
    key: bytes, storage: str, scope: Scope, dropped: bytes = b"", *, removed: Removed | None = None
) -> Command:
    call = _FORGET.call if removed is None else partial(removed.call, _FORGET)
    return call([key], storage, *scope.tags(), dropped, *raw_values(scope))


def _with_pointers(
    store: Store, keys: Sequence[bytes], replies: Sequence[Any], storage: str, scope: Scope
) -> Op[list[Any]]:
    """Delete the memories that were not deleted because a pointer leads to each, and goes first.

    Args:
        store: Where they are.
        keys: The keys of memories.
        replies: The reply to the deletion of each.
        storage: As they were deleted with.
        scope: As they were deleted with.

    Returns:
        The last reply to the deletion of each: none says that a pointer is left.
    """
    replies = list(replies)
    for _ in range(_MAX_REPEATS):
        left = [(at, reply) for at, reply in enumerate(replies) if isinstance(reply, bytes)]
        if not left:
            break
        batches = [
            [
                *write_calls.drop_pointers(store, digests, id_of(keys[at], store.keys.memory_prefix)),
                _forget(keys[at], storage, scope, digests),
            ]
            for at, digests in left
        ]
        more = iter((yield [command for batch in batches for command in batch]))
        for (at, _), batch in zip(left, batches, strict=True):
            *dropped, reply = islice(more, len(batch))
            replies[at] = next((one for one in dropped if isinstance(one, Exception)), reply)
    return replies


def _sweep_pointers(store: Store, *, every: bool = False) -> Op[None]:
    """Delete the pointers that lead nowhere, or every one. Three round trips per page of the database."""
    prefix = same_prefix(store.keys.memory_prefix)

    def visit(keys: list[bytes]) -> Op[bool]:
        page = [key for key in keys if _POINTED.fullmatch(key, len(prefix.encode()))]
        if every and page:
            yield [writes("UNLINK", key) for key in page]
            return False
        ids = (yield [reads("GET", key) for key in page]) if page else []
        led = [(key, one.decode()) for key, one in zip(page, ids, strict=True) if isinstance(one, bytes)]
        there = (yield [reads("EXISTS", store.keys.memory(one)) for _, one in led]) if led else []
        lost = [pair for pair, is_there in zip(led, there, strict=True) if is_there == 0]
        if lost:
            yield [write_calls.release(key, one) for key, one in lost]
        return False

    yield from scan(prefix, "string", visit)


def scope_ids(store: Store, settings: IndexSettings, scope: Scope) -> Op[list[str]]:
    """Return the ids of a scope's memories, indexed or not.

    One round trip. For every user, and where the index may not name them all, one per page of about 1,000
    keys of the database; ids of other scopes are then among them.

    Args:
        store: Where they are.
        settings: The schema that the index has to have to be trusted.
        scope: Whose, in which namespace, of which kind.
    """
    found: list[bytes] | None = None
    if scope.user is not None:
        _, found = yield from _search(store, settings, scope, MAX_ROWS)
    if found is None or len(found) == MAX_ROWS:
        found = yield from keys_under(store.keys.memory_prefix, REDIS_TYPES[store.storage])
    return [id_of(key, store.keys.memory_prefix) for key in found]


def _clear_indexed(store: Store, settings: IndexSettings, scope: Scope, removed: Removed) -> Op[bool]:
    """Delete what the index names; return whether it is certain to have named every memory."""
    page = list[bytes]()
    left: set[bytes] = set()  # found, but not deleted: expired meanwhile, or of another scope after all
    stuck = 0
    while True:
        limit = _PAGE + stuck
        deletions = [_forget(key, store.storage, scope) for key in page]
        replies, found = yield from _search(store, settings, scope, limit, deletions)
        replies = yield from _with_pointers(store, page, replies, store.storage, scope)
        deleted = {key for key, reply in removed.answered(page, replies) if reply}
        removed.count += len(deleted)
        left.update(key for key in page if key not in deleted)
        if found is None:
            return False
        page = [key for key in found if key not in left and key not in deleted]
        if not page and len(found) < limit:
            return True
        stuck = len(found) - len(page)


def _clear_scanned(store: Store, scope: Scope, removed: Removed) -> Op[None]:
    nameless = 0

    def visit(page: list[bytes]) -> Op[bool]:
        nonlocal nameless
        replies = yield [_forget(key, "", scope, removed=removed) for key in page]
        replies = yield from _with_pointers(store, page, replies, "", scope)
        answers = [int(reply) for _, reply in removed.answered(page, replies)]
        removed.count += answers.count(1)
        nameless += answers.count(-1)
        return False

    yield from scan(store.keys.memory_prefix, None, visit)
    if not removed.dry_run:
        yield from _sweep_pointers(store)
    if nameless:
        prefix = store.keys.memory_prefix
        removed.unreached.append(f"{nameless} documents under {prefix!r} do not say whose they are")


def _search(
    store: Store, settings: IndexSettings, scope: Scope, limit: int, first: Sequence[Command] = ()
) -> Op[tuple[list[Any], list[bytes] | None]]:
    """Search behind some other commands, in one round trip.

    Returns:
        The replies to those commands, and the keys that were found: `None` if the index may not name every
        memory, be it only before or after the search.
    """
    info = asks("FT.INFO", store.index_name)
    search = asks(
        *("FT.SEARCH", store.index_name, condition(scope), "NOCONTENT", "LIMIT", 0, limit),
        *("TIMEOUT", store.search_timeout_ms, "DIALECT", 2),
    )
    *replies, incomplete, before, found, after = yield [
        *(*first, store.is_backfilling),
        *(info, search, info),
    ]
    if ok(incomplete) or not all(_names_all(one, settings) for one in (before, after)):
        return replies, None
    return replies, row_keys(ok(found))


def _names_all(info: Any, settings: IndexSettings) -> bool:
    if isinstance(info, IndexMissingError):
        return False
    state = IndexState.read(ok(info))
    try:
        state.check(settings, None)
    except IndexMismatchError:
        return False
    return state.is_exact and not state.indexing and state.failures == 0
