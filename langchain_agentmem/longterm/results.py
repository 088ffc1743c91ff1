"""Results of a recall: records with their rank, and their order by a reranker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import exp

from langchain_agentmem.core.operations import Op
from langchain_agentmem.core.rerank import Rerank
from langchain_agentmem.longterm.hits import Candidate, Hit
from langchain_agentmem.longterm.ranking import NEAREST, recency
from langchain_agentmem.longterm.types import Explanation, MemoryRecord, Ranked, Search

RERANKED = 50  # candidates that a reranker is given


def ranked(hit: Hit, *, explain: bool) -> Ranked:
    """Return the rank of a recalled memory, as its record has it; with `explain`, the parts of it."""
    return {
        "distance": None if hit.similarity is None else max(0.0, 1 - hit.similarity),
        "score": hit.score,
        "matched_words": hit.shared,
        "explanation": _explanation(hit) if explain else None,
    }


def _explanation(hit: Hit) -> Explanation:
    return {
        "meaning": hit.meaning,
        "words": hit.words - hit.context,
        "context": hit.context,
        "speaker": hit.speaker,
        "question": hit.asks,
        "recency": hit.recency,
        "reranked": None,
    }


def unranked(record: MemoryRecord, *, explain: bool) -> MemoryRecord:
    """Return a memory that was recalled because all are: each answers."""
    hit = Hit(record.id, None, meaning=0.0)
    return replace(record, score=1.0, explanation=_explanation(hit) if explain else None)


def by_distance(found: Candidate, similarity: float, search: Search, now: float) -> Ranked:
    """Return the rank of what was found by vector alone: its similarity, and how new it is."""
    bonus = recency(search.recency_weight, found.created_ts, now)
    hit = Hit(found.key, similarity, similarity, recency=bonus)
    return {
        "distance": 1 - similarity,
        "score": (1 + similarity + bonus) / (2 + search.recency_weight),
        "explanation": _explanation(hit) if search.explain else None,
    }


def how_many(search: Search) -> int:
    """Return how many candidates have to be ranked: more than are returned if a reranker orders them anew."""
    return search.k if search.reranker is None else max(search.k, RERANKED)


def how_many_near(search: Search) -> int:
    """Return how many of the nearest have to be looked at: more if being recent may lift a farther one."""
    return max(NEAREST, how_many(search)) if search.recency_weight else how_many(search)


def rerank(search: Search, query: str, records: Sequence[MemoryRecord]) -> Op[list[MemoryRecord]]:
    """Return the best memories as the search's reranker orders them; as they are, if it has none."""
    if search.reranker is None or not records:
        return list(records[: search.k])
    ranking = yield Rerank(search.reranker, query, [record.text for record in records])
    # If any is not between 0 and 1, all are logits, as cross-encoders give.
    logits = any(score is not None and not 0 <= score <= 1 for _, score in ranking)
    return [_reranked(records[at], score, logit=logits) for at, score in ranking[: search.k]]


def _reranked(record: MemoryRecord, score: float | None, *, logit: bool) -> MemoryRecord:
    if score is None:
        return record
    explanation = record.explanation
    if explanation is not None:
        explanation = {**explanation, "reranked": score}
    between = 1 / (1 + exp(-max(-700.0, min(700.0, score)))) if logit else score
    return replace(record, score=between, explanation=explanation)
