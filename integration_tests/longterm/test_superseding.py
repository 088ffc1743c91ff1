"""A memory that another one replaces is kept, linked and dated, and no longer found."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
import redis

from integration_tests.conftest import Both, before_each_batch
from integration_tests.longterm.conftest import Make
from langchain_agentmem.core.operations import Batch
from langchain_agentmem.errors import InvalidInputError, StoreFullError
from langchain_agentmem.longterm.redisearch.memory import LongTermMemory

LISBON, PORTO, ROME = "I live in Lisbon", "I live in Porto", "I live in Rome"
ANY: dict[str, Any] = {"mode": "vector", "distance_threshold": None}


@pytest.fixture(params=["json", "hash"])
def memory(make_so: Make, request: pytest.FixtureRequest) -> LongTermMemory:
    memory = make_so(storage=request.param)
    memory.create_index()
    return memory


async def texts(memory: LongTermMemory, both: Both, **about: Any) -> list[str]:
    return [one.text for one in await both(memory).alist_memories(user="alice", **about)]


async def test_a_superseded_memory_is_kept_linked_and_dated_and_found_no_more(
    memory: LongTermMemory, both: Both
) -> None:
    before = time.time() - 1
    old = await both(memory).aremember(LISBON, user="alice", metadata={"a": 1}, kind="semantic")
    new = await both(memory).aremember(PORTO, user="alice", replaces=old.id)
    assert (new.deduped, new.replaced, new.id != old.id) == (False, old.id, True)
    kept = await both(memory).aget(old.id)
    assert (kept.text, kept.metadata, kept.kind) == (LISBON, {"a": 1}, "semantic")
    assert kept.superseded_by == new.id
    assert before < kept.superseded_ts < time.time() + 1
    assert (await both(memory).aget(new.id)).superseded_by is None
    assert [one.id for one in await both(memory).arecall(LISBON, user="alice", **ANY)] == [new.id]
    assert await texts(memory, both) == [PORTO]
    assert await texts(memory, both, include_superseded=True) == [PORTO, LISBON]
    assert (await both(memory).aindex_info())["failures"] == 0


async def test_superseded_memories_take_no_place_in_a_list_or_among_the_nearest(
    memory: LongTermMemory, both: Both
) -> None:
    last = await both(memory).aremember("fact 0", user="alice")
    others = [await both(memory).aremember(f"other thing{n} x{n}", user="alice") for n in range(3)]
    for number in range(1, 12):
        last = await both(memory).aremember(f"fact {number}", user="alice", replaces=last.id)
    found = await both(memory).arecall("fact", user="alice", k=4, **ANY)
    assert {one.id for one in found} == {last.id, *(one.id for one in others)}
    assert len(await texts(memory, both, limit=4)) == 4
    assert len(await texts(memory, both, limit=100, include_superseded=True)) == 15


async def test_nothing_is_logged_about_superseded_memories(
    memory: LongTermMemory, both: Both, caplog: pytest.LogCaptureFixture
) -> None:
    old = await both(memory).aremember(LISBON, user="alice")
    await both(memory).aremember(PORTO, user="alice", replaces=old.id)
    await both(memory).arecall(LISBON, user="alice", **ANY)
    await both(memory).alist_memories(user="alice")
    await both(memory).arebuild_index()
    assert caplog.text == ""


async def test_what_is_said_again_after_it_was_superseded_is_stored_again(
    memory: LongTermMemory, both: Both
) -> None:
    old = await both(memory).aremember(LISBON, user="alice")
    new = await both(memory).aremember(PORTO, user="alice", replaces=old.id)
    back = await both(memory).aremember(LISBON, user="alice", replaces=new.id)
    assert (back.deduped, back.replaced) == (False, new.id)
    assert back.id not in (old.id, new.id)
    again = await both(memory).aremember(LISBON, user="alice")
    assert (again.id, again.deduped) == (back.id, True)
    assert await texts(memory, both) == [LISBON]
    assert (await both(memory).aget(old.id)).hit_count == 0
    third = await both(memory).aremember(PORTO, user="alice", replaces=back.id)
    assert third.id not in (old.id, new.id, back.id)
    assert await both(memory).aforget_user("alice") == 4


async def test_the_duplicate_that_is_there_supersedes_in_its_place(
    memory: LongTermMemory, both: Both
) -> None:
    old = await both(memory).aremember(LISBON, user="alice")
    known = await both(memory).aremember(ROME + " with two cats", user="alice")
    result = await both(memory).aremember(ROME + " with two cats", user="alice", replaces=old.id)
    assert (result.id, result.deduped, result.replaced) == (known.id, True, old.id)
    assert (await both(memory).aget(old.id)).superseded_by == known.id
    again = await both(memory).aremember(ROME + " with two cats", user="alice", replaces=old.id)
    assert (again.id, again.replaced) == (known.id, old.id), "as after a retry"


async def test_a_duplicate_under_a_chosen_id_supersedes_too(memory: LongTermMemory, both: Both) -> None:
    old = await both(memory).aremember(LISBON, user="alice")
    await both(memory).aremember("green tea", user="alice", id="x")
    result = await both(memory).aremember("green tea", user="alice", replaces=old.id)
    assert (result.id, result.deduped, result.replaced) == ("x", True, old.id)


async def test_a_chosen_id_supersedes_another(memory: LongTermMemory, both: Both) -> None:
    old = await both(memory).aremember(LISBON, user="alice")
    result = await both(memory).aremember(PORTO, user="alice", id='"x" é', replaces=old.id)
    assert (result.id, result.replaced) == ('"x" é', old.id)
    assert (await both(memory).aget(old.id)).superseded_by == '"x" é'
    with pytest.raises(InvalidInputError, match="itself"):
        await both(memory).aremember(PORTO, user="alice", id="y", replaces="y")


async def test_what_is_gone_or_superseded_by_another_is_not_superseded(
    memory: LongTermMemory, both: Both
) -> None:
    result = await both(memory).aremember(LISBON, user="alice", replaces="gone")
    assert (result.deduped, result.replaced) == (False, None)
    other = await both(memory).aremember("green tea", user="alice", replaces=result.id)
    third = await both(memory).aremember("red car", user="alice", replaces=result.id)
    assert (third.deduped, third.replaced) == (False, None)
    assert (await both(memory).aget(result.id)).superseded_by == other.id


@pytest.mark.parametrize("other", [{"user": "bob"}, {"namespace": "work"}])
async def test_a_memory_of_another_user_or_namespace_is_refused_and_nothing_is_written(
    memory: LongTermMemory, bare: redis.Redis, both: Both, other: dict[str, str]
) -> None:
    old = await both(memory).aremember(LISBON, **{"user": "alice", **other})
    known = await both(memory).aremember("green tea", user="alice")
    before = {key: bare.dump(key) for key in bare.keys("*")}
    for text in (PORTO, "green tea", LISBON):
        with pytest.raises(InvalidInputError, match="replaces belongs to"):
            await both(memory).aremember(text, user="alice", replaces=old.id)
        with pytest.raises(InvalidInputError, match="replaces belongs to"):
            await both(memory).aremember(text, user="alice", replaces=old.id, id="x")
    assert {key: bare.dump(key) for key in bare.keys("*")} == before
    assert await both(memory).aget(known.id)


async def test_a_memory_of_another_kind_may_be_superseded(memory: LongTermMemory, both: Both) -> None:
    old = await both(memory).aremember(LISBON, user="alice", kind="episodic")
    new = await both(memory).aremember(LISBON, user="alice", kind="semantic", replaces=old.id)
    assert (new.deduped, new.replaced) == (False, old.id)


async def test_a_superseded_memory_can_be_deleted_cleared_and_overwritten(
    memory: LongTermMemory, bare: redis.Redis, both: Both
) -> None:
    async def superseded(text: str, **about: Any) -> str:
        old = await both(memory).aremember(text, user="alice", **about)
        await both(memory).aremember(PORTO, user="alice", replaces=old.id)
        return str(old.id)

    assert await both(memory).adelete_memory(await superseded(LISBON), user="alice")
    await superseded(ROME, kind="semantic")
    assert await both(memory).aclear(user="alice", kind="semantic") == 1
    await superseded("green tea", id="x")
    await both(memory).aremember("red car", user="alice", id="x")
    assert (await both(memory).aget("x")).superseded_by is None
    assert "red car" in await texts(memory, both)
    assert await both(memory).aforget_user("alice") == 2
    assert bare.keys("agent:*") == []


async def test_a_superseded_memory_is_not_updated(memory: LongTermMemory, both: Both) -> None:
    old = await both(memory).aremember(LISBON, user="alice")
    await both(memory).aremember(PORTO, user="alice", replaces=old.id)
    assert await both(memory).aupdate(old.id, ROME) is False
    assert await both(memory).aupdate(old.id, metadata={"a": 1}) is False
    kept = await both(memory).aget(old.id)
    assert (kept.text, kept.metadata) == (LISBON, {})


async def test_of_those_who_say_it_again_at_the_same_time_one_stores_it(
    memory: LongTermMemory, way: str
) -> None:
    old = await memory.aremember(LISBON, user="alice")
    await memory.aremember(PORTO, user="alice", replaces=old.id)
    results = await asyncio.gather(*(memory.aremember(LISBON, user="alice") for _ in range(12)))
    assert sum(not result.deduped for result in results) == 1
    assert len({result.id for result in results}) == 1
    (one,) = [one for one in await memory.alist_memories(user="alice") if one.text == LISBON]
    assert one.hit_count == 11


def test_a_text_that_says_the_same_as_what_it_replaces_is_only_seen_again(make: Make) -> None:
    for memory in (make(), make(storage="hash", key_prefix="x:", index_name="x")):
        for at_once in (True, False):
            memory.index.knowledge.spans_slots = at_once
            old = memory.remember(LISBON, user="alice")
            result = memory.remember(f"{LISBON}.", user="alice", replaces=old.id)
            assert (result.id, result.deduped, result.replaced) == (old.id, True, None)
            assert memory.get(old.id).superseded_by is None  # type: ignore[union-attr]
            memory.remember("green tea", user="alice", id="x")
            result = memory.remember("green tea", user="alice", replaces="x")
            assert (result.id, result.deduped, result.replaced) == ("x", True, None)


def test_the_first_version_reads_no_superseded_memory(memory: LongTermMemory, bare: redis.Redis) -> None:
    """It wants a `text`, and finds by words and vectors: all of which are gone from the document."""
    old = memory.remember(LISBON, user="alice")
    memory.remember(PORTO, user="alice", replaces=old.id)
    key = f"agent:mem:{old.id}"
    if memory.config.storage == "hash":
        members = {name.decode() for name in bare.hkeys(key)}
    else:
        members = {name.decode() for name in bare.execute_command("JSON.OBJKEYS", key)}
    assert not members & {"text", "embedding"}
    assert members >= {"past", "superseded_by", "superseded_ts"}


def test_both_are_written_or_none(make: Make, bare: redis.Redis) -> None:
    for storage in ("json", "hash"):
        bare.flushall()
        memory = make(storage=storage)
        old = memory.remember(LISBON, user="alice")
        before = bare.dump(f"agent:mem:{old.id}")
        bare.config_set("maxmemory", 1)
        try:
            with pytest.raises(StoreFullError):
                memory.remember(PORTO, user="alice", replaces=old.id)
        finally:
            bare.config_set("maxmemory", 0)
        assert bare.dump(f"agent:mem:{old.id}") == before
        batches: list[Batch] = []
        op = memory.remember_op(PORTO, user="alice", replaces=old.id)
        assert memory.transport.run(before_each_batch(op, batches.append)).replaced == old.id
        assert [len(batch) for batch in batches] == [1], "one command"
