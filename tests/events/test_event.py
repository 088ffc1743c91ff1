from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.events.event import Event, cut, event_fields, read_event


def test_fields_that_are_empty_are_left_out() -> None:
    assert list(event_fields("tool_start", ts=1.5)) == ["action", "detail", "ts"]
    assert event_fields("tool_start", ts=1.5) == {"action": "tool_start", "detail": "", "ts": "1.500000"}


def test_an_event_comes_back_equal() -> None:
    fields = event_fields(
        "tool_end", "détail", ts=2.25, name="n", run_id="r", parent_run_id="p", duration_seconds=0.0, user="u"
    )
    entry = [b"5-1", [part.encode() for pair in fields.items() for part in pair]]
    assert read_event(entry) == Event("5-1", "tool_end", "détail", 2.25, "r", "p", "n", 0.0, "u")


def _read(fields: dict[str, str]) -> Event:
    return read_event([b"5-1", [part.encode() for pair in fields.items() for part in pair]])


def test_the_memories_it_is_about_come_back_in_their_order_whatever_their_ids() -> None:
    ids = ("b", "a, b", '["c"]', "ü" * 40)
    read = _read(event_fields("recall", ts=1.0, memory_ids=ids))
    assert (read.memory_ids, read.to_dict()["memory_ids"], read.fields) == (ids, [*ids], {})


def test_more_memories_than_have_room_are_left_out_whole() -> None:
    ids = [str(number) * 500 for number in range(1, 6)]
    assert _read(event_fields("recall", memory_ids=ids)).memory_ids == (*ids[:4],)


@pytest.mark.parametrize("stored", ["a", '"a"', "[1]", "{}", "[" * 100_000])
def test_ids_of_another_writer_that_are_no_list_of_texts_stay_as_they_are(stored: str) -> None:
    read = _read({"action": "recall", "memory_ids": stored})
    assert (read.memory_ids, read.fields) == ((), {"memory_ids": stored})


def test_an_entry_of_another_writer_is_read_as_far_as_it_goes() -> None:
    event = read_event([b"1500-0", [b"action", b"\xff", b"ts", b"soon", b"mood", b"good"]])
    assert event == Event("1500-0", "\ufffd", "", 1.5, fields={"mood": "good"})
    assert hash(event)
    assert read_event([b"1500-0", None]).ts == 1.5


@pytest.mark.parametrize(
    "arguments",
    [
        {"action": ""},
        {"action": None},
        {"action": "\ud800"},
        {"action": "a", "detail": None},
        {"action": "a", "detail": b"x"},
        {"action": "a", "name": 5},
        {"action": "a", "user": 5},
        {"action": "a", "ts": float("nan")},
        {"action": "a", "duration_seconds": "1"},
        {"action": "a", "memory_ids": "abc"},
        {"action": "a", "memory_ids": [""]},
        {"action": "a", "memory_ids": [5]},
        {"action": "a", "duration_seconds": True},
    ],
)
def test_what_is_no_event_is_refused(arguments: Any) -> None:
    with pytest.raises(InvalidInputError):
        event_fields(**arguments)


@given(st.text(st.characters()), st.integers(1, 50))
def test_a_cut_text_is_its_beginning(text: str, limit: int) -> None:
    result = cut(text, limit)
    assert len(result.encode()) <= limit
    if len(text.encode("utf-8", "replace")) <= limit and text.isascii():
        assert result == text
    elif result != text and result.endswith("…"):
        assert cut(text, 10_000).startswith(result[:-1])


def test_lone_surrogates_become_replacement_characters() -> None:
    assert cut("a\ud800b", 100) == "a\ufffdb"
    assert event_fields("a", "\udfff")["detail"] == "\ufffd"


@given(st.text(st.characters(), max_size=60), st.integers(1, 300))
def test_a_text_is_cut_alike_whether_or_not_its_length_says_that_it_fits(text: str, limit: int) -> None:
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if len(whole.encode()) <= limit:
        assert cut(text, limit) == whole


def test_the_json_form_of_an_event_has_every_attribute() -> None:
    event = Event(
        *("5-1", "tool_end", "détail", 2.25, "r", "p", "n", 0.5, "u", ("m1", "m2")),
        **{
            "tool_call_id": "c1",
            "status": "error",
            "node": "tools",
            "step": 0,
            "model": "m",
            "provider": "p",
        },
        **{"finish_reason": "stop", "first_token_seconds": 0.5, "usage": {"input_tokens": 3}},
        **{"since_ts": 1.25, "frames": ("a.py:1 f",), "fields": {"mood": "good"}},
    )
    assert event.to_dict() == {**asdict(event), "memory_ids": ["m1", "m2"], "frames": ["a.py:1 f"]}
    assert list(event.to_dict()) == list(asdict(event))
    read = json.loads(json.dumps(event.to_dict()))
    assert Event(**{**read, "memory_ids": ("m1", "m2"), "frames": ("a.py:1 f",)}) == event
    assert Event("5-1", "a", "", 1.0).to_dict()["duration_seconds"] is None


def test_what_a_run_tells_comes_back_in_fields_of_its_own() -> None:
    more = {
        **{
            "tool_call_id": "c1",
            "status": "error",
            "node": "tools",
            "step": "0",
            "model": "m",
            "provider": "p",
        },
        **{"finish_reason": "stop", "first_token_seconds": "0.250000", "frames": '["a.py:1 f"]'},
        **{"input_tokens": "12", "cache_read_tokens": "5"},
    }
    read = _read({"action": "tool_end", "detail": "", "ts": "1", **more})
    assert (read.tool_call_id, read.status, read.node, read.step) == ("c1", "error", "tools", 0)
    assert (read.model, read.provider, read.finish_reason) == ("m", "p", "stop")
    assert (read.first_token_seconds, read.frames) == (0.25, ("a.py:1 f",))
    assert (read.usage, read.fields) == ({"input_tokens": 12, "cache_read_tokens": 5}, {})


@pytest.mark.parametrize("stored", ["-1", "1.5", "1e3", "nan", "", "²", "9" * 400, "x"])
def test_a_number_of_another_writer_that_is_none_is_not_counted(stored: str) -> None:
    read = _read({"action": "chat_model_end", "input_tokens": stored, "step": stored})
    assert (read.usage, read.step) == ({}, None)


def test_the_json_form_is_a_copy() -> None:
    event = read_event([b"1500-0", [b"action", b"a", b"mood", b"good"]])
    event.to_dict()["fields"]["mood"] = "bad"
    assert event.fields == {"mood": "good"}


@pytest.mark.parametrize("stored", ["nan", "inf", "-1", "1e300", "soon"])
def test_the_json_form_of_an_event_that_was_read_has_only_numbers_that_json_has(stored: str) -> None:
    event = read_event([b"1500-0", [b"ts", stored.encode(), b"duration_seconds", stored.encode()]])
    json.dumps(event.to_dict(), allow_nan=False)
