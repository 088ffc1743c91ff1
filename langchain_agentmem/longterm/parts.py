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

_END = 300  # characters in which a text's end is looked for
_ENDS_ASKING = re.compile(r"[?？]\s*\[[^\]]*\]$")  # and shows something: "What is it? [picture: …]"
Array = NDArray[np.float64]


class Parts:
    """Holds the parts of all ranks, and whether any candidate answers: arrays in the candidates' order."""

    def __init__(self, question: Question, candidates: Sequence[Candidate], size: int, unread: int) -> None:
        self.question, self.candidates, self.size = question, candidates, size
        self._texts = [one.text for one in candidates]
        near = [one.similarity for one in candidates]
        self.has_meaning = [one is not None for one in near]
        floor = min((one for one in near if one is not None), default=0.0)
        self.meaning = np.array([floor if one is None else one for one in near])
        self._add_words(unread)
        self._add_speakers()
        self.asks = np.array([-_ASKS if _is_question(text) else 0.0 for text in self._texts])
        self.recency = np.zeros(len(candidates))
        self.total: Array = self.meaning + self.words + self.speaker + self.asks

    def _add_words(self, unread: int) -> None:
        question = self.question
        contexts = [one.context for one in self.candidates]
        self._counts = counts = WordCounts(question, self._texts, contexts)
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
        self._speakers = [*map(speaker_of, self._texts)]
        named = {one: not spoken.isdisjoint(WORD.findall(one.lower())) for one in {*self._speakers}}
        self.named = np.array([named[one] for one in self._speakers])
        self.strange = np.array([*map(bool, self._speakers)]) & ~self.named
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
        own = self._counts.own
        known = [*map(int, np.flatnonzero(own.any(axis=0)))]
        words = [*self.question.words.values()]
        numbers = [at for at in known if words[at].isdigit()]
        said = []
        for at, counts in zip(places, own[[*places]].tolist(), strict=True):
            one = self.candidates[at]
            said.append(
                Said(
                    one.text,
                    one.created_ts,
                    meaning=float(self.meaning[at]),
                    share=sum(counts[word] > 0 for word in known) / len(known) if known else 0.0,
                    speaker=self._speakers[at],
                    asks=bool(self.asks[at]),
                    beside=any(counts[word] == 0 for word in numbers),
                )
            )
        return [places[n] for n in newest_first(said)]

    def hit(self, at: int) -> Hit:
        """Return a candidate's rank with its parts."""
        one, shared = self.candidates[at], self._counts.own[at].tolist()
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
    end = text[-_END:].rstrip()
    # The pattern alone would be tried at every question mark.
    return end.endswith(("?", "？")) or (end.endswith("]") and _ENDS_ASKING.search(end) is not None)
