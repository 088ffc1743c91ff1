"""Partitions, driven by hand: what is sent where, and what a cluster's answers become."""

from __future__ import annotations

from typing import Any

import pytest
from redis.crc import key_slot

from langchain_agentmem import AgentMemorySettings
from langchain_agentmem.core.partitions import partition_of, tags
from langchain_agentmem.errors import (
    ConfigurationError,
    InvalidInputError,
    SearchUnavailableError,
    StoreError,
)
from langchain_agentmem.longterm.config import LongTermMemoryConfig
from langchain_agentmem.longterm.redisearch.coordinator import has_coordinator
from langchain_agentmem.longterm.redisearch.memory import LongTermMemory
from langchain_agentmem.longterm.redisearch.part import Part
from tests.embedding_model import RecordingEmbeddings
from tests.fake_transport import FakeTransport

NODE_LOCAL = [b"FT.SEARCH", -1, [b"readonly", b"module"], 1, 1, 1]
COORDINATED = [b"FT.SEARCH", -1, [b"readonly", b"module"], 0, 0, 0]
CROSSSLOT = StoreError("The server answered: CROSSSLOT Keys in request don't hash to the same slot.")


def memory(*replies: Any, cluster: bool = False, **options: Any) -> tuple[LongTermMemory, FakeTransport]:
    """A memory in partitions whose number is known, and the index of alice's."""
    transport = FakeTransport(*replies)
    transport.cluster = cluster
    made = LongTermMemory(transport=transport, embeddings=RecordingEmbeddings(), **options)
    transport.known["agentmem:idx:partitions"] = made.parts.partitions
    knowledge = made.parts.of("alice").index.knowledge
    knowledge.exists = knowledge.checked = True
    knowledge.dimensions = 1
    return made, transport


def slots(made: LongTermMemory, transport: FakeTransport) -> set[int]:
    keys = [key for batch in transport.sent for command in batch for key in command.keys]
    assert keys
    assert all(command.keys for batch in transport.sent for command in batch)
    return {key_slot(key if isinstance(key, bytes) else str(key).encode()) for key in keys}


def alices_slot(partitions: int) -> int:
    return key_slot(tags(partitions)[partition_of("alice", partitions)].encode())


def test_a_cluster_has_256_partitions_and_a_server_of_its_own_none() -> None:
    assert memory(cluster=True)[0].parts.partitions == 256
    assert memory()[0].parts.partitions == 0
    assert memory(partitions=3)[0].parts.partitions == 3


def test_searches_are_one_script_that_waits_while_their_slot_moves() -> None:
    made, transport = memory([[0, [1], [0], [0]]], partitions=16)
    assert made.recall("green tea", user="alice") == []
    ((command,),) = transport.sent
    index = f"agentmem:idx:{{{tags(16)[partition_of('alice', 16)]}}}"
    assert command.keys == (f"{index}:filling", f"{index}:never")
    assert command.read_only
    assert command.args[0] == "EVALSHA_RO"
    parts = list(command.args[5:])
    names = []
    while parts:
        size = int(parts.pop(0))
        names.append(parts[:2])
        del parts[:size]
    assert names == [["FT.SEARCH", index]] * 3
    assert slots(made, transport) == {alices_slot(16)}


def test_every_command_of_a_memory_names_a_key_in_its_partition() -> None:
    stored: list[Any] = [0, b"x", 0]
    listed, counted = [[0, [0]]], [[0, [1, [b"number", b"3"]]]]
    made, transport = memory([stored], listed, counted, [None, -2], [[0, [0]]], partitions=16)
    made.remember("green tea", user="alice")
    made.list_memories(user="alice")
    assert made.count_memories(user="alice") == 3
    made.get("x", user="alice")
    made.parts.of("alice").index.knowledge.exists = False
    assert slots(made, transport) == {alices_slot(16)}


def test_a_failed_search_is_the_error_that_it_is_outside_of_a_script() -> None:
    from redis.exceptions import ResponseError

    made, _ = memory([[0, ResponseError("Syntax error at offset 3")]], partitions=16)
    with pytest.raises(StoreError, match="Syntax error"):
        made.count_memories(user="alice")


@pytest.mark.parametrize(
    ("dedup", "options"),
    [("same", {}), ("same", {"replaces": "old"}), ("near", {})],
)
def test_keys_of_several_slots_are_an_error_and_choose_no_other_way(
    dedup: Any, options: dict[str, Any]
) -> None:
    made, transport = memory([CROSSSLOT], partitions=16, dedup=dedup)
    with pytest.raises(StoreError, match="CROSSSLOT"):
        made.remember("green tea", user="alice", **options)
    knowledge = made.parts.of("alice").index.knowledge
    assert (knowledge.spans_slots, knowledge.searches_in_scripts) == (True, True)
    assert len(transport.sent) == 1


def test_changes_that_touch_several_slots_are_an_error_too() -> None:
    from langchain_agentmem import Add

    made, transport = memory([CROSSSLOT], partitions=16)
    with pytest.raises(StoreError, match="CROSSSLOT"):
        made.apply([Add("green tea")], user="alice")
    assert made.parts.of("alice").index.knowledge.spans_slots
    assert len(transport.sent) == 1


def test_a_batch_of_several_users_is_split_and_its_results_are_in_order() -> None:
    users = [f"user {n}" for n in range(20)]
    made, transport = memory([[0, f"{n}".encode(), 0] for n in range(20)], partitions=4)
    for user in users:
        knowledge = made.parts.of(user).index.knowledge
        knowledge.exists = knowledge.checked = True
        knowledge.dimensions = 1
    drafts = [made.drafting.draft("green tea", user=user) for user in users]
    results = made.transport.run(made.add_op(drafts))
    (batch,) = transport.sent
    places = [str(command.keys[0]) for command in batch]
    assert len({place.split(":")[2] for place in places}) == 4
    by_user = dict(zip(users, results, strict=True))
    for at, place in enumerate(places):
        tag = place.split("{")[1].split("}")[0]
        mine = [user for user in users if tags(4)[partition_of(user, 4)] == tag]
        assert str(at) in {by_user[user].id for user in mine}
    assert sorted(result.id for result in results) == sorted(map(str, range(20)))


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ([NODE_LOCAL, None], False),
        ([COORDINATED, None], True),
        ([NODE_LOCAL, [b"SEARCH.CLUSTERINFO", 1, [], 0, 0, 0]], True),
        ([None, None], False),
    ],
)
def test_a_coordinator_is_told_by_where_searches_go(reply: Any, expected: bool) -> None:
    assert has_coordinator(reply) == expected


def test_long_term_memory_refuses_a_coordinator_each_time() -> None:
    refusing = [[COORDINATED, None], [0, [0]]]
    made, transport = memory(refusing, refusing, cluster=True)
    for _ in range(2):
        with pytest.raises(SearchUnavailableError, match="coordinator"):
            made.count_memories(user="alice")
    assert [len(batch) for batch in transport.sent] == [2, 2]


def test_a_cluster_is_asked_for_a_coordinator_once_with_what_is_read_first() -> None:
    counted = [0, [1, [b"number", b"3"]]]
    made, transport = memory([[NODE_LOCAL, None], counted], [counted], cluster=True)
    assert [made.count_memories(user="alice") for _ in range(2)] == [3, 3]
    assert transport.sent_args[0][0][:2] == ("COMMAND", "INFO")


def test_a_write_waits_for_what_is_asked_first() -> None:
    transport = FakeTransport([0, b"8"])
    made = LongTermMemory(transport=transport, embeddings=RecordingEmbeddings(), partitions=16)
    with pytest.raises(ConfigurationError, match="in 8 partitions, and partitions is 16"):
        made.delete_memory("x", user="alice")
    key = "agentmem:idx:partitions"
    assert transport.sent_args == [[("SETNX", key, 16), ("GET", key)]]


def test_the_number_is_asked_with_what_only_reads() -> None:
    transport = FakeTransport([b"16", None, -2], [None, -2])
    made = LongTermMemory(transport=transport, embeddings=RecordingEmbeddings(), partitions=16)
    assert made.get("x", user="alice") is None
    assert made.get("x", user="alice") is None
    assert transport.sent_args[0][0] == ("GET", "agentmem:idx:partitions")


def test_without_partitions_nothing_is_asked() -> None:
    made, transport = memory([None, -2])
    assert made.get("x", user="alice") is None
    assert [args[0] for args in transport.sent_args[0]] == ["JSON.GET", "TTL"]


@pytest.mark.parametrize("name", ["key_prefix", "index_name"])
def test_names_with_braces_are_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} must have no braces"):
        memory(partitions=16, **{name: "{x}:"})
    memory(**{name: "{x}:"})


@pytest.mark.parametrize("wrong", [0, -1, 4097, 2.5])
def test_a_number_that_is_none_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidInputError, match="partitions"):
        LongTermMemoryConfig(partitions=wrong)


def test_upstash_has_no_partitions() -> None:
    with pytest.raises(ConfigurationError, match="Upstash has no partitions"):
        AgentMemorySettings.load(url="https://x.upstash.io", token="t", partitions=16)


def test_each_partition_is_one_object() -> None:
    made, _ = memory(partitions=16)
    assert isinstance(made.parts.of("alice"), Part)
    assert made.parts.of("alice") is made.parts.of("alice")
    assert len({id(part) for part in made.parts.every()}) == 16
