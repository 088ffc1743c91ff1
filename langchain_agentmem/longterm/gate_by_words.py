"""Whether anything of what is asked is known, where words alone have been searched for.

A logistic regression, in log odds: see docs/how-to/upstash.md for what it refuses and what it lets through.
"""

from __future__ import annotations

from langchain_agentmem.longterm.question import Question

_SHARED = 3.0  # the share of the question's words that a memory has
_WEIGHT = 11.0  # what its words add to its rank
_NAMED = 4.0  # said by somebody whom the question names
_WORD = -2.0  # of each of up to four words of the question: more of them are in more
_KEYWORDS = 2  # that few words state nothing: they are looked for
_OWN, _QUESTION, _STATEMENT = 3.3, 0.3, -2.2  # by what is asked: about oneself, else, nothing


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
    odds = _SHARED * shared + _WEIGHT * weight + _NAMED * named + _WORD * min(4, len(question.words))
    if question.is_own:
        return odds + _OWN >= 0
    asks = question.asks or len(question.spoken) <= _KEYWORDS
    return odds + (_QUESTION if asks else _STATEMENT) >= 0
