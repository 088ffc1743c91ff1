"""What may be asked, and how a refusal reads."""

from __future__ import annotations

import pytest

from langchain_agentmem.demo.asked import RecallAsked, TurnAsked, WorkingAsked, event_id, modes, read
from langchain_agentmem.demo.openapi import document
from langchain_agentmem.errors import InvalidInputError


def test_the_modes_are_those_of_recall() -> None:
    assert "vector" in modes()
    for mode in modes():
        assert read(RecallAsked, {"user": "alice", "query": "tea", "mode": mode}).mode == mode


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (b'{"user": "alice", "thread": "t"}', "text"),
        (b'{"user": "", "thread": "t", "text": "hi"}', "user"),
        (b'{"user": "a", "thread": "t", "text": " \\n "}', "text: is empty"),
        (b'{"user": "a", "thread": "t", "text": "hi", "threshold": 2.1}', "threshold"),
        (b'{"user": "a", "thread": "t", "text": "hi", "threshold": NaN}', "threshold"),
        (b'{"user": "a", "thread": "t", "text": "hi", "mode": "magic"}', "mode: must be one of vector"),
        (b'{"user": "a", "thread": "t", "text": "hi", "more": 1}', "more"),
        (b'{"user": "a", "thread": "t", "text": "\\ud800"}', "Invalid JSON"),
        ('{"user": "%s", "thread": "t", "text": "hi"}' % ("é" * 3000), "user has 6000 bytes"),
        (b"{", "the body"),
        (b"\xff", "the body"),
        (b"[]", "the body"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_refusal_names_what_is_wrong(given: bytes | str, named: str) -> None:
    with pytest.raises(InvalidInputError, match=named):
        read(TurnAsked, given.encode() if isinstance(given, str) else given)


def test_a_note_may_be_emptied() -> None:
    asked = read(WorkingAsked, b'{"user": "a", "thread": "t", "goal": ""}')
    assert (asked.goal, asked.scratchpad) == ("", None)


@pytest.mark.parametrize("id", ["", "0", "0-0", "1715990400123-7", f"{2**64 - 1}-{2**64 - 1}"])
def test_ids_of_events(id: str) -> None:
    assert event_id(id) == id


@pytest.mark.parametrize("id", ["-", "x", "1-", "-1", "1-2-3", f"{2**64}-0", "٣-0", "1 ", "$", "+", "(1"])
def test_what_is_no_id_of_an_event(id: str) -> None:
    with pytest.raises(InvalidInputError, match="Last-Event-ID"):
        event_id(id)


def test_the_description_is_made_of_the_models() -> None:
    described = document([("POST", "/turn", TurnAsked, "Say"), ("GET", "/recall", RecallAsked, "Look")])
    body = described["paths"]["/turn"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["required"] == ["user", "thread", "text"]
    parameters = described["paths"]["/recall"]["get"]["parameters"]
    assert {one["name"] for one in parameters if one["required"]} == {"user", "query"}
