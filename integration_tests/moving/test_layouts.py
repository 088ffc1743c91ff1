"""A move to other key names, and to other layouts of memories, there and back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
import redis

from integration_tests.moving.conftest import USERS, contents, fill, memory_at
from langchain_agentmem import AgentMemory, EmbeddedRedis, move_memory
from langchain_agentmem.errors import ConfigurationError


def test_to_partitions_and_back(url: str, other: str) -> None:
    with memory_at(url) as memory, redis.Redis.from_url(url) as bare:
        fill(memory)
        report = move_memory(url, other, partitions=16)
        assert report.ok
        assert report.pending == 0
        with redis.Redis.from_url(other) as there:
            tags = {key.split(b"{")[1].partition(b"}")[0] for key in there.scan_iter(match="agent:mem:*")}
            assert len(tags) > 1
            assert {there.get(key) for key in there.keys("*:partitions")} == {b"16"}
            assert len(there.keys("*:partitions")) == 4
        with memory_at(other, partitions=16) as moved:
            uses_it(moved)
        with pytest.raises(ConfigurationError, match="16 partitions: use from_partitions=16"):
            move_memory(other, url)
        with EmbeddedRedis() as third, redis.Redis.from_url(third.url) as back:
            report = move_memory(other, third.url, from_partitions=16, partitions=0)
            assert report.ok
            assert contents(back, signals=False) == contents(bare, signals=False)


@pytest.mark.parametrize("options", [{}, {"session_storage": "list"}], ids=["hash", "list"])
def test_to_a_cluster_and_back(
    url: str, other: str, cluster_url: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in options.items():
        monkeypatch.setenv(f"AGENTMEM_{name.upper()}", value)
    with memory_at(url) as memory, redis.Redis.from_url(url) as bare, redis.Redis.from_url(other) as back:
        fill(memory)
        report = move_memory(url, cluster_url)
        assert (report.ok, report.pending) == (True, 0)
        with memory_at(cluster_url) as moved:
            uses_it(moved)
            sessions = moved.working.list_sessions(user="alice")
            assert [one.turn_count for one in sessions.sessions] == [2] * 6
            assert moved.events.recent("thread 0 of alice")[-1].action in ("order_placed", "paid")
        report = move_memory(cluster_url, other)
        assert (report.ok, report.pending) == (True, 0)
        assert contents(back, signals=False) == contents(bare, signals=False)


def test_a_user_named_as_the_key_of_the_number_of_partitions_is_moved_and_forgotten(
    url: str, other: str
) -> None:
    with memory_at(url) as memory:
        for user in ("ada", "partitions"):
            memory.working.append_turn(f"of {user}", "user", "Hello.", user=user)
        with EmbeddedRedis() as third:
            assert move_memory(url, third.url, partitions=16).ok
        assert move_memory(url, other).ok
        assert memory.forget_user("ada").threads == ["of ada"]
    with memory_at(other) as moved:
        assert moved.forget_user("partitions").threads == ["of partitions"]


@pytest.mark.parametrize(  # into a memory, of two lists of one session the longer one stays
    ("kind", "into"),
    [("longer list", False), ("shorter list", False), ("hash", False), ("longer list", True), ("hash", True)],
)
def test_keys_of_other_programs_where_lists_go_are_left_as_they_are(
    url: str, other: str, kind: str, into: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTMEM_SESSION_STORAGE", "list")
    with memory_at(url) as memory, redis.Redis.from_url(other) as there, redis.Redis.from_url(url) as bare:
        for _ in range(2):
            memory.working.append_turn("jobs", "user", "Hello.", user="ada")
        if kind == "hash":
            there.hset("jobs", "a", "1")
        else:
            there.rpush("jobs", *["work"] * (3 if kind == "longer list" else 1))
        before = there.dump("jobs")
        report = move_memory(url, other, into=into)
        assert there.dump("jobs") == before
        if not into:
            assert report.unreadable == ["jobs: the target has another key of that name"]
        bare.delete("jobs", "agent:session:jobs")
        move_memory(url, other, into=into)
        assert there.dump("jobs") == before


def uses_it(moved: AgentMemory) -> None:
    """Use what was moved, in a way that changes nothing of it."""
    store = moved.store(user_of=lambda namespace: namespace[0])
    for user in USERS:
        (found, *_) = moved.long_term.recall("Where do I live?", user=user, k=1)
        assert found.text == "I live in Porto."
        assert moved.long_term.count_memories(user=user) == 14
        item = store.get((user, "notes"), "note 1", refresh_ttl=False)
        assert item is not None
        assert item.value == {"text": "It has 1 pages."}
        assert sorted(store.list_namespaces(prefix=(user,))) == [(user, "kept"), (user, "notes")]
    assert moved.tasks.waiting() == (len(USERS), len(USERS))
    assert {one.place.user for one in moved.tasks.failed()} == {*USERS}


def with_values(document: bytes) -> dict[str, Any]:
    return {name: value for name, value in orjson.loads(document).items() if value not in (None, "")}


@pytest.mark.parametrize("vector_type", ["float32", "float16"])
def test_from_json_to_hashes_and_back(url: str, other: str, vector_type: Any) -> None:
    with memory_at(url) as memory, redis.Redis.from_url(url) as bare:
        fill(memory)
        old = memory.long_term.remember("I drive a Volvo.", user="alice", kind="semantic")
        memory.long_term.remember("I drive a Saab.", user="alice", kind="semantic", replaces=old.id)
        report = move_memory(url, other, storage="hash", vector_type=vector_type)
        assert (report.ok, report.pending) == (True, 0)
        with memory_at(other, storage="hash", vector_type=vector_type) as moved:
            (found,) = moved.long_term.recall("What do I drive?", user="alice", k=1)
            assert found.text == "I drive a Saab."
            for user in USERS:
                ours = memory.long_term.list_memories(user=user)
                theirs = moved.long_term.list_memories(user=user)
                assert [replace(one, ttl_seconds=None) for one in theirs] == [
                    replace(one, ttl_seconds=None) for one in ours
                ]
        if vector_type == "float16":
            return
        with EmbeddedRedis() as third, redis.Redis.from_url(third.url) as back:
            assert move_memory(other, third.url, storage="json").ok
            before, after = contents(bare, signals=False), contents(back, signals=False)
            assert before.keys() == after.keys()
            for key, (_, expiry, value) in before.items():
                if key.startswith(b"agent:mem:"):
                    assert with_values(after[key][2]) == with_values(value)
                    assert after[key][1] == expiry


def test_what_differs_behind_a_conversion_is_noticed(url: str, other: str) -> None:
    with memory_at(url) as memory, redis.Redis.from_url(other) as there:
        text, expiry, _ = (
            f"agent:mem:{memory.long_term.remember(one, user='alice', ttl_seconds=1000).id}"
            for one in ("I have a boat.", "I work in Rome.", "I like tea.")
        )
        assert move_memory(url, other, storage="hash").ok
        there.hset(text, "text", "I have a car.")
        there.expire(expiry, 5000)
        report = move_memory(url, other, storage="hash")
        assert (report.ok, report.differing) == (False, 2)
