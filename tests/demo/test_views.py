"""What the page is told is JSON, whatever is stored."""

from __future__ import annotations

import json
from dataclasses import replace
from math import inf, nan

import pytest

from langchain_agentmem.demo import views
from langchain_agentmem.events.event import Event
from langchain_agentmem.longterm.types import MemoryRecord


@pytest.mark.parametrize("number", [nan, inf, -inf])
def test_a_number_that_json_has_not_is_told_as_none(number: float) -> None:
    found = Event(id="1-0", action="odd", detail="", ts=number, duration_seconds=number)
    record = MemoryRecord("m", "tea", "alice", "default", "semantic", distance=number)
    told = [views.event(found), *views.nearest([record], ())]
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert (told[0]["ts"], told[0]["duration_seconds"], told[1]["distance"]) == (None, None, None)


def test_other_numbers_are_told_as_they_are() -> None:
    found = Event(id="1-0", action="plain", detail="", ts=0.0, duration_seconds=2.5)
    assert (views.event(found)["ts"], views.event(found)["duration_seconds"]) == (0.0, 2.5)
    assert views.event(replace(found, duration_seconds=None))["duration_seconds"] is None
