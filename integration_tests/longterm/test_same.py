"""What says the same is one memory, found by its digest: no search, no lock, whatever became of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from integration_tests.conftest import Both, Counting, before_each_batch
from integration_tests.longterm.conftest import Make
from integration_tests.waiting import wait_until
from langchain_agentmem.core.operations import Batch
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.longterm.redisearch.memory import LongTermMemory
from langchain_agentmem.longterm.types import MemoryRecord

LISBON, PORTO = "I live in Lisbon", "I live in Porto"
POINTERS = "agent:same:*"


@pytest.fixture(params=["json", "hash"])
def storage(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[True, False], ids=["at once", "in steps"])
def memory(make: Make, request: pytest.FixtureRequest, storage: str) -> LongTermMemory:
    memory = make(storage=storage)
    memory.create_index()
    memory.index.knowledge.spans_slots = request.param
    return memory


@pytest.fixture(autouse=True)
def pointers_lead_and_last(bare: redis.Redis) -> Iterator[None]:
    """After each test, a pointer leads to a memory, and lives as long."""
    yield
    for key in bare.scan_iter(POINTERS):
        target = "agent:mem:" + (bare.get(key) or b"").decode()
        assert bare.exists(target), f"{key!r} leads nowhere"
        assert abs(bare.ttl(key) - bare.ttl(target)) <= 2


def first_version(bare: redis.Redis, memory: LongTermMemory, text: str, id: str, **changes: Any) -> None:
    """Store a memory as the first version did: under a random id, without a digest."""
    document: dict[str, Any] = {
        "id": id, "user": "alice", "namespace": "default", "kind": "episodic", "source_thread": "",
        "text": text, "created_ts": 1715990400.5, "hit_count": 0, **changes,
    }  # fmt: skip
    vector = memory.embeddings.embed_query(text)
    if memory.config.storage == "json":
        body = json.dumps({**document, "embedding": vector})
        bare.execute_command("JSON.SET", f"agent:mem:{id}", "$", body)
    else:
        import numpy as np

        bare.hset(f"agent:mem:{id}", mapping={**document, "embedding": np.array(vector, "float32").tobytes()})


def remember_known(memory: LongTermMemory, text: str, *known: MemoryRecord | None, **about: Any) -> Any:
    recalled = [record for record in known if record is not None]
    return memory.transport.run(memory.remember_op(text, user="alice", known=recalled, **about))


async def test_a_changed_fact_is_kept_beside_the_one_it_contradicts(
    memory: LongTermMemory, both: Both
) -> None:
    for one, other in [
        ("I am allergic to peanuts", "I am not allergic to peanuts"),
        ("I have two kids", "I have three kids"),
        ("Ada manages Bob", "Bob manages Ada"),
    ]:
        assert not (await both(memory).aremember(one, user="alice")).deduped
        assert not (await both(memory).aremember(other, user="alice")).deduped
    assert [one.hit_count for one in await both(memory).alist_memories(user="alice")] == [0] * 6


async def test_a_restatement_counts_as_a_hit_and_keeps_the_first_wording(
    memory: LongTermMemory, both: Both
) -> None:
    first = await both(memory).aremember("I'm 30 years old.", user="alice")
    again = await both(memory).aremember("By the way, I am thirty years old", user="alice")
    assert (again.id, again.deduped, again.existing_distance, again.near) == (first.id, True, None, None)
    stored = await both(memory).aget(first.id)
    assert (stored.text, stored.hit_count) == ("I'm 30 years old.", 1)


async def test_the_id_is_the_digest_so_two_stores_give_a_memory_the_same_one(
    memory: LongTermMemory, bare: redis.Redis
) -> None:
    one = memory.remember(LISBON, user="alice")
    bare.flushall()
    assert memory.remember(f"{LISBON}!", user="alice").id == one.id
    assert memory.remember(LISBON, user="bob").id != one.id
    assert bare.keys(POINTERS) == []


async def test_neither_a_missing_nor_a_backfilling_index_matters_to_what_is_known(
    memory: LongTermMemory, bare: redis.Redis, both: Both
) -> None:
    first = await both(memory).aremember(LISBON, user="alice")
    bare.set("agentmem:idx:filling", 1, ex=60)
    assert (await both(memory).aremember(LISBON, user="alice")).deduped
    bare.execute_command("FT.DROPINDEX", "agentmem:idx")
    assert (await both(memory).aremember(LISBON, user="alice")).id == first.id
    assert [one.id for one in await both(memory).alist_memories(user="alice")] == [first.id]


async def test_the_write_searches_nothing(memory: LongTermMemory, bare: redis.Redis, both: Both) -> None:
    await both(memory).aremember(LISBON, user="alice")
    bare.config_resetstat()
    await both(memory).aremember(LISBON, user="alice")
    await both(memory).aremember_many([PORTO, LISBON], user="alice")
    assert not [name for name in bare.info("commandstats") if name.upper().startswith("CMDSTAT_FT.")]


@pytest.mark.parametrize("forgotten", ["deleted", "expired"])
async def test_what_is_gone_is_no_longer_known(
    memory: LongTermMemory, bare: redis.Redis, both: Both, forgotten: str
) -> None:
    first = await both(memory).aremember(LISBON, user="alice")
    if forgotten == "deleted":
        assert await both(memory).adelete_memory(first.id)
    else:
        bare.pexpire(f"agent:mem:{first.id}", 1)
        wait_until(lambda: not bare.exists(f"agent:mem:{first.id}"))
    again = await both(memory).aremember(LISBON, user="alice")
    assert (again.id, again.deduped) == (first.id, False)


async def test_a_chosen_id_stands_for_what_it_says(
    memory: LongTermMemory, bare: redis.Redis, both: Both
) -> None:
    await both(memory).aremember(LISBON, user="alice", id="home", ttl_seconds=100)
    again = await both(memory).aremember(f"{LISBON}.", user="alice")
    assert (again.id, again.deduped) == ("home", True)
    stored = await both(memory).aget("home")
    assert (stored.hit_count, stored.ttl_seconds > 600_000) == (1, True)
    (pointer,) = bare.keys(POINTERS)
    assert bare.ttl(pointer) > 600_000, "as long as the memory"
    await both(memory).aremember(PORTO, user="alice", id="home")
    assert (await both(memory).aremember(PORTO, user="alice")).id == "home"
    assert not (await both(memory).aremember(LISBON, user="alice")).deduped
    assert {one.text for one in await both(memory).alist_memories(user="alice")} == {LISBON, PORTO}


async def test_a_chosen_id_that_says_what_is_known_leaves_it_known_by_its_own(
    memory: LongTermMemory, bare: redis.Redis, both: Both
) -> None:
    first = await both(memory).aremember(LISBON, user="alice")
    await both(memory).aremember(LISBON, user="alice", id="home")
    assert (await both(memory).aremember(LISBON, user="alice")).id == first.id
    assert bare.keys(POINTERS) == []
    assert await both(memory).adelete_memory("home")


async def test_an_id_that_comes_back_to_what_it_said_is_known_by_it(
    memory: LongTermMemory, both: Both
) -> None:
    for text in (LISBON, PORTO, LISBON):
        await both(memory).aremember(text, user="alice", id="home")
    assert (await both(memory).aremember(LISBON, user="alice")).id == "home"
    texts = [LISBON, PORTO, LISBON]
    await both(memory).aremember_many(texts, user="alice", ids=["x", "x", "x"], kind="semantic")
    assert (await both(memory).aremember(LISBON, user="alice", kind="semantic")).id == "x"
    assert await both(memory).aforget_user("alice") == 2


async def test_an_id_that_says_ever_something_else_leaves_no_pointer_behind(
    memory: LongTermMemory, bare: redis.Redis, both: Both
) -> None:
    for number in range(40):
        await both(memory).aremember(f"fact {number}", user="alice", id="x", kind="semantic")
    assert len(bare.keys(POINTERS)) <= 17
    assert (await both(memory).aremember("fact 39", user="alice", kind="semantic")).id == "x"
    assert await both(memory).adelete_memory("x")
    assert bare.keys("*") == []


async def test_what_was_kept_in_any_case_is_known_afterwards(memory: LongTermMemory, both: Both) -> None:
    kept = [await both(memory).aremember(LISBON, user="alice", deduplicate=False) for _ in range(2)]
    assert len({one.id for one in kept}) == 2
    assert not any(one.deduped for one in kept)
    assert (await both(memory).aremember(LISBON, user="alice")).id == kept[0].id


async def test_a_pointer_that_leads_to_another_scope_or_text_is_not_followed(
    memory: LongTermMemory, bare: redis.Redis, both: Both
) -> None:
    digest = memory.drafting.draft(LISBON, user="alice").id
    for wrong in ({"user": "bob"}, {"kind": "semantic"}, {"namespace": "work"}, {"text": PORTO}):
        bare.flushall()
        said = {"text": LISBON, "user": "alice", **wrong}
        await both(memory).aremember(said.pop("text"), id="x", **said)
        bare.set(f"agent:same:{{agent:mem:{digest}}}", "x")
        result = await both(memory).aremember(LISBON, user="alice")
        assert (result.id, result.deduped) == (digest, False)
        assert (await both(memory).aget("x")).hit_count == 0
    bare.flushall()


async def test_a_pointer_that_leads_nowhere_goes_with_the_next_write(
    memory: LongTermMemory, bare: redis.Redis, both: Both
) -> None:
    await both(memory).aremember(LISBON, user="alice", id="x")
    bare.delete("agent:mem:x")  # as the first version deletes
    result = await both(memory).aremember(LISBON, user="alice")
    assert (result.id, result.deduped) == (memory.drafting.draft(LISBON, user="alice").id, False)
    assert bare.keys(POINTERS) == []


async def test_something_else_where_a_memory_belongs_is_left_and_the_memory_stored_beside_it(
    memory: LongTermMemory, bare: redis.Redis, both: Both
) -> None:
    """A chosen id may be anything, also the digest of another text."""
    digest = memory.drafting.draft(LISBON, user="alice").id
    await both(memory).aremember("green tea", user="bob", id=digest)
    first = await both(memory).aremember(LISBON, user="alice")
    again = await both(memory).aremember(LISBON, user="alice")
    assert (first.deduped, first.id != digest) == (False, True)
    assert (again.id, again.deduped) == (first.id, True)
    assert (await both(memory).aget(digest)).text == "green tea"


async def test_a_memory_of_the_first_version_gets_its_digest_when_it_is_met(
    memory: LongTermMemory, bare: redis.Redis, counting: Counting
) -> None:
    first_version(bare, memory, LISBON, "old")
    (found,) = memory.list_memories(user="alice")
    before = counting.round_trips
    result = remember_known(memory, f"{LISBON}.", found)
    assert (result.id, result.deduped, counting.round_trips - before) == ("old", True, 2)
    assert memory.remember(LISBON, user="alice").id == "old"
    before = counting.round_trips
    assert remember_known(memory, LISBON, found).id == "old"
    assert counting.round_trips - before == 1
    assert memory.get("old") == MemoryRecord(
        *("old", LISBON, "alice", "default", "episodic", "", 1715990400.5, 3), ttl_seconds=None
    )
    assert memory.forget_user("alice") == 1
    assert bare.keys("*") == []


def test_a_known_memory_that_vanished_or_changed_meanwhile_swallows_nothing(
    memory: LongTermMemory, bare: redis.Redis
) -> None:
    first_version(bare, memory, LISBON, "old")
    (found,) = memory.list_memories(user="alice")
    first_version(bare, memory, PORTO, "old")
    result = remember_known(memory, LISBON, found)
    assert (result.id, result.deduped) == (memory.drafting.draft(LISBON, user="alice").id, False)
    assert (memory.get("old").text, memory.get("old").hit_count) == (PORTO, 0)  # type: ignore[union-attr]
    bare.delete(f"agent:mem:{result.id}", "agent:mem:old")
    assert remember_known(memory, LISBON, found).deduped is False


@pytest.mark.parametrize("other", [{"user": "bob"}, {"namespace": "work"}, {"kind": "semantic"}])
def test_a_known_memory_of_another_scope_is_not_met(
    memory: LongTermMemory, bare: redis.Redis, other: dict[str, str]
) -> None:
    first_version(bare, memory, LISBON, "old", **other)
    found = memory.get("old")
    assert not remember_known(memory, LISBON, found).deduped


async def test_rebuilding_the_index_gives_memories_of_the_first_version_their_digest(
    memory: LongTermMemory, bare: redis.Redis, both: Both
) -> None:
    first_version(bare, memory, LISBON, "old")
    first_version(bare, memory, f"{LISBON}!", "older")
    first_version(bare, memory, PORTO, "other")
    bare.expire("agent:mem:other", 5000)
    await both(memory).aremember("green tea", user="alice")
    await both(memory).aremember("red car", user="alice", id="x")
    assert (await both(memory).arebuild_index()).digested == 3
    assert (await both(memory).arebuild_index()).digested == 0
    assert (await both(memory).aremember(LISBON, user="alice")).id in ("old", "older")
    assert (await both(memory).aremember(PORTO, user="alice")).id == "other"
    assert await both(memory).aforget_user("alice") == 5
    assert bare.keys("*") == []


def test_a_function_makes_the_key_and_exact_is_letter_by_letter(make: Make, storage: str) -> None:
    exact = make(storage=storage, dedup="exact")
    first = exact.remember(LISBON, user="alice")
    assert exact.remember(LISBON, user="alice").id == first.id
    assert not exact.remember(f"{LISBON}.", user="alice").deduped
    first_word = make(storage=storage, dedup=lambda text: text.split()[0])
    known = first_word.remember("Lisbon is home", user="bob")
    assert first_word.remember("Lisbon is not home", user="bob").id == known.id
    nothing = make(storage=storage, dedup=None)
    assert len({nothing.remember(LISBON, user="carol").id for _ in range(3)}) == 3


def test_a_function_that_fails_or_returns_no_text_is_an_error_and_nothing_is_stored(
    make: Make, bare: redis.Redis
) -> None:
    wrong: list[Callable[[str], Any]] = [lambda text: text.fail(), lambda text: 5]  # type: ignore[attr-defined]
    for function in wrong:
        with pytest.raises(InvalidInputError, match="function given as dedup"):
            make(dedup=function).remember(LISBON, user="alice")
    assert bare.keys("*") == []


async def test_importing_leaves_what_is_known_as_it_is(make: Make, storage: str, bare: redis.Redis) -> None:
    for rule in ("same", "near"):
        bare.flushall()
        memory = make(storage=storage, dedup=rule)
        known = memory.remember("green tea", user="alice", ttl_seconds=100)
        memory.remember("red car", user="alice", id="x", ttl_seconds=100)
        drafts = [
            memory.drafting.draft(text, user="alice", **about)
            for text, about in [
                ("blue sky", {}),
                ("green tea", {}),
                ("blue sky", {}),
                ("red car", {}),
                ("red car", {"id": "y"}),
            ]
        ]
        results = memory.transport.run(memory.add_op(drafts))
        assert [result.deduped for result in results] == [False, True, True, True, False]
        assert [result.id for result in results[1:]] == [known.id, results[0].id, "x", "y"]
        assert {one.hit_count for one in memory.list_memories(user="alice")} == {0}
        assert memory.get("x").ttl_seconds <= 100  # type: ignore[union-attr, operator]
    bare.flushall()


@pytest.mark.parametrize("thorough", [True, False])
async def test_forgetting_leaves_no_pointer(
    memory: LongTermMemory, bare: redis.Redis, both: Both, thorough: bool
) -> None:
    for user in ("alice", "bob"):
        await both(memory).aremember(LISBON, user=user, id=f"of {user}", kind="semantic")
        first = await both(memory).aremember(PORTO, user=user)
        await both(memory).aupdate(first.id, "I live in Rome")
    bare.execute_command("FT.DROPINDEX", "agentmem:idx")  # so that keys are looked at
    assert await both(memory).aforget_user("alice", thorough=thorough) == 2
    assert {bare.get(key) for key in bare.keys(POINTERS)} == {b"of bob", first.id.encode()}
    assert await both(memory).aclear() == 2
    assert bare.keys("agent:*") == []


def test_looking_at_every_key_takes_pointers_that_lead_nowhere(
    memory: LongTermMemory, bare: redis.Redis
) -> None:
    memory.remember(LISBON, user="alice", id="x")
    bare.delete("agent:mem:x")
    bare.set("agent:same:{agent:mem:else", "x")
    memory.forget_user("alice", thorough=True)
    assert bare.keys(POINTERS) == [b"agent:same:{agent:mem:else"], "which is no pointer"
    bare.flushall()


def test_a_deletion_that_failed_in_the_middle_is_finished_by_the_next(
    memory: LongTermMemory, bare: redis.Redis
) -> None:
    memory.remember(LISBON, user="alice", id="x")
    batches: list[Batch] = []

    def act(batch: Batch) -> None:
        batches.append(batch)
        if len(batches) == 2:
            raise ConnectionError

    with pytest.raises(ConnectionError):
        memory.transport.run(before_each_batch(memory.delete_op("x", None), act))
    assert bare.exists("agent:mem:x"), "the memory names its pointer, so it goes last"
    assert memory.delete_memory("x")
    assert bare.keys("*") == []


@pytest.mark.parametrize("user", ["alice", "Ünï, cödé", "x" * 300])
async def test_known_is_known_for_any_user(memory: LongTermMemory, both: Both, user: str) -> None:
    first = await both(memory).aremember(LISBON, user=user, namespace=user, kind="semantic")
    again = await both(memory).aremember(LISBON, user=user, namespace=user, kind="semantic")
    assert (again.id, again.deduped) == (first.id, True)


async def test_round_trips(make: Make, counting: Counting, both: Both) -> None:
    memory = make()
    await both(memory).aremember(LISBON, user="alice")

    async def cost(**about: Any) -> int:
        before = counting.round_trips
        await both(memory).aremember(about.pop("text", LISBON), user="alice", **about)
        return counting.round_trips - before

    assert await cost() == 1
    assert await cost(text=PORTO) == 1
    assert await cost(text=PORTO, near=True) == 1
    assert await cost(id="x") == 1
    assert await cost(id="x", text="green tea") == 1
    assert await cost(text="green tea") == 2, "by its pointer"
    assert await cost(text="red car", replaces="x") == 1
    assert await cost(text="green tea") == 3, "the pointer leads in vain"
    before = counting.round_trips
    await both(memory).aremember_many([f"fact {n}" for n in range(10)], user="alice", batch_size=5)
    assert counting.round_trips - before == 2
