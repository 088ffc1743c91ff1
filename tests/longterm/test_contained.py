"""Which texts contain the words that somebody types to find memories."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.longterm.contained import ContainedWords


def contains(text: str, typed: str) -> bool:
    words = ContainedWords.of(typed)
    return words is None or words.are_in(text)


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("lisbon", "I live in Lisbon."),
        ("lisb", "I live in Lisbon."),
        ("l", "I live in Lisbon."),
        ("LIVE lisbon", "I live in Lisbon."),
        ("lisbon live", "I live in Lisbon."),
        ("in i", "I live in Lisbon."),
        ("the a", "The end of a day"),
        ("don't", "I don't know"),
        ("snake_case", "named snake case"),
        ("ärger", "Kein ÄRGER"),
        ("är", "Kein ÄRGER"),
        ("cafe\u0301", "the caf\u00e9"),
        ("2026-11", "on 2026-11-29"),
        ("波尔图", "我住在波尔图"),
        ("东京 我", "我住在东京"),
        ("iph", "我的iPhone手机"),
        ("iphone 手", "我的iPhone手机"),
        ("😀 tea", "tea"),
    ],
)
def test_all_words_are_found_in_any_order_and_case_the_last_by_its_beginning(typed: str, text: str) -> None:
    assert contains(text, typed)


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("isbon", "I live in Lisbon."),
        ("liv lisbon", "I live in Lisbon."),
        ("lisbon porto", "I live in Lisbon."),
        ("art", "a party"),
        ("i iv", "I live"),
        ("a", "no such word"),
        ("东京", "我住在波尔图"),
    ],
)
def test_what_lacks_a_word_is_not_found(typed: str, text: str) -> None:
    assert not contains(text, typed)


@pytest.mark.parametrize("typed", ["", "  ", "?!.,", "___", "😀", "\x00\n"])
def test_what_has_no_words_leaves_out_nothing(typed: str) -> None:
    assert ContainedWords.of(typed) is None


@pytest.mark.parametrize("wrong", [5, b"tea", "\ud800"])
def test_what_is_no_text_is_refused(wrong: str) -> None:
    with pytest.raises(InvalidInputError, match="contains"):
        ContainedWords.of(wrong)


@given(st.text(), st.text())
def test_any_text_contains_itself_and_what_it_begins_with(text: str, more: str) -> None:
    assert contains(f"{text} {more}", text)


@given(st.text(alphabet=st.characters(blacklist_categories=["Cs"])))
def test_only_plain_letters_and_digits_are_left_to_a_server(typed: str) -> None:
    words = ContainedWords.of(typed)
    assert words is None or all(
        word.isascii() and word.isalnum() and word == word.lower() for word in words.ascii
    )
