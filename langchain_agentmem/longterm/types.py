"""The types that long-term memory takes and returns: memories, scopes, drafts, and what became of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

from langchain_agentmem.core.checks import validate_id
from langchain_agentmem.core.keys import tag
from langchain_agentmem.core.operations import text

if TYPE_CHECKING:
    from langchain_core.documents import BaseDocumentCompressor
    from redisvl.query.filter import FilterExpression

    from langchain_agentmem.longterm.contained import ContainedWords

logger = logging.getLogger("langchain_agentmem.longterm")

Storage: TypeAlias = Literal["json", "hash"]
Algorithm: TypeAlias = Literal["flat", "hnsw"]
VectorType: TypeAlias = Literal["float32", "float16"]
Mode: TypeAlias = Literal["hybrid", "vector", "text"]
Sort: TypeAlias = Literal["newest", "oldest", "most_seen"]
Dedup: TypeAlias = Literal["same", "near", "exact"] | Callable[[str], str] | None
Refusal: TypeAlias = Literal["missing", "foreign", "superseded", "unreadable", "text_changed"]
Filter: TypeAlias = "FilterExpression | dict[str, Any]"


class RecallOptions(TypedDict, total=False):
    """The options of `recall` besides a query, a user and a namespace."""

    kind: str | None
    k: int
    mode: Mode | None
    distance_threshold: float | EllipsisType | None
    filter: Filter | None
    recency_weight: float
    reranker: BaseDocumentCompressor | None
    explain: bool


class Explanation(TypedDict):
    """The parts of a memory's rank, which add up to its order; the unit is cosine similarity.

    Attributes:
        meaning: How near it is to the question in meaning.
        words: What the question's words in it add, by their rarity.
        context: What the question's words in the messages around it add.
        speaker: What it adds or takes that somebody whom the question names, or does not name, said it.
        question: What it takes that it ends with a question.
        recency: What being recent adds.
        reranked: What the reranker scored it; `None` without one.
    """

    meaning: float
    words: float
    context: float
    speaker: float
    question: float
    recency: float
    reranked: float | None


class Ranked(TypedDict, total=False):
    """Holds what a search adds to a memory: attributes of `MemoryRecord`, under their names."""

    distance: float | None
    score: float | None
    matched_words: list[str]
    explanation: Explanation | None


_NOT_IN_A_LINE = {*Ranked.__annotations__, "embedding"}  # what a search, or a request, adds
_IF_ANY = {"context", "updated_ts", "superseded_by", "superseded_ts"}


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
            was searched for, if only its words were found, and on Upstash.
        score: How well it matches what was searched for, from 0 to 1; by `mode="vector"`, `1 - distance / 2`.
            It orders the results of one search; those of different questions are not comparable.
        ttl_seconds: The TTL it has left; `None` if it does not expire. Only `get` and `list_memories` know
            it, in the results of a search it is always `None`.
        document_id: The id a vector store gave it; `None` for other memories.
        context: What was said before it, one message per line; its words help to find it.
        updated_ts: When its text was last changed by `update`, in epoch seconds; `None` if never.
        superseded_by: The id of the memory that replaces it; such a memory is kept, and no longer recalled.
        superseded_ts: When it was superseded, in epoch seconds; `None` if it is not.
        matched_words: The words of the question that it shares, as the question has them; also those of
            which it has a related word, as "drink" and "tea".
        explanation: The parts of its rank, if they were asked for: a dict of `meaning`, `words`, `context`,
            `speaker`, `question` and `recency`, which add up to it in cosine similarity, and `reranked`.
        embedding: The vector it is stored with, of length one, as exact as the index's number format; `None`
            unless `list_memories(include_embeddings=True)` was asked for it, and for a superseded memory,
            which has none.
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
    context: str = ""
    updated_ts: float | None = None
    superseded_by: str | None = None
    superseded_ts: float | None = None
    matched_words: list[str] = field(default_factory=list)
    explanation: Explanation | None = None
    embedding: tuple[float, ...] | None = field(default=None, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the memory's JSON form: every attribute under its name, `embedding` only if it has one."""
        members = asdict(self)
        if self.embedding is None:
            del members["embedding"]
        return members

    def to_line(self) -> dict[str, Any]:
        """Return the memory as `export_user` yields it and `import_lines` takes it: what a store keeps of it.

        Without its embedding, and without what only a search says.
        """
        line = self.to_dict()
        line["thread"] = line.pop("source_thread")
        absent = {name for name in _IF_ANY if not line[name]}
        return {name: value for name, value in line.items() if name not in _NOT_IN_A_LINE | absent}


@dataclass(frozen=True, slots=True)
class NearMemory:
    """The nearest memory that says something else: a hint for whoever decides whether it is out of date.

    Attributes:
        id: What `get`, and `replaces` of `remember`, know it by.
        text: The memory itself.
        distance: The cosine distance, from 0 to 2.
    """

    id: str
    text: str
    distance: float


@dataclass(frozen=True, slots=True)
class RememberResult:
    """The result of remembering a text.

    Attributes:
        id: The memory that holds it now: a new one, or the one that it is a duplicate of.
        deduped: Whether it is a duplicate.
        existing_distance: With `dedup="near"`, the distance of the nearest memory of the same user, namespace
            and kind that was there before. Otherwise that of `near`. `None` if none was looked for, or found.
        near: The nearest memory of the same user and namespace that says something else, if it was asked for,
            or known from a recall.
        replaced: The id of the memory that this one superseded; `None` if it superseded none.
    """

    id: str
    deduped: bool
    existing_distance: float | None = None
    near: NearMemory | None = None
    replaced: str | None = None


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
    """A search, checked, except for the vector or text that results are ranked by.

    Attributes:
        scope: Whose memories, in which namespace, of which kind.
        k: How many at most.
        mode: How they are ranked.
        condition: On Redis, the scope's condition narrowed by the caller's filter; empty without a filter, so
            that redisvl is loaded by the first search, not by what is only checked.
        narrowed: On Upstash, the caller's filter.
        distance_threshold: Up to which cosine distance; `None` for any.
        gated: Whether nothing is returned where nothing of what is asked seems to be known.
        recency_weight: What being recent adds, in cosine similarity.
        reranker: What orders the candidates anew; `None` for nothing.
        explain: Whether results say the parts of their rank.
    """

    scope: Scope
    k: int
    mode: Mode = "vector"
    condition: str = ""
    narrowed: dict[str, Any] | None = None
    distance_threshold: float | None = None
    gated: bool = True
    recency_weight: float = 0.0
    reranker: BaseDocumentCompressor | None = None
    explain: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """Holds what is listed or counted, checked.

    Attributes:
        scope: Whose memories, in which namespace, of which kind.
        limit: How many at most.
        offset: How many come before them.
        sort: Their order.
        contained: The words that they have to contain; `None` for any text.
        include_superseded: Whether memories that another one has replaced are among them.
        include_embeddings: Whether their vectors are read.
    """

    scope: Scope
    limit: int = 100
    offset: int = 0
    sort: Sort = "newest"
    contained: ContainedWords | None = None
    include_superseded: bool = False
    include_embeddings: bool = False

    def __contains__(self, record: MemoryRecord) -> bool:
        return (
            record in self.scope
            and (self.include_superseded or record.superseded_by is None)
            and (self.contained is None or self.contained.are_in(record.text))
        )


@dataclass(frozen=True, slots=True)
class Restored:
    """The fate of a memory in the store that it was exported from.

    Attributes:
        created_ts: When it was stored, in epoch seconds; `None` for now.
        updated_ts: When its text was last changed; `None` if never.
        superseded_by: The id of the memory that replaces it; `None` if none does.
        superseded_ts: When it was superseded; `None` if it is not.
        hit_count: How many duplicates of it were remembered.
    """

    created_ts: float | None = None
    updated_ts: float | None = None
    superseded_by: str | None = None
    superseded_ts: float | None = None
    hit_count: int = 0


@dataclass(frozen=True, slots=True)
class Draft:
    """A memory that is to be stored, checked.

    Attributes:
        id: The one it gets if it is stored, and no duplicate.
        digest: What all texts have in common that say the same in its scope; `None` if duplicates are found
            by nearness, or not at all.
        by_nearness: Whether one near it in meaning is taken for the same.
        overwrites: Whether it is stored in any case, in place of what has its id: the caller chose the id, or
            wants no duplicate looked for.
        replaces: The id of the memory it supersedes; `None` for none.
        context: What was said before it, one message per line.
        restored: What became of it in another store.
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
    digest: str | None = None
    by_nearness: bool = False
    overwrites: bool = False
    replaces: str | None = None
    context: str = ""
    restored: Restored = Restored()

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
        known: Memories that were just recalled, some of which may say the same as a draft.
        near: Whether the nearest memory that says something else is looked for.
    """

    drafts: Sequence[Draft]
    embeddings: Sequence[Sequence[float]] | None = None
    known: Sequence[MemoryRecord] = ()
    near: bool = False

    @property
    def texts(self) -> list[str]:
        """Return what has to be embedded."""
        return [draft.text for draft in self.drafts]


@dataclass(frozen=True, slots=True)
class UpdateDraft:
    """A change of a memory in place, checked.

    Attributes:
        id: The memory's.
        user: Whose it has to be; `None` for anybody's.
        text: The text it gets; `None` to leave it.
        metadata: The metadata it gets as JSON text; `None` to leave it.
        ttl_seconds: The TTL it gets; `None` for no expiry, `...` to leave it.
        if_text: The text it has to have, unless it has the new one already; `None` for any.
    """

    id: str
    user: str | None
    text: str | None
    metadata: bytes | None = None
    ttl_seconds: int | EllipsisType | None = ...
    if_text: str | None = None


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
        digested: How many lacked the digest that duplicates of them are found by, and have it now.
    """

    documents: int
    failures: int
    unreadable: int
    rewritten: int
    digested: int = 0


class UnreadableDocument(Exception):  # noqa: N818 - says what a stored document is, seen only inside
    """A stored document that is no memory; the message says why."""


def report_unreadable(key: bytes | str, error: Exception) -> None:
    """Log that a stored document was left out because it is no memory."""
    logger.warning("Left out the document at %r, which is no memory: %s", text(key), error)
