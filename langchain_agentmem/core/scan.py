"""Visiting every key under a prefix, with SCAN."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from langchain_agentmem.core.keys import glob
from langchain_agentmem.core.operations import Op, asks, call


def scan(prefix: str, kind: str | None, visit: Callable[[list[bytes]], Op[bool]]) -> Op[None]:
    """Visit the keys of a Redis type (or of any) under a prefix, a page at a time, until a visit is true.

    A key is visited once, however often SCAN names it. One round trip per page of about 1,000 keys of the
    whole database, besides what the visits cost.

    Args:
        prefix: What the keys begin with.
        kind: Their Redis type; `None` for any.
        visit: Called with the keys of a page; returns whether no more are wanted.
    """
    cursor: Any = 0
    seen: set[bytes] = set()
    of_kind = () if kind is None else ("TYPE", kind)
    while True:
        page = yield from call(asks("SCAN", cursor, "MATCH", glob(prefix), "COUNT", 1000, *of_kind))
        cursor, keys = int(page[0]), [key for key in page[1] if key not in seen]
        seen.update(keys)
        if (keys and (yield from visit(keys))) or cursor == 0:
            return


def keys_under(prefix: str, kind: str | None) -> Op[list[bytes]]:
    """Return all keys of a Redis type (or of any) under a prefix. One round trip per page, as `scan`."""
    found: list[bytes] = []

    def visit(page: list[bytes]) -> Op[bool]:
        yield from ()
        found.extend(page)
        return False

    yield from scan(prefix, kind, visit)
    return found
