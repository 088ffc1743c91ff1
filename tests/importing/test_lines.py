"""Lines of a file to be imported."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from langchain_agentmem.core.messages import encode_turn
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.importing.lines import MemoryLine, MessageLine, NotesLine, parse


def line(value: Any) -> bytes:
    return json.dumps(value).encode()


def test_a_line_is_a_text_a_memory_a_message_or_notes() -> None:
    assert parse(b'"a text"\r\n') == MemoryLine("a text")
    assert parse(
        line({"text": "x", "kind": "k", "metadata": {"a": 1}, "thread": "", "ttl_seconds": None})
    ) == (MemoryLine("x", kind="k", metadata={"a": 1}, ttl_seconds=None))
    message = parse(line({"role": "human", "content": "hi", "ts": 3, "thread": "t", "user": None}))
    assert isinstance(message, MessageLine)
    assert (message.message, message.ts, message.thread, message.user) == (HumanMessage("hi"), 3.0, "t", None)
    assert parse(line({"thread": "t", "goal": "g"})) == NotesLine("t", None, "default", "g", "")
    assert parse(b" \n") is None
    assert parse(b'{"role": 1}', plain=True) == MemoryLine('{"role": 1}')


@pytest.mark.parametrize(
    "message",
    [
        AIMessage("", tool_calls=[{"name": "n", "args": {}, "id": "1", "type": "tool_call"}], id="x"),
        ToolMessage([{"type": "text", "text": "r"}], tool_call_id="1"),
        HumanMessage("x", name="Al", extra_member=[1]),
    ],
)
def test_a_stored_message_comes_back_whole(message: Any) -> None:
    found = parse(line({"thread": "t", "user": "u", **json.loads(encode_turn(message, 1.0))}))
    assert isinstance(found, MessageLine)
    assert found.message == message


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"role": "user"}, 'no "content"'),
        ({"role": "tool", "content": "x"}, "role must be"),
        ({"role": "robot", "content": "x", "name": "y"}, "no message"),
        ({"role": "user", "content": {"a": 1}}, "no message"),
        ({"role": "user", "content": "x", "ts": True}, "epoch seconds"),
        ({"role": "user", "content": "x", "thread": ""}, "thread is empty"),
        ({"role": "user", "content": "x", "user": 5}, "user must be a string"),
        ({"text": "x", "ttl_seconds": 0}, "above 0"),
        ({"text": "x", "wieght": 1}, "unknown: wieght"),
        ({"text": "x", "created_at": 1}, r"unknown: created_at; .* did you mean created_ts \(in epoch "),
        ({"text": "x", "timestamp": 1}, "did you mean created_ts"),
        ({"text": "x", "date": "1 May"}, "did you mean created_ts"),
        ({"goal": "x"}, "thread must be"),
        ({"action": "x"}, "event"),
        ({}, "neither"),
        ([], "neither"),
        (5, "neither"),
    ],
)
def test_what_cannot_be_imported_says_why(value: Any, why: str) -> None:
    with pytest.raises(InvalidInputError, match=why):
        parse(line(value))


@given(st.binary(max_size=60) | st.recursive(st.none() | st.text() | st.floats(), st.lists).map(line))
def test_no_line_is_an_accident(raw: bytes) -> None:
    with contextlib.suppress(InvalidInputError):
        parse(raw)


@given(
    st.dictionaries(
        st.sampled_from(["role", "content", "ts", "text", "id", "name", "type", "goal", "thread"]),
        st.none()
        | st.text(max_size=5)
        | st.integers()
        | st.lists(st.integers(), max_size=2)
        | st.sampled_from(["user", "assistant", "tool", "chat"]),
    )
)
def test_no_object_is_an_accident(value: dict[str, Any]) -> None:
    with contextlib.suppress(InvalidInputError):
        parse(line(value))


def test_messages_differ_unless_everything_is_the_same() -> None:
    def digest(**value: Any) -> bytes:
        found = parse(line(value))
        assert isinstance(found, MessageLine)
        return found.digest

    one = digest(role="user", content="x", ts=1)
    assert one == digest(ts=1, content="x", role="user", thread="elsewhere")
    assert len({one, digest(role="user", content="x"), digest(role="assistant", content="x", ts=1)}) == 3
