"""Queues of tasks on a real server: what is put in comes out in order, once, and can be set aside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis

from integration_tests.conftest import ON_EVERY_BACKEND
from integration_tests.tasks.conftest import FOLD, PLACE, Run, check_signals, dumps, task
from langchain_agentmem.core.operations import Op
from langchain_agentmem.errors import InvalidInputError, WrongKeyTypeError
from langchain_agentmem.tasks.queue import TaskCounts, TaskQueue
from langchain_agentmem.tasks.task import Place, Queued, Signal, encode

pytestmark = ON_EVERY_BACKEND
GROUP = "agentmem"
ODD = [
    "{a}",
    "{",
    "}{",
    "a\nb",
    "\x00",
    "a\x00b",
    " ",
    "#",
    "*",
    "é",
    "e\u0301",
    "🙂",
    '["a", "b"]',
    "x" * 4096,
]


def fail(queue: TaskQueue, one: Queued, *, set_aside: bool = True, place: Place = PLACE) -> Op[bool]:
    return queue.fail_op(place, one, reason="refused", message="No.", not_before=9.5, set_aside=set_aside)


def test_tasks_come_out_in_order_and_one_signal_leads_to_them(
    queue: TaskQueue, run: Run, bare: redis.Redis
) -> None:
    put = [run(queue.enqueue_op(PLACE, task(name))) for name in "abc"]
    assert run(queue.read_op(PLACE, 2)) == put[:2]
    assert run(queue.waiting_op()) == TaskCounts(1, 0)
    (signal,) = run(queue.next_op(GROUP, "w", 5))
    assert (signal.place, signal.deliveries) == (PLACE, 1)
    assert run(queue.next_op(GROUP, "w", 5)) == []
    taking = queue.taking(PLACE, put[:2], signal_id=signal.id, group=GROUP)
    assert run(queue.take_off_op(taking))
    assert not run(queue.take_off_op(taking))
    assert run(queue.read_op(PLACE, 5)) == put[2:]
    assert not run(queue.done_op(GROUP, signal))
    check_signals(bare)
    assert run(queue.take_off_op(queue.taking(PLACE, put[2:], signal_id=signal.id, group=GROUP)))
    assert run(queue.waiting_op()) == TaskCounts(0, 0)
    assert bare.xpending(queue.keys_of(PLACE)[2], GROUP)["pending"] == 0
    assert bare.keys("agent:tasks:*") == [queue.keys_of(PLACE)[2].encode()]


def test_all_tasks_are_taken_off_or_none(queue: TaskQueue, run: Run, bare: redis.Redis) -> None:
    first, second = (run(queue.enqueue_op(PLACE, task(name))) for name in "ab")
    before = dumps(bare)
    gone = Queued(task("c"), encode(task("c")))
    assert not run(queue.take_off_op(queue.taking(PLACE, [first, gone, second])))
    assert dumps(bare) == before


def test_queues_of_any_ids_are_apart(queue: TaskQueue, run: Run, bare: redis.Redis) -> None:
    places = [Place("extract", one, "u", "n") for one in ODD]
    places += [Place("extract", "t", one, "n") for one in ODD]
    places += [Place("fold", "t", "u", one) for one in ODD]
    put = {place: run(queue.enqueue_op(place, task(str(at)))) for at, place in enumerate(places)}
    signals = run(queue.next_op(GROUP, "w", 100))
    assert [one.place for one in signals] == places
    for signal in signals:
        assert run(queue.read_op(signal.place, 5)) == [put[signal.place]]
    check_signals(bare)
    assert [run(queue.forget_op(one)).count for one in ODD] == [1] * len(ODD)
    assert run(queue.forget_op("u")).count == 2 * len(ODD)
    assert run(queue.waiting_op()) == TaskCounts(0, 0)


def test_a_queue_to_fold_holds_the_newest_task_alone(queue: TaskQueue, run: Run, bare: redis.Redis) -> None:
    old = run(queue.enqueue_op(FOLD, task("a")))
    new = run(queue.enqueue_op(FOLD, task("b")))
    assert run(queue.read_op(FOLD, 5)) == [new]
    assert not run(queue.take_off_op(queue.taking(FOLD, [old])))
    check_signals(bare)
    assert run(queue.take_off_op(queue.taking(FOLD, [new])))
    check_signals(bare)


def test_a_task_that_failed_stays_in_its_place_with_its_attempts(queue: TaskQueue, run: Run) -> None:
    first, second = (run(queue.enqueue_op(PLACE, task(name))) for name in "ab")
    assert run(fail(queue, first, set_aside=False))
    again, same = run(queue.read_op(PLACE, 5))
    assert same == second
    assert (again.task.attempts, again.task.not_before) == (1, 9.5)
    assert (again.task.messages, again.task.history) == (first.task.messages, first.task.history)
    assert not run(fail(queue, first, set_aside=False))
    assert run(fail(queue, again, set_aside=False))
    assert run(queue.read_op(PLACE, 1))[0].task.attempts == 2


def test_tasks_are_set_aside_and_replayed_before_those_that_came_later(
    queue: TaskQueue, run: Run, bare: redis.Redis
) -> None:
    put = [run(queue.enqueue_op(PLACE, task(name))) for name in "abc"]
    assert run(fail(queue, put[0], set_aside=False))
    assert run(fail(queue, run(queue.read_op(PLACE, 1))[0]))
    assert run(fail(queue, put[1]))
    assert not run(fail(queue, put[1]))
    assert run(queue.read_op(PLACE, 5)) == put[2:]
    first, second = run(queue.failed_op())
    assert (first.place, first.task, first.reason, first.message, first.attempts) == (
        *(PLACE, put[0].task, "refused", "No."),
        2,
    )
    assert run(queue.failed_op(5, first.id)) == [second]
    assert run(queue.waiting_op()) == TaskCounts(1, 2)
    assert run(queue.replay_op([first.id, second.id, first.id, "1-1"])) == 2
    assert run(queue.read_op(PLACE, 5)) == put
    assert run(queue.waiting_op()) == TaskCounts(1, 0)
    check_signals(bare)


def test_the_last_task_that_is_set_aside_ends_the_signal(
    queue: TaskQueue, run: Run, bare: redis.Redis
) -> None:
    put = run(queue.enqueue_op(PLACE, task("a")))
    (signal,) = run(queue.next_op(GROUP, "w"))
    failing = queue.fail_op(
        PLACE, put, reason="a", message="", not_before=0, set_aside=True, group=GROUP, signal_id=signal.id
    )
    assert run(failing)
    check_signals(bare)
    assert bare.xpending(queue.keys_of(PLACE)[2], GROUP)["pending"] == 0
    assert run(queue.replay_op()) == 1
    check_signals(bare)
    assert run(queue.read_op(PLACE, 5)) == [put]


def test_many_tasks_are_replayed_in_order(queue: TaskQueue, run: Run, bare: redis.Redis) -> None:
    put = [run(queue.enqueue_op(PLACE, task(f"{number:03}"))) for number in range(50)]
    for one in put:
        run(fail(queue, one))
    assert len(run(queue.failed_op(30))) == 30
    assert run(queue.replay_op()) == 50
    assert run(queue.read_op(PLACE, 99)) == put
    check_signals(bare)


def test_of_sessions_to_fold_the_newest_task_stays_when_an_older_one_is_replayed(
    queue: TaskQueue, run: Run, bare: redis.Redis
) -> None:
    old = run(queue.enqueue_op(FOLD, task("a")))
    assert run(fail(queue, old, place=FOLD))
    new = run(queue.enqueue_op(FOLD, task("b")))
    assert run(queue.replay_op()) == 1
    assert run(queue.read_op(FOLD, 5)) == [new]
    assert run(queue.waiting_op()) == TaskCounts(1, 0)


def test_tasks_that_are_set_aside_can_be_dropped(queue: TaskQueue, run: Run) -> None:
    for name in "abcd":
        run(fail(queue, run(queue.enqueue_op(PLACE, task(name)))))
    first, *_ = run(queue.failed_op())
    assert run(queue.drop_failed_op([])) == 0
    assert run(queue.drop_failed_op([first.id, "1-1"])) == 1
    assert run(queue.drop_failed_op()) == 3
    odd: list[list[Any]] = [["nonsense"], ["1-1 "], [7]]
    for wrong in odd:
        with pytest.raises(InvalidInputError, match="id must be"):
            run(queue.drop_failed_op(wrong))
        with pytest.raises(InvalidInputError, match="id must be"):
            run(queue.replay_op(wrong))


def test_what_is_no_task_is_set_aside_when_it_is_read(queue: TaskQueue, run: Run, bare: redis.Redis) -> None:
    put = run(queue.enqueue_op(PLACE, task("a")))
    bare.lpush(queue.keys_of(PLACE)[0], "nonsense")
    assert run(queue.read_op(PLACE, 5)) == [put]
    (aside,) = run(queue.failed_op())
    assert (aside.task, aside.reason, aside.place) == (None, "unreadable", PLACE)
    assert run(queue.replay_op()) == 1
    assert bare.lrange(queue.keys_of(PLACE)[0], 0, -1) == [b"nonsense", put.stored]


def test_entries_of_other_programs_are_passed_over(queue: TaskQueue, run: Run, bare: redis.Redis) -> None:
    bare.xadd(queue.keys_of(PLACE)[2], {"some": "thing"})
    bare.xadd(queue.keys.of(PLACE.user).tasks_failed, {"what": "guess", "thread": "t"})
    put = run(queue.enqueue_op(PLACE, task("a")))
    run(fail(queue, put))
    assert [one.place for one in run(queue.failed_op())] == [PLACE]
    run(queue.enqueue_op(PLACE, task("a")))
    assert [one.place for one in run(queue.next_op(GROUP, "w", 5))] == [PLACE]
    assert bare.xpending(queue.keys_of(PLACE)[2], GROUP)["pending"] == 1
    assert run(queue.replay_op()) == 1
    assert run(queue.forget_op("alice")).count == 2


CALLS: dict[str, Callable[[TaskQueue, Queued], Op[Any]]] = {
    "enqueue": lambda queue, one: queue.enqueue_op(PLACE, one.task),
    "take off": lambda queue, one: queue.take_off_op(queue.taking(PLACE, [one])),
    "fail": lambda queue, one: fail(queue, one, set_aside=False),
    "set aside": lambda queue, one: fail(queue, one),
    "replay": lambda queue, one: queue.replay_op(),
    "done": lambda queue, one: queue.done_op(GROUP, Signal("1-1", PLACE)),
}


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        *((name, wrong) for name in CALLS for wrong in range(3)),
        *((name, 3) for name in ("fail", "set aside", "replay")),
    ],
)
def test_a_key_that_holds_something_else_is_an_error_before_anything_is_written(
    queue: TaskQueue, run: Run, bare: redis.Redis, name: str, wrong: int
) -> None:
    other = run(queue.enqueue_op(PLACE, task("b")))
    run(fail(queue, other))
    one = run(queue.enqueue_op(PLACE, task("a")))
    key = (*queue.keys_of(PLACE), queue.keys.of(PLACE.user).tasks_failed)[wrong]
    bare.delete(key)
    bare.hset(key, "some", "thing")
    before = dumps(bare)
    with pytest.raises(WrongKeyTypeError):
        run(CALLS[name](queue, one))
    assert dumps(bare) == before


def test_a_users_tasks_are_forgotten_and_nobody_elses(queue: TaskQueue, run: Run, bare: redis.Redis) -> None:
    bobs = PLACE._replace(user="bob")
    for name in "ab":
        run(fail(queue, run(queue.enqueue_op(PLACE, task(name)))))
        run(fail(queue, run(queue.enqueue_op(bobs, task(name))), place=bobs))
    mine = run(queue.enqueue_op(PLACE, task("c")))
    run(queue.enqueue_op(FOLD, task("d")))
    his = run(queue.enqueue_op(bobs, task("e")))
    before = dumps(bare)
    told = run(queue.forget_op("alice", dry_run=True))
    assert (told.count, dumps(bare)) == (4, before)
    assert run(queue.forget_op("alice")).count == 4
    assert run(queue.forget_op("alice")).count == 0
    assert not run(queue.take_off_op(queue.taking(PLACE, [mine])))
    assert run(queue.read_op(bobs, 5)) == [his]
    assert [one.place for one in run(queue.failed_op())] == [bobs, bobs]
    check_signals(bare)


def test_many_tasks_of_a_user_are_forgotten_among_those_of_others(
    queue: TaskQueue, run: Run, bare: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("langchain_agentmem.tasks.queue._PAGE", 5)
    for number in range(50):
        one = PLACE._replace(thread_id=f"t{number}", user="bob" if number % 3 else "alice")
        run(fail(queue, run(queue.enqueue_op(one, task(f"{number}"))), place=one))
        run(queue.enqueue_op(one, task(f"{number} again")))
    assert run(queue.forget_op("alice", dry_run=True)).count == 34
    assert run(queue.forget_op("alice")).count == 34
    assert {one.place.user for one in run(queue.failed_op(99))} == {"bob"}
    assert run(queue.waiting_op()) == TaskCounts(33, 33)
    check_signals(bare)


def test_what_cannot_be_forgotten_is_said(queue: TaskQueue, run: Run, bare: redis.Redis) -> None:
    run(queue.enqueue_op(PLACE, task("a")))
    run(queue.enqueue_op(FOLD, task("b")))
    bare.delete(queue.keys_of(PLACE)[0])
    bare.hset(queue.keys_of(PLACE)[0], "some", "thing")
    removed = run(queue.forget_op("alice"))
    assert (removed.count, len(removed.unreached)) == (1, 1)
