"""Whether anything of what is asked is known: decided once per question, not by a threshold per memory.

A logistic regression, in log odds, on the candidate where they are best: one with similarities, and one by
words alone. `make eval` measures what it refuses and what it lets through: see docs/recall-quality.md.
"""

from __future__ import annotations

from math import log

import numpy as np
from numpy.typing import NDArray

from langchain_agentmem.longterm.question import Question

_MEANING = 16.5  # of one unit of cosine similarity
_COVER = 1.3  # the share of the question's rarity that the memory has
_UNSEEN = -2.9  # the share of it that no memory has
_UNSEEN_ELSEWHERE = -6.0  # in other languages: to a model of English alone, all their texts are near
_NAMED = 2.4  # said by somebody whom the question names
_STRANGE = -9.7  # said by others, where the question is about oneself
_SCOPE = -0.3  # of the logarithm of the scope's size: the best of many is near by chance
_OWN_WORD = -1.8  # of each of up to four words of a question about oneself: more of them are near to more
_OWN, _QUESTION, _STATEMENT = 0.2, -4.6, -6.5

# By words alone.
_SHARED = 3.0  # the share of the question's words that a memory has
_WEIGHT = 11.0  # what its words add to its rank
_NAMED_BY_WORDS = 4.0  # said by somebody whom the question names
_WORD_ASKED = -2.0  # of each of up to four words of the question: more of them are in more
_KEYWORDS = 2  # that few words state nothing: they are looked for
_OWN_BY_WORDS, _QUESTION_BY_WORDS, _STATEMENT_BY_WORDS = 3.3, 0.3, -2.2


def is_known(
    question: Question,
    size: int,
    *,
    unseen: float,
    meaning: NDArray[np.float64],
    cover: NDArray[np.float64],
    named: NDArray[np.bool_],
    strange: NDArray[np.bool_],
) -> bool:
    """Return whether any candidate is near enough to be an answer. Nothing answers small talk.

    Args:
        question: What is asked.
        size: How many memories the scope has.
        unseen: The share of the question's words, by rarity, that no candidate has.
        meaning: The similarity of each candidate.
        cover: The share of the question's words, by rarity, that each has.
        named: Whether each was said by somebody whom the question names.
        strange: Whether each was said by somebody else.
    """
    if question.is_small_talk:
        return False
    near = _MEANING * meaning + _COVER * cover + _NAMED * named + _STRANGE * (strange & question.is_own)
    odds = float(near.max()) + _SCOPE * log(max(1, size))
    odds += (_UNSEEN if question.language == "english" else _UNSEEN_ELSEWHERE) * unseen
    if question.is_own:
        return odds + _OWN_WORD * min(4, len(question.words)) + _OWN >= 0
    return odds + (_QUESTION if question.asks else _STATEMENT) >= 0


def is_known_by_words(question: Question, *, shared: float, weight: float, named: bool) -> bool:
    """Return whether words alone tell that an answer is known. Nothing answers small talk.

    Args:
        question: What is asked.
        shared: The largest share of the question's words that a candidate has.
        weight: The most that its words add to a candidate's rank.
        named: Whether a candidate was said by somebody whom the question names.
    """
    if question.is_small_talk:
        return False
    odds = _SHARED * shared + _WEIGHT * weight + _NAMED_BY_WORDS * named
    odds += _WORD_ASKED * min(4, len(question.words))
    if question.is_own:
        return odds + _OWN_BY_WORDS >= 0
    asks = question.asks or len(question.spoken) <= _KEYWORDS
    return odds + (_QUESTION_BY_WORDS if asks else _STATEMENT_BY_WORDS) >= 0
