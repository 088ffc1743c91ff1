from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from langchain_agentmem.core.keys import Keys
from langchain_agentmem.core.operations import reads
from langchain_agentmem.core.removal import Removed
from langchain_agentmem.errors import InvalidInputError, StoreError, StoreFullError, WrongKeyTypeError
from langchain_agentmem.events import operations
from langchain_agentmem.events.event import event_fields

KEYS = Keys(events_prefix="ev:")
LIMITS: dict[str, Any] = {"max_len": 7, "ttl_seconds": 60}


def finish(op: Generator[Any, Any, Any], replies: list[Any]) -> Any:
    with pytest.raises(StopIteration) as stop:
        op.send(replies)
    return stop.value.value


def test_any_number_of_events_is_one_batch_with_a_call_per_thread() -> None:
    events = [("a", {"action": "1"}), ("b", {"action": "2", "detail": ""}), ("a", {"action": "3"})]
    op = operations.record(KEYS, events, **LIMITS)
    first, second = next(op)
    assert first.args[2:] == (1, "ev:a", 7, 60, 2, "action", "1", 2, "action", "3")
    assert second.args[2:] == (1, "ev:b", 7, 60, 4, "action", "2", "detail", "")
    assert [first.keys, second.keys] == [("ev:a",), ("ev:b",)]
    assert [first.read_only, second.read_only] == [False, False]
    assert finish(op, [[b"1-0", b"1-1"], [b"2-0"]]) == ["1-0", "2-0", "1-1"]


def test_no_events_are_no_round_trip() -> None:
    op = operations.record(KEYS, [], **LIMITS)
    with pytest.raises(StopIteration) as stop:
        next(op)
    assert stop.value.value == []


def test_many_events_of_one_thread_are_several_calls_that_cannot_change_their_order() -> None:
    events = [("a", {"action": str(i)}) for i in range(1001)]
    op = operations.record(KEYS, events, max_len=7, ttl_seconds=None)
    batch = next(op)
    assert [command.args[0] for command in batch] == ["EVAL"] * 3  # none can be answered NOSCRIPT
    assert [len(command.args[6:]) // 3 for command in batch] == [500, 500, 1]
    assert {command.args[5] for command in batch} == {0}
    ids = [f"{i}-0" for i in range(1001)]
    assert finish(op, [[i.encode() for i in ids[at : at + 500]] for at in (0, 500, 1000)]) == ids


def test_a_refused_thread_does_not_hide_the_others() -> None:
    events = [("a", {"action": "1"}), ("b", {"action": "2"})]
    op = operations.record_each(KEYS, events, **LIMITS)
    next(op)
    error = WrongKeyTypeError("no stream")
    assert finish(op, [error, [b"2-0"]]) == [error, "2-0"]
    op = operations.record(KEYS, events, **LIMITS)
    next(op)
    with pytest.raises(WrongKeyTypeError):
        op.send([error, [b"2-0"]])


def test_reading_commands() -> None:
    assert next(operations.recent(KEYS, "t", 5)) == [reads("XREVRANGE", "ev:t", "+", "-", "COUNT", 5)]
    assert next(operations.after(KEYS, "t", "", 5)) == [reads("XRANGE", "ev:t", "-", "+", "COUNT", 5)]
    assert next(operations.after(KEYS, "t", "12-3", 5)) == [reads("XRANGE", "ev:t", "(12-3", "+", "COUNT", 5)]
    assert next(operations.length(KEYS, "t")) == [reads("XLEN", "ev:t")]


@pytest.mark.parametrize("last_id", ["x", "-", "+", "1-", "1-2-3", " 1", "(1-0", "$", 5, b"1-0"])
def test_what_is_no_id_is_refused(last_id: Any) -> None:
    with pytest.raises(InvalidInputError, match="last_id"):
        next(operations.after(KEYS, "t", last_id, 5))


def test_forgetting_goes_on_where_a_long_stream_was_left() -> None:
    removed = Removed()
    op = operations.forget(KEYS, "bob", removed, own=["t1"], unowned=["t2"], others=["t3"], thorough=True)
    assert [command.args[3:] for command in next(op)] == [
        ("ev:t1",),
        ("ev:t2", "bob", "-", 1000),
        ("ev:t3", "bob", "-", 1000),
    ]
    (again,) = op.send([3, [10, b"", 0], [20, b"(5-0", 7]])
    assert again.args[3:] == ("ev:t3", "bob", b"(5-0", 1000)
    (nobodys,) = op.send([[1, b"", 0]])
    assert nobodys.args[3:] == ("ev:t2", "", "-", 1000)
    (scan,) = op.send([[4, b"", 0]])
    assert scan.args[:4] == ("SCAN", 0, "MATCH", "ev:*")
    assert scan.args[-2:] == ("TYPE", "stream")
    assert (scan.keys, scan.read_only) == ((), True)
    batch = op.send([[b"9", [b"ev:a", b"ev:b"]]])
    assert [command.args[3:] for command in batch] == [
        (b"ev:a", "bob", "-", 1000),
        (b"ev:b", "bob", "-", 1000),
    ]
    (scan,) = op.send([[100, b"", 0], [200, b"", 0]])
    assert scan.args[1] == 9
    finish(op, [[b"0", []]])
    assert (removed.count, removed.unreached) == (338, [])


def test_forgetting_passes_over_a_stream_that_is_refused() -> None:
    removed = Removed()
    op = operations.forget(KEYS, "bob", removed, own=["t1"], unowned=["t2", "t3"])
    next(op)
    (nobodys,) = op.send([WrongKeyTypeError("no stream"), StoreFullError("full"), [5, b"", 0]])
    assert nobodys.args[3:] == ("ev:t3", "", "-", 1000)
    finish(op, [[0, b"", 0]])
    assert removed.count == 5
    assert removed.unreached == ["'ev:t1': no stream", "'ev:t2': full"]
    with pytest.raises(StoreError, match="5 deleted, but 2 not reached"):
        removed.all()


def test_an_event_of_a_user_is_noted_before_it_is_written(caplog: pytest.LogCaptureFixture) -> None:
    entries = [("t", event_fields("a", ts=1.0, user="bob")), ("t", event_fields("b", ts=2.0, user="bob"))]
    entries.append(("t", event_fields("c", ts=3.0)))
    op = operations.record(KEYS, entries, max_len=10, ttl_seconds=None)
    note, write = next(op)
    assert note.args[2:] == (1, "agent:threads:bob", "2.0", "t", "")
    assert write.args[3] == "ev:t"
    assert finish(op, [1, [b"1-0", b"2-0", b"3-0"]]) == ["1-0", "2-0", "3-0"]
    failing = operations.record(KEYS, entries, max_len=10, ttl_seconds=None)
    next(failing)
    assert finish(failing, [WrongKeyTypeError("no sorted set"), [b"1-0", b"2-0", b"3-0"]]) == [
        *("1-0", "2-0", "3-0"),  # they are written
    ]
    assert "Thread 't' could not be noted in its user's record" in caplog.text


def test_a_refusal_is_raised() -> None:
    op = operations.recent(KEYS, "t", 5)
    next(op)
    with pytest.raises(StoreFullError):
        op.send([StoreFullError("full")])


NOTED = "agent:threads:bob"


@pytest.mark.parametrize(
    ("ttl_seconds", "noted_ttl_seconds", "noted_here"),
    [
        (None, ..., True),
        (60, ..., True),
        (60, 60, False),
        (60, 3600, False),
        (60, None, False),
        (None, None, False),
        # The record of the user's threads must outlive the events.
        (61, 60, True),
        (None, 3600, True),
    ],
)
def test_a_thread_that_the_caller_notes_for_as_long_is_not_noted_again(
    ttl_seconds: int | None, noted_ttl_seconds: Any, noted_here: bool
) -> None:
    entries = [("t", event_fields("a", ts=1.0, user="bob"))]
    op = operations.record(
        KEYS, entries, max_len=10, ttl_seconds=ttl_seconds, noted_ttl_seconds=noted_ttl_seconds
    )
    batch = next(op)
    assert [command.keys for command in batch] == [*([(NOTED,)] if noted_here else []), ("ev:t",)]
    assert finish(op, [*([1] if noted_here else []), [b"1-0"]]) == ["1-0"]
