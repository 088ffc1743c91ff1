"""Stored text as a terminal may show it, and numbers as a person reads them. Pure functions."""

from __future__ import annotations

import re
import time
import unicodedata
from urllib.parse import urlsplit

from rich.cells import cell_len

# Characters that reorder the line they stand in: a text could pretend to be another one.
_REORDERING = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
_LONGEST_SECONDS = 1e12  # 30,000 years; what is stored may be anything
_FULL, _EMPTY = "█", "░"


def printable(text: str, keep: str = "") -> str:
    """The text without control characters, which could move the cursor or change the terminal.

    Args:
        text: What somebody typed, stored or answered.
        keep: Control characters that may stay.
    """
    return "".join(char for char in text if char in keep or not _controls(char))


def _controls(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") or char in _REORDERING


def one_line(text: str, limit: int = 300) -> str:
    """The text on one line: runs of blanks are one, what is longer than the limit ends with `…`."""
    # A few times the limit is enough to look at: a memory may have 32 KiB.
    line = " ".join(printable(text[: 8 * limit], keep="\n\t\r").split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


class Wrapping:
    """Breaks a text between words while it still comes; a word is held back until it is whole."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._column = 0
        self._word = ""

    def add(self, part: str) -> str:
        """What can be shown now."""
        *whole, self._word = re.split(r"(\s)", self._word + part)
        return "".join(map(self._place, whole))

    def rest(self) -> str:
        """The last word."""
        word, self._word = self._word, ""
        return self._place(word)

    def _place(self, token: str) -> str:
        size = cell_len(token)
        if token == "\n":
            self._column = 0
        elif self._column + size > self._width and size <= self._width:
            self._column = 0 if token.isspace() else size
            return "\n" if token.isspace() else f"\n{token}"
        else:
            self._column += size
            if self._column > self._width:  # a word without end: the terminal breaks it
                self._column %= self._width
        return token


def bar(distance: float, threshold: float, width: int = 10) -> str:
    """How near a memory is: full at distance 0, empty at the threshold and beyond."""
    nearness = 1 - distance / threshold if threshold > 0 else float(distance <= 0)
    filled = round(width * min(max(nearness, 0.0), 1.0))
    return _FULL * filled + _EMPTY * (width - filled)


def span(seconds: float) -> str:
    """A time to live or an age in its two largest units: `6 d 23 h`, `59 min 3 s`."""
    if not abs(seconds) < _LONGEST_SECONDS:  # NaN neither
        return "an unknown time"
    left = max(int(seconds), 0)
    parts: list[str] = []
    for unit, size in _UNITS:
        if left >= size or parts:
            parts.append(f"{left // size} {unit}" if left >= size else "")
            left %= size
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if part) or "0 s"


def clock(ts: float) -> str:
    """The time of day, in the local time zone; `?` for what is no time."""
    try:
        return time.strftime("%H:%M:%S", time.localtime(ts))
    except (ValueError, OverflowError, OSError):
        return "?"


def milliseconds(seconds: float) -> str:
    """A duration: `0.3 ms`, `12 ms`, `1,240 ms`."""
    value = seconds * 1000
    return f"{value:.1f} ms" if value < 1 else f"{value:,.0f} ms"


def count(number: int, noun: str) -> str:
    """`1 memory`, `2 memories`, `2 keys`."""
    plural = noun[:-1] + "ies" if noun.endswith("y") and noun[-2] not in "aeou" else noun + "s"
    return f"{number:,} {noun if number == 1 else plural}"


def place(url: str) -> str:
    """Where a URL leads, without user, password and query."""
    parts = urlsplit(url)
    hosts = parts.netloc.rpartition("@")[2]
    return printable(f"{parts.scheme}://{hosts}{parts.path}")
