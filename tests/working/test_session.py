"""Sessions as they are read: whole, damaged, of other programs; their windows and owners."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, ToolCall

from langchain_agentmem.errors import WrongOwnerError
from langchain_agentmem.working.session import (
    FIELDS,
    SessionState,
    check_owner,
    read_list,
    read_state,
    read_turns,
    window_of_hash,
    window_of_list,
)


def turn(content: str, role: str = "user", **more: Any) -> bytes:
    return json.dumps({"role": role, "content": content, "ts": 1.5, **more}).encode()


def stored(*lines: bytes) -> bytes:
    """A window as write_session.lua lays it out."""
    return b"[ \n" + b",\n".join(lines) + b"\n]"


def entry(content: str, kind: str = "human", **data: Any) -> bytes:
    return json.dumps({"type": kind, "data": {"content": content, **data}}).encode()


def state(ttl: int = -1, **fields: bytes) -> SessionState | None:
    return read_state("k", "t", [fields.get(name) for name in FIELDS], ttl)


def test_no_fields_are_no_session() -> None:
    assert state() is None


def test_a_session_has_its_fields() -> None:
    found = state(
        60, user=b"alice", agent=b"a", goal=b"g", turn_count=b"7", created_ts=b"1.5", recent_turns=stored(turn("hi"))
    )  # fmt: skip
    assert found is not None
    assert (found.thread_id, found.user, found.agent, found.goal) == ("t", "alice", "a", "g")
    assert (found.turn_count, found.created_ts, found.ttl_seconds) == (7, 1.5, 60)
    assert found.messages == [HumanMessage("hi")]


def test_the_json_form_of_a_message_is_the_stored_one() -> None:
    call = ToolCall(name="look", args={"at": "sea"}, id="1", type="tool_call")
    lines = [turn("hi", unanswered=True), turn("so", "assistant", tool_calls=[call])]
    turns, unreadable = read_turns("k", stored(*lines))
    assert ([one.to_dict() for one in turns], unreadable) == ([json.loads(line) for line in lines], [])


@pytest.mark.parametrize(
    "count", [b"", b"x", b"-1", b"1.5", b"1e3", b"99999999999999999999999", b"9007199254740992"]
)
def test_a_count_that_is_none_is_zero(count: bytes) -> None:
    found = state(user=b"alice", turn_count=count)
    assert found is not None
    assert found.turn_count == 0


@pytest.mark.parametrize("ts", [b"", b"x", b"nan", b"inf", b"1e300"])
def test_a_time_that_no_clock_shows_is_zero(ts: bytes) -> None:
    found = state(user=b"alice", created_ts=ts, last_active_ts=ts)
    assert found is not None
    assert (found.created_ts, found.last_active_ts, found.ttl_seconds) == (0.0, 0.0, None)


@given(st.lists(st.text(max_size=20), max_size=6))
def test_whatever_was_said_comes_back_in_order(said: list[str]) -> None:
    turns, unreadable = read_turns("k", stored(*map(turn, said)) if said else b"[]")
    assert [one.content for one in turns] == said
    assert unreadable == []


@given(st.binary(max_size=60))
def test_any_bytes_are_turns_or_reported(damaged: bytes) -> None:
    turns, unreadable = read_turns("k", damaged)
    assert [one.key for one in unreadable] == ["k"] * len(unreadable)
    assert isinstance(window_of_hash("k", damaged).tail, list)
    assert all(one.message is not None for one in turns)


def test_an_entry_that_is_no_turn_does_not_hide_the_others() -> None:
    turns, unreadable = read_turns("k", stored(turn("a"), b'{"content":5}', turn("b")))
    assert [one.content for one in turns] == ["a", "b"]
    assert [(one.key, one.position) for one in unreadable] == [("k", 1)]


def test_a_list_that_breaks_off_is_read_as_far_as_it_goes() -> None:
    turns, unreadable = read_turns("k", b"[" + turn("a") + b"," + turn("b") + b',{"role"')
    assert [one.content for one in turns] == ["a", "b"]
    assert [one.position for one in unreadable] == [2]


def test_a_list_is_read_oldest_first_and_positions_count_from_the_newest() -> None:
    turns, unreadable = read_list("k", [entry("new"), b"{", entry("old", "ai")])
    assert [(one.role, one.content) for one in turns] == [("assistant", "old"), ("user", "new")]
    assert [one.position for one in unreadable] == [1]


@pytest.mark.parametrize(("window", "first"), [(2, "user"), (3, "tool"), (None, "tool")])
def test_only_a_full_window_loses_a_tools_result_at_its_beginning(window: int | None, first: str) -> None:
    entries = [entry("hi"), entry("42", "tool", tool_call_id="c1", name="t")]
    turns, _ = read_list("k", entries, window)
    assert turns[0].role == first


def test_the_tail_is_what_is_unanswered_at_the_end_as_it_is_stored() -> None:
    lines = [turn("a"), turn("b", "assistant"), turn("c", unanswered=True), turn("d", unanswered=True)]
    window = window_of_hash("k", stored(*lines))
    assert window.tail == lines[2:]
    again = [HumanMessage("c"), HumanMessage("d")]
    assert window.before(again) == (window.messages[:2], lines[2:])
    assert window_of_hash("k", stored(*lines[:2])).tail == []


def test_a_message_that_was_stored_ahead_is_said_again_with_others_behind_it() -> None:
    lines = [turn("a"), turn("b", "assistant"), turn("c", id="1", unanswered=True)]
    window = window_of_hash("k", stored(*lines))
    again = [HumanMessage("c", id="1"), HumanMessage("d", id="2")]
    assert window.before(again) == (window.messages[:2], lines[2:])
    others = [HumanMessage("c", id="3"), HumanMessage("d", id="2")]
    assert window.before(others) == (window.messages, [])


def test_a_list_without_unanswered_turns_has_no_tail() -> None:
    assert window_of_list("k", [entry("new"), entry("old", "ai")], None).tail == []


def test_nothing_is_said_again_if_nothing_is_unanswered() -> None:
    window = window_of_hash("k", stored(turn("hi"), turn("yo", "assistant")))
    assert window.before([HumanMessage("hi")]) == ([HumanMessage("hi"), AIMessage("yo")], [])


@pytest.mark.parametrize("owner", [None, b"", b"default", b"alice", "alice"])
def test_whose_session_it_may_be(owner: bytes | str | None) -> None:
    check_owner(owner, "alice")


def test_anothers_session_is_refused_without_saying_whose() -> None:
    check_owner(b"bob", None)
    with pytest.raises(WrongOwnerError) as caught:
        check_owner(b"bob", "alice")
    assert "bob" not in str(caught.value)


@pytest.mark.parametrize(
    ("goal", "said", "title"),
    [
        (b"to\n win", "hi", "to win"),
        (b"", " hello \n you", "hello you"),
        (b"", "x" * 80, "x" * 80),
        (b"", "x" * 81, "x" * 79 + "…"),
    ],
)
def test_a_title_is_one_short_line(goal: bytes, said: str, title: str) -> None:
    found = state(goal=goal, recent_turns=stored(turn("I am the model", "assistant"), turn(said)))
    assert found is not None
    assert found.title == title
