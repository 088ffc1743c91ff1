"""Messages come back equal, or are refused before anything is written."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from hypothesis import given
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    RemoveMessage,
    ToolMessage,
    message_chunk_to_message,
)

from langchain_agentmem.core import json
from langchain_agentmem.core.messages import (
    decode_entry,
    decode_turn,
    encode_entry,
    encode_turn,
    message_of,
)
from langchain_agentmem.errors import InvalidInputError, MessageNotStorableError
from tests.strategies import chunks, messages, whole_messages


@given(messages)
def test_every_message_comes_back_equal_from_a_turn(message: BaseMessage) -> None:
    turn = encode_turn(message, 1.5)
    back = decode_turn(json.loads(turn))
    assert back == message
    assert type(back) is type(message)
    assert b"\n" not in turn
    assert turn.startswith(b'{"role":')


@given(whole_messages)
def test_every_whole_message_comes_back_equal_from_a_list_entry(message: BaseMessage) -> None:
    back = decode_entry(json.loads(encode_entry(message)))
    assert back == message
    assert type(back) is type(message)


@given(chunks)
def test_a_chunk_is_stored_in_a_list_as_the_whole_message(chunk: Any) -> None:
    assert decode_entry(json.loads(encode_entry(chunk))) == message_chunk_to_message(chunk)


def test_a_plain_turn_is_role_content_and_time() -> None:
    assert encode_turn(HumanMessage("hï"), 1715990400.1) == (
        '{"role":"user","content":"hï","ts":1715990400.1}'.encode()
    )


@pytest.mark.parametrize(
    ("message", "entry"),
    [
        (
            HumanMessage("hi"),
            '{"type":"human","data":{"content":"hi","additional_kwargs":{},"response_metadata":{}}}',
        ),
        (
            AIMessage("yo"),
            '{"type":"ai","data":{"content":"yo","tool_calls":[],"invalid_tool_calls":[],'
            '"additional_kwargs":{},"response_metadata":{}}}',
        ),
        (
            ToolMessage("r", tool_call_id="c1", name="t"),
            '{"type":"tool","data":{"content":"r","tool_call_id":"c1","name":"t",'
            '"additional_kwargs":{},"response_metadata":{}}}',
        ),
        (
            ChatMessage("x", role="boss"),
            '{"type":"generic","data":{"content":"x","additional_kwargs":{},'
            '"response_metadata":{},"role":"boss"}}',
        ),
    ],
)
def test_a_list_entry_is_what_javascript_writes(message: BaseMessage, entry: str) -> None:
    assert encode_entry(message) == entry.encode()


def test_members_of_a_message_never_hide_those_of_the_turn() -> None:
    message = HumanMessage("x", ts=4, role="r", extra={"a": 1})  # type: ignore[call-arg]
    assert decode_turn(json.loads(encode_turn(message, 9.0))) == message


@pytest.mark.parametrize("content", ["\ud800", "a\ud800b", "\x00", '\u2028\n\r\t"\\', "𝄞"])
def test_any_string_is_kept(content: str) -> None:
    message = HumanMessage(content)
    assert decode_turn(json.loads(encode_turn(message, 1.0))) == message


def test_two_lone_surrogates_that_would_come_back_as_one_character_are_refused() -> None:
    with pytest.raises(MessageNotStorableError, match="content"):
        encode_turn(HumanMessage("a\ud800\udc00b"), 1.0)


def test_numbers_above_64_bits_are_kept() -> None:
    message = AIMessage("x", response_metadata={"n": 2**70, "m": -(2**64), "f": 1e308})
    assert decode_turn(json.loads(encode_turn(message, 1.0))) == message


@pytest.mark.parametrize(
    "value",
    [
        (1, 2),
        {1: 2},
        {1, 2},
        datetime.datetime(2024, 1, 1),
        float("nan"),
        float("inf"),
        object(),
        {"__agentmem__": "bytes", "base64": "a"},
        {"__agentmem__": "document"},
        2 + 3j,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_json_cannot_carry_is_refused(value: Any) -> None:
    message = HumanMessage("x", additional_kwargs={"value": value})
    with pytest.raises(MessageNotStorableError, match="HumanMessage"):
        encode_turn(message, 1.0)
    with pytest.raises(MessageNotStorableError, match="HumanMessage"):
        encode_entry(message)


def test_a_message_class_of_ones_own_is_refused() -> None:
    class Mine(HumanMessage):
        mood: str = "good"

    with pytest.raises(MessageNotStorableError, match="Mine is no message class of langchain-core"):
        encode_turn(Mine("x"), 1.0)


def test_a_remove_message_is_refused_by_a_list() -> None:
    with pytest.raises(MessageNotStorableError, match="JavaScript"):
        encode_entry(RemoveMessage(id="1"))


def test_a_streamed_message_with_tool_calls_is_kept_as_chunk() -> None:
    chunk = AIMessageChunk("", tool_call_chunks=[{"name": "f", "args": '{"a"', "id": "1", "index": 0}])  # type: ignore[typeddict-item]
    assert decode_turn(json.loads(encode_turn(chunk, 1.0))) == chunk


@pytest.mark.parametrize(
    ("role", "cls"), [("user", HumanMessage), ("human", HumanMessage), ("ai", AIMessage)]
)
def test_a_role_names_a_message_class(role: str, cls: type[BaseMessage]) -> None:
    assert message_of(role, "x") == cls(content="x")


@pytest.mark.parametrize("role", ["", "tool", "function", "User", "boss"])
def test_another_role_is_refused(role: str) -> None:
    with pytest.raises(InvalidInputError, match="user, assistant, system"):
        message_of(role, "x")
