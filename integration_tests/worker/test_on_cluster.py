"""Work, threads, items and forgetting on a real Redis Cluster, where they lie on several nodes."""

from __future__ import annotations

import json
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import redis

from integration_tests.cli.conftest import agentmem
from integration_tests.conftest import Counting
from integration_tests.demo.conftest import Demo
from integration_tests.processes import FORKING
from integration_tests.worker.conftest import Facts, converse, enqueue, memory_of, texts, waiting
from integration_tests.worker.test_killed import check, facts_of, work_until_killed
from langchain_agentmem import AgentMemory, MemoryWorker

USERS = [f"user {number}" for number in range(24)]


def user_of(namespace: tuple[str, ...]) -> str | None:
    return namespace[1] if namespace[0] == "users" else None


def everything(primaries: list[redis.Redis]) -> dict[int, list[bytes]]:
    """The keys of each primary."""
    return {at: sorted(client.scan_iter(count=1000)) for at, client in enumerate(primaries)}


def test_two_workers_share_what_lies_on_several_nodes(cluster_url: str, primaries: list[redis.Redis]) -> None:
    facts = Facts()
    with memory_of(cluster_url) as memory:
        for user in USERS:
            for number in range(2):
                converse(memory, f"fact {number} of {user}", thread=f"thread of {user}", user=user)
        assert waiting(memory) == (2 * len(USERS), 0)
        queues = everything(primaries)
        assert min(sum(b"queue:" in key for key in keys) for keys in queues.values()) > 0
        workers = [MemoryWorker(memory, extractor=facts, name=name) for name in ("v", "w")]
        with ThreadPoolExecutor(2) as pool:
            done = list(pool.map(lambda worker: worker.run(once=True), workers))
        assert waiting(memory) == (0, 0)
        assert sum(one.exchanges for one in done) == 2 * len(USERS)
        assert sum(one.folded_messages for one in done) == 2 * len(USERS)
        check(memory, {(u, f"thread of {u}"): [f"fact {n} of {u}" for n in range(2)] for u in USERS})
        streams = [
            (client, key)
            for client, keys in zip(primaries, everything(primaries).values(), strict=True)
            for key in keys
            if key.endswith(b"}:stream")
        ]
        assert len(streams) > 10
        assert [one for client, key in streams for one in client.xinfo_consumers(key, "agentmem")] == []


@pytest.mark.timeout(120)
def test_killed_before_any_step_a_worker_leaves_what_the_next_one_finishes(
    cluster_url: str, primaries: list[redis.Redis]
) -> None:
    said = {("alice", "t1"): ["fact 0", "fact 1"], ("bob", "t2"): ["fact 2", "fact 3"]}
    steps, killed = 0, True
    with memory_of(cluster_url) as memory:
        while killed:
            for client in primaries:
                client.flushall()
            for (user, thread), every in said.items():
                for words in every:
                    converse(memory, words, thread=thread, user=user)
            process = FORKING.Process(target=work_until_killed, args=(cluster_url, steps))
            process.start()
            process.join()
            killed = process.exitcode != 0
            assert process.exitcode in (0, -signal.SIGKILL)
            worker = MemoryWorker(memory, extractor=facts_of, claim_idle_seconds=0.02)
            deadline = time.monotonic() + 10
            while waiting(memory) != (0, 0):
                worker.run(once=True)
                assert time.monotonic() < deadline
            check(memory, said)
            steps += 5
    assert steps > 25


def test_threads_items_and_users_are_complete_and_forgotten_on_all_nodes(
    cluster_url: str, primaries: list[redis.Redis]
) -> None:
    with memory_of(cluster_url) as memory:
        store = memory.store(user_of=user_of)
        for user in USERS:
            converse(memory, f"fact of {user}", thread=f"thread of {user}", user=user)
            memory.events.record(f"thread of {user}", "note", user=user)
            memory.long_term.remember(f"I am {user}", user=user)
            store.put(("users", user), "k", {"text": f"tea for {user}"})
        assert sorted(memory.working.list_threads()) == sorted(f"thread of {user}" for user in USERS)
        assert len(store.search(("users",), query="tea", limit=100)) == len(USERS)
        assert len(store.list_namespaces(prefix=("users",))) == len(USERS)
        for user in USERS[:3]:
            (session,) = memory.list_sessions(user=user).sessions
            assert session.thread_id == f"thread of {user}"
            lines = list(memory.export_user(user))
            assert {line["user"] for line in lines} == {user}
            assert sum("action" in line or "text" in line or "key" in line for line in lines) == 3
        counting = Counting(memory.transport)
        gone = memory.forget_user(USERS[0])
        assert (gone.threads, gone.memories, gone.events, gone.items, gone.tasks, gone.unreached) == (
            *([f"thread of {USERS[0]}"], 1, 1, 1, 2),
            [],
        )
        assert counting.round_trips < 20
        for user in USERS[1:]:
            gone = memory.forget_user(user, thorough=user == USERS[1])
            assert (len(gone.threads), gone.memories, gone.items, gone.tasks, gone.unreached) == (
                1,
                1,
                1,
                2,
                [],
            )
        left = {key for keys in everything(primaries).values() for key in keys}
        assert not [key for key in left if b"user " in key or b"queue:" in key or b":item:" in key]


def test_failed_tasks_of_all_nodes_are_listed_and_replayed(cluster_url: str) -> None:
    with memory_of(cluster_url) as memory:
        for user in USERS[:6]:
            enqueue(memory, "poison", thread=f"thread of {user}", user=user)
        failing = MemoryWorker(memory, extractor=Facts(failing="poison"), max_attempts=1)
        assert failing.run(once=True).set_aside == 6
        failed = memory.tasks.failed(limit=4)
        failed += memory.tasks.failed(limit=4, cursor=failed[-1].id)
        assert sorted(one.place.user for one in failed) == sorted(USERS[:6])
        assert memory.tasks.replay([failed[0].id]) == 1
        assert memory.tasks.drop_failed([failed[1].id]) == 1
        assert memory.tasks.replay() == 4
        assert MemoryWorker(memory, extractor=Facts()).run(once=True).exchanges == 5
        assert waiting(memory) == (0, 0)
        assert texts(memory, failed[0].place.user) == ["poison"]


async def test_the_same_by_async_calls(cluster_url: str) -> None:
    async with AgentMemory(cluster_url, embeddings=None, partitions=16) as memory:
        store = memory.store(index=False, user_of=user_of)
        for user in USERS[:6]:
            await memory.working.aappend_turn(f"thread of {user}", "user", "Hello.", user=user)
            await store.aput(("users", user), "k", {})
        assert len(await memory.working.alist_threads()) == 6
        assert len(await store.asearch(())) == 6
        assert await memory.tasks.awaiting() == (0, 0)
        gone = await memory.aforget_user(USERS[0], thorough=True)
        assert (gone.threads, gone.items) == ([f"thread of {USERS[0]}"], 1)


def test_the_command_line_and_the_page_of_the_demo_work_there(cluster_url: str) -> None:
    done = agentmem("doctor", "--json", url=cluster_url)
    checks = json.loads(done.stdout)["checks"]
    assert [one["says"] for one in checks if one["name"] == "cluster"] == ["3 primaries, 3 replicas"]
    assert sum(one["name"] == "server" for one in checks) == 3
    demo = Demo(cluster_url, "--allow-reset", stubs=True)
    try:
        with httpx.Client(base_url=demo.url, timeout=30) as client:
            said = {"user": "bob", "thread": "t1", "text": "I moved to Porto last week."}
            client.post("/exchange", json=said).raise_for_status()
            found = client.get("/memories", params={"user": "bob"}).raise_for_status().json()["memories"]
            assert [one["text"] for one in found] == ["I moved to Porto last week."]
            (thread,) = client.get("/threads", params={"user": "bob"}).json()["threads"]
            assert thread["thread"] == "t1"
            gone = client.post("/reset", json={"user": "bob"}).raise_for_status().json()
            assert (gone["threads"], gone["memories"]) == (1, 1)
    finally:
        demo.end()
    assert "Traceback" not in demo.said
