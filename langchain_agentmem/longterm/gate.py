"""Whether anything of what is asked is known: decided once per question, not by a threshold per memory.

A logistic regression, in log odds, on the candidate where they are best. `make eval` measures what it refuses
and what it lets through: see docs/recall-quality.md.
"""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING

from langchain_agentmem.longterm.question import Question

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_GATE_MEANING = 16.3  # of one unit of cosine similarity
_GATE_COVER = 2.3  # the share of the question's rarity that the memory has
_GATE_UNSEEN = -2.0  # the share of it that no memory has
_GATE_UNSEEN_ELSEWHERE = -6.0  # in other languages: to a model of English alone, all their texts are near
_GATE_SPEAKER = 3.0  # said by somebody whom the question names
_GATE_NOT_OWN = -9.7  # said by others, where the question is about oneself
_GATE_SCOPE = -0.3  # of the logarithm of the scope's size: the best of many is near by chance
_GATE_OWN_WORD = -0.8  # of each of up to four words of a question about oneself: with more, more are near
_GATE_OWN, _GATE_QUESTION, _GATE_STATEMENT = -2.1, -5.15, -7.2  # about oneself, else, nothing asked


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
    near = (
        _GATE_MEANING * meaning
        + _GATE_COVER * cover
        + _GATE_SPEAKER * named
        + _GATE_NOT_OWN * (strange & question.is_own)
    )
    odds = float(near.max()) + _GATE_SCOPE * log(max(1, size))
    odds += (_GATE_UNSEEN if question.language == "english" else _GATE_UNSEEN_ELSEWHERE) * unseen
    if question.is_own:
        return odds + _GATE_OWN_WORD * min(4, len(question.words)) + _GATE_OWN >= 0
    return odds + (_GATE_QUESTION if question.asks else _GATE_STATEMENT) >= 0
