"""Where keys lie in a cluster, and what is made of what its nodes tell."""

from __future__ import annotations

from time import monotonic
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot as slot_by_redis_py

from langchain_agentmem.core.keys import Keys, backfilling, index_keys, scope_lock
from langchain_agentmem.core.operations import Command, asks, reads
from langchain_agentmem.core.partitions import key_slot
from langchain_agentmem.errors import ConfigurationError, InvalidInputError
from langchain_agentmem.transport.cluster_slots import SlotTable, slot_of
from langchain_agentmem.working.config import WorkingMemoryConfig

KEYS = Keys()
THREADS = ("t1", "user:7/é 你好", "a{b}c", "{}", "}{", "{", "x" * 200)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_slots_are_those_of_redis(key: str) -> None:
    assert key_slot(key) == key_slot(key.encode()) == slot_by_redis_py(key.encode())


@pytest.mark.parametrize(
    ("key", "slot"),
    [
        ("123456789", 12739),
        ("foo{bar}baz", 5061),
        ("foo{}{bar}", 8363),
        ("foo{{bar}}zap", 4015),
        (b"bar", 5061),
    ],
)
def test_slots_of_the_specification(key: Any, slot: int) -> None:
    assert key_slot(key) == slot


def test_what_cannot_be_sent_has_a_slot_all_the_same() -> None:
    assert slot_of(reads("GET", "\ud83d")) is not None  # so that sending it is what fails


def test_a_command_without_keys_has_no_slot() -> None:
    assert slot_of(asks("PING")) is None


@pytest.mark.parametrize("thread", THREADS)
def test_keys_that_a_script_takes_together_share_a_slot(thread: str) -> None:
    memory = KEYS.memory("0123456789abcdef" if "{" in thread or "}" in thread else thread[:60])
    assert key_slot(memory) == key_slot(KEYS.same(memory))
    for prefix in ("{app}:mem:", "agent:mem:"):
        keys = Keys(memory_prefix=prefix)
        assert key_slot(keys.memory("m1")) == key_slot(keys.same(keys.memory("m1")))


@pytest.mark.parametrize("list_prefix", ["", "chats:"])
@pytest.mark.parametrize("thread", ["t1", "user:7/é 你好", "x" * 200])
def test_a_session_in_a_list_lies_in_the_slot_of_its_list(thread: str, list_prefix: str) -> None:
    keys = WorkingMemoryConfig(storage="list", list_prefix=list_prefix).keys_on_cluster
    assert key_slot(keys.session(thread)) == key_slot(keys.messages(thread))
    assert keys.messages(thread) == list_prefix + thread
    assert keys.session(thread) == f"agent:session:{{{list_prefix}{thread}}}"
    assert keys.thread_of(keys.session(thread)) == thread
    assert keys.session(thread).startswith(keys.sessions_prefix)


@pytest.mark.parametrize("thread", ["a{b}c", "{", "}"])
def test_a_session_in_a_list_has_no_braces_in_its_id_on_a_cluster(thread: str) -> None:
    config = WorkingMemoryConfig(storage="list")
    with pytest.raises(InvalidInputError, match="braces"):
        config.keys_on_cluster.session(thread)
    assert config.keys.session(thread) == f"agent:session:{thread}"  # elsewhere, names stay as they are


def test_prefixes_with_braces_do_not_go_with_lists_on_a_cluster() -> None:
    with pytest.raises(ConfigurationError, match="braces"):
        WorkingMemoryConfig(storage="list", key_prefix="{app}:").keys_on_cluster  # noqa: B018


def test_hash_sessions_have_the_same_names_everywhere() -> None:
    config = WorkingMemoryConfig()
    assert config.keys_on_cluster == config.keys


def test_what_belongs_to_an_index_with_a_hash_tag_shares_its_slot() -> None:
    name = "agentmem:idx:{p17}"
    slots = {key_slot(key) for key in (name, backfilling(name), scope_lock(name, "u"), index_keys(name))}
    assert slots == {key_slot("p17")}


# The table -------------------------------------------------------------------------------------------


def node(host: Any, port: int, name: str, *meta: Any) -> list[Any]:
    return [host, port, name.encode(), *meta]


def table_of(*ranges: list[Any], asked: str = "10.0.0.1:7000", **how: Any) -> SlotTable:
    table = SlotTable([asked], **how)
    table.take(list(ranges), asked)
    return table


def test_a_table_knows_owners_primaries_and_replicas() -> None:
    table = table_of(
        [0, 99, node(b"10.0.0.1", 7000, "a"), node(b"10.0.0.3", 7002, "c")],
        [100, 16383, node(b"10.0.0.2", 7001, "b", [])],
    )
    assert (table.owner(0), table.owner(99), table.owner(100)) == (*["10.0.0.1:7000"] * 2, "10.0.0.2:7001")
    assert table.primaries == ("10.0.0.1:7000", "10.0.0.2:7001")
    assert table.named("b") == "10.0.0.2:7001"
    assert table.to_ask() == ["10.0.0.1:7000", "10.0.0.2:7001", "10.0.0.3:7002"]
    assert not table.is_due()


def test_a_replica_that_is_not_known_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = [0, 16383, node(b"10.0.0.1", 7000, "a")]
    table = table_of(alone)
    now = monotonic()
    assert (table.replica(5), table.is_due()) == (None, False)  # the table was read just now
    monkeypatch.setattr("langchain_agentmem.transport.cluster_slots.monotonic", lambda: now + 2)
    assert (table.replica(5), table.is_due()) == (None, True)
    table.take([[*alone, node(b"10.0.0.3", 7002, "c")]], "10.0.0.1:7000")
    assert (table.replica(5), table.is_due()) == ("10.0.0.3:7002", False)


@pytest.mark.parametrize("host", [None, b"", b"?"])
def test_a_node_that_does_not_know_its_address_is_where_it_was_asked(host: Any) -> None:
    assert table_of([0, 16383, node(host, 7000, "a")], asked="redis.example:7000").owner(5) == (
        "redis.example:7000"
    )


def test_addresses_of_version_6_of_the_internet_protocol() -> None:
    table = table_of([0, 16383, node(b"::1", 7000, "a")])
    assert table.owner(5) == "::1:7000"


def test_addresses_can_be_mapped_to_others() -> None:
    table = table_of([0, 16383, node(b"10.0.0.1", 7000, "a")], remap=lambda at: ("localhost", at[1] + 1))
    assert table.owner(5) == "localhost:7001"
    assert table.address("10.0.0.9", 1, "x:1") == "localhost:2"


def test_a_slot_that_nobody_has_is_asked_for_anywhere() -> None:
    table = table_of([0, 99, node(b"h", 1, "a")], [100, 199, node(b"h", 2, "b")])
    assert table.owner(500) == "h:1"
    table.doubt("h:1")
    assert table.owner(500) == table.owner(None) == "h:2"
    assert table.owner(5) == "h:1"  # whoever has a slot is asked for it


def test_a_table_that_was_not_read_yet_is_due_and_knows_its_seeds() -> None:
    table = SlotTable(["a:1", "b:2", "a:1"])
    assert table.is_due()
    assert table.to_ask() == ["a:1", "b:2"]
    table.doubt("a:1")
    assert table.to_ask() == ["b:2", "a:1"]
    table.missed()
    assert table.is_due()  # nothing is known yet


def test_a_suspect_table_is_read_at_most_every_tenth_of_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("langchain_agentmem.transport.cluster_slots.monotonic", lambda: now)
    table = table_of([0, 16383, node(b"h", 1, "a")])
    table.suspect()
    assert not table.is_due()
    now += 0.11
    assert table.is_due()
    table.missed()
    assert not table.is_due()


def test_what_a_node_has_redirected_counts_until_the_table_is_read() -> None:
    table = table_of([0, 16383, node(b"h", 1, "a")])
    table.move(7, "h:2")
    assert (table.owner(7), table.owner(8)) == ("h:2", "h:1")
    table.take([[0, 16383, node(b"h", 1, "a")]], "h:1")
    assert table.owner(7) == "h:1"


def test_a_command_can_be_meant_for_one_node() -> None:
    assert Command(("SCAN", 0), node="h:1").node == "h:1"
    assert asks("SCAN", 0).node is None
