"""Whether a statement surely says something else of the same than an earlier one. Patterns as data."""

from __future__ import annotations

import re
from itertools import takewhile

_MOST_WORDS = 3  # that differ


def changes(new: str, old: str) -> bool:
    """Return whether a statement surely says something else of the same than an earlier one.

    It does if both have the same words in another order ("I prefer tea over coffee"), if one of them negates
    the other, if somebody has moved, or if they differ in one place, behind words that are true of one thing
    only: "I live in", "my cat is called", a number. Anything else may be true beside the other.
    """
    one, other = _words(new), _words(old)
    if one == other:
        return False
    if sorted(one) == sorted(other):
        return not _OVER.isdisjoint(one)
    plain = [[word for word in words if word not in _NEGATIONS] for words in (one, other)]
    if plain[0] == plain[1]:
        return abs(len(one) - len(other)) == 1
    moved, lived = _MOVED.search(" ".join(one)), _LIVES.search(" ".join(other))
    if moved and lived:
        return moved[1] != lived[1]
    same = [pair[0] for pair in takewhile(_equal, zip(one, other, strict=False))]
    rest, other_rest = one[len(same) :], other[len(same) :]
    end = len([*takewhile(_equal, zip(reversed(rest), reversed(other_rest), strict=False))])
    rest, other_rest = rest[: len(rest) - end], other_rest[: len(other_rest) - end]
    if not (0 < len(rest) <= _MOST_WORDS and 0 < len(other_rest) <= _MOST_WORDS):
        return False
    before = " ".join(same)
    counted = len(rest) == len(other_rest) == 1 and all(
        _NUMBER.fullmatch(words[0]) for words in (rest, other_rest)
    )
    return bool(_OF_ONE.search(before) or (counted and _OF_A_NUMBER.search(before)))


def _words(text: str) -> list[str]:
    text = text.casefold().replace("’", "'").replace("i'm", "i am").replace("it's", "it is")
    words = re.findall(r"[\w'@.:/-]*\w", text)
    return words[1:] if words[:1] == ["actually"] else words


def _equal(pair: tuple[str, str]) -> bool:
    return pair[0] == pair[1]


_OVER = frozenset(("over", "than", "to"))  # "I prefer tea to coffee"
_NEGATIONS = frozenset(("not", "don't", "doesn't", "never", "no"))
_MOVED = re.compile(r"\bi (?:have |just |recently )*moved to (\S+)")
_LIVES = re.compile(r"\b(?:i (?:now |still |currently )?live in|i (?:have |just )*moved to) (\S+)")
_NUMBER = re.compile(
    r"\d[\d.,:]*|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen"
    r"|(?:twen|thir|for|fif|six|seven|eigh"
    r"|nine)ty(?:-\w+)?|(?:sun|mon|tues|wednes|thurs|fri|satur)days?"
)
_OF_A_NUMBER = re.compile(
    r"\b(?:am|is|are|have|has|weigh|earn|pay|opens|closes|starts|ends|leaves)\b(?: \w+){0,2}$"
)
_OF_ONE = re.compile(
    r"\bi (?:now |currently )?(?:live in|work as an?|prefer)$"
    r"|\b(?:my|our) (?:[\w'-]+ ){1,3}is called$|\b(?:my|our|the) (?:[\w'-]+ ){1,3}(?:is"
    r"|opens|closes|starts|ends) (?:at|on)$"
    r"|\bmy (?:[\w'-]+ )?(?:name|number|address|e-?mail|birthday|age|rent|time zone|code"
    r"|favou?rite [\w'-]+) is(?: on| at)?$"
)
