"""The order of memories that contradict each other: the newest first.

A change is seldom nearer to the question than what it changed, and vectors do not tell one from the other: "I
prefer tea over coffee" and "I prefer coffee over tea" are as near as two can be. So words decide what may
contradict, and the time which comes first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from langchain_agentmem.longterm.words import STOP_WORDS, WORD

_SAME_WORDS = 0.6  # the share of the shorter one's words, at least two of them, that the other has
_SAME_WORDS_SAID = 0.75  # in what others have said, much of which is alike
_SAME_MEANING = 0.1  # how much nearer one may be to the question
_CHANGED_MEANING = 0.4  # and if the newer one tells of a change

_FIRST_PERSON = re.compile(r"\b(?:i|we|ich|wir|yo)\b", re.IGNORECASE)
_CHANGED = re.compile(
    r"\b(?:moved?|changed|switched|now|no longer|any ?more|instead|new|renamed|cancell?ed|postponed|quit"
    r"|stopped|left|since|jetzt|nicht mehr|neue[rsnm]?|statt|umgezogen|ahora|ya no|nuev[oa]|cambié)\b",
    re.IGNORECASE,
)
_STOP = frozenset().union(*STOP_WORDS.values())


class Said(NamedTuple):
    """A memory that is recalled.

    Attributes:
        text: The memory.
        created_ts: When it was stored.
        meaning: Its similarity to the question.
        share: The share that it has of those words of the question that any memory has.
        speaker: Who said it, in a text of the form "Name: …".
        asks: Whether it is a question, which contradicts nothing.
    """

    text: str
    created_ts: float
    meaning: float
    share: float
    speaker: str
    asks: bool = False


def newest_first(said: Sequence[Said]) -> list[int]:
    """Return the places of memories in their order, those that contradict each other by their time."""
    words = [set(WORD.findall(one.text[len(one.speaker) :].lower())) - _STOP for one in said]
    order, left = list(range(len(said))), list(range(len(said)))
    while left:
        first, *others = left
        same = [n for n in others if _contradict(said[first], said[n], words[first], words[n])]
        left = [n for n in others if n not in same]
        places = [first, *same]
        newest = sorted(places, key=lambda n: -said[n].created_ts)
        for place, n in zip(places, newest, strict=True):
            order[place] = n
    return order


def _contradict(one: Said, other: Said, words: set[str], others: set[str]) -> bool:
    """Return whether two memories may say different things of the same."""
    if one.asks or other.asks:
        return False
    share = _SAME_WORDS_SAID if one.speaker or other.speaker else _SAME_WORDS
    if len(words & others) >= max(2, share * min(len(words), len(others))):
        return True
    own = {_FIRST_PERSON.search(said.text) is not None for said in (one, other)}
    if one.speaker or other.speaker or len(own) == 2:
        return False
    older, newer = sorted((one, other), key=lambda said: said.created_ts)
    if _CHANGED.search(newer.text):  # which seldom says again what it is about
        return older.share == 1 and newer.share > 0 and abs(one.meaning - other.meaning) <= _CHANGED_MEANING
    return (
        own == {True} and one.share == other.share == 1 and abs(one.meaning - other.meaning) <= _SAME_MEANING
    )
