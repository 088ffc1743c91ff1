"""Hybrid ranking: how near the meaning is, and which of the question's words are shared, by their rarity.

Works on candidates that a search by vectors and one by words have brought, without asking the server again: a
word's rarity is estimated from the candidates. Whether anything is known at all is decided once per question
(the gate), not by a threshold per memory. The constants are from `make eval`: see docs/recall-quality.md.
"""

from __future__ import annotations

import re
import time
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import exp, log
from typing import NamedTuple

from langchain_agentmem.longterm.question import Question
from langchain_agentmem.longterm.words import WORD, forms, stem

CANDIDATES = 100  # nearest by vector, and as many by words

# How a memory ranks. The unit is cosine similarity.
_WORD = 0.06  # of one unit of a word's rarity
_SATURATION = 0.8  # of a word that is said more than once, as k1 in BM25
_CONTEXT = 0.5  # a word in the two messages before counts half
_AFTER = 0.15  # a word in the two messages after, if they are candidates too
_FULL_QUESTION = 3  # with fewer words in the question, words count for less: one shared word says little
_UNSEEN = 100  # memories without the word, added to every scope: else nothing is rare in a small one
_SPEAKER = 0.5  # said by somebody whom the question names
_STRANGER = 0.5  # words count half in what others have said, while the question names none of them
_ASKS = 0.1  # a question is seldom an answer
_NOT_OWN = 0.15  # said by others, where the question is about oneself
_HALF_LIFE_SECONDS = 30 * 86_400  # of what being recent adds

# Whether anything is known.
_GATE_COVER = 0.15  # the share of the question's rarity that one memory has
_GATE_SPEAKER = 0.15
_GATE_NOT_OWN = 0.05
_GATE_SCOPE = 0.02  # less, by this times the scope's size's logarithm: the best of many is near by chance
_CUTOFF = 0.4  # what ranks below this share of the best is left out

_SPEAKER_OF = re.compile(r"([^\W\d_][\w' .-]{0,30}?):\s")
_ENDS_ASKING = re.compile(r"[?？]\s*(\[[^\]]*\])?$")


class Candidate(NamedTuple):
    """A memory that a search has brought.

    Attributes:
        key: What it is known by.
        text: The memory.
        context: The messages before it, one per line.
        similarity: The cosine of the angle to the question's vector; `None` if only words found it.
        created_ts: When it was stored, in seconds since 1970.
    """

    key: str
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

    key: str
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
    matched: int,
    gated: bool = True,
    recency_weight: float = 0.0,
    now: float | None = None,
) -> list[Hit]:
    """Return the k best candidates, best first; none if nothing of what is asked seems to be known.

    Args:
        question: What is asked.
        candidates: What searches have brought, each once.
        k: How many at most.
        size: How many memories the scope has.
        matched: How many of them the search by words has matched.
        gated: Whether to return nothing where nothing seems to be known.
        recency_weight: What a memory stored right now gains, in units of cosine similarity; half of it after
            30 days.
        now: Seconds since 1970, as `created_ts`; the time of the call by default.

    Without any similarity, as in a search by words alone, what shares no word is left out, and there is no
    gate.
    """
    if not candidates:
        return []
    floor = min((one.similarity for one in candidates if one.similarity is not None), default=0.0)
    by_words = all(one.similarity is None for one in candidates)
    hits = [
        Hit(one.key, one.similarity, floor if one.similarity is None else one.similarity)
        for one in candidates
    ]
    counts = _Counts(question, candidates)
    rarity = counts.rarity(size, matched)
    speakers = [_SPEAKER_OF.match(one.text) if ":" in one.text[:40] else None for one in candidates]
    named = [
        match is not None and not question.spoken.isdisjoint(WORD.findall(match[1].lower()))
        for match in speakers
    ]
    nobody_named = True not in named
    trust = _WORD * min(1.0, len(question.words) / _FULL_QUESTION)
    whole = sum(rarity) or 1.0
    best = -1.0
    for at, (hit, candidate) in enumerate(zip(hits, candidates, strict=True)):
        own = counts.own[at]
        hit.words, hit.context = (trust * weight for weight in counts.weights(at, rarity))
        near = hit.meaning + (_GATE_COVER * sum(rarity[i] for i in own) / whole if own else 0.0)
        if own:
            hit.shared = [counts.words[i] for i in own]
        if named[at]:
            hit.speaker, near = _SPEAKER, near + _GATE_SPEAKER
        elif speakers[at]:
            if nobody_named:
                hit.words, hit.context = hit.words * _STRANGER, hit.context * _STRANGER
            if question.is_own:
                hit.speaker, near = -_NOT_OWN, near - _GATE_NOT_OWN
        if _ENDS_ASKING.search(candidate.text[-300:]):
            hit.asks = -_ASKS
        if recency_weight:
            age = max(0.0, (time.time() if now is None else now) - candidate.created_ts)
            hit.recency = recency_weight * 0.5 ** (age / _HALF_LIFE_SECONDS)
        best = max(best, near)
    if by_words:
        return sorted((hit for hit in hits if hit.words > 0), key=lambda hit: -hit.total)[:k]
    if gated and best - _GATE_SCOPE * log(max(1, size)) < question.gate:
        return []
    hits.sort(key=lambda hit: -hit.total)
    return [hit for hit in hits[:k] if hit.total >= _CUTOFF * hits[0].total]


class _Counts:
    """How often each of the question's words is in each candidate, in what was before it, and after it."""

    def __init__(self, question: Question, candidates: Sequence[Candidate]) -> None:
        self.words = [*question.words.values()]
        texts = [one.text for one in candidates] + [one.context for one in candidates]
        found = _count(question, texts)
        self.own, self._before = found[: len(candidates)], found[len(candidates) :]
        self._after: dict[int, list[dict[int, int]]] = {}
        places = {" ".join(one.text.split()): at for at, one in enumerate(candidates)}
        for at, one in enumerate(candidates):
            if self.own[at]:
                for line in one.context.splitlines():
                    if (earlier := places.get(line)) is not None:
                        self._after.setdefault(earlier, []).append(self.own[at])

    def rarity(self, size: int, matched: int) -> list[float]:
        """Return each word's rarity: the logarithm of the share of memories without it.

        Counted among the candidates. If the search by words has matched more than it returned, the rest is
        divided among the words by the square of their counts: what was left out holds the common words.
        """
        counted = [0] * len(self.words)
        for own in self.own:
            for i in own:
                counted[i] += 1
        self._counted = {i for i, n in enumerate(counted) if n}
        rest = max(0, matched - CANDIDATES) / (sum(n * n for n in counted) or 1)
        having = [min(size, n + rest * n * n) for n in counted]
        return [log(1 + (size + _UNSEEN - n + 0.5) / (n + 0.5)) for n in having]

    def weights(self, at: int, rarity: Sequence[float]) -> tuple[float, float]:
        """Return what a candidate's words weigh with those around it, and how much of it those around add."""
        own, before, after = self.own[at], self._before[at], self._after.get(at, ())
        if not own and not before and not after:
            return 0.0, 0.0
        weight = alone = 0.0
        for i in {*own, *before, *(i for one in after for i in one)} & self._counted:
            times = own.get(i, 0) + _CONTEXT * before.get(i, 0) + _AFTER * sum(one.get(i, 0) for one in after)
            weight += rarity[i] * _saturated(times)
            alone += rarity[i] * _saturated(own.get(i, 0))
        return weight, weight - alone


def _saturated(times: float) -> float:
    return times * (_SATURATION + 1) / (times + _SATURATION)


def _count(question: Question, texts: Sequence[str]) -> list[dict[int, int]]:
    """Return how often each text has each word, by the word's place in the question.

    All texts are searched as one string for the beginnings of the words: most hold none of them, and only
    what begins alike is stemmed.
    """
    lower = [text.lower() for text in texts]
    starts = [*accumulate((len(text) + 1 for text in lower), initial=0)]
    joined = "\n".join(lower)
    counts: list[dict[int, int]] = [{} for _ in texts]
    for i, (wanted, asked) in enumerate(question.words.items()):
        for begin in _beginnings(wanted, asked, question.language):
            at = joined.find(begin)
            while at >= 0:
                end = at + len(begin)
                if at == 0 or not joined[at - 1].isalnum():
                    match = WORD.match(joined, at)
                    end = match.end() if match else end
                    word = joined[at:end]
                    if word == asked or stem(word, question.language) == wanted:
                        counted = counts[bisect_right(starts, at) - 1]
                        counted[i] = counted.get(i, 0) + 1
                at = joined.find(begin, end)
    return counts


def _beginnings(wanted: str, asked: str, language: str) -> list[str]:
    """Return what the forms of a word begin with, none with another: `happ` of happy and happiness."""
    begins = {wanted[:-1] if len(wanted) > 2 else wanted}
    begins |= {form[:-1] if len(form) > 2 else form for form in forms(asked, language)}
    return [one for one in begins if not any(one != other and one.startswith(other) for other in begins)]
