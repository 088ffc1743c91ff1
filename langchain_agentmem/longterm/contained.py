"""The words that a listed memory has to contain. Both backends compare them here, so they agree exactly.

A server's own search by words would not do: it stems, it expands a beginning to 200 words at most, and it
knows neither beginnings of one letter nor capitals beyond ASCII.
"""

from __future__ import annotations

import re
from unicodedata import normalize

from langchain_agentmem.core.checks import utf8
from langchain_agentmem.longterm.words import WORD

# Thai to Lao, Burmese, Khmer, kana, Chinese characters: scripts that write no spaces between words.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_IS_UNSPACED = re.compile(f"[{_UNSPACED}]")
_LETTER = rf"[^\W_{_UNSPACED}]"  # or digit, of a script with spaces


class ContainedWords:
    """The words of a text that is typed: each is to be contained, the last one as the beginning of a word.

    Attributes:
        ascii: Those of plain Latin letters and digits, in lower case, which a server can compare.
    """

    __slots__ = ("_patterns", "ascii")

    def __init__(self, words: list[str]) -> None:
        *whole, last = words
        patterns = [_pattern(word, ends=True) for word in dict.fromkeys(whole)]
        self._patterns = [re.compile(pattern) for pattern in (*patterns, _pattern(last, ends=False))]
        self.ascii = tuple(dict.fromkeys(word for word in words if word.isascii()))

    @classmethod
    def of(cls, typed: str) -> ContainedWords | None:
        """Return the words of a text; `None` if it has none, and so leaves out nothing.

        Raises:
            InvalidInputError: It is no text.
        """
        utf8("contains", typed)
        words = WORD.findall(_folded(typed))
        return cls(words) if words else None

    def are_in(self, text: str) -> bool:
        """Return whether a text contains them."""
        folded = _folded(text)
        return all(pattern.search(folded) for pattern in self._patterns)


def _folded(text: str) -> str:
    return normalize("NFC", text).lower()


def _pattern(word: str, *, ends: bool) -> str:
    before = "" if _IS_UNSPACED.match(word[0]) else f"(?<!{_LETTER})"
    after = f"(?!{_LETTER})" if ends and not _IS_UNSPACED.match(word[-1]) else ""
    return f"{before}{word}{after}"
