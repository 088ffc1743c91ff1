"""What each condition in the scripts of `dedup="near"` is there for, in both storages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import redis

from integration_tests.conftest import Counting, before_each_batch
from integration_tests.longterm.conftest import Make
from langchain_agentmem.core.operations import Batch, Op
from langchain_agentmem.longterm.redisearch.memory import LongTermMemory


@pytest.fixture(params=["json", "hash"])
def memory(make: Make, request: pytest.FixtureRequest) -> LongTermMemory:
    memory = make(storage=request.param, dedup="near")
    memory.create_index()
    return memory


def remember_op(memory: LongTermMemory, text: str, **about: Any) -> Op[Any]:
    return memory.remember_op(text, embedding=memory.embeddings.embed_query(text), user="alice", **about)


def field(memory: LongTermMemory, bare: redis.Redis, id: str, name: str) -> str:
    """What stands in a document, as text."""
    if memory.config.storage == "hash":
        return str(bare.hget(f"agent:mem:{id}", name).decode())
    return bare.execute_command("JSON.GET", f"agent:mem:{id}", f"$.{name}").decode().strip('[]"')


def write(memory: LongTermMemory, bare: redis.Redis, id: str, name: str, value: str) -> None:
    if memory.config.storage == "hash":
        bare.hset(f"agent:mem:{id}", name, value)
    else:
        as_json = value if value[0].isdigit() else f'"{value}"'
        bare.execute_command("JSON.SET", f"agent:mem:{id}", f"$.{name}", as_json)


@pytest.mark.parametrize("what", ["lost", "taken by another"])
def test_a_lock_that_ran_out_is_not_taken_from_its_next_holder(
    memory: LongTermMemory, bare: redis.Redis, what: str
) -> None:
    memory.index.knowledge.searches_in_scripts = False

    def act(batch: Batch) -> None:
        for lock in bare.scan_iter("agentmem:idx:lock:*"):
            if what == "lost":
                bare.delete(lock)
            else:
                bare.set(lock, "another's", px=60_000)

    memory.transport.run(before_each_batch(remember_op(memory, "green tea"), act))
    locks = list(bare.scan_iter("agentmem:idx:lock:*"))
    assert [bare.get(lock) for lock in locks] == ([] if what == "lost" else [b"another's"])


def test_a_lock_is_given_back_at_once(memory: LongTermMemory, bare: redis.Redis) -> None:
    memory.index.knowledge.searches_in_scripts = False
    seen: list[bool] = []
    op = remember_op(memory, "green tea")
    memory.transport.run(before_each_batch(op, lambda _: seen.append(bool(bare.keys("agentmem:idx:lock:*")))))
    assert True in seen
    assert bare.keys("agentmem:idx:lock:*") == []


def test_a_memory_that_goes_while_it_is_found_to_be_known_is_stored(
    memory: LongTermMemory, bare: redis.Redis
) -> None:
    memory.index.knowledge.searches_in_scripts = False
    known = memory.remember("green tea", user="alice")

    def act(batch: Batch) -> None:
        if any(f"agent:mem:{known.id}" in command.keys for command in batch):
            bare.delete(f"agent:mem:{known.id}")

    result = memory.transport.run(before_each_batch(remember_op(memory, "green tea"), act))
    assert not result.deduped
    assert memory.get(known.id) is None
    assert memory.get(result.id) is not None


@pytest.mark.parametrize(
    ("name", "value"), [("hit_count", "many"), ("hit_count", "1.5"), ("created_ts", "once")]
)
def test_a_memory_that_turns_unreadable_while_it_is_found_is_not_counted(
    memory: LongTermMemory, bare: redis.Redis, name: str, value: str
) -> None:
    memory.index.knowledge.searches_in_scripts = False
    memory.remember("green tea", user="alice", id="x")

    def act(batch: Batch) -> None:
        if any("agent:mem:x" in command.keys for command in batch):
            write(memory, bare, "x", name, value)

    result = memory.transport.run(before_each_batch(remember_op(memory, "green tea"), act))
    assert (result.deduped, field(memory, bare, "x", name)) == (False, value)


@pytest.mark.parametrize("other", [{"user": "bob"}, {"namespace": "work"}, {"kind": "semantic"}])
def test_a_memory_that_moves_to_another_scope_while_it_is_found_is_not_counted_there(
    memory: LongTermMemory, bare: redis.Redis, other: dict[str, str], searches_in_scripts: bool
) -> None:
    """Nor is one that the index finds in this scope although it is of another, as it splits at commas."""
    memory.index.knowledge.searches_in_scripts = searches_in_scripts
    ((name, value),) = other.items()
    memory.remember("green tea", user="alice", id="x")
    write(memory, bare, "x", name, f"{field(memory, bare, 'x', name)},{value}")
    result = memory.remember("green tea", user="alice")
    assert not result.deduped
    assert field(memory, bare, "x", "hit_count") == "0"


@pytest.mark.parametrize(
    ("name", "value"), [("hit_count", "many"), ("hit_count", "1.5"), ("created_ts", "once")]
)
def test_what_cannot_be_read_is_not_counted(
    memory: LongTermMemory, bare: redis.Redis, name: str, value: str, searches_in_scripts: bool
) -> None:
    memory.index.knowledge.searches_in_scripts = searches_in_scripts
    memory.remember("green tea", user="alice", id="x", ttl_seconds=500)
    before = bare.dump("agent:mem:x")
    write(memory, bare, "x", name, value)
    after = bare.dump("agent:mem:x")
    assert after != before
    assert not memory.remember("green tea", user="alice", ttl_seconds=None).deduped
    assert bare.dump("agent:mem:x") == after
    assert 490 < bare.ttl("agent:mem:x") <= 500


def test_a_time_in_whole_seconds_is_a_time(memory: LongTermMemory, bare: redis.Redis) -> None:
    memory.remember("green tea", user="alice", id="x")
    write(memory, bare, "x", "created_ts", "5")
    assert memory.remember("green tea", user="alice").id == "x"


def test_a_memory_has_the_servers_time_to_the_microsecond(memory: LongTermMemory, bare: redis.Redis) -> None:
    while (now := bare.time())[1] > 20_000:  # where the decimals begin with zeros
        pass
    memory.remember("green tea", user="alice", id="x", embedding=[1.0] * 256)
    then = bare.time()
    stored = float(field(memory, bare, "x", "created_ts"))
    assert now[0] + now[1] / 1e6 <= stored <= then[0] + then[1] / 1e6


def test_the_nearest_that_is_known_is_told_with_its_distance(
    memory: LongTermMemory, searches_in_scripts: bool
) -> None:
    memory.index.knowledge.searches_in_scripts = searches_in_scripts
    first = memory.remember("a", user="alice", embedding=[1.0, 0.0] + [0.0] * 254)
    near = memory.remember("b", user="alice", embedding=[1.0, 0.1] + [0.0] * 254)
    assert (near.id, near.deduped) == (first.id, True)
    assert near.existing_distance == pytest.approx(0.005, abs=1e-3)
    far = memory.remember("c", user="alice", embedding=[0.0, 1.0] + [0.0] * 254)
    assert not far.deduped
    assert far.existing_distance == pytest.approx(1.0, abs=1e-3)


def test_a_distance_is_compared_as_a_number(memory: LongTermMemory, searches_in_scripts: bool) -> None:
    """As texts, 1e-05 would be more than 0.2."""
    memory.index.knowledge.searches_in_scripts = searches_in_scripts
    memory.config = replace(memory.config, dedup_threshold=0.2)
    first = memory.remember("a", user="alice", embedding=[1.0, 0.0] + [0.0] * 254)
    near = memory.remember("b", user="alice", embedding=[1.0, 0.004] + [0.0] * 254)
    assert (near.id, near.deduped) == (first.id, True)
    assert near.existing_distance < 1e-4


def test_an_id_keeps_the_life_it_is_given(memory: LongTermMemory, bare: redis.Redis) -> None:
    for ttl, least, most in [(500, 490, 500), (None, -1, -1), (100, 90, 100), (500, 490, 500)]:
        memory.remember("green tea", user="alice", id="x", ttl_seconds=ttl)
        assert least <= bare.ttl("agent:mem:x") <= most


def test_a_backfilling_index_is_waited_for_by_what_looks(
    make: Make, bare: redis.Redis, counting: Counting
) -> None:
    memory = make(dedup="near")
    memory.create_index()
    bare.set("agentmem:idx:filling", 1, ex=60)
    before = counting.round_trips
    memory.remember("green tea", user="alice")
    assert counting.round_trips - before >= 3, "refused, looked at the index, stored"
    assert not bare.exists("agentmem:idx:filling")
