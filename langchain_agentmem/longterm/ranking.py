"""Hybrid ranking: how near the meaning is, and which of the question's words are shared, by their rarity.

Works on candidates that a search by vectors and one by words have brought, without asking the server again: a
word's rarity is estimated from the candidates. Whether anything is known at all is decided once per question
(the gate), not by a threshold per memory. The constants are from `make eval`: see docs/recall-quality.md.
"""

from __future__ import annotations

import re
import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from math import exp
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from langchain_agentmem.longterm.gate import is_known
from langchain_agentmem.longterm.newest_first import Said, newest_first
from langchain_agentmem.longterm.question import Question
from langchain_agentmem.longterm.word_counts import WordCounts
from langchain_agentmem.longterm.words import WORD

NEAREST, WORDED = 60, 50  # candidates by vector, by words; 100 of each gain nothing (docs/recall-quality.md)

# How a memory ranks. The unit is cosine similarity.
_WORD = 0.06  # of one unit of a word's rarity
_SATURATION = 0.8  # of a word that is said more than once, as k1 in BM25
_CONTEXT = 0.5  # a word in the two messages before counts half
_AFTER = 0.15  # a word in the two messages after, if they are candidates too
_FULL_QUESTION = 3  # with fewer words in the question, words count for less: one shared word says little
_SPEAKER = 0.5  # said by somebody whom the question names
_STRANGER = 0.5  # words count half in what others have said, while the question names none of them
_ASKS = 0.13  # a question is seldom an answer
_NOT_OWN = 0.15  # said by others, where the question is about oneself
_HALF_LIFE_SECONDS = 30 * 86_400  # of what being recent adds
_CUTOFF = 0.4  # what ranks below this share of the best is left out
_CONTRADICTING = 5  # of so many at least, those that contradict each other are ordered by their time

_SPEAKER_OF = re.compile(r"([^\W\d_][\w' .-]{0,30}?):\s")
_ENDS_ASKING = re.compile(r"[?？]\s*(\[[^\]]*\])?$")
_Array = NDArray[np.float64]


class Candidate(NamedTuple):
    """A memory that a search has brought.

    Attributes:
        key: What it is known by.
        text: The memory.
        context: The messages before it, one per line.
        similarity: The cosine of the angle to the question's vector; `None` if only words found it.
        created_ts: When it was stored, in seconds since 1970.
    """

    key: Hashable
    text: str
    context: str
    similarity: float | None
    created_ts: float = 0.0


@dataclass(slots=True)
class Hit:
    """A candidate's rank, and what it is made of.

    Attributes:
        key: The candidate's.
        similarity: The candidate's: `None` if only words found it.
        meaning: The similarity; its upper bound if only words found it.
        words: What shared words add, with those of the context.
        context: How much of `words` the messages around it add.
        speaker: What being said by somebody named adds, or by somebody else takes.
        asks: What being a question takes.
        recency: What being recent adds.
        shared: The shared words, as the question has them.
    """

    key: Hashable
    similarity: float | None
    meaning: float
    words: float = 0.0
    context: float = 0.0
    speaker: float = 0.0
    asks: float = 0.0
    recency: float = 0.0
    shared: list[str] = field(default_factory=list)

    @property
    def total(self) -> float:
        """Return the sum of the parts."""
        return self.meaning + self.words + self.speaker + self.asks + self.recency

    @property
    def score(self) -> float:
        """Return the sum, brought between 0 and 1."""
        return 1 - exp(-max(0.0, self.total))


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
        now: Seconds since 1970, as `created_ts`; the time of the call by default.

    Without any similarity, as in a search by words alone, what shares no word is left out, and there is no
    gate.
    """
    if not candidates:
        return []
    parts = _Parts(question, candidates, size, unread)
    if recency_weight:
        now = time.time() if now is None else now
        parts.recency = np.array([recency(recency_weight, one.created_ts, now) for one in candidates])
    total = parts.total()
    ranked = map(int, np.argsort(-total, kind="stable"))
    order = [at for at in ranked if _within(candidates[at], distance_threshold)]
    if all(one.similarity is None for one in candidates):
        worded = [at for at in order if parts.words[at] > 0]
        return [parts.hit(at) for at in worded[:k]]
    if not order or (gated and not parts.is_known()):
        return []
    best = float(total[order[0]])
    least = best - (1 - _CUTOFF) * abs(best)
    # What contradicts the best is looked for beyond a small k, so that the newest is what stays.
    kept = [at for at in order[: max(k, _CONTRADICTING)] if total[at] >= least]
    return [parts.hit(at) for at in parts.newest_first(kept)[:k]]


def _within(candidate: Candidate, distance_threshold: float | None) -> bool:
    if distance_threshold is None:
        return True
    return candidate.similarity is not None and 1 - candidate.similarity <= distance_threshold


def recency(weight: float, created_ts: float, now: float) -> float:
    """Return what being recent adds: the weight for a memory stored now, half of it after 30 days."""
    return weight * 0.5 ** (max(0.0, now - created_ts) / _HALF_LIFE_SECONDS) if weight else 0.0


class _Parts:
    """What all ranks are made of, and whether any candidate answers: arrays in the candidates' order."""

    def __init__(self, question: Question, candidates: Sequence[Candidate], size: int, unread: int) -> None:
        self.question, self.candidates, self.size = question, candidates, size
        nearest = [one.similarity for one in candidates if one.similarity is not None]
        floor = min(nearest, default=0.0)
        self.meaning = np.array([floor if one.similarity is None else one.similarity for one in candidates])
        self._add_words(unread)
        self._add_speakers()
        self.asks = np.array([-_ASKS if _is_question(one.text) else 0.0 for one in candidates])
        self.recency = np.zeros(len(candidates))

    def _add_words(self, unread: int) -> None:
        question = self.question
        self._counts = counts = WordCounts(
            question, [one.text for one in self.candidates], [one.context for one in self.candidates]
        )
        rarity = counts.rarity(self.size, unread)
        weight = rarity * (counts.own + counts.before).any(axis=0)
        weight *= _WORD * min(1.0, len(question.words) / _FULL_QUESTION)
        around = counts.own + _CONTEXT * counts.before + _AFTER * counts.after
        self.words = _saturated(around) @ weight
        self.context = self.words - _saturated(counts.own) @ weight
        whole = rarity.sum() or 1.0
        self.cover = np.minimum(1.0, counts.own) @ rarity / whole
        self.unseen = float(rarity[~counts.own.any(axis=0)].sum() / whole) if len(rarity) else 1.0

    def _add_speakers(self) -> None:
        spoken = self.question.spoken
        self._speakers = [_speaker(one.text) for one in self.candidates]
        named = {one: not spoken.isdisjoint(WORD.findall(one.lower())) for one in {*self._speakers}}
        self.named = np.array([named[one] for one in self._speakers])
        self.strange = np.array([bool(one) for one in self._speakers]) & ~self.named
        if not self.named.any():
            share = np.where(self.strange, _STRANGER, 1.0)
            self.words, self.context = self.words * share, self.context * share
        self.speaker = _SPEAKER * self.named - _NOT_OWN * (self.strange & self.question.is_own)

    def total(self) -> _Array:
        """Return the ranks."""
        total: _Array = self.meaning + self.words + self.speaker + self.asks + self.recency
        return total

    def is_known(self) -> bool:
        """Return whether any candidate is near enough to be an answer."""
        return is_known(
            self.question,
            self.size,
            unseen=self.unseen,
            meaning=self.meaning,
            cover=self.cover,
            named=self.named,
            strange=self.strange,
        )

    def newest_first(self, places: Sequence[int]) -> list[int]:
        """Return places, those of memories that contradict each other in the order of their time."""
        known = self._counts.own.any(axis=0)
        said = [
            Said(
                self.candidates[at].text,
                self.candidates[at].created_ts,
                meaning=float(self.meaning[at]),
                complete=bool(known.any() and self._counts.own[at][known].all()),
                speaker=self._speakers[at],
                asks=bool(self.asks[at]),
            )
            for at in places
        ]
        return [places[n] for n in newest_first(said)]

    def hit(self, at: int) -> Hit:
        """Return a candidate's rank with its parts."""
        one, shared = self.candidates[at], self._counts.own[at]
        return Hit(
            one.key,
            one.similarity,
            meaning=float(self.meaning[at]),
            words=float(self.words[at]),
            context=float(self.context[at]),
            speaker=float(self.speaker[at]),
            asks=float(self.asks[at]),
            recency=float(self.recency[at]),
            shared=[word for word, n in zip(self.question.words.values(), shared, strict=True) if n],
        )


def _saturated(times: _Array) -> _Array:
    saturated: _Array = times * (_SATURATION + 1) / (times + _SATURATION)
    return saturated


def _speaker(text: str) -> str:
    """Return who is said to have said a text of the form "Name: …"; empty otherwise."""
    match = _SPEAKER_OF.match(text) if ":" in text[:40] else None
    return match[1] if match else ""


def _is_question(text: str) -> bool:
    return ("?" in text or "？" in text) and _ENDS_ASKING.search(text[-300:]) is not None
