"""Long-term memory on a real Redis Cluster: nothing is lost, doubled or missed while slots move."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from integration_tests.clusters import (
    begin_to_move_slot,
    client_of,
    end_move_of_slot,
    move_keys,
    port_of_slot,
)
from integration_tests.conftest import Both
from integration_tests.waiting import wait_until
from integration_tests.words import WordEmbeddings
from langchain_agentmem import Add, LongTermMemory
from langchain_agentmem.core.partitions import key_slot, partition_of, tags
from langchain_agentmem.embedded.cluster import EmbeddedCluster

USERS = [f"user {n}" for n in range(24)]
P = 16


@pytest.fixture
def make(cluster_url: str) -> Iterator[Callable[..., LongTermMemory]]:
    made: list[LongTermMemory] = []

    def memory(**options: Any) -> LongTermMemory:
        made.append(
            LongTermMemory(cluster_url, embeddings=WordEmbeddings(64), **{"partitions": P, **options})
        )
        return made[-1]

    yield memory
    for one in made:
        one.close()


def slot_of(user: str) -> int:
    return key_slot(tags(P)[partition_of(user, P)])


def other_primary(cluster: EmbeddedCluster, port: int) -> int:
    ports = [node.port for node in cluster.nodes if node.role == "primary"]
    return ports[(ports.index(port) + 1) % len(ports)]


async def test_what_users_store_is_spread_and_found_on_every_node(
    make: Callable[..., LongTermMemory], primaries: list[redis.Redis], both: Both
) -> None:
    memory = make()
    for user in USERS:
        await both(memory).aremember(
            f"{user} likes green tea", user=user, kind="episodic", id=f"note of {user}"
        )
        await both(memory).aapply([Add(f"{user} has a cat")], user=user)
    assert all(len(client.execute_command("FT._LIST")) > 1 for client in primaries)
    for user in USERS:
        found = await both(memory).arecall("green tea", user=user)
        assert [one.user for one in found] == [user]
        assert await both(memory).acount_memories(user=user) == 2
        read = await both(memory).aget(f"note of {user}")
        assert read is not None
        assert read.user == user
    info = await both(memory).aindex_info()
    assert info["documents"] == 2 * len(USERS)
    assert await both(memory).aclear(kind="semantic") == len(USERS)
    assert await both(memory).aclear() == len(USERS)
    assert all(client.dbsize() <= 1 for client in primaries)


async def test_where_its_slot_has_moved_a_partition_has_an_index_again(
    make: Callable[..., LongTermMemory], cluster: EmbeddedCluster, both: Both
) -> None:
    memory = make()
    for user in USERS:
        for n in range(5):
            await both(memory).aremember(f"{user} likes tea number {n}", user=user, kind="semantic")
    slot = slot_of(USERS[0])
    source = port_of_slot(cluster, slot)
    target = other_primary(cluster, source)
    begin_to_move_slot(cluster, slot, source, target)
    move_keys(cluster, slot, source, target)
    end_move_of_slot(cluster, slot, target)
    for user in USERS:
        assert len(await both(memory).arecall("tea", user=user, k=10)) == 5
        assert (
            await both(memory).aremember(f"{user} likes tea number 1", user=user, kind="semantic")
        ).deduped


@pytest.mark.parametrize("read", ["recall", "list", "count"])
def test_while_a_slot_is_on_two_nodes_nothing_is_read_from_half_of_it(
    make: Callable[..., LongTermMemory], cluster: EmbeddedCluster, read: str
) -> None:
    memory = make()
    texts = [f"Alice likes tea number {n}" for n in range(20)]
    memory.remember_many(texts, user="alice", kind="semantic")
    reads: dict[str, Callable[[], int]] = {
        "recall": lambda: len(memory.recall("tea", user="alice", k=50, mode="text")),
        "list": lambda: len(memory.list_memories(user="alice")),
        "count": lambda: memory.count_memories(user="alice"),
    }
    slot = slot_of("alice")
    source = port_of_slot(cluster, slot)
    target = other_primary(cluster, source)
    with client_of(cluster, target) as client, ThreadPoolExecutor(1) as pool:
        client.config_resetstat()
        begin_to_move_slot(cluster, slot, source, target)
        move_keys(cluster, slot, source, target, count=10)
        found = pool.submit(reads[read])
        wait_until(lambda: found.done() or "errorstat_TRYAGAIN" in client.info("errorstats"))
        move_keys(cluster, slot, source, target)
        end_move_of_slot(cluster, slot, target)
        assert found.result() == 20


def test_learning_and_recalling_go_on_while_slots_move(
    make: Callable[..., LongTermMemory], cluster: EmbeddedCluster
) -> None:
    memory = make()
    learnt: dict[str, list[str]] = {user: [f"{user} likes green tea"] for user in USERS}
    for user, texts in learnt.items():
        memory.remember(texts[0], user=user, kind="semantic")
    stop = threading.Event()
    failures: list[str] = []
    recalls = [0]

    def work(users: list[str]) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            for user in users:
                text = f"{user} likes green tea of kind {number}"
                try:
                    result = memory.remember(text, user=user, kind="semantic")
                    if result.deduped:
                        failures.append(f"doubled: {text}")
                    learnt[user].append(text)
                    if not memory.recall(learnt[user][0], user=user, k=1, mode="vector"):
                        failures.append(f"an empty recall of {user}")
                    if (count := memory.count_memories(user=user)) != len(learnt[user]):
                        failures.append(f"{count} memories of {user}, and not {len(learnt[user])}")
                    recalls[0] += 1
                except Exception as error:  # noqa: BLE001 - told below
                    failures.append(f"{type(error).__name__}: {error}")

    threads = [threading.Thread(target=work, args=(USERS[at::3],)) for at in range(3)]
    for thread in threads:
        thread.start()
    try:
        until = time.monotonic() + 10
        slots = sorted({slot_of(user) for user in USERS})
        moves = 0
        while time.monotonic() < until:
            slot = slots[moves % len(slots)]
            source = port_of_slot(cluster, slot)
            target = other_primary(cluster, source)
            begin_to_move_slot(cluster, slot, source, target)
            for _ in range(10):
                move_keys(cluster, slot, source, target, count=5)
            move_keys(cluster, slot, source, target)
            end_move_of_slot(cluster, slot, target)
            moves += 1
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    print(f"{moves} moves, {recalls[0]} turns")
    assert failures == []
    assert moves > 3
    for user in USERS:
        texts = [one.text for one in memory.list_memories(user=user, limit=10_000)]
        assert sorted(texts) == sorted(learnt[user])


def scripts_run(cluster: EmbeddedCluster, role: str) -> int:
    """How many scripts that read nodes of a role have run."""
    runs = 0
    for node in cluster.nodes:
        if node.role == role:
            with client_of(cluster, node.port) as client:
                stats = client.info("commandstats")
            runs += sum(
                stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("evalsha_ro", "eval_ro")
            )
    return runs


async def test_replicas_answer_recalls_and_nothing_else_if_they_are_to(
    make: Callable[..., LongTermMemory], cluster: EmbeddedCluster, both: Both
) -> None:
    memory = make(recall_from_replicas=True)
    for user in USERS:
        await both(memory).aremember(f"{user} likes green tea", user=user, kind="semantic")

    def by_replicas_alone() -> bool:  # a server names a replica only when it is in sync
        ran = scripts_run(cluster, "primary")
        found = [memory.recall("green tea", user=user) for user in USERS]
        return all(found) and scripts_run(cluster, "primary") == ran

    wait_until(by_replicas_alone)
    before = scripts_run(cluster, "primary"), scripts_run(cluster, "replica")
    for user in USERS:
        for mode in ("hybrid", "vector", "text"):
            found = await both(memory).arecall("green tea", user=user, mode=mode)
            assert [one.user for one in found] == [user]
    between = scripts_run(cluster, "primary"), scripts_run(cluster, "replica")
    assert between[0] == before[0]
    assert between[1] >= before[1] + 3 * len(USERS)
    for user in USERS:
        assert await both(memory).acount_memories(user=user) == 1
    assert scripts_run(cluster, "replica") == between[1]
