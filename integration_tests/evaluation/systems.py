"""What answers the questions: this package, in each of its modes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

from langchain_core.embeddings import Embeddings

from integration_tests.evaluation.data import Pairs
from integration_tests.evaluation.scores import K, Request, Scope
from langchain_agentmem import LongTermMemory

Advance = Callable[[], object]


def ways(memory: LongTermMemory, reranker: Any = None) -> dict[str, dict[str, Any]]:
    """Return the ways of recalling that are measured, by name; the package's own is the last one.

    Args:
        memory: What recalls.
        reranker: A LangChain `BaseDocumentCompressor`.
    """
    found: dict[str, dict[str, Any]] = {}
    if "vector" in memory.modes:
        found["vector, no threshold"] = {"mode": "vector", "distance_threshold": None}
    found |= {mode: {"mode": mode} for mode in reversed(memory.modes)}
    if reranker is not None:
        found[f"{memory.modes[0]}, reranked"] = {"mode": memory.modes[0], "reranker": reranker}
    return found


def open_memory(url: str, embeddings: Embeddings, **options: Any) -> LongTermMemory:
    """Return a long-term memory as it comes, except for its embeddings and what is given."""
    return LongTermMemory(url, embeddings=embeddings, **options)


def fill(memory: LongTermMemory, scopes: Sequence[Scope], advance: Advance = lambda: None) -> None:
    """Store every scope's memories, a call per session, under ids that say their places."""
    for scope in scopes:
        for session, places in _sessions(scope):
            memory.remember_many(
                [scope.texts[at] for at in places],
                user=scope.name,
                source_thread=session and f"{scope.name} {session}",
                ids=[_id(scope.name, at) for at in places],
            )
            advance()


def sessions(scopes: Sequence[Scope]) -> int:
    """Return how many calls `fill` makes."""
    return sum(1 for scope in scopes for _ in _sessions(scope))


def _sessions(scope: Scope) -> Iterator[tuple[str, list[int]]]:
    for session, places in groupby(range(len(scope.texts)), scope.sessions.__getitem__):
        yield session, [*places]


def _id(scope: str, place: int) -> str:
    return f"{scope.replace(' ', '-')}:{place}"


def answers(
    memory: LongTermMemory, asked: Sequence[Request], options: dict[str, Any], advance: Advance = lambda: None
) -> list[list[int]]:
    """Return the places of what is recalled for each request, best first."""
    found = []
    for request in asked:
        hits = memory.recall(request.text, user=request.scope, k=K, **options)
        found.append([int(hit.id.rpartition(":")[2]) for hit in hits])
        advance()
    return found


def merged(memory: LongTermMemory, pairs: Pairs, advance: Advance = lambda: None) -> dict[str, list[bool]]:
    """Return for each pair whether its second text was taken for the first: by kind of pair, in their order."""
    found: dict[str, list[bool]] = {"different": [], "restated": []}
    for kind, results in found.items():
        for at, pair in enumerate(getattr(pairs, kind)):
            _, then = memory.remember_many([pair.first, pair.then], user=f"{kind} pair {at}")
            results.append(then.deduped)
            advance()
    return found
