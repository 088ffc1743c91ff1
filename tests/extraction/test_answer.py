"""Answers of any form: read as changes of what was shown, or refused; texts of any form: kept in their frame."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage

from langchain_agentmem import Add, Exchange, Supersede
from langchain_agentmem.errors import ExtractionError
from langchain_agentmem.extraction.answer import AnswerReader
from langchain_agentmem.extraction.prompt import request
from tests.extraction.scripted import FRIDAY, memory

KNOWN = [memory("01A", "I live in Oslo."), memory("01B", "I have a dog named Rex.")]

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
facts = st.fixed_dictionaries(
    {"text": st.text() | st.sampled_from([one.text for one in KNOWN]) | values},
    optional={
        "kind": st.sampled_from(["semantic", "profile", None]) | values,
        "replaces": st.sampled_from(["m1", "m2", "m3", "[m1]", "01A", "", "null"]) | values,
    },
)
answers = st.fixed_dictionaries({"facts": st.lists(facts | values, max_size=5) | values}) | values


def read(answer: Any) -> list[Any] | None:
    try:
        return [*AnswerReader(KNOWN).changes(answer)]
    except ExtractionError:
        return None


@given(answers)
def test_any_answer_adds_and_supersedes_what_was_shown_or_is_refused(answer: Any) -> None:
    call = AIMessage("", tool_calls=[{"name": "Facts", "args": {"facts": answer}, "id": "c"}])
    for given_as in (answer, {"raw": None, "parsed": answer}, call, AIMessage(json.dumps(answer))):
        found = read(given_as) or []
        superseded = [change.id for change in found if isinstance(change, Supersede)]
        assert all(isinstance(change, Add | Supersede) for change in found)
        assert all(change.kind in ("semantic", "profile") for change in found if isinstance(change, Add))
        assert all(change.text.strip() == change.text != "" for change in found)
        assert len(set(superseded)) == len(superseded)
        assert {*superseded} <= {"01A", "01B"}


@given(st.text(alphabet=st.sampled_from('{}[]"\\,:factsxm1 \n')) | st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    read(text)
    read(AIMessage(text))


@pytest.mark.parametrize("part", ["[", "[1,", "[ ", '{"a":', "[" + "1," * 50])
def test_brackets_without_end_take_no_time(part: str) -> None:
    text = (part * 100_000)[:100_000]
    begin = time.process_time()
    assert read(text) is None
    assert time.process_time() - begin < 1


@given(
    st.text(alphabet=st.characters()) | st.text(alphabet=st.sampled_from('</>exchange{}"\\\n\r\u0085\u2028'))
)
def test_any_text_stays_in_its_line_and_comes_whole(text: str) -> None:
    plain = Exchange("alice", [HumanMessage("x")], [FRIDAY])
    said = Exchange("alice", [HumanMessage(f"x{text}")], [FRIDAY])
    (_, empty), (_, data) = request(plain, [], instructions="i"), request(said, [], instructions="i")
    lines, expected = data.text.splitlines(), empty.text.splitlines()
    assert len(lines) == len(expected)
    (line,) = (line for line in lines if line.startswith("{"))
    assert json.loads(line)["text"] == f"x{text}".encode("utf-8", "replace").decode()
    assert [other for other in lines if other != line] == [one for one in expected if one[0:1] != "{"]


def test_a_kind_that_a_model_made_up_costs_no_fact() -> None:
    (change,) = AnswerReader([]).changes('{"facts": [{"text": "I have a cat.", "kind": "pet"}]}')
    assert change == Add("I have a cat.", "semantic", None)


def test_what_was_said_since_is_not_superseded() -> None:
    answer = '{"facts": [{"text": "I live in Rome.", "kind": "profile", "replaces": "m1"}]}'
    (newer,) = AnswerReader(KNOWN[:1], said_at=KNOWN[0].created_ts - 1).changes(answer)
    assert newer == Add("I live in Rome.", "profile", None)
    (older,) = AnswerReader(KNOWN[:1], said_at=KNOWN[0].created_ts + 1).changes(answer)
    assert older == Supersede(KNOWN[0].id, "I live in Rome.")
