"""What long-term memory hands out: a memory, and what became of a text that was to be remembered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class MemoryRecord:
    """One memory.

    Attributes:
        id: What `get` and `delete_memory` know it by.
        text: The memory itself.
        user: Whose it is.
        namespace: The part of the user's memories it belongs to.
        kind: Its kind, such as `episodic` or `semantic`.
        source_thread: The thread it was learnt in; empty if none was given.
        created_ts: When it was stored by the server's clock, in epoch seconds, to 10 ms; on Upstash, by
            the writer's clock, to a millisecond.
        hit_count: How often it was learnt again.
        metadata: What the caller stored with it.
        distance: The cosine distance from the query, from 0 (same direction) to 2; `None` if nothing
            was searched for, and on Upstash.
        score: The same as a similarity: `1 - distance / 2`, from 0 to 1 (the same); on Upstash, the
            relevance less what age costs, without an upper end.
        ttl_seconds: How long it will live; `None` for ever. Only `get` and `list_memories` know it, in
            the results of a search it is always `None`.
        document_id: The id a vector store gave it; `None` for other memories.
    """

    id: str
    text: str
    user: str
    namespace: str
    kind: str
    source_thread: str = ""
    created_ts: float = 0.0
    hit_count: int = 0
    metadata: dict[str, Any] = field(default_factory=dict)
    distance: float | None = None
    score: float | None = None
    ttl_seconds: int | None = None
    document_id: str | None = None


@dataclass(frozen=True, slots=True)
class RememberResult:
    """What became of a text that was to be remembered.

    Attributes:
        id: The memory that holds it now: a new one, or the one that was known already.
        deduped: Whether it was known already.
        existing_distance: The distance of the nearest memory of the same user, namespace and kind that
            was there before; `None` if there was none, or if none was looked for because the id was given.
    """

    id: str
    deduped: bool
    existing_distance: float | None
