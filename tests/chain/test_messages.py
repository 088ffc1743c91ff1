"""Which messages are in a chain's input and output, and which outputs are no answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, SystemMessage
from pydantic import BaseModel

from langchain_agentmem.chain.messages import answer_messages, input_messages, is_interrupted, text_of
from langchain_agentmem.errors import InvalidInputError

HI, YO = HumanMessage("hi"), AIMessage("yo")


class Found(BaseModel):
    city: str


@pytest.mark.parametrize(
    ("value", "messages"),
    [
        ("hi", [HI]),
        (HI, [HI]),
        ([HI, YO], [HI, YO]),
        ((HI,), [HI]),
        (("human", "hi"), [HI]),
        ([("system", "be brief"), ("human", "hi")], [SystemMessage("be brief"), HI]),
        ([HI, ("ai", "yo")], [HI, YO]),
        ([], []),
        (None, []),
        (AIMessageChunk("yo"), [YO]),
        ({"city": "Köln"}, [HumanMessage('{"city": "Köln"}')]),
        (["a", 1], [HumanMessage('["a", 1]')]),
        ({"on": date(2026, 1, 2)}, [HumanMessage('{"on": "2026-01-02"}')]),
        (Found(city="Köln"), [HumanMessage('{"city":"Köln"}')]),
    ],
    ids=repr,
)
def test_an_input_is_read_as_messages(value: Any, messages: list[BaseMessage]) -> None:
    assert input_messages({"input": value}, "input") == messages


def test_an_input_without_the_key_is_refused_with_what_it_has() -> None:
    with pytest.raises(InvalidInputError, match=r"has no 'input', only 'question'; .*input_key="):
        input_messages({"question": "hi"}, "input")
    with pytest.raises(InvalidInputError, match="only nothing"):
        input_messages({}, "input")


@pytest.mark.parametrize("value", [[HI, 5], [("nobody", "hi")], [HI, None]], ids=repr)
def test_a_list_that_holds_something_else_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInputError, match="something else"):
        input_messages({"input": value}, "input")


@pytest.mark.parametrize(
    ("output", "key", "messages"),
    [
        ("yo", None, [YO]),
        (YO, None, [YO]),
        (AIMessageChunk("yo"), None, [YO]),
        (None, None, []),
        ({"output": "yo", "answer": "no"}, None, [YO]),
        ({"answer": "yo", "text": "no"}, None, [YO]),
        ({"text": "yo"}, None, [YO]),
        ({"messages": [YO]}, None, [YO]),
        ({"reply": "yo", "output": "no"}, "reply", [YO]),
        ({"reply": "yo"}, None, [AIMessage('{"reply": "yo"}')]),
        ({"answer": None}, None, []),
        (Found(city="Köln"), None, [AIMessage('{"city":"Köln"}')]),
    ],
    ids=repr,
)
def test_an_output_is_read_as_messages(output: Any, key: str | None, messages: list[BaseMessage]) -> None:
    assert answer_messages(output, key, [], [HI]) == messages


@pytest.mark.parametrize("repeated", [[HumanMessage("before"), YO, HI], [HI]], ids=["history", "input alone"])
def test_what_a_graphs_state_repeats_is_no_part_of_the_answer(repeated: list[BaseMessage]) -> None:
    history = [HumanMessage("before"), YO]
    output = {"messages": [*repeated, AIMessage("new")]}
    assert answer_messages(output, None, history, [HI]) == [AIMessage("new")]


def test_what_only_begins_alike_is_an_answer() -> None:
    output = [HumanMessage("hi!"), AIMessage("new")]
    assert answer_messages(output, None, [], [HI]) == output
    assert answer_messages([YO], None, [], []) == [YO], "nothing was asked, so nothing is repeated"


def letters() -> Any:
    yield "a"


async def later() -> AsyncIterator[str]:
    yield "a"


@pytest.mark.parametrize("output", [letters(), later(), iter("ab")], ids=lambda one: type(one).__name__)
def test_what_would_have_to_be_consumed_is_refused(output: Any) -> None:
    for found in (output, {"answer": output}):
        with pytest.raises(InvalidInputError, match="without consuming"):
            answer_messages(found, None, [], [HI])


def test_messages_deep_inside_are_refused_with_what_to_say() -> None:
    with pytest.raises(InvalidInputError, match="output_key"):
        answer_messages({"agent": {"messages": [YO]}}, None, [], [HI])


@pytest.mark.parametrize(
    ("output", "interrupted"),
    [
        ({"__interrupt__": ["may I?"]}, True),
        ({"messages": [HI], "__interrupt__": ["may I?"]}, True),
        ({"__interrupt__": []}, False),
        ({"messages": [HI]}, False),
        ("__interrupt__", False),
        (None, False),
    ],
    ids=repr,
)
def test_a_graph_that_stopped_to_ask_somebody_says_so(output: Any, interrupted: bool) -> None:
    assert is_interrupted(output) is interrupted


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([HI, HumanMessage(" there\n"), YO], "there"),
        ([YO], ""),
        ([], ""),
        ([HumanMessage([{"type": "text", "text": "a"}, {"type": "image_url", "image_url": "x"}])], "a"),
    ],
)
def test_the_text_is_what_the_user_said_last(messages: list[BaseMessage], text: str) -> None:
    assert text_of(messages) == text
