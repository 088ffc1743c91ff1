"""Which tasks are done as one, and what was said in them."""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from langchain_agentmem.tasks.task import Queued, Task
from langchain_agentmem.worker.exchanges import MAX_EXCHANGES, is_full, said_in, taken_together
from langchain_agentmem.working.working_memory import WorkingMemory
from tests.fake_transport import FakeTransport


def queued(*, messages: int = 2, attempts: int = 0, not_before: float = 0.0) -> Queued:
    task = Task("1", 5.0, (b"{}",) * messages, attempts=attempts, not_before=not_before)
    return Queued(task, b"")


@pytest.mark.parametrize(
    ("tasks", "taken"),
    [
        ([queued()] * 3, 3),
        ([queued()] * 20, MAX_EXCHANGES),
        ([queued(messages=30), queued(messages=10), queued()], 2),
        ([queued(messages=100), queued()], 1),
        ([queued(attempts=1), queued()], 1),
        ([queued(), queued(attempts=1), queued()], 1),
        ([queued(), queued(not_before=11.0), queued()], 1),
        ([queued(), queued(not_before=9.0), queued()], 3),
    ],
)
def test_what_can_be_merged_is_done_as_one(tasks: list[Queued], taken: int) -> None:
    assert taken_together(tasks, 10.0) == tasks[:taken]


def test_a_queue_is_full_when_more_would_not_be_done_at_once() -> None:
    assert not is_full([queued()] * 7)
    assert is_full([queued()] * 8)
    assert is_full([queued(messages=40)])


@pytest.mark.parametrize("storage", ["hash", "list"])
def test_what_was_said_is_read_in_order_and_what_is_unreadable_left_out(storage: str) -> None:
    working = WorkingMemory(transport=FakeTransport(), storage=storage)  # type: ignore[arg-type]
    first = [working.encode(one, 1.0) for one in (HumanMessage("a \ud800"), AIMessage("b"))]
    tasks = [Task("1", 5.0, (*first, b"[]", b"x")), Task("2", 6.0, (working.encode(HumanMessage("c"), 2.0),))]
    said = said_in(tasks, working)
    assert [one.text for one in said.messages] == ["a \ud800", "b", "c"]
    times = [1.0, 1.0, 2.0] if storage == "hash" else [5.0, 5.0, 6.0]  # a list does not tell
    assert (said.times, said.unreadable) == (times, 2)
    assert said.by_user == ["a ?", "c"]
