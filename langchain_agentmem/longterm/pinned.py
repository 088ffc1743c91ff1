"""Memories of the kinds that are always given to a model, whatever is said: who the user is, above all."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from langchain_agentmem.core.operations import Op, gather, late, ok
from langchain_agentmem.longterm.types import Listing, MemoryRecord

if TYPE_CHECKING:
    from langchain_agentmem.longterm.long_term_memory import BaseLongTermMemory

MAX_PINNED = 20
"""How many memories of each kind are given at most."""

PINNED_BYTES = 8_192
"""How many bytes their texts have at most, taken together: about 2,000 tokens, in every request."""


def pinned_op(
    long_term: BaseLongTermMemory,
    kinds: Sequence[str],
    *,
    user: str,
    namespace: str,
    text: str = "",
    embedding: Any = None,
) -> Op[list[MemoryRecord]]:
    """Return the memories of kinds that are always given; of many, those nearest to a text.

    A memory that would exceed `PINNED_BYTES` is left out. They come by kind and age, so that a prompt begins
    alike in each turn, and can be cached. One round trip; one more if there is no vector to look for them by.

    Args:
        long_term: Where they are.
        kinds: The kinds.
        user: Whose memories.
        namespace: In which namespace.
        text: What is said.
        embedding: Its vector; `None` for none, and then of many the newest are returned.
    """

    def of_kind(kind: str) -> Op[list[MemoryRecord]]:
        if embedding is None:
            scope = long_term.search(user, namespace, {"kind": kind}).scope
            return long_term.list_op(Listing(scope, limit=MAX_PINNED))
        return long_term.recall_op(
            text,
            user=user,
            namespace=namespace,
            kind=kind,
            k=MAX_PINNED,
            mode="vector",
            distance_threshold=None,
            embedding=embedding,
        )

    found = yield from gather([late(partial(of_kind, kind)) for kind in kinds])
    chosen = _bounded([record for records in found for record in ok(records)])
    return sorted(chosen, key=lambda record: (kinds.index(record.kind), record.created_ts, record.id))


def _bounded(records: Sequence[MemoryRecord]) -> list[MemoryRecord]:
    kept, size = [], 0
    for record in records:
        more = len(record.text.encode(errors="replace"))
        if size + more <= PINNED_BYTES:
            kept.append(record)
            size += more
    return kept
