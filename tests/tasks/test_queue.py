"""Queues of tasks driven by hand: what is sent, and what a server answers that no test server can be made to."""

from __future__ import annotations

from typing import Any

import pytest
from redis.crc import key_slot

from langchain_agentmem.core.keys import Keys
from langchain_agentmem.core.operations import Op
from langchain_agentmem.errors import InvalidInputError, StoreError
from langchain_agentmem.tasks.queue import TaskQueue
from langchain_agentmem.tasks.task import Place, Queued, Signal, Task, encode
from tests.fake_transport import FakeTransport

PLACE = Place("extract", "t", "alice", "default")
TASK = Task("a", 1.0)
QUEUED = Queued(TASK, encode(TASK))
NO_GROUP = StoreError("The server answered: NOGROUP No such key 'agent:tasks:stream' or consumer group 'g'.")
FIELDS = [b"what", b"extract", b"thread", b"t", b"user", b"alice", b"namespace", b"default"]


@pytest.fixture
def queue() -> TaskQueue:
    return TaskQueue(Keys())


@pytest.mark.parametrize(
    "place",
    [
        PLACE._replace(thread_id=""),
        PLACE._replace(user="x" * 4097),
        PLACE._replace(namespace="\ud800"),
        PLACE._replace(what="guess"),  # type: ignore[arg-type]
    ],
)
def test_a_place_that_is_none_is_refused_before_anything_is_sent(queue: TaskQueue, place: Place) -> None:
    ops: list[Op[Any]] = [
        queue.enqueue_op(place, TASK),
        queue.read_op(place, 1),
        queue.fail_op(place, QUEUED, reason="a", message="b", not_before=0, set_aside=True),
        queue.done_op("g", Signal("1-1", place)),
    ]
    for op in ops:
        with pytest.raises(InvalidInputError):
            FakeTransport().run(op)
    with pytest.raises(InvalidInputError):
        queue.taking(place, [QUEUED])


def test_other_arguments_are_checked_before_anything_is_sent(queue: TaskQueue) -> None:
    fail = {"reason": "a", "message": "b", "set_aside": False}
    ops: list[Op[Any]] = [
        queue.enqueue_op(PLACE, Task("", 1.0)),
        queue.read_op(PLACE, 0),
        queue.fail_op(PLACE, QUEUED, not_before=float("nan"), **fail),  # type: ignore[arg-type]
        queue.next_op("", "w"),
        queue.next_op("g", ""),
        queue.next_op("g", "w", 0),
        queue.next_op("g", "w", block_ms=0),
        queue.claim_op("g", "w", -1),
        queue.claim_op("g", "", 1),
        queue.keep_op("", "w", ["1-1"]),
        queue.leave_op("", "w"),
        queue.create_group_op(""),
        queue.failed_op(0),
        queue.failed_op(cursor="nonsense"),
    ]
    for op in ops:
        with pytest.raises(InvalidInputError):
            FakeTransport().run(op)


def test_with_a_hash_tag_all_keys_of_tasks_are_in_one_cluster_slot() -> None:
    keys = Keys(tasks_prefix="{tasks}:")
    every = {*TaskQueue(keys).keys_of(PLACE), *TaskQueue(keys).keys_of(PLACE._replace(user="bob"))}
    every.add(keys.tasks_failed)
    assert len({key_slot(key.encode()) for key in every}) == 1
    assert len(every) == 6


def test_a_group_that_is_missing_is_created_and_the_command_is_sent_again(queue: TaskQueue) -> None:
    entry = [b"1-1", FIELDS]
    transport = FakeTransport([NO_GROUP], [b"OK"], [[[b"agent:tasks:stream", [entry]]]])
    assert transport.run(queue.next_op("g", "w")) == [Signal("1-1", PLACE, 1)]
    assert [batch[0][0] for batch in transport.sent_args] == ["XREADGROUP", "XGROUP", "XREADGROUP"]
    with pytest.raises(StoreError, match="NOGROUP"):
        FakeTransport([NO_GROUP], [b"OK"], [NO_GROUP]).run(queue.next_op("g", "w"))


def test_somebody_else_may_create_the_group_meanwhile(queue: TaskQueue) -> None:
    busy = StoreError("The server answered: BUSYGROUP Consumer Group name already exists.")
    FakeTransport([busy]).run(queue.create_group_op("g"))
    with pytest.raises(StoreError, match="OOM"):
        FakeTransport([StoreError("OOM")]).run(queue.create_group_op("g"))


def test_signals_are_read_from_either_protocol(queue: TaskQueue) -> None:
    entry = [b"1-1", FIELDS]
    found = [Signal("1-1", PLACE, 1)]
    for reply in ([[b"s", [entry]]], {b"s": [entry]}):
        assert FakeTransport([reply]).run(queue.next_op("g", "w")) == found
    nothing: list[Any] = [None, [], {}]
    for none in nothing:
        assert FakeTransport([none]).run(queue.next_op("g", "w")) == []


def test_signals_that_were_deleted_in_a_workers_hand_are_passed_over(queue: TaskQueue) -> None:
    claimed = [b"0-0", [None, [b"1-1", None], [b"2-1", FIELDS]]]  # as Redis 6 has it
    pending = [[b"2-1", b"w", 5, 3]]
    assert FakeTransport([claimed], [pending]).run(queue.claim_op("g", "w", 5, 9)) == [
        Signal("2-1", PLACE, 3)
    ]
    assert FakeTransport([claimed], [[]]).run(queue.claim_op("g", "w", 5, 9)) == [Signal("2-1", PLACE, 0)]


def test_a_claim_goes_on_until_all_that_is_in_hand_was_looked_at(queue: TaskQueue) -> None:
    transport = FakeTransport([[b"5-0", []]], [[b"0-0", []]])
    assert transport.run(queue.claim_op("g", "w", 5)) == []
    assert [batch[0][5] for batch in transport.sent_args] == [b"0-0", b"5-0"]


def test_what_an_error_said_is_kept_shortened_and_whatever_characters_it_has(queue: TaskQueue) -> None:
    transport = FakeTransport([1])
    long = "\ud800" + "x" * 5000
    op = queue.fail_op(PLACE, QUEUED, reason="a", message=long, not_before=0, set_aside=True)
    assert transport.run(op)
    ((*_, message),) = transport.sent_args[0]
    assert message == b"?" + b"x" * 999


def test_a_task_is_named_once_however_often_it_is_given(queue: TaskQueue) -> None:
    assert queue.taking(PLACE, [QUEUED, QUEUED]).stored == (QUEUED.stored,)
