"""The types that long-term memory takes and returns: memories, scopes, drafts, and what became of them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

from langchain_agentmem.core.checks import validate_id
from langchain_agentmem.core.keys import tag
from langchain_agentmem.core.operations import text

if TYPE_CHECKING:
    from redisvl.query.filter import FilterExpression

logger = logging.getLogger("langchain_agentmem.longterm")

Storage: TypeAlias = Literal["json", "hash"]
Algorithm: TypeAlias = Literal["hnsw", "flat"]
VectorType: TypeAlias = Literal["float32", "float16"]
Mode: TypeAlias = Literal["vector", "text"]
Filter: TypeAlias = "FilterExpression | dict[str, Any]"


class RecallOptions(TypedDict, total=False):
    """The options of `recall` besides a query, a user and a namespace."""

    kind: str | None
    k: int
    mode: Mode | None
    distance_threshold: float | EllipsisType | None
    filter: Filter | None


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
        hit_count: How many duplicates of it were remembered.
        metadata: What the caller stored with it.
        distance: The cosine distance from the query, from 0 (same direction) to 2; `None` if nothing
            was searched for, and on Upstash.
        score: The same as a similarity: `1 - distance / 2`, from 0 to 1 (the same); on Upstash, the
            relevance less what age costs, without an upper end.
        ttl_seconds: The TTL it has left; `None` if it does not expire. Only `get` and `list_memories` know
            it, in the results of a search it is always `None`.
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

    def to_dict(self) -> dict[str, Any]:
        """Return the memory's JSON form: every attribute under its name."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class RememberResult:
    """The result of remembering a text.

    Attributes:
        id: The memory that holds it now: a new one, or the one that it is a duplicate of.
        deduped: Whether it is a duplicate.
        existing_distance: The distance of the nearest memory of the same user, namespace and kind that
            was there before; `None` if there was none, or if none was looked for because the id was given.
    """

    id: str
    deduped: bool
    existing_distance: float | None


@dataclass(frozen=True, slots=True)
class Scope:
    """A user, a namespace and a kind; `None` stands for all."""

    user: str | None
    namespace: str | None
    kind: str | None

    @classmethod
    def of_user(cls, user: str, namespace: str | None, kind: str | None) -> Scope:
        """Return a scope inside one user's memories.

        Args:
            user: Whose memories.
            namespace: In which namespace; `None` for all.
            kind: Of which kind; `None` for all.

        Raises:
            InvalidInputError: The user is missing or empty, or a name is not usable.
        """
        scope = cls.of_any(user, namespace, kind)
        if scope.user is None:
            validate_id("user", user)
        return scope

    @classmethod
    def of_any(cls, user: str | None, namespace: str | None, kind: str | None) -> Scope:
        """Return a scope that may span users.

        Args:
            user: Whose memories; `None` for everybody's.
            namespace: In which namespace; `None` for all.
            kind: Of which kind; `None` for all.

        Raises:
            InvalidInputError: A name is not usable.
        """
        return cls(
            None if user is None else validate_id("user", user),
            None if namespace is None else validate_id("namespace", namespace),
            None if kind is None else validate_id("kind", kind),
        )

    def tags(self) -> tuple[str, ...]:
        """Return user, namespace and kind as the index holds them; empty for all."""
        return _tags(self.user, self.namespace, self.kind)

    def __contains__(self, record: MemoryRecord) -> bool:
        return (
            self.user in (None, record.user)
            and self.namespace in (None, record.namespace)
            and self.kind in (None, record.kind)
        )


@lru_cache(maxsize=1024)
def _tags(*names: str | None) -> tuple[str, ...]:
    return tuple("" if name is None else tag(name) for name in names)


@dataclass(frozen=True, slots=True)
class Search:
    """A search, except for the vector or text that results are ranked by.

    Attributes:
        scope: Whose memories, in which namespace, of which kind.
        k: How many at most.
        condition: On Redis, the scope's condition narrowed by the caller's filter; empty without a filter, so
            that redisvl is loaded by the first search, not by what is only checked.
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
        id: The one it gets if it is stored, and no duplicate.
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
        """Return the scope the memory is in."""
        return Scope(self.user, self.namespace, self.kind)


@dataclass(frozen=True, slots=True)
class WriteBatch:
    """Memories that are stored in one round trip.

    Attributes:
        drafts: The memories.
        embeddings: One vector per draft; `None` if the texts are still to be embedded.
    """

    drafts: Sequence[Draft]
    embeddings: Sequence[Sequence[float]] | None = None

    @property
    def texts(self) -> list[str]:
        """Return what has to be embedded."""
        return [draft.text for draft in self.drafts]


@dataclass(frozen=True, slots=True)
class RebuiltIndex:
    """The result of `rebuild_index`.

    Attributes:
        documents: How many documents the index holds now.
        failures: How many it could not take, as those with vectors of another length; they are never
            recalled.
        unreadable: How many documents under the prefix are no memories, because a member is missing; they are
            never recalled. The log names them.
        rewritten: In how many a user, namespace, kind or thread stood as only other programs write it, and
            is now written so that it is found.
    """

    documents: int
    failures: int
    unreadable: int
    rewritten: int


class UnreadableDocument(Exception):  # noqa: N818 - says what a stored document is, seen only inside
    """A stored document that is no memory; the message says why."""


def report_unreadable(key: bytes | str, error: Exception) -> None:
    """Log that a stored document was left out because it is no memory."""
    logger.warning("Left out the document at %r, which is no memory: %s", text(key), error)
