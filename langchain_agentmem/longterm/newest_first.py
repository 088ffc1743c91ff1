"""The order of memories that contradict each other: the newest first.

A change is seldom nearer to the question than what it changed, and vectors do not tell one from the other: "I
prefer tea over coffee" and "I prefer coffee over tea" are as near as two can be. So words decide what may
contradict, and the time which comes first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from langchain_agentmem.core.lazy import cached_property
from langchain_agentmem.longterm.words import STOP_WORDS, WORD

if TYPE_CHECKING:
    from langchain_agentmem.longterm.types import MemoryRecord

_SAME_WORDS = 0.6  # the share of the shorter one's words, at least two of them, that the other has
_SAME_WORDS_SAID = 0.75  # in what others have said, much of which is alike
_SAME_MEANING = 0.1  # how much nearer one may be to the question
_CHANGED_MEANING = 0.4  # and if the newer one tells of a change

_FIRST_PERSON = re.compile(r"\b(?:i|we|ich|wir|yo)\b", re.IGNORECASE)
_CHANGED = re.compile(
    r"\b(?:moved?|changed|switched|now|no longer|any ?more|instead|new|renamed|cancell?ed|postponed|quit"
    r"|stopped|left|since|slipped|(?<!is )(?<!are )(?<!was )painted|sold|bought|(?:went|gone) (?:up|down)"
    r"|delayed|rescheduled|actually"
    r"|jetzt|nicht mehr|neue[rsnm]?|statt|umgezogen|ahora|ya no|nuev[oa]|cambié)\b",
    re.IGNORECASE,
)
# What begins so is about what was said before, and names none of it.
_CORRECTS = re.compile(r"\s*(?:(?:oh|oops|no|sorry|actually)\b[\s,.!]*)+it(?:['’]s| is)\b", re.IGNORECASE)
# How it was, and not "I'm used to it", "earlier than", "before nine".
_FORMERLY = re.compile(
    r"(?<!am )(?<!['’]m )(?<!are )(?<!['’]re )(?<!is )(?<!get )(?<!got )(?<!getting )\bused to\b"
    r"|\bformerly\b|\bfrüher\b(?! als)|\bantes\b(?! de| del| que)",
    re.IGNORECASE,
)
_NOW = re.compile(r"\b(?:now|jetzt|ahora)\b", re.IGNORECASE)
_FORMERLY_HAS = ("used to", "formerly", "früher", "antes")
_LONGEST_NAME = 31
_NAME = re.compile(rf"[^\W\d_][\w' .-]{{0,{_LONGEST_NAME - 1}}}")
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
        beside: Whether it lacks a number that is asked for, and so is about something else.
    """

    text: str
    created_ts: float
    meaning: float
    share: float
    speaker: str
    asks: bool = False
    beside: bool = False


class _Read:
    """A memory with what its text tells, each found out once, and only if it is asked for."""

    def __init__(self, said: Said) -> None:
        self.said = said

    @cached_property
    def words(self) -> set[str]:
        """Return its words that carry meaning, without the speaker's name."""
        said = self.said
        return set(WORD.findall(said.text[len(said.speaker) :].lower())) - _STOP

    @cached_property
    def is_past(self) -> bool:
        """Return whether it tells only how it was."""
        text = self.said.text
        plain = text.casefold()
        if not any(word in plain for word in _FORMERLY_HAS):  # far faster than the pattern
            return False
        return _FORMERLY.search(text) is not None and _NOW.search(text) is None

    @cached_property
    def is_own(self) -> bool:
        """Return whether it is about who says it."""
        return _FIRST_PERSON.search(self.said.text) is not None

    @cached_property
    def corrects(self) -> bool:
        """Return whether it begins as what corrects something."""
        return _CORRECTS.match(self.said.text) is not None

    @cached_property
    def tells_of_change(self) -> bool:
        """Return whether it tells of a change."""
        return _CHANGED.search(self.said.text) is not None


def newest_first(said: Sequence[Said]) -> list[int]:
    """Return the places of memories in their order, those that contradict each other by their time."""
    read = [_Read(one) for one in said]
    order, left = list(range(len(said))), list(range(len(said)))
    while left:
        first, *others = left
        same = [n for n in others if _contradict(read[first], read[n])]
        left = [n for n in others if n not in same]
        places = [first, *same]
        newest = sorted(places, key=lambda n: -said[n].created_ts)
        for place, n in zip(places, newest, strict=True):
            order[place] = n
    return order


def contradicting_memories(first: MemoryRecord, others: Sequence[MemoryRecord]) -> list[MemoryRecord]:
    """Return those of the same recall that may say something else than `first` of the same."""
    asked = set(first.matched_words).union(*(record.matched_words for record in others))
    is_near = all(record.distance is not None for record in (first, *others))

    def read(record: MemoryRecord) -> _Read:
        return _Read(
            Said(
                record.text,
                record.created_ts,
                meaning=1 - (record.distance or 0) if is_near else 0.0,
                share=len(set(record.matched_words)) / len(asked) if asked else 1.0,
                speaker=speaker_of(record.text),
            )
        )

    one = read(first)
    return [record for record in others if _contradict(one, read(record))]


def speaker_of(text: str) -> str:
    """Return who is said to have said a text of the form "Name: …"; empty otherwise."""
    end = text.find(":", 0, _LONGEST_NAME + 1)
    name = text[:end] if end > 0 and text[end + 1 : end + 2].isspace() else ""
    return name if _is_name(name) else ""


@lru_cache(maxsize=1024)
def _is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def _contradict(first: _Read, second: _Read) -> bool:
    """Return whether two memories may say different things of the same."""
    one, other = first.said, second.said
    if one.beside or other.beside or one.asks or other.asks or first.is_past or second.is_past:
        return False
    share = _SAME_WORDS_SAID if one.speaker or other.speaker else _SAME_WORDS
    common = len(first.words & second.words)
    if common >= max(2, share * min(len(first.words), len(second.words))):
        return True
    if one.speaker or other.speaker:
        return False
    older, newer = sorted((first, second), key=lambda read: read.said.created_ts)
    own = {older.is_own, newer.is_own}
    apart = abs(one.meaning - other.meaning)
    if newer.corrects:
        return common > 0 and older.said.share == 1 and apart <= _CHANGED_MEANING
    if newer.tells_of_change:  # which seldom says again what it is about
        if len(own) == 2 and not (common and newer.said.share == 1):  # "My car is …", "I painted my car"
            return False
        return older.said.share == 1 and newer.said.share > 0 and apart <= _CHANGED_MEANING
    return own == {True} and one.share == other.share == 1 and apart <= _SAME_MEANING
