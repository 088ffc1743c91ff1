from __future__ import annotations

import pytest

from langchain_agentmem.longterm.words import STOP_WORDS, content_words, forms, related, stem


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("bought", "buy"),
        ("children", "child"),
        ("kids", "child"),
        ("drank", "drink"),
        ("favourite", "favorite"),
        ("mum", "mother"),
        ("hoping", "hope"),
    ],
)
def test_forms_of_a_word_have_one_stem(one: str, other: str) -> None:
    assert stem(one) == stem(other)


@pytest.mark.parametrize(
    ("one", "other"), [("draw", "drink"), ("find", "fight"), ("think", "teach"), ("man", "woman")]
)
def test_other_words_have_stems_of_their_own(one: str, other: str) -> None:
    assert stem(one) != stem(other)


def test_irregular_forms_are_searched_for() -> None:
    assert set(forms("children")) >= {"child", "children", "kid"}
    assert forms("table") == ("table",)
    assert forms("children", "german") == ("children",)


def test_words_that_carry_no_meaning_are_left_out() -> None:
    assert content_words("Where did we go for our holidays?") == {"holiday": "holidays"}
    assert content_words("What's my blood type?") == {"blood": "blood", "type": "type"}
    assert [*content_words("Wann läuft der Mietvertrag aus?", "german").values()] == ["läuft", "mietvertrag"]


def test_words_of_each_language_are_stemmed() -> None:
    assert stem("katzen", "german") == stem("katze", "german")
    assert stem("novelas", "spanish") == stem("novela", "spanish")
    assert stem("chiens", "french") == stem("chien", "french")
    assert stem("hunden", "swedish") == stem("hund", "swedish")


def test_an_unknown_language_works_by_words_as_they_are() -> None:
    assert stem("hoping", "klingon") == "hoping"
    assert content_words("the hoping", "klingon") == {"the": "the", "hoping": "hoping"}


def test_stop_words_are_written_as_they_are_found() -> None:
    for language, words in STOP_WORDS.items():
        assert all(word == word.lower() for word in words), language


def test_words_that_state_what_is_asked_are_related() -> None:
    assert "daughter" in related("kids")
    assert "move" in related("live")
    assert "i'm X" in related("name")
    assert "kid" not in related("kids")
    assert related("table") == ()
    assert related("name", "german") == ()
