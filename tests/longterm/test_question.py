"""What is asked: by key phrases, and about everything."""

from __future__ import annotations

import pytest

from langchain_agentmem.longterm.question import Question, as_asked


@pytest.mark.parametrize(
    ("phrase", "asked"),
    [
        ("user's job", "my job?"),
        ("the user’s favourite drink", "my favourite drink?"),
        ("my blood type", "my blood type?"),
        ("my name is Ada", "my name is Ada"),
        ("user likes tea", "user likes tea"),
        ("my sister has two cats", "my sister has two cats"),
        ("Where do I live?", "Where do I live?"),
        ("", ""),
    ],
)
def test_a_key_phrase_is_a_question_about_oneself(phrase: str, asked: str) -> None:
    assert as_asked(phrase) == asked
    assert Question(phrase).is_own == (asked.endswith("?"))


@pytest.mark.parametrize(
    "text",
    [
        "What do you know about me?",
        "what have i told you",
        "Tell me about myself.",
        "tell me everything you know about me",
        "What do you remember?",
        "Please show me all you know",
        "Summarise what you know about me",
    ],
)
def test_a_question_about_everything(text: str) -> None:
    assert Question(text).is_about_everything


@pytest.mark.parametrize(
    "text",
    [
        "What do you know about my dog?",
        "What did I tell you about Rex?",
        "Tell me about my allergies",
        "What do I know?",
        "I told you everything about me",
    ],
)
def test_a_question_about_something(text: str) -> None:
    assert not Question(text).is_about_everything
