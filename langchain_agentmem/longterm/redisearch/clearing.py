"""Deletion of memories: by the search index where it is certain to name them all, else key by key.

An index that is missing, is being backfilled, has another schema, is another program's, or has refused
documents does not name every memory. Then every key under the prefix is looked at, so that what is
forgotten is gone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from typing import Any

from langchain_agentmem.core.keys import same_prefix
from langchain_agentmem.core.operations import Command, Op, call, gather, ok, reads, writes
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
    places: Sequence[tuple[Store, IndexSettings]], scope: Scope, *, thorough: bool = False
) -> Op[Removed]:
    """Delete every memory of a scope, indexed or not.

    One round trip, and one more per 1,000 memories; where the index may not name them all, or with
    `thorough`, also two per page of about 1,000 keys of the database.

    Args:
        places: Where they are: one place, or each partition. Each with the schema that its index has to have
            to be trusted.
        scope: Whose, in which namespace, of which kind.
        thorough: Look at every key under the prefix in any case.
    """
    removed = Removed()
    replies = yield from gather(_clear_indexed(*place, scope, removed) for place in places)
    rest: list[Store] = []
    for (store, _), reply in zip(places, replies, strict=True):
        if isinstance(reply, SearchUnavailableError) and thorough:
            rest.append(store)  # Hashes may be there from a server that had Search
        elif not ok(reply) or thorough:
            rest.append(store)
        store.knowledge.sizes.forget()
    if rest:
        yield from _clear_scanned(rest, scope, removed)
    return removed


def count_scope(
    places: Sequence[tuple[Store, IndexSettings]], scope: Scope, *, thorough: bool = False
) -> Op[Removed]:
    """Count the memories that `clear_scope` would delete, at about the same cost; nothing is deleted.

    Args:
        places: Where they are: one place, or each partition. Each with the schema that its index has to have
            to be trusted.
        scope: Whose, in which namespace, of which kind.
        thorough: Look at every key under the prefix in any case.
    """
    removed = Removed(dry_run=True)
    replies = yield from gather(_count_indexed(*place, scope, removed, thorough) for place in places)
    rest = [store for (store, _), reply in zip(places, replies, strict=True) if not ok(reply)]
    if rest:
        yield from _clear_scanned(rest, scope, removed)
    return removed


def _count_indexed(
    store: Store, settings: IndexSettings, scope: Scope, removed: Removed, thorough: bool
) -> Op[bool]:
    """Count what the index names; return whether it is certain to have named every memory."""
    found = None if thorough else (yield from _search(store, settings, scope, MAX_ROWS))[1]
    if found is None or len(found) == MAX_ROWS:
        return False
    for start in range(0, len(found), _PAGE):
        page = found[start : start + _PAGE]
        replies = yield [_forget(key, store.storage, scope, removed=removed) for key in page]
        removed.count += sum(int(reply) for _, reply in removed.answered(page, replies))
    return True


def clear_prefix(stores: Sequence[Store]) -> Op[Removed]:
    """Delete every document under the prefix, indexed or not; return how many.

    Two round trips per page of about 1,000 keys of the whole database.

    Args:
        stores: Where they are: one place, or each partition.
    """
    removed = Removed()

    def delete_page(store: Store, keys: list[bytes]) -> Op[None]:
        deleted = yield from call(Command(("UNLINK", *keys), tuple(keys)))
        removed.count += int(deleted)

    yield from visit_memories(stores, REDIS_TYPES[stores[0].storage], delete_page)
    yield from _sweep_pointers(stores, every=True)
    for store in stores:
        store.knowledge.sizes.forget()
    return removed


def visit_memories(
    stores: Sequence[Store], kind: str | None, visit: Callable[[Store, list[bytes]], Op[None]]
) -> Op[None]:
    """Visit the keys of memories, a page at a time, in one scan for all partitions.

    One round trip per page of about 1,000 keys of the whole database, besides what the visits cost: those of
    a page's partitions are side by side.

    Args:
        stores: Where they are: one place, or several partitions.
        kind: Their Redis type; `None` for any.
        visit: Called with the keys of a page that are in one place.
    """
    yield from _visit({store.keys.memory_prefix: store for store in stores}, kind, visit)


def _until_tag(prefix: str) -> str:
    """Return what a prefix has in common with those of other partitions."""
    return prefix[: prefix.index("{") + 1]


def _visit(
    stores: dict[str, Store], kind: str | None, visit: Callable[[Store, list[bytes]], Op[None]]
) -> Op[None]:
    """Visit the keys that begin as one of some places' do."""
    if len(stores) == 1:
        ((prefix, only),) = stores.items()

        def visit_all(keys: list[bytes]) -> Op[bool]:
            yield from visit(only, keys)
            return False

        yield from scan(prefix, kind, visit_all)
        return
    common = _until_tag(next(iter(stores)))
    by_prefix = {prefix.encode(): store for prefix, store in stores.items()}

    def visit_each(keys: list[bytes]) -> Op[bool]:
        found: dict[bytes, list[bytes]] = {}
        for key in keys:
            prefix = key[: key.find(b"}:", len(common.encode())) + 2]  # behind the hash tag
            if prefix in by_prefix:
                found.setdefault(prefix, []).append(key)
        for reply in (yield from gather(visit(by_prefix[one], keys) for one, keys in found.items())):
            ok(reply)
        return False

    yield from scan(common, kind, visit_each)


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


def _sweep_pointers(stores: Sequence[Store], *, every: bool = False) -> Op[None]:
    """Delete the pointers that lead nowhere, or every one. Three round trips per page of the database."""

    def visit(store: Store, keys: list[bytes]) -> Op[None]:
        prefix = same_prefix(store.keys.memory_prefix)
        page = [key for key in keys if _POINTED.fullmatch(key, len(prefix.encode()))]
        if every and page:
            yield [writes("UNLINK", key) for key in page]
            return
        ids = (yield [reads("GET", key) for key in page]) if page else []
        led = [(key, one.decode()) for key, one in zip(page, ids, strict=True) if isinstance(one, bytes)]
        there = (yield [reads("EXISTS", store.keys.memory(one)) for _, one in led]) if led else []
        lost = [pair for pair, is_there in zip(led, there, strict=True) if is_there == 0]
        if lost:
            yield [write_calls.release(key, one) for key, one in lost]

    yield from _visit({same_prefix(one.keys.memory_prefix): one for one in stores}, "string", visit)


def every_id(stores: Sequence[Store]) -> Op[list[tuple[Store, str]]]:
    """Return the ids of all memories, and where each is. One round trip per page of about 1,000 keys."""
    found: list[tuple[Store, str]] = []

    def visit(store: Store, keys: list[bytes]) -> Op[None]:
        yield from ()
        found.extend((store, id_of(key, store.keys.memory_prefix)) for key in keys)

    yield from visit_memories(stores, REDIS_TYPES[stores[0].storage], visit)
    return found


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


def _clear_scanned(stores: Sequence[Store], scope: Scope, removed: Removed) -> Op[None]:
    nameless = 0

    def visit(store: Store, page: list[bytes]) -> Op[None]:
        nonlocal nameless
        replies = yield [_forget(key, "", scope, removed=removed) for key in page]
        replies = yield from _with_pointers(store, page, replies, "", scope)
        answers = [int(reply) for _, reply in removed.answered(page, replies)]
        removed.count += answers.count(1)
        nameless += answers.count(-1)

    yield from visit_memories(stores, None, visit)
    if not removed.dry_run:
        yield from _sweep_pointers(stores)
    if nameless:
        prefix = stores[0].keys.memory_prefix
        prefix = prefix if len(stores) == 1 else _until_tag(prefix)
        removed.unreached.append(f"{nameless} documents under {prefix!r} do not say whose they are")


def _search(
    store: Store, settings: IndexSettings, scope: Scope, limit: int, first: Sequence[Command] = ()
) -> Op[tuple[list[Any], list[bytes] | None]]:
    """Search behind some other commands, in one round trip.

    Returns:
        The replies to those commands, and the keys that were found: `None` if the index may not name every
        memory, be it only before or after the search.
    """
    info = reads("FT.INFO", store.index_name)
    search = reads(
        *("FT.SEARCH", store.index_name, condition(scope), "NOCONTENT", "LIMIT", 0, limit),
        *("TIMEOUT", store.search_timeout_ms, "DIALECT", 2),
    )
    incomplete, (before, found, after), replies = yield from store.ask([info, search, info], first)
    if incomplete or not all(_names_all(one, settings) for one in (before, after)):
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
