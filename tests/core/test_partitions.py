from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot as slot_by_redis_py

from langchain_agentmem.core.keys import Keys, index_in, same_prefix
from langchain_agentmem.core.partitions import SLOTS, key_slot, partition_of, tags

COUNTS = [1, 2, 16, 255, 256, 1000, 4096]


@pytest.mark.parametrize("partitions", COUNTS)
def test_each_partition_lies_in_its_own_range_of_slots(partitions: int) -> None:
    found = tags(partitions)
    assert len(set(found)) == partitions
    for at, tag in enumerate(found):
        slot = key_slot(tag)
        assert slot == slot_by_redis_py(tag.encode())
        assert at <= slot * partitions / SLOTS < at + 1


@pytest.mark.parametrize("nodes", [2, 3, 5, 16])
def test_nodes_have_about_equally_many_partitions(nodes: int) -> None:
    on_node = [0] * nodes
    for tag in tags(256):
        on_node[key_slot(tag) * nodes // SLOTS] += 1
    assert max(on_node) - min(on_node) <= 2


def test_tags_do_not_change() -> None:
    assert tags(256)[:3] == ("p267", "p68", "p263")  # where data is found again


@given(st.text(min_size=1, max_size=50), st.sampled_from(COUNTS))
def test_what_is_a_users_lies_in_one_slot(user: str, partitions: int) -> None:
    keys = Keys(partitions=partitions).of(user)
    tag = tags(partitions)[partition_of(user, partitions)]
    memory = keys.memory("m")
    together = [
        *(memory, keys.same(memory), same_prefix(keys.memory_prefix), keys.threads(user)),
        *(keys.tasks_queue("extract", "t", user, "n"), keys.tasks_stream, keys.tasks_failed),
        *(keys.item(("a", "b"), "k"), keys.namespaces, keys.user_namespaces("somebody")),
        index_in("agentmem:idx", tag),
    ]
    assert {slot_by_redis_py(key.encode()) for key in together} == {key_slot(tag)}
    assert (keys.session("t"), keys.events("t")) == (Keys().session("t"), Keys().events("t"))


def test_without_partitions_no_key_has_a_tag() -> None:
    keys = Keys()
    assert keys.of("alice") is keys
    assert keys.every() == [keys]
    assert keys.memory("m") == "agent:mem:m"


def test_every_partition_is_visited_once() -> None:
    keys = Keys(partitions=16)
    prefixes = [one.memory_prefix for one in keys.every()]
    assert prefixes == [f"agent:mem:{{{tag}}}:" for tag in tags(16)]
    assert keys.of("alice") in keys.every()


@pytest.mark.parametrize("user", ["", "x" * 5000])
def test_a_user_that_is_no_id_is_refused(user: str) -> None:
    with pytest.raises(ValueError, match="user"):
        Keys(partitions=4).of(user)
