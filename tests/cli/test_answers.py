"""What chat and page answer without a model."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from math import inf, nan

import pytest

from langchain_agentmem.cli.chat.answers import answer
from langchain_agentmem.longterm.types import MemoryRecord

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=timezone.utc)


def told(text: str, when: datetime | float = NOW, *matched: str, score: float | None = None) -> MemoryRecord:
    ts = when if isinstance(when, float) else when.timestamp()
    return MemoryRecord(
        "m", text, "u", "default", "episodic", created_ts=ts, score=score, matched_words=[*matched]
    )


def answered(text: str, *memories: MemoryRecord, **options: bool) -> str:
    return answer(text, memories, now=NOW, **options)


@pytest.mark.parametrize("text", ["I live in Porto.", "i live in porto", "Ich wohne in Porto.", "two kids"])
def test_a_statement_is_acknowledged_whatever_it_recalls(text: str) -> None:
    assert answered(text) == "Noted."
    assert answered(text, told("I live in Lisbon."), told("Where do I live?")) == "Noted."


def test_a_statement_that_is_known_is_told_so() -> None:
    monday = told("I am allergic to peanuts.", NOW - timedelta(days=7))
    assert answered("I'm allergic to peanuts", monday) == "I knew that: you told me on 16 November."
    assert answered("I am not allergic to peanuts.", monday) == "Noted."
    assert answered("I'm allergic to peanuts", told("I am allergic to peanuts.", 0.0)) == (
        "I knew that: you told me."
    )


def test_a_statement_that_is_not_remembered_is_not_said_to_be() -> None:
    assert answered("I live in Porto.", will_remember=False) == "All right, but I won't remember it."


def test_a_question_is_answered_with_what_was_told_and_when() -> None:
    porto = told("I moved to Porto last week.", NOW - timedelta(days=3))
    lisbon = told("I live in Lisbon.", NOW - timedelta(days=20))
    assert answered("Where do I live?", porto) == "You told me on 20 November: “I moved to Porto last week.”"
    assert answered("where do i live", porto, lisbon) == (
        "You told me on 20 November: “I moved to Porto last week.”\n"
        "Before that, on 3 November: “I live in Lisbon.”"
    )


def test_the_order_is_that_of_recall() -> None:
    older, newer = told("I like tea.", NOW - timedelta(days=1)), told("I run on Sundays.")
    assert answered("What do I like?", older, newer) == (
        "You told me yesterday: “I like tea.”\nAlso, today: “I run on Sundays.”"
    )


def test_what_was_told_on_the_same_day_is_not_dated_twice() -> None:
    porto, lisbon = told("I moved to Porto."), told("I live in Lisbon.", NOW - timedelta(hours=1))
    assert answered("Where do I live?", porto, lisbon) == (
        "You told me today: “I moved to Porto.”\nBefore that: “I live in Lisbon.”"
    )
    assert answered("Where do I live?", lisbon, porto).endswith("\nAlso: “I moved to Porto.”")


def test_what_says_something_else_was_not_before_that() -> None:
    lisbon = told("I live in Lisbon.", NOW, "live")
    for text in ("My sister lives in Berlin.", "I used to live in Cairo.", "I live with a cat and two dogs."):
        matched = () if "sister" in text else ("live", "with") if "with" in text else ("live",)
        other = told(text, NOW - timedelta(days=1), *matched)
        assert answered("Where do I live?", lisbon, other).endswith(f"\nAlso, yesterday: “{text}”")


def test_what_was_before_that_follows_what_it_was_before() -> None:
    day = timedelta(days=1)
    porto = told("My flat is in Porto now.", NOW, "flat")
    cat, lisbon = told("We got a cat.", NOW - day), told("My flat is in Lisbon.", NOW - 2 * day, "flat")
    assert answered("Where is my flat?", porto, cat, lisbon) == (
        "You told me today: “My flat is in Porto now.”\n"
        "Before that, on 21 November: “My flat is in Lisbon.”\n"
        "Also, yesterday: “We got a cat.”"
    )


def test_what_is_far_behind_the_best_is_not_quoted() -> None:
    memories = [
        told("I run.", score=0.3),  # newer than the best, and first
        told("I swim.", score=0.5),
        told("I like tea.", score=0.29),
        told("I ski.", score=0.4),
    ]
    assert answered("Which sport do I do?", *memories) == "You told me today: “I run.”\nAlso: “I swim.”"
    assert answered("Which sport do I do?", memories[1], told("I row.", score=0.3)).endswith("“I row.”")


@pytest.mark.parametrize(
    ("when", "said"),
    [
        (NOW - timedelta(minutes=5), "today"),
        (NOW - timedelta(days=1), "yesterday"),
        (NOW - timedelta(days=2), "on 21 November"),
        (NOW - timedelta(days=365), "on 23 November 2025"),
    ],
)
def test_days_are_told_as_people_do(when: datetime, said: str) -> None:
    assert answered("Where do I live?", told("In Porto I live.", when)).startswith(f"You told me {said}: ")


def test_days_are_those_of_the_place() -> None:
    late = told("I live in Porto.", datetime(2026, 11, 22, 23, 30, tzinfo=timezone.utc))
    here = NOW.astimezone(timezone(timedelta(hours=2)))
    assert answer("Where do I live?", [late], now=here).startswith("You told me today: ")


@pytest.mark.parametrize("ts", [0.0, -1.0, nan, inf, 1e300])
def test_a_memory_without_a_usable_date_has_none(ts: float) -> None:
    assert answered("Where do I live?", told("In Porto I live.", ts)) == "You told me: “In Porto I live.”"
    assert answered("Where do I live?", told("I live in Porto."), told("I live.", ts)).endswith(
        "\nAlso: “I live.”"
    )


def test_no_more_than_three_are_quoted() -> None:
    memories = [told(f"I have {n} cats.") for n in range(2, 9)]
    assert answered("How many cats do I have?", *memories).count("“") == 3


def test_a_question_about_something_unknown() -> None:
    assert answered("Where do I live?") == "I don't know that yet."
    assert (
        answered("Where do I live?", told("Where do I live?"), told("¿Dónde vivo?"))
        == "I don't know that yet."
    )


def test_a_question_that_states_something_is_both() -> None:
    asked = "Did I tell you that I moved to Porto?"
    assert answered(asked) == "Noted."
    assert answered(asked, told("I moved to Porto last week.")) == (
        "Noted. You told me today: “I moved to Porto last week.”"
    )
    assert answered("I was born in 1988. How old is my sister?") == "Noted. I can't answer the question yet."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Hi!", "Hello!"),
        ("How are you?", "Hello!"),
        ("Thanks, that's all!", "You're welcome."),
        ("Danke!", "You're welcome."),
        ("Bye!", "Goodbye!"),
        ("Thank you, good night!", "You're welcome. Goodbye!"),
        ("ok", "All right."),
        ("Hi, I'm Maria and I live in Lisbon.", "Hello! Noted."),
        ("Hello, where do I live?", "Hello! I don't know that yet."),
    ],
)
def test_small_talk_is_answered_as_such(text: str, said: str) -> None:
    assert answered(text) == said
