"""Hybrid ranking: how near the meaning is, and which of the question's words are shared, by their rarity.

Works on candidates that a search by vectors and one by words have brought, without asking the server again: a
word's rarity is estimated from the candidates. Whether anything is known at all is decided once per question
(the gate), not by a threshold per memory. The constants are from `make eval`: see docs/recall-quality.md.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import exp, log
from typing import NamedTuple

from langchain_agentmem.longterm.words import WORD, content_words, forms, stem

CANDIDATES = 100  # nearest by vector, and as many by words

# How a memory ranks. The unit is cosine similarity.
_WORD = 0.06  # of one unit of a word's rarity
_SATURATION = 0.8  # of a word that is said more than once, as k1 in BM25
_CONTEXT = 0.5  # a word in the two messages before counts half
_AFTER = 0.15  # a word in the two messages after, if they are candidates too
_FULL_QUESTION = 3  # with fewer words in the question, words count for less: one shared word says little
_UNSEEN = (
    100  # memories without the word that every scope is credited with: else nothing is rare in a small one
)
_SPEAKER = 0.5  # said by somebody whom the question names
_STRANGER = 0.5  # words count half in what others have said, while the question names none of them
_ASKS = 0.1  # a question is seldom an answer
_NOT_OWN = 0.15  # said by others, where the question is about oneself

# Whether anything is known.
_GATE_COVER = 0.15  # the share of the question's rarity that one memory has
_GATE_SPEAKER = 0.15
_GATE_NOT_OWN = 0.05
_GATE_SCOPE = 0.02  # the best of many is near by chance: less by this times the logarithm of the scope's size
_GATES = {"own": 0.28, "question": 0.37, "other": 0.49}
_CUTOFF = 0.4  # what ranks below this share of the best is left out


class Candidate(NamedTuple):
    """A memory that a search has brought.

    Attributes:
        key: What it is known by.
        text: The memory.
        context: The messages before it, one per line.
        similarity: The cosine of the angle to the question's vector; `None` if only words found it.
    """

    key: str
    text: str
    context: str
    similarity: float | None


@dataclass(slots=True)
class Hit:
    """A candidate's rank.

    Attributes:
        key: The candidate's.
        score: From 0 to 1; what counts is its order.
        meaning: The similarity; an upper bound if only words found it.
        words: What shared words add.
        speaker: What being said by somebody else or by somebody named adds or takes.
        asks: What being a question takes.
        shared: The shared words, as the question has them.
    """

    key: str
    meaning: float
    words: float = 0.0
    speaker: float = 0.0
    asks: float = 0.0
    shared: list[str] = field(default_factory=list)

    @property
    def total(self) -> float:
        """Return the sum of the parts."""
        return self.meaning + self.words + self.speaker + self.asks

    @property
    def score(self) -> float:
        """Return the sum, from 0 to 1."""
        return 1 - exp(-max(0.0, self.total))


class Question:
    """What is asked, prepared once per recall.

    Args:
        text: The question, or any text to find memories for.
        language: Of stemming and stop words.

    Attributes:
        words: The words that carry meaning, at most 12: from stem to word.
        names: The stems among them that are names, as their capital letter says.
    """

    MAX_WORDS = 12

    def __init__(self, text: str, language: str = "english") -> None:
        self.language = language
        self.words = dict([*content_words(text, language).items()][: self.MAX_WORDS])
        self.names = {stem(word, language) for word in _names(text)} & self.words.keys()
        self.spoken = frozenset(WORD.findall(text.lower())) - {"i"}
        asks = text.rstrip().endswith(("?", "？")) or bool(_ASKING.match(text))
        self.is_own = asks and bool(_OWN.search(text))
        self.gate = _GATES["own" if self.is_own else "question" if asks else "other"]

    @property
    def required(self) -> list[str]:
        """Return the words of which a memory must have one to be found by words; names do not suffice."""
        return [word for key, word in self.words.items() if key not in self.names] or [*self.words.values()]


_ASKING = re.compile(
    r"\s*(?:(?:and|but|so|in|on|at|for|from|to|about|until|since|by|with|of|around) )?"
    r"(?:what|who|whom|whose|which|where|when|why|how|do|does|did|is|are|was|were|am|can|could|will|would|should"
    r"|have|has|had|any|wer|was|wo|wann|wie|warum|welche\w*|qué|quién|dónde|cuándo|cómo|cuál\w*)\b",
    re.IGNORECASE,
)
_OWN = re.compile(
    r"\b(?:i|me|my|mine|we|our|ours|ich|mir|mich|mein\w*|wir|uns\w*|yo|mi|mis|mí|me|nosotros|nuestr\w+)\b",
    re.IGNORECASE,
)
_CAPITALISED = re.compile(r"[^\W\d_][\w'’-]*")
_SPEAKER_OF = re.compile(r"([^\W\d_][\w' .-]{0,30}?):\s")
_ENDS_ASKING = re.compile(r"[?？]\s*(\[[^\]]*\])?$")


def _names(text: str) -> set[str]:
    """Return the lower-case words with a capital that does not begin a sentence; ABBREVIATIONS are none."""
    found: set[str] = set()
    for match in _CAPITALISED.finditer(text):
        word, before = match[0], text[: match.start()].rstrip(" \"'“‘(")
        begins = not before or before[-1] in ".!?:"
        if word[0].isupper() and not word.isupper() and not begins and "'" not in word[:2]:
            found.update(part for part in WORD.findall(word.lower()) if len(part) > 1)
    return found


def rank(
    question: Question,
    candidates: Sequence[Candidate],
    k: int,
    *,
    size: int,
    matched: int,
    gated: bool = True,
) -> list[Hit]:
    """Return the k best candidates, best first; none if nothing of what is asked seems to be known.

    Args:
        question: What is asked.
        candidates: What searches have brought, each once.
        k: How many at most.
        size: How many memories the scope has.
        matched: How many of them the search by words has matched.
        gated: Whether to return nothing where nothing seems to be known.
    """
    if not candidates:
        return []
    floor = min((one.similarity for one in candidates if one.similarity is not None), default=0.0)
    hits = [Hit(one.key, floor if one.similarity is None else one.similarity) for one in candidates]
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
        hit.words = trust * counts.weight(at, rarity)
        near = hit.meaning + (_GATE_COVER * sum(rarity[i] for i in own) / whole if own else 0.0)
        if own:
            hit.shared = [counts.words[i] for i in own]
        if named[at]:
            hit.speaker, near = _SPEAKER, near + _GATE_SPEAKER
        elif speakers[at]:
            if nobody_named:
                hit.words *= _STRANGER
            if question.is_own:
                hit.speaker, near = -_NOT_OWN, near - _GATE_NOT_OWN
        if _ENDS_ASKING.search(candidate.text[-300:]):
            hit.asks = -_ASKS
        best = max(best, near)
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

    def weight(self, at: int, rarity: Sequence[float]) -> float:
        """Return what the words of a candidate weigh, with those around it."""
        own, before, after = self.own[at], self._before[at], self._after.get(at, ())
        if not own and not before and not after:
            return 0.0
        weight = 0.0
        for i in {*own, *before, *(i for one in after for i in one)} & self._counted:
            times = own.get(i, 0) + _CONTEXT * before.get(i, 0) + _AFTER * sum(one.get(i, 0) for one in after)
            weight += rarity[i] * times * (_SATURATION + 1) / (times + _SATURATION)
        return weight


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
    """Return what the forms of a word begin with, none of them with another: `happ` of happy and happiness."""
    begins = {wanted[:-1] if len(wanted) > 2 else wanted}
    begins |= {form[:-1] if len(form) > 2 else form for form in forms(asked, language)}
    return [one for one in begins if not any(one != other and one.startswith(other) for other in begins)]
