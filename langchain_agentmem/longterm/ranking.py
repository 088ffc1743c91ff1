"""Hybrid ranking: how near the meaning is, and which of the question's words are shared, by their rarity.

Works on candidates that a search by vectors and one by words have brought, without asking the server again: a
word's rarity is estimated from the candidates. Whether anything is known at all is decided once per question
(`gate`), not by a threshold per memory; memories that contradict each other come newest first
(`newest_first`). What a rank is made of, and the constants, are in `parts`; `make eval` measures them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from math import inf

from langchain_agentmem.longterm.hits import Candidate, Hit
from langchain_agentmem.longterm.question import Question

NEAREST, WORDED = 100, 100  # candidates by vector, by words: of 60 and 50, R@5 is .013 lower

_DAY_SECONDS = 86_400
_HALF_LIFE_SECONDS = 30 * _DAY_SECONDS  # of what being recent adds
_CUTOFF = 0.4  # what ranks below this share of the best is left out
_CONTRADICTING = 20  # of so many at least, those that contradict each other are ordered by their time


def rank(
    question: Question,
    candidates: Sequence[Candidate],
    k: int,
    *,
    size: int,
    unread: int,
    gated: bool = True,
    distance_threshold: float | None = None,
    recency_weight: float = 0.0,
    recency_per_day: float = 0.0,
    now: float | None = None,
) -> list[Hit]:
    """Return the k best candidates, best first; none if nothing of what is asked seems to be known.

    Args:
        question: What is asked.
        candidates: What searches have brought, each once.
        k: How many at most.
        size: How many memories the scope has.
        unread: How many memories the search by words has matched, and not returned.
        gated: Whether to return nothing where nothing seems to be known.
        distance_threshold: Up to which cosine distance, rounding included; what only its words found is not
            known to be within it. `None` for any.
        recency_weight: What a memory stored right now gains, in units of cosine similarity; half of it after
            30 days.
        recency_per_day: What it loses per day of age, besides.
        now: Seconds since 1970, as `created_ts`; the time of the call by default.

    Without any similarity, as in a search by words alone, what shares no word is left out.
    """
    if not candidates:
        return []
    # It loads numpy, which whoever recalls nothing does not need.
    from langchain_agentmem.longterm.parts import Parts

    parts = Parts(question, candidates, size, unread)
    if recency_weight or recency_per_day:
        now = time.time() if now is None else now
        parts.add_recency(
            [
                recency(recency_weight, one.created_ts, now)
                - recency_per_day * max(0.0, now - one.created_ts) / _DAY_SECONDS
                for one in candidates
            ]
        )
    order = parts.order()
    if distance_threshold is not None:
        order = [at for at in order if _within(candidates[at], distance_threshold)]
    known, least = parts.is_known, _CUTOFF * max(0.0, parts.total[order[0]]) if order else 0.0
    if not any(parts.has_meaning):
        order, known = [at for at in order if parts.words[at] > 0], parts.is_known_by_words
        least = -inf
    if not order or (gated and not known()):
        return []
    # What contradicts the best is looked for beyond a small k, so that the newest is what stays.
    best = order[: max(k, _CONTRADICTING)]
    kept = [at for at in best if parts.total[at] >= least]
    return [parts.hit(at) for at in parts.newest_first(kept or best)[:k]]


def _within(candidate: Candidate, distance_threshold: float) -> bool:
    """Return whether a candidate is within a distance; one that only its words found is not known to be."""
    return candidate.similarity is not None and 1 - candidate.similarity <= distance_threshold


def recency(weight: float, created_ts: float, now: float) -> float:
    """Return what being recent adds: the weight for a memory stored now, half of it after 30 days."""
    return weight * 0.5 ** (max(0.0, now - created_ts) / _HALF_LIFE_SECONDS) if weight else 0.0
