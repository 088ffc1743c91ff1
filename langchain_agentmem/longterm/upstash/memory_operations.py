"""What long-term memory on Upstash does, as operations: arguments checked, no I/O."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from math import isfinite
from types import EllipsisType
from typing import Any

from langchain_agentmem.core import checks
from langchain_agentmem.core.checks import Ttl
from langchain_agentmem.core.operations import Op
from langchain_agentmem.core.removal import Removed
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.longterm.drafts import Batch, Drafting
from langchain_agentmem.longterm.record import MemoryRecord, RememberResult
from langchain_agentmem.longterm.scopes import Scope
from langchain_agentmem.longterm.upstash import operations
from langchain_agentmem.longterm.upstash.documents import NAMESPACE
from langchain_agentmem.longterm.upstash.remembering import remember
from langchain_agentmem.longterm.upstash.search_index import UpstashIndex


class UpstashOperations:
    """Operations on one index. `UpstashLongTermMemory` runs them; a chain puts them beside others'.

    Attributes:
        embeddings: `None`: it is the text itself that is searched.
        store: Where the memories are.
        drafting: The rules for what is stored.
    """

    embeddings: None = None

    def __init__(
        self,
        *,
        index_name: str,
        key_prefix: str,
        dedup_score: float | None,
        recency_per_day: float,
        ttl_by_kind: Mapping[str, int | None],
        max_text_bytes: int,
    ) -> None:
        recency = _points("recency_per_day", recency_per_day)
        self.drafting = Drafting(max_text_bytes, ttl_by_kind)
        self.store = operations.UpstashStore(
            index=UpstashIndex(
                checks.scope("index_name", index_name),
                checks.scope("key_prefix", key_prefix),
                sorts=recency > 0,
            ),
            dedup_score=None if dedup_score is None else _points("dedup_score", dedup_score),
            recency_per_day=recency,
        )

    def remember_op(
        self,
        text: str,
        *,
        user: str,
        namespace: str = NAMESPACE,
        kind: str = "episodic",
        source_thread: str = "",
        ttl_seconds: Ttl = ...,
        metadata: dict[str, Any] | None = None,
    ) -> Op[RememberResult]:
        """The operation of `remember`. Arguments are checked now."""
        _only_namespace(namespace)
        draft = self.drafting.draft(
            text,
            user=user,
            namespace=NAMESPACE,
            kind=kind,
            source_thread=source_thread,
            ttl_seconds=ttl_seconds,
            metadata=metadata,
        )
        return _first(remember(self.store, [draft]))

    def batches(
        self,
        texts: Sequence[str],
        *,
        namespace: str,
        embeddings: None,
        metadatas: Sequence[dict[str, Any] | None] | None,
        ids: None,
        batch_size: int,
        **about: Any,
    ) -> list[Batch]:
        """Many memories to be stored, all checked, in batches of one round trip each."""
        _only_namespace(namespace)
        none_given(embeddings=embeddings, ids=ids)
        return self.drafting.batches(
            texts,
            embeddings=None,
            metadatas=metadatas,
            ids=None,
            batch_size=batch_size,
            namespace=NAMESPACE,
            **about,
        )

    def store_op(self, batch: Batch) -> Op[list[RememberResult]]:
        """Store a batch."""
        return remember(self.store, batch.drafts)

    def recall_op(
        self,
        *,
        query: str,
        user: str,
        namespace: str | None = NAMESPACE,
        kind: str | None = None,
        k: int = 5,
        mode: str = "text",
        distance_threshold: float | EllipsisType | None = ...,
        filter: dict[str, Any] | None = None,
    ) -> Op[list[MemoryRecord]]:
        """The operation of `recall`. Arguments are checked now."""
        search = self.search(user, namespace, kind, k, mode, distance_threshold, filter)
        return operations.recall(self.store, search, checks.bounded_text("query", query, sys.maxsize))

    def search(
        self,
        user: str,
        namespace: str | None,
        kind: str | None,
        k: int,
        mode: str,
        distance_threshold: float | EllipsisType | None,
        filter: dict[str, Any] | None,
    ) -> operations.UpstashSearch:
        """A recall, checked.

        Raises:
            InvalidInputError: Something about it is not usable.
        """
        if mode != "text":
            raise InvalidInputError(
                f"mode must be 'text', not {mode!r}: Upstash's search has no vectors. "
                "LongTermMemory on Redis has."
            )
        if distance_threshold is not None and distance_threshold is not ...:
            raise InvalidInputError("distance_threshold must be left out: Upstash's search has no vectors.")
        if filter is not None and not isinstance(filter, dict):
            raise InvalidInputError(
                f"filter must be a dict in Upstash's filter language, not {type(filter).__name__}."
            )
        scope = _scope(user, namespace, kind)
        try:
            operations.condition(scope, "", filter)
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidInputError(f"filter is no JSON: {error}") from error
        return operations.UpstashSearch(scope, filter, _at_most("k", k, operations.PAGE))

    def get_op(self, memory_id: str, user: str | None) -> Op[MemoryRecord | None]:
        """The operation of `get`."""
        return operations.get(self.store, _id(memory_id), _user(user))

    def list_op(
        self, user: str, namespace: str | None, kind: str | None, limit: int
    ) -> Op[list[MemoryRecord]]:
        """The operation of `list_memories`."""
        scope = _scope(user, namespace, kind)
        return operations.recent(self.store, scope, _at_most("limit", limit, operations.MAX_LISTED))

    def delete_op(self, memory_id: str, user: str | None) -> Op[bool]:
        """The operation of `delete_memory`."""
        return operations.delete(self.store, _id(memory_id), _user(user))

    def clear_op(self, user: str | None, namespace: str | None, kind: str | None) -> Op[int]:
        """The operation of `clear`."""
        _only_namespace(NAMESPACE if namespace is None else namespace)
        scope = Scope.of_any(user, None, kind)
        return operations.clear(self.store, scope.user, scope.kind)

    def forget_op(self, user: str, thorough: bool) -> Op[Removed]:
        """The operation of `forget_user`, which reaches every memory in any case."""
        scope = Scope.of_user(user, None, None)
        return Removed((yield from operations.clear(self.store, scope.user, None)))

    def ids_op(self, user: str | None) -> Op[list[str]]:
        """The ids of a user's memories, or of everybody's; others' may be among a user's."""
        return operations.ids(self.store, _user(user))

    def drop_op(self, delete_documents: bool) -> Op[None]:
        """The operation of `drop_index`."""
        yield from self.store.index.drop()
        if delete_documents:
            yield from operations.clear(self.store, None, None)


def none_given(**arguments: object) -> None:
    """Refuse what only `LongTermMemory` takes.

    Raises:
        InvalidInputError: One of them is not `None`.
    """
    for name, value in arguments.items():
        if value is not None:
            raise InvalidInputError(
                f"{name} must be None: on Upstash the text itself is searched, and a memory's id comes of it."
            )


def _first(op: Op[list[RememberResult]]) -> Op[RememberResult]:
    (result,) = yield from op
    return result


def _points(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value < 0:
        raise InvalidInputError(f"{name} must be a number of at least 0, not {value!r}.")
    return float(value)


def _at_most(name: str, value: Any, most: int) -> int:
    if checks.positive(name, value) > most:
        raise InvalidInputError(f"{name} is {value}; Upstash's search brings {most} at most.")
    return int(value)


def _only_namespace(namespace: Any) -> None:
    if checks.scope("namespace", namespace) != NAMESPACE:
        raise InvalidInputError(
            f"namespace must be {NAMESPACE!r}: memories on Upstash have none. Use a user of your own making "
            "in its place, such as 'work/alice'."
        )


def _scope(user: Any, namespace: Any, kind: Any) -> Scope:
    _only_namespace(NAMESPACE if namespace is None else namespace)
    return Scope.of_user(user, None, kind)


def _id(memory_id: Any) -> str:
    """An id: a user, which may be as long as a name may be, and what follows."""
    if not checks.utf8("id", memory_id):
        raise InvalidInputError("id is empty; ids are what remember() returns.")
    return str(memory_id)


def _user(user: str | None) -> str | None:
    return None if user is None else checks.scope("user", user)
