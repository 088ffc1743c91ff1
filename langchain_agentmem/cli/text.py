"""Texts, times and numbers as the command line shows them. No output here."""

from __future__ import annotations

import time
import unicodedata
from contextlib import suppress
from datetime import datetime
from urllib.parse import urlsplit

_LONGEST_SECONDS = 1e12  # 30,000 years; what is stored may be anything
_MONTH = 30 * 86_400
# Characters that reorder the line they stand in: a text could pretend to be another one.
_REORDERING = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(text: str, keep: str = "") -> str:
    """Return the text without control characters, except those to `keep`: they could change the terminal."""
    return "".join(
        char
        for char in text
        if char in keep or not (unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") or char in _REORDERING)
    )


def one_line(text: str, limit: int = 300) -> str:
    """Return the text on one line: runs of blanks are one, what is longer than the limit ends with `…`."""
    # A few times the limit is enough to look at: a memory may have 32 KiB.
    line = " ".join(printable(text[: 8 * limit], keep="\n\t\r").split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def bar(distance: float, threshold: float, width: int = 10) -> str:
    """Draw how near a memory is: full at distance 0, empty at the threshold and beyond."""
    nearness = 1 - distance / threshold if threshold > 0 else float(distance <= 0)
    filled = round(width * min(max(nearness, 0.0), 1.0))
    return "█" * filled + "░" * (width - filled)


def span(seconds: float | None) -> str:
    """Return a TTL or an age in its two largest units: `6 d 23 h`; `None` is `never`."""
    if seconds is None:
        return "never"
    if not abs(seconds) < _LONGEST_SECONDS:  # NaN neither
        return "an unknown time"
    minutes, s = divmod(max(int(seconds), 0), 60)
    hours, m = divmod(minutes, 60)
    parts = [*zip((*divmod(hours, 24), m, s), ("d", "h", "min", "s"), strict=True)]
    first = next((at for at, (number, _) in enumerate(parts) if number), 3)
    return " ".join(f"{number} {unit}" for number, unit in parts[first : first + 2] if number) or "0 s"


def about(seconds: float | None) -> str:
    """Return a TTL or an age in its largest unit, rounded: `7 d`; `None` is `never`."""
    if seconds is None or not abs(seconds) < _LONGEST_SECONDS:
        return span(seconds)
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 0.99 * length:
            return f"{round(seconds / length):,} {unit}"
    return f"{max(round(seconds), 0)} s"


def ago(ts: float) -> str:
    """Return how long ago it was: `3 min ago`; after a month the day, and nothing for what is no time."""
    age = time.time() - ts
    if -60 < age < 1:
        return "now"
    if 0 < age < _MONTH:
        return f"{about(age)} ago"
    return day(ts)


def clock(ts: float) -> str:
    """Return the time of day, in the local time zone; `?` for what is no time."""
    with suppress(ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(ts).strftime("%H:%M:%S")
    return "?"


def when(ts: float) -> str:
    """Return the time of day, with the day before it unless that is today."""
    return clock(ts) if day(ts) in ("", day(time.time())) else f"{day(ts)} {clock(ts)}"


def moment(ts: float) -> str:
    """Return a time for a person: ISO 8601, in the local time zone."""
    with suppress(ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(ts).astimezone().isoformat(timespec="seconds")
    return f"{ts:g} s"


def day(ts: float) -> str:
    """Return the day of a time, in the local time zone: `2026-05-17`; nothing for what is no time."""
    with suppress(ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(ts).date().isoformat()
    return ""


def expiry(ttl_seconds: float | None) -> str:
    """Return when something expires that has so many seconds left, as `moment`; `None` is `never`."""
    return "never" if ttl_seconds is None else moment(time.time() + ttl_seconds)


def milliseconds(seconds: float | None) -> str:
    """Return a duration: `0.3 ms`, `12 ms`, `1,240 ms`; nothing for `None`."""
    if seconds is None:
        return ""
    return f"{seconds * 1000:.1f} ms" if seconds < 0.001 else f"{seconds * 1000:,.0f} ms"


def counted(number: int, noun: str) -> str:
    """Return `1 memory`, `2 memories`, `2 keys`."""
    plural = noun[:-1] + "ies" if noun.endswith("y") and noun[-2] not in "aeou" else noun + "s"
    return f"{number:,} {noun if number == 1 else plural}"


def place(url: str) -> str:
    """Return where a URL leads, without user, password and query."""
    parts = urlsplit(url)
    return printable(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")
