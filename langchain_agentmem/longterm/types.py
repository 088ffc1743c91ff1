"""What long-term memory takes and hands out: memories, scopes, drafts, and what became of them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from langchain_agentmem.core.checks import validate_id
from langchain_agentmem.core.keys import tag
from langchain_agentmem.core.operations import text

logger = logging.getLogger("langchain_agentmem.longterm")

Storage: TypeAlias = Literal["json", "hash"]
Mode: TypeAlias = Literal["vector", "text"]


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


@dataclass(frozen=True, slots=True)
class Scope:
    """A user, a namespace and a kind; `None` stands for every one."""

    user: str | None
    namespace: str | None
    kind: str | None

    @classmethod
    def of_user(cls, user: str, namespace: str | None, kind: str | None) -> Scope:
        """A scope inside one user's memories.

        Raises:
            InvalidInputError: The user is missing or empty, or a name is not usable.
        """
        return cls.of_any(validate_id("user", user), namespace, kind)

    @classmethod
    def of_any(cls, user: str | None, namespace: str | None, kind: str | None) -> Scope:
        """A scope that may span users.

        Raises:
            InvalidInputError: A name is not usable.
        """
        return cls(_name("user", user), _name("namespace", namespace), _name("kind", kind))

    def tags(self) -> tuple[str, str, str]:
        """User, namespace and kind as the index holds them; empty for every one."""
        return _tag(self.user), _tag(self.namespace), _tag(self.kind)

    def __contains__(self, record: MemoryRecord) -> bool:
        return (
            self.user in (None, record.user)
            and self.namespace in (None, record.namespace)
            and self.kind in (None, record.kind)
        )


def _name(field: str, value: str | None) -> str | None:
    return None if value is None else validate_id(field, value)


def _tag(value: str | None) -> str:
    return "" if value is None else tag(value)


@dataclass(frozen=True, slots=True)
class Search:
    """What to recall, except the vector or text it is ranked by.

    Attributes:
        scope: Whose memories, in which namespace, of which kind.
        k: How many at most.
        condition: On Redis, the condition of the search: the scope's, narrowed by the caller's filter.
        narrowed: On Upstash, the caller's filter.
        distance_threshold: Up to which cosine distance; `None` for any.
    """

    scope: Scope
    k: int
    condition: str = ""
    narrowed: dict[str, Any] | None = None
    distance_threshold: float | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """A memory that is to be stored, checked.

    Attributes:
        id: The one it gets if it is stored, and not known already.
        replaces: Whether it is stored in any case, in place of what has its id: the caller chose the id.
    """

    id: str
    text: str
    user: str
    namespace: str
    kind: str
    source_thread: str
    ttl_seconds: int | None
    metadata: bytes | None = None
    document_id: str | None = None
    replaces: bool = False

    @property
    def scope(self) -> Scope:
        """The scope the memory is in."""
        return Scope(self.user, self.namespace, self.kind)


@dataclass(frozen=True, slots=True)
class WriteBatch:
    """Memories that are stored in one round trip.

    Attributes:
        drafts: The memories.
        embeddings: One vector per draft; `None` if they have to be made yet.
    """

    drafts: Sequence[Draft]
    embeddings: Sequence[Sequence[float]] | None = None

    @property
    def texts(self) -> list[str]:
        """Return what has to be embedded."""
        return [draft.text for draft in self.drafts]


class UnreadableDocument(Exception):  # noqa: N818 - says what a stored document is, seen only inside
    """A stored document that is no memory; the message says why."""


def report_unreadable(key: bytes | str, error: Exception) -> None:
    """Say that a stored document was left out because it is no memory."""
    logger.warning("Left out the document at %r, which is no memory: %s", text(key), error)
