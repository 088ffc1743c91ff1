"""Whose turn it is to send to the nodes of a cluster."""

from __future__ import annotations

import asyncio
import threading

import pytest

from langchain_agentmem.errors import StoreTimeoutError
from langchain_agentmem.transport.connection_limit import NodeTurns, TaskTurns, ThreadTurns


def test_turns_come_in_order_however_many_nodes_they_are_for() -> None:
    turns: NodeTurns[str] = NodeTurns(4)
    assert all(turns.take([node]) for node in "aabb")
    turns.wait(["a", "b"], "both")
    turns.wait(["b"], "one")
    assert turns.give(["a"]) == ["both"]
    assert turns.give(["b"]) == ["one"]


def test_no_node_has_more_than_three_quarters() -> None:
    turns: NodeTurns[str] = NodeTurns(8)
    assert [turns.take(["silent"]) for _ in range(8)] == [True] * 6 + [False] * 2
    turns.wait(["silent", "other"], "waits")
    assert [turns.take(["other"]) for _ in range(3)] == [True, True, False]
    assert turns.give(["other"]) == []
    assert turns.take(["other"])
    assert turns.give(["silent"]) == ["waits"]


@pytest.mark.parametrize("limit", [1, 2])
def test_few_turns_are_enough_for_one(limit: int) -> None:
    turns: NodeTurns[str] = NodeTurns(limit)
    assert turns.take(["a", "b"])
    turns.wait(["a"], "next")
    assert turns.give(["a", "b"]) == ["next"]


def test_a_thread_that_waits_too_long_is_told_and_waits_no_more() -> None:
    turns = ThreadTurns(1, 0.05, "each node")
    turns.take(["a"])
    with pytest.raises(StoreTimeoutError, match=r"All 1 connections to each node .*\?max_connections="):
        turns.take(["a"])
    turns.give(["a"])
    turns.take(["a"])


def test_threads_have_their_turns_one_after_the_other() -> None:
    turns, most, inside = ThreadTurns(2, 30.0, "each node"), [0], [0]
    lock = threading.Lock()

    def use(nodes: list[str]) -> None:
        for _ in range(200):
            turns.take(nodes)
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            with lock:
                inside[0] -= 1
            turns.give(nodes)

    threads = [threading.Thread(target=use, args=([*names],)) for names in ("a", "b", "ab", "c")]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert most[0] <= 2
    assert inside[0] == 0
    assert turns._turns._count == 0


async def test_a_cancelled_task_gives_its_turn_back() -> None:
    turns = TaskTurns(1)
    await turns.take(["a"])
    waiting = [asyncio.ensure_future(turns.take(["a"])) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    turns.give(["a"])  # to the first, which does not know yet that it is cancelled
    waiting[1].cancel()
    await asyncio.wait(waiting[:2])
    await asyncio.wait_for(waiting[2], 5)
    turns.give(["a"])
    assert turns._turns.take(["a"])


async def test_tasks_that_need_a_silent_node_leave_turns_to_the_others() -> None:
    turns = TaskTurns(8)
    silent = [asyncio.ensure_future(turns.take(["silent"])) for _ in range(100)]
    await asyncio.sleep(0)
    for _ in range(50):
        await asyncio.wait_for(turns.take(["other"]), 5)
        turns.give(["other"])
    assert sum(one.done() for one in silent) == 6
    for one in silent:
        one.cancel()
