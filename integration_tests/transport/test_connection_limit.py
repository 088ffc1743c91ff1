"""On a cluster, too, threads and tasks wait for a connection, and none waits for another that waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
import redis
from tenacity import stop_after_delay

from langchain_agentmem.core.operations import Op, reads, writes
from langchain_agentmem.errors import StoreTimeoutError
from langchain_agentmem.transport.cluster_batch import CLUSTER_PACE
from langchain_agentmem.transport.connections import SharedConnection

KEYS = ("a", "b", "c", "d", "e", "f")  # on every primary
AT_ONCE, LIMIT = 18, 2


def blocking(keys: Sequence[str]) -> Op[list[Any]]:
    """Wait a moment at each key, which keeps the connections to their nodes in use."""
    return (yield [writes("BLPOP", key, 0.01) for key in keys])


def connections(primaries: list[redis.Redis]) -> list[int]:
    """How many clients each primary has, besides other nodes and the one that asks."""
    return [
        sum(client["flags"] == "N" and client["cmd"] == "blpop" for client in one.client_list())
        for one in primaries
    ]


def test_threads_wait_for_their_turn(
    cluster_url: str, primaries: list[redis.Redis], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CLUSTER_PACE, "stop", stop_after_delay(0.1))  # to be tried again would not be enough
    url = f"{cluster_url}?max_connections={LIMIT}"
    with closing(SharedConnection(url)) as transport, ThreadPoolExecutor(AT_ONCE) as pool:
        orders = [KEYS[at % len(KEYS) :] + KEYS[: at % len(KEYS)] for at in range(AT_ONCE)]
        found = list(pool.map(lambda keys: transport.run(blocking(keys)), orders))
        assert found == [[None] * len(KEYS)] * AT_ONCE
        assert connections(primaries) == [LIMIT] * len(primaries)


async def test_tasks_wait_for_their_turn_and_never_for_each_other(
    cluster_url: str, primaries: list[redis.Redis]
) -> None:
    transport = SharedConnection(f"{cluster_url}?max_connections={LIMIT}")
    orders = [KEYS[at % len(KEYS) :] + KEYS[: at % len(KEYS)] for at in range(AT_ONCE)]
    waiting = asyncio.gather(*(transport.arun(blocking(keys)) for keys in orders))
    assert await asyncio.wait_for(waiting, 60) == [[None] * len(KEYS)] * AT_ONCE
    assert connections(primaries) == [LIMIT] * len(primaries)
    await transport.aclose()


async def test_tasks_that_need_one_node_do_not_overtake_those_that_need_several(cluster_url: str) -> None:
    transport = SharedConnection(f"{cluster_url}?max_connections={LIMIT}")
    reading: list[Any] = [reads("GET", key) for key in KEYS]
    await transport.arun(_send(reading))
    overtaking, going_on = 0, True

    async def need_one(at: int) -> None:
        nonlocal overtaking
        while going_on:
            await transport.arun(_send([reading[at % len(KEYS)]]))
            overtaking += 1

    ones = asyncio.gather(*(need_one(at) for at in range(AT_ONCE)))
    await asyncio.gather(*(transport.arun(_send(reading)) for _ in range(AT_ONCE)))
    going_on = False
    await ones
    assert overtaking <= 3 * AT_ONCE  # each of them once or twice, as the others
    await transport.aclose()


def test_a_thread_that_gets_no_turn_in_time_is_told_the_limit(cluster_url: str) -> None:
    with (
        closing(SharedConnection(f"{cluster_url}?max_connections=1&socket_timeout=0.5")) as transport,
        ThreadPoolExecutor(4) as pool,
    ):
        slow = [writes("BLPOP", "a", 0.3)] * 4
        running = [pool.submit(transport.run, _send(slow)) for _ in range(4)]
        errors = [error for each in running if (error := each.exception())]
        assert errors
        assert all(isinstance(error, StoreTimeoutError) for error in errors)
        assert "All 1 connections to each node of the cluster at 127.0.0.1:" in str(errors[0])
        assert "?max_connections=" in str(errors[0])


def _send(batch: list[Any]) -> Op[list[Any]]:
    return (yield batch)
