"""Words are counted line by line as if each line were split into words and each word stemmed."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_agentmem.longterm.newest_first import speaker_of
from langchain_agentmem.longterm.question import Question
from langchain_agentmem.longterm.word_counts import WordCounts
from langchain_agentmem.longterm.words import WORD, stem

QUESTION = "hiking with cats, painted bridges"
PIECES = st.sampled_from(
    ["hike", "Hiking", "HIKES", "hiker", "overhike", "cat", "cats", "Cat's", "catalogue", "paint", "painting",
     "unpainted", "bridge", "bridges", " ", "  ", ", ", "-", "_", "’", "İ", "ß", "é", "😀", "1", "Ω"]
)  # fmt: skip
LINES = st.lists(st.lists(PIECES, max_size=12).map("".join), min_size=1, max_size=6)


def counted(line: str) -> list[float]:
    stems = [stem(word) for word in WORD.findall("".join(one.lower()[:1] for one in line))]
    return [float(stems.count(wanted)) for wanted in Question(QUESTION).words]


@given(LINES)
def test_each_word_is_counted(lines: list[str]) -> None:
    counts = WordCounts(Question(QUESTION), lines, [""] * len(lines))
    assert counts.own.tolist() == [counted(line) for line in lines]
    assert not counts.before.any()
    assert not counts.after.any()


def test_the_lines_around_are_counted_where_they_were_said() -> None:
    texts = ["I like hiking", "Bridges", "The third"]
    counts = WordCounts(Question("hiking bridges"), texts, ["", texts[0], f"{texts[0]}\n{texts[1]}"])
    assert counts.own.tolist() == [[1, 0], [0, 1], [0, 0]]
    assert counts.before.tolist() == [[0, 0], [1, 0], [1, 1]]
    assert counts.after.tolist() == [[0, 1], [0, 0], [0, 0]]


@given(st.text(st.sampled_from("aB é_1'.- :\n:："), max_size=45))
@pytest.mark.parametrize("begin", ["", "Ann"])
def test_a_speaker_stands_before_the_first_colon(begin: str, text: str) -> None:
    match = re.match(r"([^\W\d_][\w' .-]{0,30}?):\s", begin + text)
    assert speaker_of(begin + text) == (match[1] if match else "")
