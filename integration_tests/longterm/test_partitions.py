"""Long-term memory in partitions, on a server of its own: what a cluster needs, and nobody notices."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from integration_tests.conftest import Both, Counting
from integration_tests.longterm.conftest import Make
from integration_tests.words import WordEmbeddings
from langchain_agentmem import Add, AgentMemory, LongTermMemory, Supersede, user_data
from langchain_agentmem.core.keys import index_in
from langchain_agentmem.core.partitions import partition_of, tags
from langchain_agentmem.errors import ConfigurationError, InvalidInputError, StoreError
from langchain_agentmem.longterm.redisearch.queries import Store
from langchain_agentmem.transport.connections import SharedConnection

P = 16
USERS = [f"user {n}" for n in range(12)]


@pytest.fixture
def memory(make: Make) -> LongTermMemory:
    return make(partitions=P)


def tag_of(user: str) -> str:
    return tags(P)[partition_of(user, P)]


def in_other_partitions(user: str) -> list[str]:
    """Users whose memories are in other partitions, each in one of its own."""
    chosen: dict[str, str] = {}
    for one in USERS:
        chosen.setdefault(tag_of(one), one)
    return [one for one in chosen.values() if tag_of(one) != tag_of(user)]


async def test_all_keys_of_a_user_are_in_one_slot_beside_the_index(
    memory: LongTermMemory, bare: redis.Redis, both: Both
) -> None:
    first = await both(memory).aremember("green tea", user="alice", kind="semantic")
    await both(memory).aremember("black tea", user="alice", kind="semantic", replaces=first.id)
    await both(memory).aremember("an apple", user="alice", id="chosen")
    tag = tag_of("alice")
    keys = {key.decode() for key in bare.scan_iter()}
    assert f"agent:mem:{{{tag}}}:chosen" in keys
    assert {key for key in keys if f"{{{tag}}}:" not in key} == {"agentmem:idx:partitions"}
    assert bare.execute_command("FT._LIST") == [index_in("agentmem:idx", tag).encode()]


async def test_two_users_in_different_partitions_never_see_each_other(
    memory: LongTermMemory, both: Both
) -> None:
    for user in USERS:
        await both(memory).aremember(f"{user} likes green tea", user=user, kind="semantic")
    for user in USERS:
        for mode in ("hybrid", "vector", "text"):
            found = await both(memory).arecall("who likes green tea?", user=user, mode=mode, k=50)
            assert [one.user for one in found] == [user]
        assert [one.user for one in await both(memory).alist_memories(user=user)] == [user]
        assert await both(memory).acount_memories(user=user) == 1
    assert await both(memory).aforget_user(USERS[0]) == 1
    left = [await both(memory).acount_memories(user=user) for user in USERS]
    assert left == [0, *[1] * (len(USERS) - 1)]


async def test_an_id_alone_is_found_in_whichever_partition(memory: LongTermMemory, both: Both) -> None:
    ids = {user: (await both(memory).aremember("green tea", user=user)).id for user in USERS}
    for user, one in ids.items():
        found = await both(memory).aget(one)
        assert found is not None
        assert found.user == user
    mine = ids[USERS[0]]
    assert await both(memory).aupdate(mine, text="black tea", embedding=None)
    changed = await both(memory).aget(mine)
    assert changed is not None
    assert changed.text == "black tea"
    result = await both(memory).aremember("red tea", user=USERS[0], replaces=mine)
    assert [one.text for one in await both(memory).ahistory(mine)] == ["black tea", "red tea"]
    assert await both(memory).adelete_memory(result.id)
    assert await both(memory).aget(result.id) is None
    assert not await both(memory).adelete_memory(result.id)
    assert not await both(memory).aupdate(result.id, text="tea")


async def test_an_id_that_two_users_have_is_only_used_with_a_user(memory: LongTermMemory, both: Both) -> None:
    other = in_other_partitions("alice")[0]
    for user in ("alice", other):
        await both(memory).aremember(f"{user}'s", user=user, id="note")
    for call in (
        lambda: both(memory).aget("note"),
        lambda: both(memory).aupdate("note", text="changed"),
        lambda: both(memory).adelete_memory("note"),
        lambda: both(memory).ahistory("note"),
    ):
        with pytest.raises(InvalidInputError, match="2 users have a memory with the id 'note'"):
            await call()
    assert await both(memory).adelete_memory("note", user="alice")
    left = await both(memory).aget("note")
    assert left is not None
    assert left.text == f"{other}'s"


async def test_a_number_of_partitions_that_is_not_the_datas_is_refused(
    memory: LongTermMemory, url: str, transport: SharedConnection, both: Both
) -> None:
    await both(memory).aremember("green tea", user="alice", id="note")
    transport.known.clear()
    other = LongTermMemory(url, embeddings=WordEmbeddings(256), partitions=8)
    for call in (
        lambda: both(other).arecall("tea", user="alice"),
        lambda: both(other).aremember("tea", user="alice"),
        lambda: both(other).aget("note", user="alice"),
        lambda: both(other).adelete_memory("note"),
        lambda: both(other).aclear(),
        lambda: both(other).aapply([Add("tea")], user="alice"),
        lambda: both(other).acreate_index(),
    ):
        with pytest.raises(
            ConfigurationError, match=r"in 16 partitions, and partitions is 8\..*agentmem move"
        ):
            await call()
    await other.aclose()
    assert [one.text for one in await both(memory).alist_memories(user="alice")] == ["green tea"]


async def test_only_a_write_fixes_the_number(
    memory: LongTermMemory, url: str, bare: redis.Redis, both: Both
) -> None:
    async with LongTermMemory(url, embeddings=WordEmbeddings(256), partitions=8) as other:
        assert await both(other).aget("note") is None
        assert bare.dbsize() == 0
        await both(memory).aremember("tea", user="alice")
        assert bare.get("agentmem:idx:partitions") == b"16"
        with pytest.raises(ConfigurationError):
            await both(other).aget("note")


async def test_after_a_flush_the_number_is_there_again(
    memory: LongTermMemory, bare: redis.Redis, both: Both
) -> None:
    await both(memory).aremember("tea", user="alice")
    bare.flushall()
    assert await both(memory).arecall("tea", user="alice") == []
    await both(memory).aremember("tea", user="alice")
    assert bare.get("agentmem:idx:partitions") == b"16"
    assert len(await both(memory).arecall("tea", user="alice")) == 1


async def test_one_partitions_missing_index_leaves_the_others_alone(
    memory: LongTermMemory, bare: redis.Redis, both: Both
) -> None:
    others = in_other_partitions("alice")
    for user in ("alice", *others):
        await both(memory).aremember("green tea", user=user)
        await both(memory).arecall("green tea", user=user)
    before = sorted(bare.execute_command("FT._LIST"))
    bare.execute_command("FT.DROPINDEX", index_in("agentmem:idx", tag_of("alice")))
    bare.config_resetstat()
    for user in others:
        assert len(await both(memory).arecall("green tea", user=user)) == 1
    assert "cmdstat_FT.INFO" not in bare.info("commandstats")
    assert len(await both(memory).arecall("green tea", user="alice")) == 1
    assert sorted(bare.execute_command("FT._LIST")) == before


async def test_what_names_no_user_is_about_every_partition(
    memory: LongTermMemory, bare: redis.Redis, both: Both
) -> None:
    for number, user in enumerate(USERS):
        await both(memory).aremember("green tea", user=user, kind="semantic", namespace="work")
        await both(memory).aremember("red tea", user=user, kind="episodic")
        if number % 2:
            await both(memory).aremember("black tea", user=user, kind="semantic", metadata={"n": number})
    info = await both(memory).aindex_info()
    assert (info["documents"], info["partitions"], info["name"]) == (30, P, "agentmem:idx")
    assert info["indexes"] == len({tag_of(user) for user in USERS})
    await both(memory).acreate_index()
    assert (await both(memory).aindex_info())["indexes"] == P
    rebuilt = await both(memory).arebuild_index()
    assert (rebuilt.documents, rebuilt.failures, rebuilt.unreadable) == (30, 0, 0)
    bare.set("agent:mem:{p}:", "of nobody here")
    assert await both(memory).aclear(namespace="work") == 12
    assert await both(memory).aclear(kind="semantic") == 6
    await both(memory).adrop_index()
    assert await both(memory).aclear(kind="episodic", namespace="other") == 0
    assert await both(memory).aclear() == 12
    assert sorted(bare.scan_iter()) == [b"agent:mem:{p}:", b"agentmem:idx:partitions"]


async def test_a_turn_costs_as_many_round_trips_as_without_partitions(
    transport: SharedConnection, make: Make, counting: Counting, both: Both
) -> None:
    memory = make(partitions=P)
    costs = []
    for call in (
        lambda: both(memory).aremember("green tea", user="alice"),
        lambda: both(memory).aremember("red tea", user="alice"),
        lambda: both(memory).arecall("tea", user="alice"),
        lambda: both(memory).aget("chosen"),
        lambda: both(memory).alist_memories(user="alice"),
        lambda: both(memory).aapply([Add("black tea")], user="alice"),
    ):
        before = counting.round_trips
        await call()
        costs.append(counting.round_trips - before)
    assert costs[1:] == [1, 1, 1, 2, 1]


async def test_changes_are_one_step_inside_a_partition(memory: LongTermMemory, both: Both) -> None:
    old = await both(memory).aremember("Alice lives in Rome", user="alice", kind="semantic")
    done = await both(memory).aapply(
        [Supersede(old.id, "Alice lives in Oslo"), Add("Alice has a cat")], user="alice"
    )
    assert [one.outcome for one in done] == ["stored", "stored"]
    found = [one.text for one in await both(memory).alist_memories(user="alice")]
    assert sorted(found) == ["Alice has a cat", "Alice lives in Oslo"]
    consolidated = await both(memory).aconsolidate(user="alice", dry_run=False)
    assert consolidated.scanned == 2, "what is superseded is not read"


@pytest.mark.parametrize("dedup", ["same", "near"])
async def test_duplicates_are_found_in_the_users_partition(make: Make, dedup: str, both: Both) -> None:
    memory = make(partitions=P, dedup=dedup)
    for user in USERS:
        first = await both(memory).aremember("Green tea, please", user=user)
        again = await both(memory).aremember("Green tea, please!", user=user, near=True)
        assert (first.deduped, again.deduped, again.id) == (False, True, first.id)


async def test_the_whole_of_everybody_is_exported_and_imported_line_by_line(url: str) -> None:
    with AgentMemory(url, embeddings=WordEmbeddings(64), partitions=P) as memory:
        for user in USERS:
            memory.long_term.remember(f"{user} likes tea", user=user, kind="semantic", id="same id")
        steps = user_data.export(memory._tiers, None, wanted=["memories"], thread_id=None, thorough=True)
        lines = [line for page in user_data.run(steps, memory.transport) for line in page]
        assert sorted(line["user"] for line in lines) == sorted(USERS)
        memory.long_term.clear()
        report = memory.import_lines(lines)
        assert report.new_memories == len(USERS)
        assert memory.import_lines(lines).new_memories == 0
        assert {memory.long_term.count_memories(user=user) for user in USERS} == {1}


@pytest.mark.parametrize(
    "setting", ["memory_prefix", "index_name", "threads_prefix", "tasks_prefix", "store_prefix"]
)
def test_names_with_braces_are_refused(url: str, setting: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{setting} must have no braces"):
        AgentMemory(url, partitions=P, **{setting: "my{x}:"})
    AgentMemory(url, **{setting: "my{x}:"}).close()


def test_one_failing_search_leaves_the_others_of_its_batch_alone(memory: LongTermMemory) -> None:
    memory.remember("green tea", user="alice")
    store: Store = memory.parts.of("alice").store
    wrong = store.count("@user:{")
    incomplete, replies, _ = memory.transport.run(
        store.ask([store.count("*"), wrong, store.count("@user:{bob}")])
    )
    assert not incomplete
    assert [replies[0], replies[2]] == [[1], [0]]
    assert isinstance(replies[1], StoreError)
    assert "Syntax error" in str(replies[1])


def test_memories_without_partitions_are_not_seen(make: Make) -> None:
    plain: Any = make()
    plain.remember("green tea", user="alice")
    parted = make(partitions=P)
    assert parted.recall("tea", user="alice") == []
    parted.remember("red tea", user="alice")
    assert [one.text for one in parted.list_memories(user="alice")] == ["red tea"]
