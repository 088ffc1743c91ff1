"""What chat and page answer without a model."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from math import inf, nan

import pytest

from langchain_agentmem import MemoryRecord
from langchain_agentmem.cli.chat.answers import answer
from langchain_agentmem.cli.chat.changes import changes

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=timezone.utc)


def told(
    text: str,
    when: datetime | float = NOW,
    *matched: str,
    score: float | None = None,
    distance: float | None = 0.5,
    kind: str = "episodic",
) -> MemoryRecord:
    ts = when if isinstance(when, float) else when.timestamp()
    return MemoryRecord(
        *("m", text, "u", "default", kind),
        created_ts=ts,
        score=score,
        distance=distance,
        matched_words=[*matched],
    )


def answered(text: str, *memories: MemoryRecord, **options: bool) -> str:
    return answer(text, memories, now=NOW, **options)


@pytest.mark.parametrize("text", ["I live in Porto.", "i live in porto", "Ich wohne in Porto.", "two kids"])
def test_a_statement_is_acknowledged_whatever_it_recalls(text: str) -> None:
    assert answered(text) == "Noted."
    assert answered(text, told("I have a cat."), told("Where do I live?")) == "Noted."


def test_a_statement_that_is_known_is_told_so() -> None:
    monday = told("I am allergic to peanuts.", NOW - timedelta(days=7))
    assert answered("I'm allergic to peanuts", monday) == "I knew that; you told me on 16 November."
    assert answered("I am not allergic to peanuts.", monday).startswith(
        "Noted. Earlier, on 16 November, you "
    )
    assert answered("I am allergic to peanuts and eggs.", monday) == "Noted."
    assert answered("I'm allergic to peanuts", told("I am allergic to peanuts.", 0.0)) == (
        "I knew that; you told me."
    )


def test_what_a_statement_changes_is_named() -> None:
    lisbon, cat = told("I live in Lisbon.", NOW - timedelta(days=3)), told("I have a cat.")
    assert answered("I live in Porto.", cat, lisbon) == (
        "Noted. Earlier, on 20 November, you told me: “I live in Lisbon.”"
    )
    assert answered("I live in Porto.", told("I live in Lisbon.")) == (
        "Noted. Earlier today, you told me: “I live in Lisbon.”"
    )
    assert answered("I live in Porto.", told("I live in Lisbon.", 0.0)) == (
        "Noted. Earlier, you told me: “I live in Lisbon.”"
    )


@pytest.mark.parametrize(
    ("new", "old", "surely"),
    [
        ("I live in Porto.", "I live in Lisbon.", True),
        ("I moved to Porto last week.", "Hi, I'm Maria and I live in Lisbon.", True),
        ("I prefer coffee over tea.", "I prefer tea over coffee.", True),
        ("My cat is called Tofu.", "My cat is called Miso.", True),
        ("My daughter Ana is six.", "My daughter Ana is five.", True),
        ("I'm allergic to nuts.", "I am not allergic to nuts.", True),
        ("I eat meat.", "I don't eat meat.", True),
        ("Our weekly meeting is on Mondays.", "Our weekly meeting is on Tuesdays.", True),
        ("My favourite colour is teal.", "My favourite colour is red.", True),
        ("Actually, my favorite color is orange now.", "My favorite color is teal.", True),
        ("Actually, I like coffee.", "I like tea.", False),
        ("I have three kids.", "I have two kids.", True),
        ("I work as a teacher.", "I work as a nurse.", True),
        ("I live in Porto.", "I live in Porto.", False),
        ("Did I tell you that I moved to Porto?", "I moved to Porto last week.", False),
        ("I have a dog.", "I have a cat.", False),
        ("I like coffee.", "I like tea.", False),
        ("My car is fast.", "My car is red.", False),
        ("My daughter Ana likes horses.", "My daughter Ana is five.", False),
        ("I live in Porto.", "My sister lives in Lisbon.", False),
        ("My sister moved to Porto.", "I live in Lisbon.", False),
        ("I live in Porto.", "I used to live in Lisbon.", False),
        ("I met Ana and Bob.", "I met Bob and Ana.", False),
        ("I ran 12 km.", "I ran 10 km.", False),
        ("My dog is called Rex.", "My cat is called Rex.", False),
        ("I know a woman with two kids.", "I know a woman with three kids.", False),
        ("", "I live in Porto.", False),
    ],
)
def test_a_statement_changes_another_only_if_that_is_sure(new: str, old: str, surely: bool) -> None:
    assert changes(new, old) is surely
    assert changes(old, new) is surely or "moved" in new


def test_a_statement_that_is_not_remembered_is_not_said_to_be() -> None:
    assert answered("I live in Porto.", will_remember=False) == "All right, but I won't remember it."


def test_a_question_is_answered_with_what_was_told_and_when() -> None:
    porto = told("I moved to Porto last week.", NOW - timedelta(days=3))
    lisbon = told("I live in Lisbon.", NOW - timedelta(days=20))
    nurse = told("I work as a nurse.", NOW - timedelta(days=3))
    assert answered("What's my job?", nurse) == "You work as a nurse; you told me on 20 November."
    assert answered("Where do I live?", porto) == "You told me on 20 November: “I moved to Porto last week.”"
    assert answered("where do i live", porto, lisbon) == (
        "You told me on 20 November: “I moved to Porto last week.”\n"
        "Before that, on 3 November: “I live in Lisbon.”"
    )


def test_the_order_is_that_of_recall() -> None:
    older, newer = told("I like tea.", NOW - timedelta(days=1)), told("I run on Sundays.")
    assert answered("What do I like?", older, newer) == (
        "You like tea; you told me yesterday.\nAlso, you run on Sundays; you told me today."
    )
    older, newer = told("tea, always", NOW - timedelta(days=1)), told("running on Sundays")
    assert answered("What do I like?", older, newer) == (
        "You told me yesterday: “tea, always”\nAlso, today: “running on Sundays”"
    )


def test_what_was_told_on_the_same_day_is_not_dated_twice() -> None:
    porto, lisbon = told("I moved to Porto."), told("I live in Lisbon.", NOW - timedelta(hours=1))
    assert answered("Where do I live?", porto, lisbon) == (
        "You moved to Porto; you told me today.\nBefore that: “I live in Lisbon.”"
    )
    assert answered("Where do I live?", lisbon, porto).endswith("\nAlso, you moved to Porto.")
    assert answered("Where do I live?", lisbon, told("Porto, once")).endswith("\nAlso: “Porto, once”")


def test_what_says_something_else_was_not_before_that() -> None:
    lisbon = told("I live in Lisbon.", NOW, "live")
    for text in ("My sister lives in Berlin.", "I used to live in Cairo.", "I live with a cat and two dogs."):
        matched = () if "sister" in text else ("live", "with") if "with" in text else ("live",)
        other = told(text, NOW - timedelta(days=1), *matched)
        also = answered("Where do I live?", lisbon, other).rpartition("\n")[2]
        assert also.startswith("Also, you")
        assert also.endswith("; you told me yesterday.")


def test_what_was_before_that_follows_what_it_was_before() -> None:
    day = timedelta(days=1)
    porto = told("My flat is in Porto now.", NOW, "flat")
    cat, lisbon = told("We got a cat.", NOW - day), told("My flat is in Lisbon.", NOW - 2 * day, "flat")
    assert answered("Where is my flat?", porto, cat, lisbon) == (
        "Your flat is in Porto now; you told me today.\n"
        "Before that, on 21 November: “My flat is in Lisbon.”\n"
        "Also, you got a cat; you told me yesterday."
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
    assert answer("Where do I live?", [late], now=here) == "You live in Porto; you told me today."


@pytest.mark.parametrize("ts", [0.0, -1.0, nan, inf, 1e300])
def test_a_memory_without_a_usable_date_has_none(ts: float) -> None:
    assert answered("Where do I live?", told("I live in Porto.", ts)) == "You told me: “I live in Porto.”"
    assert answered("Where do I live?", told("I live in Porto."), told("I live there.", ts)).endswith(
        "\nAlso: “I live there.”"
    )


def test_no_more_than_three_are_quoted() -> None:
    memories = [told(f"I have {n} cats.") for n in range(2, 9)]
    assert answered("How many cats do I have?", *memories).count("\n") == 2


def test_what_is_listed_is_told_each_by_itself() -> None:
    """A question for whatever is known recalls all, newest first, with no distance and no matched words."""
    married = told("My sister Anna got married on Saturday.", NOW, score=1.0, distance=None)
    job = told("I quit my job.", NOW - timedelta(days=1), score=1.0, distance=None)
    tea = told("I prefer tea.", NOW - timedelta(days=2), score=1.0, distance=None)
    assert answered("What do you know about me?", married, job, tea) == (
        "Your sister Anna got married on Saturday; you told me today.\n"
        "You quit your job; you told me yesterday.\n"
        "You prefer tea; you told me on 21 November."
    )


def test_of_all_six_are_told_and_what_is_semantic_before_the_rest() -> None:
    cats = [told(f"I have {n} cats.", score=1.0, distance=None) for n in range(2, 8)]
    vegan = told("I am vegan.", NOW - timedelta(days=9), score=1.0, distance=None, kind="semantic")
    said = answered("What do you know about me?", *cats).splitlines()
    assert said == [f"You have {n} cats; you told me today." for n in range(2, 8)]
    more = answered("What do you know about me?", *cats, vegan).splitlines()
    assert more == ["You are vegan; you told me on 14 November.", *said[:5]]


def test_what_is_far_from_the_question_and_has_no_word_of_it_is_not_told_besides() -> None:
    porto = told("I live in Porto.", NOW, "live", distance=0.4)
    also = "You live in Porto; you told me today.\nAlso, you run on Sundays."
    assert answered("Where do I live?", porto, told("I run on Sundays.", distance=0.75)) == also
    assert answered("Where do I live?", porto, told("I run on Sundays.", NOW, "run", distance=0.9)) == also
    assert answered("Where do I live?", porto, told("I run on Sundays.", distance=0.76)) == (
        "You live in Porto; you told me today."
    )
    assert answered("Where do I live?", told("I run on Sundays.", distance=0.9)).startswith("You run on")


@pytest.mark.parametrize(
    "text",
    [
        "Forget my birthday",
        "Please delete my address.",
        "Erase what I said about olives.",
        "Hi! Can you forget me?",
    ],
)
def test_what_is_to_be_forgotten_is_not_said_to_be(text: str) -> None:
    for memories in ([], [told("My birthday is in May.")]):
        said = answered(text, *memories).removeprefix("Hello! ")
        assert said.startswith("Nothing was deleted: I can't delete by being told so yet.")
        for way in ("✕ under All", "/memories", "/delete ID", "/forget"):
            assert way in said
        assert "Noted" not in said
        assert "May" not in said


def test_what_is_said_besides_is_answered_too() -> None:
    assert answered("Forget that, I live in Lisbon now.").startswith("Noted. Nothing was deleted: ")
    asked = answered("Forget my birthday. Where do I live?", told("I live in Porto."))
    assert asked.endswith("everything. You live in Porto; you told me today.")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("I'm sad, my cat died.", "I'm sorry to hear that. Noted."),
        ("My grandmother passed away", "I'm sorry to hear that. Noted."),
        ("I lost my job.", "I'm sorry to hear that. Noted."),
        ("My girlfriend and I broke up", "I'm sorry to hear that. Noted."),
        ("I’m sick today", "I'm sorry to hear that. Noted."),
        ("My sister Anna got married on Saturday.", "Glad to hear it! Noted."),
        ("I got promoted!", "Glad to hear it! Noted."),
        ("I passed my exam.", "Glad to hear it! Noted."),
        ("We had a baby on Friday.", "Glad to hear it! Noted."),
        ("My phone died.", "Noted."),
        ("I'm sick of olives.", "Noted."),
        ("I'm not sad.", "Noted."),
        ("I didn't get promoted, I haven't passed my exam", "Noted."),
        ("My cat died before we had a baby.", "Noted."),
        ("If I got promoted, I'd move.", "Noted."),
        ("Mozart died in Vienna.", "Noted."),
    ],
)
def test_plainly_sad_or_glad_news_get_a_word(text: str, said: str) -> None:
    assert answered(text) == said


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
        "Noted. You moved to Porto last week; you told me today."
    )
    assert answered("I was born in 1988. How old is my sister?") == "Noted. I can't answer the question yet."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Hi!", "Hello!"),
        ("How are you?", "Hello! I'm fine, thank you."),
        ("Good morning, how are you?", "Good morning! I'm fine, thank you."),
        ("Good evening!", "Good evening!"),
        ("lol", "Glad to amuse you."),
        ("nice", "Glad to hear it."),
        ("sorry", "No problem."),
        ("yes", "All right."),
        ("👍", "All right."),
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


TRY = "Tell me something, such as “I live in Lisbon.”, and ask me about it, now or another day."
NO_MODEL = "I only tell what you told me. A model answers more: start me with --model."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Who are you?", "I'm a memory: I keep what you tell me, and tell it when you ask."),
        ("Are you a bot?", "I'm a memory: I keep what you tell me, and tell it when you ask."),
        ("What can you do?", TRY),
        ("How does this work?", TRY),
        ("Can you help me?", TRY),
        ("Help!", TRY),
        ("???", TRY),
        ("Are you there?", "Yes, I'm here."),
        ("Do you remember me?", "I remember what you tell me: ask me about it."),
        (
            "what do you know about me",
            "Ask me about one thing, such as where you live; the list of memories shows all that I keep.",
        ),
        ("Do you like tea?", "I'm only a memory: ask me about what you told me."),
        ("Tell me a joke.", NO_MODEL),
        ("Hello! Write me a poem.", f"Hello! {NO_MODEL}"),
    ],
)
def test_what_is_asked_of_the_memory_itself_is_answered_as_such(text: str, said: str) -> None:
    assert answered(text) == said


def test_what_was_told_says_more_than_the_memory_of_itself() -> None:
    tea = told("I like tea.")
    for text in ("What do you know about me?", "Do you remember me?", "Do you like tea?", "Tell me a joke."):
        assert answered(text, tea) == "You like tea; you told me today."
    assert answered("What can you do?", tea) == TRY


def test_the_question_for_a_name_is_answered_by_what_gives_one() -> None:
    ana, maria = told("My daughter is called Ana."), told("Hi, I'm Maria and I live in Lisbon.")
    assert (
        answered("What's my name?", ana, maria) == "You're Maria and you live in Lisbon; you told me today."
    )
    assert answered("What's my name?", ana) == "Your daughter is called Ana; you told me today."
    assert answered("Who am I?", told("Ich bin Sara.")) == "You told me today: “Ich bin Sara.”"


@pytest.mark.parametrize(
    "text", ["I live in Porto.", "ich wohne in Porto", "You are great.", "My name is Bo."]
)
def test_nothing_is_unknown_about_a_statement(text: str) -> None:
    assert "don't know" not in answered(text)
