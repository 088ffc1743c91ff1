"""How often a question's words are in each candidate and in the messages around it, and how rare they are."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from langchain_agentmem.longterm.question import Question
from langchain_agentmem.longterm.words import WORD, forms, related, stem

Matrix = NDArray[np.float64]

_RELATED = 0.5  # a word that stands for the one asked for, `daughter` for `kid`, counts half
_ACCENTS = {
    "german": {"a": "aä", "o": "oö", "u": "uü"},
    "spanish": {"a": "aá", "e": "eé", "i": "ií", "o": "oó", "u": "uúü"},
    "catalan": {"a": "aàá", "e": "eèé", "i": "iíï", "o": "oòó", "u": "uúü"},
}
_UNSEEN = 100  # memories without the word, added to every scope: else nothing is rare in a small one


class WordCounts:
    """The question's words in the candidates, each a matrix of a row per candidate and a column per word.

    Args:
        question: Whose words are counted.
        texts: The candidates.
        contexts: For each candidate the messages before it, one per line.

    Attributes:
        own: How often each text has each word.
        before: How often the messages before it have it.
        after: How often the candidates have it that came after, as their context tells.
    """

    def __init__(self, question: Question, texts: Sequence[str], contexts: Sequence[str]) -> None:
        lines: dict[str, int] = {}  # each line is searched once, though it is in several contexts
        place = [lines.setdefault(_on_one_line(text), len(lines)) for text in texts]
        later, earlier = [], []
        for at, context in enumerate(contexts):
            for line in context.splitlines() if context else ():
                later.append(at)
                earlier.append(lines.setdefault(line, len(lines)))
        counts = _count(question, [*lines])
        self.own = counts[place]
        self.before = _sums(counts[earlier], later, len(texts))
        self.after = _sums(self.own[later], earlier, len(lines))[place]

    def rarity(self, size: int, unread: int) -> Matrix:
        """Return each word's rarity: the logarithm of the share of memories without it.

        Counted among the candidates; a word that none of them has, among their contexts. If the search by
        words has matched more than it returned, the rest is divided among the words by the square of their
        counts: what was left out holds the common words.

        Args:
            size: How many memories the scope has.
            unread: How many memories the search by words has matched, and not returned.
        """
        said = np.where(self.own.any(axis=0), self.own, self.before)
        counted = (said > 0).sum(axis=0)
        rest = unread / max(1, (counted**2).sum())
        having = np.minimum(size, counted + rest * counted**2)
        rarity: Matrix = np.log(1 + (size + _UNSEEN - having + 0.5) / (having + 0.5))
        return rarity


def _count(question: Question, lines: Sequence[str]) -> Matrix:
    """Return how often each line has each word.

    All lines are searched as one string for the beginnings of the words: most hold none of them, and only
    what begins alike is stemmed.
    """
    starts = np.cumsum([0, *map(len, lines)]) + np.arange(len(lines) + 1)
    original = "\n".join(lines)
    # Line by line, because most lines are plain ASCII, which takes a tenth of the time.
    joined = "\n".join([line.lower() for line in lines])
    if len(joined) != len(original):  # as by "İ": a place has to be the same in both
        joined = "".join(lower if len(lower := one.lower()) == 1 else one for one in original)
    joined = joined.replace("’", "'") + "\n"
    places: list[int] = []
    columns: list[int] = []
    weights: list[float] = []
    language = question.language
    for column, (wanted, asked) in enumerate(question.words.items()):
        found = _places(joined, wanted, asked, language)
        states: list[int] = []
        for said in related(asked, language):
            if " " in said:
                states += _places_of_phrase(joined, original, said)
            else:
                states += _places(joined, stem(said, language), said, language)
        places += found + states
        columns += [column] * (len(found) + len(states))
        weights += [1.0] * len(found) + [_RELATED] * len(states)
    at = np.searchsorted(starts, places, side="right") - 1
    return _table(at, np.array(columns, int), weights, (len(lines), len(question.words)))


def _sums(rows: Matrix, places: Sequence[int], count: int) -> Matrix:
    """Return so many rows, each the sum of the rows that have its place."""
    width = rows.shape[1]
    return _table(
        np.repeat(np.array(places, int), width),
        np.tile(np.arange(width), len(places)),
        rows.ravel(),
        (count, width),
    )


def _table(rows: NDArray[np.int_], columns: NDArray[np.int_], values: Any, shape: tuple[int, int]) -> Matrix:
    """Return a table of the sums of values, by their row and column."""
    height, width = shape
    table = np.bincount(rows * width + columns, values, height * width).reshape(shape)
    return table.astype(float, copy=False)


def _accented(begin: str, language: str) -> set[str]:
    """Return how a word may begin in a text whose stem begins so: stems of some languages have no accents."""
    accents = _ACCENTS.get(language)
    if accents is None:
        return {begin}
    begins = {"".join(letters) for letters in product(*(accents.get(one, one) for one in begin[:5]))}
    if language == "german":
        begins |= {one.replace("ss", "ß") for one in begins} | {
            f"{one[:-1]}ß" for one in begins if one[-1] == "s"
        }
    return begins


def _on_one_line(text: str) -> str:
    """Return a text as it is a line of a context."""
    plain = text.isprintable() and "  " not in text and text[:1] != " " != text[-1:]
    return text if plain else " ".join(text.split())


def _places_of_phrase(joined: str, original: str, phrase: str) -> list[int]:
    """Return where a phrase begins in a text; `X` at its end stands for a word with a capital."""
    begin = phrase.removesuffix("X")
    places, at = [], joined.find(begin)
    while at >= 0:
        behind = original[at + len(begin) : at + len(begin) + 1]
        ends = behind.isupper() if begin != phrase else not behind.isalnum()
        if ends and (at == 0 or not joined[at - 1].isalnum()):
            places.append(at)
        at = joined.find(begin, at + 1)
    return places


def _places(joined: str, wanted: str, asked: str, language: str) -> list[int]:
    """Return where the words with a stem begin in a text that ends with a line break."""
    places = []
    find, match, length = joined.find, WORD.match, len(asked)
    is_wanted: dict[str, bool] = {}  # by word: most are said several times
    for begin in _beginnings(wanted, asked, language):
        at = find(begin)
        while at >= 0:
            end = at + len(begin)
            if at and joined[at - 1].isalnum():
                pass
            elif joined.startswith(asked, at) and not joined[at + length].isalnum():
                places.append(at)
                end = at + length
            elif found := match(joined, at):
                word, end = found[0], found.end()
                known = is_wanted.get(word)
                if known is None:
                    known = is_wanted[word] = stem(word, language) == wanted
                if known:
                    places.append(at)
            at = find(begin, end)
    return places


@lru_cache(maxsize=4096)
def _beginnings(wanted: str, asked: str, language: str) -> tuple[str, ...]:
    """Return what the forms of a word begin with, none with another: `happ` of happy and happiness."""
    begins = _accented(wanted[:-1] if len(wanted) > 2 else wanted, language)
    begins |= {form[:-1] if len(form) > 2 else form for form in forms(asked, language)}
    return tuple(one for one in begins if not any(one != other and one.startswith(other) for other in begins))
