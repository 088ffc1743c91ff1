"""Queues in partitions: they do what one does, and workers find signals in each of them, in turn."""

from __future__ import annotations

import time

import pytest
import redis

from integration_tests.conftest import Counting
from integration_tests.tasks.conftest import PLACE, Run, check_signals, task
from integration_tests.tasks.test_concurrency import (
    test_writers_and_takers_lose_nothing_and_do_nothing_twice as test_writers_and_takers_lose_nothing,  # noqa: F401
)
from integration_tests.tasks.test_queue import (  # noqa: F401 - they run here on partitions
    fail,
    test_a_users_tasks_are_forgotten_and_nobody_elses,
    test_all_tasks_are_taken_off_or_none,
    test_entries_of_other_programs_are_passed_over,
    test_many_tasks_are_replayed_in_order,
    test_tasks_come_out_in_order_and_one_signal_leads_to_them,
    test_the_last_task_that_is_set_aside_ends_the_signal,
    test_what_is_no_task_is_set_aside_when_it_is_read,
)
from integration_tests.tasks.test_signals import (  # noqa: F401
    test_a_claim_looks_at_all_that_is_in_hand,
    test_a_dead_workers_signals_are_claimed_and_a_living_ones_are_not,
    test_a_forgotten_users_signal_is_gone_from_a_workers_hand_when_it_is_done,
    test_a_queue_that_lost_its_signal_gets_one,
    test_a_task_that_comes_before_the_signal_is_ended_keeps_it,
    test_a_worker_leaves_unless_it_has_something_in_hand,
    test_workers_of_a_group_share_the_signals,
)
from langchain_agentmem.core.keys import Keys
from langchain_agentmem.core.operations import gather
from langchain_agentmem.errors import InvalidInputError, StoreError, WrongKeyTypeError
from langchain_agentmem.tasks.partitioned import PartitionedTaskQueue
from langchain_agentmem.tasks.queue import TaskCounts

GROUP = "agentmem"
USERS = [f"user {number}" for number in range(60)]
PLACES = [PLACE._replace(user=user) for user in USERS]


@pytest.fixture
def queue() -> PartitionedTaskQueue:
    return PartitionedTaskQueue(Keys(partitions=16))


def in_one_partition(queue: PartitionedTaskQueue, count: int) -> list[str]:
    """Users whose tasks lie beside alice's."""
    users = (f"neighbour {number}" for number in range(10_000))
    return [one for one in users if queue.keys.of(one) == queue.keys.of("alice")][:count]


def test_workers_are_given_each_signal_once_and_tell_those_of_partitions_apart(
    queue: PartitionedTaskQueue, run: Run, bare: redis.Redis
) -> None:
    run(gather([queue.enqueue_op(place, task(place.user)) for place in PLACES]))
    assert len(bare.keys("agent:tasks:{*}:stream")) == 16
    found = []
    while given := [one for name in ("v", "w") for one in run(queue.next_op(GROUP, name, 7))]:
        assert len(given) <= 14
        found += given
    assert sorted(one.place for one in found) == sorted(PLACES)
    assert len({one.id for one in found}) == len(PLACES)
    check_signals(bare)
    assert run(queue.waiting_op()) == TaskCounts(60, 0)


def test_a_full_partition_does_not_keep_the_others_waiting(queue: PartitionedTaskQueue, run: Run) -> None:
    many = [PLACE._replace(thread_id=f"{number}") for number in range(50)]
    run(gather([queue.enqueue_op(place, task("a")) for place in many]))
    assert len(run(queue.next_op(GROUP, "w", 10))) == 10
    other = next(one for one in PLACES if queue.keys.of(one.user) != queue.keys.of("alice"))
    run(queue.enqueue_op(other, task("b")))
    assert other in [one.place for _ in range(2) for one in run(queue.next_op(GROUP, "w", 1))]


def test_what_is_known_is_not_asked_for_again(
    queue: PartitionedTaskQueue, run: Run, bare: redis.Redis, counting: Counting
) -> None:
    def writes() -> int:
        return sum(
            stats["calls"]
            for name, stats in bare.info("commandstats").items()
            if name in ("cmdstat_xreadgroup", "cmdstat_xautoclaim", "cmdstat_xgroup|create")
        )

    run(queue.enqueue_op(PLACE, task("a")))
    assert len(run(queue.next_op(GROUP, "w", 5))) == 1
    before, trips = writes(), counting.round_trips
    for _ in range(5):
        assert run(queue.next_op(GROUP, "w", 5)) == []
    assert run(queue.claim_op(GROUP, "w", 600_000, 5)) == []
    assert writes() == before
    assert counting.round_trips == trips + 7
    run(queue.enqueue_op(PLACE._replace(thread_id="t2"), task("b")))
    assert len(run(queue.next_op(GROUP, "w", 5))) == 1


def test_a_worker_that_waits_is_told_within_its_time(
    queue: PartitionedTaskQueue, run: Run, counting: Counting
) -> None:
    began = time.monotonic()
    assert run(queue.next_op(GROUP, "w", 1, 600)) == []
    assert time.monotonic() - began >= 0.5
    assert counting.round_trips == 3
    run(queue.enqueue_op(PLACE, task("a")))
    assert len(run(queue.next_op(GROUP, "w", 1, 60_000))) == 1


def test_a_group_is_made_where_there_is_work_and_again_if_it_is_gone(
    queue: PartitionedTaskQueue, run: Run, bare: redis.Redis
) -> None:
    run(queue.create_group_op(GROUP))
    assert run(queue.next_op(GROUP, "w")) == []
    assert bare.keys() == []
    run(queue.enqueue_op(PLACE, task("a")))
    assert len(run(queue.next_op(GROUP, "w", 5))) == 1
    bare.xgroup_destroy(queue.keys_of(PLACE)[2], GROUP)
    assert run(queue.next_op(GROUP, "w")) == []
    assert run(queue.claim_op(GROUP, "w", 0)) == []  # sees it
    assert len(run(queue.next_op(GROUP, "w"))) == 1
    bare.flushall()
    run(queue.create_group_op(GROUP))
    run(queue.enqueue_op(PLACE, task("a")))
    assert len(run(queue.next_op(GROUP, "w"))) == 1


def test_a_partition_that_cannot_be_read_does_not_keep_a_worker_from_the_others(
    queue: PartitionedTaskQueue, run: Run, bare: redis.Redis
) -> None:
    run(gather([queue.enqueue_op(place, task(place.user)) for place in PLACES]))
    streams = bare.keys("agent:tasks:{*}:stream")
    lost = bare.xlen(streams[0])
    bare.set(streams[0], "something else")
    found = run(queue.next_op(GROUP, "w", 600, 1000))
    assert len(found) == 60 - lost
    assert len(run(queue.keep_op(GROUP, "w", [one.id for one in found]))) == 60 - lost
    assert run(queue.claim_op(GROUP, "v", 600_000, 5)) == []
    with pytest.raises(WrongKeyTypeError):  # whoever does not wait is told that this is not all
        run(queue.next_op(GROUP, "w", 600))
    bare.delete(streams[0])
    place = next(one for one in PLACES if queue.keys_of(one)[2].encode() == streams[0])
    bare.delete(*queue.keys_of(place)[:2])
    run(queue.enqueue_op(place, task("a")))
    assert run(queue.next_op(GROUP, "w", 600, 1)) == []  # it is not asked each time: that takes its while
    assert run(queue.claim_op(GROUP, "w", 600_000, 5)) == []
    assert [one.place for one in run(queue.next_op(GROUP, "w", 600, 1))] == [place]
    for stream in streams:
        bare.set(stream, "something else")
    with pytest.raises(StoreError):
        run(queue.next_op(GROUP, "w", 600, 1000))


def test_failed_tasks_of_all_partitions_are_listed_by_time_in_pages(
    queue: PartitionedTaskQueue, run: Run, bare: redis.Redis
) -> None:
    places = PLACES[:20] + [PLACE._replace(user=one) for one in in_one_partition(queue, 20)]
    for place in places:
        run(fail(queue, run(queue.enqueue_op(place, task(place.user))), place=place))
    for stream in bare.keys("agent:tasks:{*}:failed"):  # the same ids in all of them
        entries = bare.xrange(stream)
        bare.delete(stream)
        for at, (_, fields) in enumerate(entries):
            bare.xadd(stream, fields, id=f"{1000 + at // 2}-{at % 2}")
    whole = run(queue.failed_op(1000))
    assert sorted(one.place for one in whole) == sorted(places)
    assert [one.ts for one in whole] == sorted(one.ts for one in whole)
    assert len({one.id for one in whole}) == 40
    for size in (1, 3, 7, 40):
        paged, cursor = [], ""
        while page := run(queue.failed_op(size, cursor)):
            assert len(page) <= size
            paged += page
            cursor = page[-1].id
        assert paged == whole
    assert run(queue.waiting_op()) == TaskCounts(0, 40)


def test_failed_tasks_are_replayed_and_dropped_by_ids_that_name_their_partition(
    queue: PartitionedTaskQueue, run: Run, bare: redis.Redis
) -> None:
    for place in PLACES:
        run(fail(queue, run(queue.enqueue_op(place, task(place.user))), place=place))
    failed = run(queue.failed_op())
    tag, _, entry_id = failed[0].id.partition(":")
    assert f"{{{tag}}}" in queue.keys.of(failed[0].place.user).tasks_prefix
    assert run(queue.replay_op([one.id for one in failed[:3]] + [failed[0].id])) == 3
    assert run(queue.drop_failed_op([one.id for one in failed[2:5]])) == 2
    assert run(queue.waiting_op()) == TaskCounts(3, 55)
    for wrong in (entry_id, f"p:{entry_id}", f"{tag}:nonsense", 7):
        with pytest.raises(InvalidInputError, match="id must be"):
            run(queue.replay_op([wrong]))  # type: ignore[list-item]
    assert run(queue.replay_op()) == 55
    assert run(queue.drop_failed_op()) == 0
    check_signals(bare)
    for place in [one.place for one in failed[5:10]]:
        run(fail(queue, run(queue.read_op(place, 1))[0], place=place))
    assert run(queue.drop_failed_op()) == 5


def test_a_users_tasks_are_forgotten_in_one_partition(
    queue: PartitionedTaskQueue, run: Run, counting: Counting
) -> None:
    run(gather([queue.enqueue_op(place, task(place.user)) for place in PLACES]))
    trips = counting.round_trips
    assert run(queue.forget_op(USERS[7])).count == 1
    assert counting.round_trips - trips <= 2
    assert run(queue.waiting_op()) == TaskCounts(59, 0)


@pytest.mark.parametrize("how", ["take off", "set aside"])
def test_the_signal_that_led_there_ends_though_the_queue_has_lost_it(
    queue: PartitionedTaskQueue, run: Run, bare: redis.Redis, how: str
) -> None:
    put = run(queue.enqueue_op(PLACE, task("a")))
    (signal,) = run(queue.next_op(GROUP, "w", 5))
    bare.delete(queue.keys_of(PLACE)[1])
    told = {"signal_id": signal.id, "group": GROUP}
    if how == "take off":
        assert run(queue.take_off_op(queue.taking(PLACE, [put], **told)))
    else:
        failed = {"reason": "a", "message": "", "not_before": 0.0, "set_aside": True}
        assert run(queue.fail_op(PLACE, put, **failed, **told))
    stream = queue.keys_of(PLACE)[2]
    assert (bare.xlen(stream), bare.xpending(stream, GROUP)["pending"]) == (0, 0)
