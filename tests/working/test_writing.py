"""What a write to a session sends: the note in the user's record first, then the session, in one batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from langchain_core.messages import HumanMessage

from langchain_agentmem.core.operations import Op
from langchain_agentmem.errors import StoreFullError, WrongKeyTypeError, WrongOwnerError
from langchain_agentmem.working.working_memory import WorkingMemory

Make = Callable[[], Op[Any]]


@pytest.fixture(params=["append_op", "write_turns_op"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    with WorkingMemory("redis://127.0.0.1:1", ttl_seconds=60) as working:
        writes = {
            "append_op": lambda: working.append_op("t", [HumanMessage("x")], user="alice"),
            "write_turns_op": lambda: working.write_turns_op("t", [b"{}"], user="alice"),
        }
        yield writes[request.param]


def test_a_thread_is_noted_before_the_session_is_written(make: Make) -> None:
    note, write = next(make())
    assert (note.args[2:4], note.args[5:]) == ((1, "agent:threads:alice"), ("t", 60))
    assert write.args[2:4] == (1, "agent:session:t")
    assert [note.keys, write.keys] == [("agent:threads:alice",), ("agent:session:t",)]
    assert [note.read_only, write.read_only] == [False, False]


def test_a_note_that_fails_costs_no_message(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    op = make()
    next(op)
    with pytest.raises(StopIteration) as stop:
        op.send([WrongKeyTypeError("no sorted set"), 7])
    assert stop.value.value == 7
    assert "Thread 't' could not be noted" in caplog.text


@pytest.mark.parametrize(
    ("reply", "raised"),
    [(StoreFullError("full"), StoreFullError), (WrongKeyTypeError("OWNED"), WrongOwnerError)],
)
def test_a_write_that_fails_raises(make: Make, reply: Exception, raised: type[Exception]) -> None:
    op = make()
    next(op)
    with pytest.raises(raised):
        op.send([1, reply])
