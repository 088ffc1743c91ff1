"""What the ranks of a recall's candidates are made of, all at once, in arrays. Loads numpy."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from langchain_agentmem.longterm.gate import is_known
from langchain_agentmem.longterm.gate_by_words import is_known_by_words
from langchain_agentmem.longterm.hits import Candidate, Hit
from langchain_agentmem.longterm.newest_first import Said, newest_first, speaker_of
from langchain_agentmem.longterm.question import Question
from langchain_agentmem.longterm.word_counts import WordCounts
from langchain_agentmem.longterm.words import WORD

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

_ENDS_ASKING = re.compile(r"[?？]\s*(\[[^\]]*\])?$")
Array = NDArray[np.float64]


class Parts:
    """Holds the parts of all ranks, and whether any candidate answers: arrays in the candidates' order."""

    def __init__(self, question: Question, candidates: Sequence[Candidate], size: int, unread: int) -> None:
        self.question, self.candidates, self.size = question, candidates, size
        nearest = [one.similarity for one in candidates if one.similarity is not None]
        floor = min(nearest, default=0.0)
        self.meaning = np.array([floor if one.similarity is None else one.similarity for one in candidates])
        self._add_words(unread)
        self._add_speakers()
        self.asks = np.array([-_ASKS if _is_question(one.text) else 0.0 for one in candidates])
        self.recency = np.zeros(len(candidates))
        self.total: Array = self.meaning + self.words + self.speaker + self.asks

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
        self._speakers = [speaker_of(one.text) for one in self.candidates]
        named = {one: not spoken.isdisjoint(WORD.findall(one.lower())) for one in {*self._speakers}}
        self.named = np.array([named[one] for one in self._speakers])
        self.strange = np.array([bool(one) for one in self._speakers]) & ~self.named
        if not self.named.any():
            share = np.where(self.strange, _STRANGER, 1.0)
            self.words, self.context = self.words * share, self.context * share
        self.speaker = _SPEAKER * self.named - _NOT_OWN * (self.strange & self.question.is_own)

    def add_recency(self, recency: Sequence[float]) -> None:
        """Add what being recent adds to each."""
        self.recency = np.array(recency)
        self.total = self.total + self.recency

    def order(self) -> list[int]:
        """Return the candidates' places, best first."""
        places: list[int] = np.argsort(-self.total, kind="stable").tolist()
        return places

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

    def is_known_by_words(self) -> bool:
        """Return whether the words of any candidate tell that it is an answer."""
        shared = np.count_nonzero(self._counts.own, axis=1).max() / max(1, len(self.question.words))
        return is_known_by_words(
            self.question,
            shared=float(shared),
            weight=float((self.words - self.context).max()),
            named=bool(self.named.any()),
        )

    def newest_first(self, places: Sequence[int]) -> list[int]:
        """Return places, those of memories that contradict each other in the order of their time."""
        known = self._counts.own.any(axis=0)
        numbers = np.array([word.isdigit() for word in self.question.words.values()], bool)
        said = [
            Said(
                self.candidates[at].text,
                self.candidates[at].created_ts,
                meaning=float(self.meaning[at]),
                share=float((self._counts.own[at][known] > 0).mean()) if known.any() else 0.0,
                speaker=self._speakers[at],
                asks=bool(self.asks[at]),
                beside=bool((self._counts.own[at][known & numbers] == 0).any()),
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


def _saturated(times: Array) -> Array:
    saturated: Array = times * (_SATURATION + 1) / (times + _SATURATION)
    return saturated


def _is_question(text: str) -> bool:
    return ("?" in text or "？" in text) and _ENDS_ASKING.search(text[-300:]) is not None
