"""What a root run's events have told is counted in the chains inside, and nothing else is."""

from __future__ import annotations

import time
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.prompt_values import ChatPromptValue
from langgraph.types import Command

from langchain_agentmem.events.told import Told, messages_in, says_something

LONG = "a text that is long enough to be told only once"
QUESTION, ANSWER = HumanMessage("q"), AIMessage("a", id="run--1")
RESULT = ToolMessage("r", tool_call_id="c1")
STATE = {"messages": [QUESTION, ANSWER], "note": LONG, "n": 1}


@pytest.fixture
def told() -> Told:
    told = Told()
    told.add(STATE)
    told.add(RESULT)
    return told


@pytest.mark.parametrize(
    ("value", "left"),
    [
        (STATE, ""),
        ({**STATE}, {"messages": "2 messages", "note": "…", "n": 1}),
        (QUESTION, "1 message"),
        (AIMessage("another object", id="run--1"), "1 message"),
        (ToolMessage("copied", tool_call_id="c1", id="x"), "1 message"),
        ([ANSWER, HumanMessage("new")], ["1 message", HumanMessage("new")]),
        (ChatPromptValue(messages=[HumanMessage("new"), QUESTION]), "2 messages"),
        (LONG, ""),
        ("short", "short"),
        (None, None),
        (HumanMessage("new"), HumanMessage("new")),
        (
            Command(goto="x", update={"messages": [ANSWER]}),
            {"update": {"messages": "1 message"}, "goto": "x"},
        ),
        ([Command(update={"messages": [ANSWER]})], [{"update": {"messages": "1 message"}}]),
    ],
)
def test_what_is_left(told: Told, value: Any, left: Any) -> None:
    assert told.untold(value) == left


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, False),
        ({}, False),
        ("", False),
        ({"messages": [ANSWER], "jump_to": None}, False),
        ([Command(update={"messages": [RESULT]})], False),
        ({"messages": [ANSWER, HumanMessage("new")]}, True),
        ({"n": 0}, True),
        (Command(goto="x"), True),
    ],
)
def test_whether_a_node_adds_something(told: Told, value: Any, says: bool) -> None:
    assert says_something(told.untold(value)) == says


def test_a_list_that_holds_itself_and_one_that_is_deep_are_looked_at_so_far() -> None:
    loop: list[Any] = [QUESTION]
    loop.append(loop)
    told = Told()
    told.add(loop)
    assert told.untold([loop, 1])[1] == 1


@pytest.mark.parametrize(
    "huge", [[None] * 3_000_000, dict.fromkeys(range(1_000_000), "x"), {"messages": [QUESTION] * 1_000_000}]
)
def test_a_huge_value_costs_no_more_than_a_large_one(huge: Any) -> None:
    told = Told()
    began = time.perf_counter()
    told.add(huge)
    assert says_something(told.untold([huge]))
    assert messages_in([huge]) == messages_in([huge])
    assert time.perf_counter() - began < 0.1


def test_each_object_is_told_once() -> None:
    told, error = Told(), ValueError()
    assert [told.once(error), told.once(error), told.once(ValueError())] == [True, False, True]
