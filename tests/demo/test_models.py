"""Requests and how refusals read; answers are JSON, whatever is stored."""

from __future__ import annotations

import json
from dataclasses import replace
from math import inf, nan

import pytest

from langchain_agentmem.demo.models import (
    ExchangeRequest,
    RecallRequest,
    WorkingRequest,
    event_answer,
    event_id,
    nearest_answer,
    read_request,
)
from langchain_agentmem.demo.openapi import document
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.events.event import Event
from langchain_agentmem.longterm.redisearch.memory import LongTermMemory
from langchain_agentmem.longterm.types import Explanation, MemoryRecord
from langchain_agentmem.longterm.upstash.memory import UpstashLongTermMemory

MODES = LongTermMemory.modes


def test_the_modes_are_those_of_the_memory_in_use() -> None:
    asked = {"user": "alice", "query": "tea"}
    for modes in (LongTermMemory.modes, UpstashLongTermMemory.modes):
        for mode in modes:
            assert read_request(RecallRequest, {**asked, "mode": mode}, modes).mode == mode
    with pytest.raises(InvalidInputError, match=r"mode: must be one of hybrid, vector, text$"):
        read_request(RecallRequest, {**asked, "mode": "words"}, LongTermMemory.modes)


def test_a_mode_and_a_threshold_that_nobody_names_are_left_to_the_memory() -> None:
    asked = read_request(RecallRequest, {"user": "alice", "query": "tea"}, MODES)
    assert (asked.mode, asked.threshold) == (None, None)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (b'{"user": "alice", "thread": "t"}', "text"),
        (b'{"user": "", "thread": "t", "text": "hi"}', "user"),
        (b'{"user": "a", "thread": "t", "text": " \\n "}', "text: is empty"),
        (b'{"user": "a", "thread": "t", "text": "hi", "threshold": 2.1}', "threshold"),
        (b'{"user": "a", "thread": "t", "text": "hi", "threshold": NaN}', "threshold"),
        (
            b'{"user": "a", "thread": "t", "text": "hi", "mode": "magic"}',
            "mode: must be one of hybrid, vector, text",
        ),
        (b'{"user": "a", "thread": "t", "text": "hi", "more": 1}', "more"),
        (b'{"user": "a", "thread": "t", "text": "\\ud800"}', "Invalid JSON"),
        ('{"user": "%s", "thread": "t", "text": "hi"}' % ("é" * 3000), "user: has more than 4,096 bytes"),
        (b"{", "the body"),
        (b"\xff", "the body"),
        (b"[]", "the body"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_refusal_names_what_is_wrong(given: bytes | str, named: str) -> None:
    with pytest.raises(InvalidInputError, match=named):
        read_request(ExchangeRequest, given.encode() if isinstance(given, str) else given, MODES)


def test_a_note_may_be_emptied() -> None:
    asked = read_request(WorkingRequest, b'{"user": "a", "thread": "t", "goal": ""}', MODES)
    assert (asked.goal, asked.scratchpad) == ("", None)


@pytest.mark.parametrize("id", ["", "0", "0-0", "1715990400123-7", f"{2**64 - 1}-{2**64 - 1}"])
def test_ids_of_events(id: str) -> None:
    assert event_id(id) == id


@pytest.mark.parametrize("id", ["-", "x", "1-", "-1", "1-2-3", f"{2**64}-0", "٣-0", "1 ", "$", "+", "(1"])
def test_what_is_no_id_of_an_event(id: str) -> None:
    with pytest.raises(InvalidInputError, match="Last-Event-ID"):
        event_id(id)


def test_the_description_is_made_of_the_models() -> None:
    described = document(
        [("POST", "/exchange", ExchangeRequest, "Say"), ("GET", "/recall", RecallRequest, "Look")]
    )
    body = described["paths"]["/exchange"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["required"] == ["user", "thread", "text"]
    parameters = described["paths"]["/recall"]["get"]["parameters"]
    assert {one["name"] for one in parameters if one["required"]} == {"user", "query"}


@pytest.mark.parametrize("number", [nan, inf, -inf])
def test_a_number_that_json_has_not_is_told_as_none(number: float) -> None:
    found = Event(id="1-0", action="odd", detail="", ts=number, duration_seconds=number)
    parts = Explanation(
        meaning=number, words=0.1, context=0.0, speaker=0.0, question=0.0, recency=0.0, reranked=None
    )
    record = MemoryRecord(
        *("m", "tea", "alice", "default", "semantic"),
        distance=number,
        score=number,
        updated_ts=number,
        explanation=parts,
    )
    told = [event_answer(found), *nearest_answer([record], ())]
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert (told[0]["ts"], told[0]["duration_seconds"], told[1]["distance"]) == (None, None, None)
    assert (told[1]["score"], told[1]["ts"], told[1]["explanation"]["meaning"]) == (None, None, None)
    assert told[1]["explanation"]["words"] == 0.1


def test_other_numbers_are_told_as_they_are() -> None:
    found = Event(id="1-0", action="plain", detail="", ts=0.0, duration_seconds=2.5)
    assert (event_answer(found)["ts"], event_answer(found)["duration_seconds"]) == (0.0, 2.5)
    assert event_answer(replace(found, duration_seconds=None))["duration_seconds"] is None
