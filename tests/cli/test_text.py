"""Texts and numbers as the command line shows them."""

from __future__ import annotations

import math
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_agentmem.cli.text import (
    about,
    ago,
    bar,
    clock,
    counted,
    day,
    expiry,
    milliseconds,
    moment,
    one_line,
    place,
    printable,
    span,
    when,
)

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("distance", "shown"),
    [
        (0.0, "██████████"),
        (0.055, "█████████░"),
        (0.275, "█████░░░░░"),
        (0.55, "░░░░░░░░░░"),
        (1.9, "░░░░░░░░░░"),
        (-1e-7, "██████████"),
    ],
)
def test_a_bar_is_full_at_the_same_text_and_empty_at_the_threshold(distance: float, shown: str) -> None:
    assert bar(distance, 0.55) == shown


def test_a_bar_under_a_threshold_of_zero_shows_only_what_is_the_same() -> None:
    assert (bar(0.0, 0.0, 4), bar(0.1, 0.0, 4)) == ("████", "░░░░")


@given(st.text())
def test_what_is_printable_can_neither_move_the_cursor_nor_reorder_the_line(text: str) -> None:
    shown = printable(text)
    assert not any(unicodedata.category(char) in ("Cc", "Cs") for char in shown)
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    shown.encode()


def test_printable_keeps_what_languages_and_emojis_need() -> None:
    text = "Ähre שלום 日本 👩\u200d👩\u200d👧 क्\u200dष"
    assert printable(text) == text


def test_one_line_is_one_and_short() -> None:
    assert one_line(" a\n\n b\x1b[31m\tc ") == "a b[31m c"
    assert one_line("x" * 400, 10) == "x" * 9 + "…"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (3600, "1 h"), (604_799, "6 d 23 h"), (604_800, "7 d")],
)
def test_a_span_has_two_units(seconds: int, shown: str) -> None:
    assert span(seconds) == shown
    assert span(None) == "never"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        *((0, "0 s"), (59, "59 s"), (60, "1 min"), (3599, "1 h"), (5400, "2 h"), (86_399, "1 d")),
        *((604_790, "7 d"), (31_536_000, "365 d"), (None, "never"), (math.inf, "an unknown time")),
    ],
)
def test_a_rounded_span_has_one_unit(seconds: float | None, shown: str) -> None:
    assert about(seconds) == shown


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> float:
    monkeypatch.setattr("langchain_agentmem.cli.text.time.time", lambda: NOW)
    return NOW


@pytest.mark.parametrize(
    ("age", "shown"),
    [
        (0, "now"),
        (-30, "now"),
        (5, "5 s ago"),
        (180, "3 min ago"),
        (7200, "2 h ago"),
        (2 * 86_400, "2 d ago"),
    ],
)
def test_a_recent_time_is_told_by_its_age(now: float, age: float, shown: str) -> None:
    assert ago(now - age) == shown


@pytest.mark.parametrize("age", [40 * 86_400, -86_400])
def test_an_old_time_and_one_to_come_is_told_by_its_day(now: float, age: float) -> None:
    assert ago(now - age) == day(now - age)
    assert when(now - age) == f"{day(now - age)} {clock(now - age)}"


def test_today_s_times_need_no_day(now: float) -> None:
    assert when(now) == clock(now)
    assert (expiry(None), expiry(60)) == ("never", moment(now + 60))


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan, 1e300])
def test_what_is_no_time_is_shown_nonetheless(number: float) -> None:
    assert (span(number), about(number), clock(number)) == ("an unknown time", "an unknown time", "?")
    assert (ago(number), when(number)) == ("", "?")


def test_durations_and_counts() -> None:
    assert [milliseconds(s) for s in (0.0003, 0.0124, 1.24)] == ["0.3 ms", "12 ms", "1,240 ms"]
    assert counted(2, "key") == "2 keys"
    assert [counted(1, "memory"), counted(2, "memory"), counted(1200, "event")] == [
        "1 memory",
        "2 memories",
        "1,200 events",
    ]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://user:hunter2@host:6379/0", "redis://host:6379/0"),
        ("unix://:hunter2@/tmp/redis.sock?db=0", "unix:///tmp/redis.sock"),
        ("redis+sentinel://:hunter2@a,b:1/main?sentinel_password=hunter2", "redis+sentinel://a,b:1/main"),
        ("redis://:p@hunter2@host", "redis://host"),
    ],
)
def test_a_place_has_no_secrets(url: str, shown: str) -> None:
    assert place(url) == shown
