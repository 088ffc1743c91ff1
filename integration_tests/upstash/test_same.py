"""Duplicates on Upstash: what says the same is found by its digest, whatever has happened to the memory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
import redis

from integration_tests.conftest import Both, before_each_batch
from integration_tests.upstash.conftest import Make, stored_by_others
from integration_tests.upstash.emulator import Emulator
from langchain_agentmem.core.operations import Batch
from langchain_agentmem.errors import InvalidInputError, StoreError
from langchain_agentmem.longterm.digest import digest
from langchain_agentmem.longterm.types import Scope
from langchain_agentmem.longterm.upstash.memory import UpstashLongTermMemory

PORTO = "I live in Porto."
LISBON = "I live in Lisbon."


@pytest.fixture
def memory(make: Make, emulator: Emulator) -> UpstashLongTermMemory:
    """No write is indexed: what is known is known without a search."""
    emulator.indexing_delay_seconds = 60
    memory = make()
    memory.create_index()
    memory.delete_memory(memory.remember("warm", user="alice").id)  # the scripts are loaded
    return memory


def pointers(bare: redis.Redis) -> list[bytes]:
    return list(bare.keys("memory:*:same"))


@pytest.mark.parametrize("user", ["alice", "al:ice", "é"])
async def test_the_id_is_the_digest_that_memories_on_redis_have(
    memory: UpstashLongTermMemory, both: Both, user: str
) -> None:
    result = await both(memory).aremember(PORTO, user=user, kind="semantic")
    assert result.id == f"{user}:{digest('same', Scope(user, 'default', 'semantic'), PORTO)}"


async def test_a_changed_fact_is_stored_beside_the_one_it_contradicts(
    memory: UpstashLongTermMemory, both: Both
) -> None:
    said = ["I am allergic to peanuts.", "I am not allergic to peanuts.", "My PIN is 1234", "My PIN is 1243"]
    results = [await both(memory).aremember(text, user="alice") for text in said]
    assert len({result.id for result in results}) == len(said)
    again = await both(memory).aremember("i'm allergic to peanuts!", user="alice")
    assert (again.id, again.deduped) == (results[0].id, True)


@pytest.mark.parametrize(
    ("rule", "known"), [("same", True), ("exact", False), (None, False), (lambda text: text[:6].lower(), True)]
)  # fmt: skip
async def test_the_rule_can_be_chosen(make: Make, both: Both, rule: Any, known: bool) -> None:
    memory = make(dedup=rule)
    first = await both(memory).aremember(PORTO, user="alice")
    assert (await both(memory).aremember("i live in porto", user="alice")).deduped is known
    assert (await both(memory).aremember(PORTO, user="alice")).deduped is (rule is not None)
    again = await both(memory).aremember(PORTO, user="alice", deduplicate=False)
    assert (again.deduped, again.id == first.id) == (False, False)


async def test_what_is_nearest_is_not_told(memory: UpstashLongTermMemory, both: Both) -> None:
    with pytest.raises(InvalidInputError, match="near must be False"):
        await both(memory).aremember(PORTO, user="alice", near=True)


class TestSuperseding:
    async def test_a_memory_is_replaced_in_one_request_and_kept(
        self, memory: UpstashLongTermMemory, emulator: Emulator, bare: redis.Redis, both: Both
    ) -> None:
        old = memory.remember(LISBON, user="alice", context="Where?", metadata={"page": 1})
        emulator.requests.clear()
        new = await both(memory).aremember(PORTO, user="alice", replaces=old.id)
        assert len(emulator.requests) == 1
        assert (new.deduped, new.replaced) == (False, old.id)
        kept = await both(memory).aget(old.id)
        assert (kept.text, kept.context, kept.metadata) == (LISBON, "Where?", {"page": 1})
        assert kept.superseded_by == new.id
        there = memory.get(new.id)
        assert there is not None
        assert kept.superseded_ts == there.created_ts
        assert there.superseded_by is None
        assert not {"text", "context"} & bare.json().get(f"memory:{old.id}").keys(), "no search finds it"

    async def test_what_is_superseded_is_neither_recalled_nor_listed_unless_asked_for(
        self, memory: UpstashLongTermMemory, both: Both
    ) -> None:
        old = memory.remember(LISBON, user="alice", context="We spoke of Lisbon")
        memory.wait_indexing()
        new = memory.remember(PORTO, user="alice", replaces=old.id)
        assert await both(memory).arecall("Lisbon", user="alice") == [], "though it is indexed still"
        memory.wait_indexing()
        assert await both(memory).arecall("Lisbon", user="alice") == []
        listed = await both(memory).alist_memories(user="alice", limit=1)
        assert [one.id for one in listed] == [new.id]
        listed = await both(memory).alist_memories(user="alice", include_superseded=True)
        assert {one.id for one in listed} == {old.id, new.id}
        assert await both(memory).aforget_user("alice") == 2

    async def test_what_is_said_again_after_it_was_superseded_is_stored_again_once(
        self, memory: UpstashLongTermMemory, bare: redis.Redis, both: Both
    ) -> None:
        old = memory.remember(LISBON, user="alice")
        new = memory.remember(PORTO, user="alice", replaces=old.id)
        back = await both(memory).aremember(LISBON, user="alice", replaces=new.id, ttl_seconds=100)
        assert (back.deduped, back.replaced) == (False, new.id)
        assert back.id not in (old.id, new.id)
        again = await both(memory).aremember("i live in lisbon", user="alice")
        assert (again.id, again.deduped) == (back.id, True)
        (pointer,) = pointers(bare)
        assert bare.ttl(pointer) == pytest.approx(604800, abs=10), "as long as the memory"
        assert memory.delete_memory(back.id)
        assert pointers(bare) == []
        assert not (await both(memory).aremember(LISBON, user="alice")).deduped

    async def test_a_text_that_says_the_same_replaces_nothing(
        self, memory: UpstashLongTermMemory, both: Both
    ) -> None:
        old = memory.remember(PORTO, user="alice")
        result = await both(memory).aremember("i live in porto", user="alice", replaces=old.id)
        assert (result.id, result.deduped, result.replaced) == (old.id, True, None)

    async def test_a_duplicate_found_elsewhere_takes_the_place_of_the_old_one(
        self, memory: UpstashLongTermMemory, both: Both
    ) -> None:
        old, there = memory.remember(LISBON, user="alice"), memory.remember(PORTO, user="alice")
        result = await both(memory).aremember(PORTO, user="alice", replaces=old.id)
        assert (result.id, result.deduped, result.replaced) == (there.id, True, old.id)
        assert (await both(memory).aget(old.id)).superseded_by == there.id

    async def test_what_is_gone_or_superseded_already_is_not_replaced(
        self, memory: UpstashLongTermMemory, both: Both
    ) -> None:
        gone = await both(memory).aremember(PORTO, user="alice", replaces="alice:gone")
        assert (gone.deduped, gone.replaced) == (False, None)
        old = memory.remember(LISBON, user="alice")
        first = memory.remember("I live in Braga.", user="alice", replaces=old.id)
        second = await both(memory).aremember("I live in Faro.", user="alice", replaces=old.id)
        assert second.replaced is None
        assert (await both(memory).aget(old.id)).superseded_by == first.id

    async def test_a_memory_of_another_user_is_refused_before_anything_is_stored(
        self, memory: UpstashLongTermMemory, bare: redis.Redis, both: Both
    ) -> None:
        theirs = memory.remember(LISBON, user="a:b")
        for user in ("a", "bob"):
            with pytest.raises(InvalidInputError, match="another user"):
                await both(memory).aremember(PORTO, user=user, replaces=theirs.id)
        assert bare.keys("memory:*") == [f"memory:{theirs.id}".encode()]


class TestUpdating:
    async def test_a_memory_is_changed_in_place(
        self, memory: UpstashLongTermMemory, bare: redis.Redis, both: Both
    ) -> None:
        before = memory.remember(LISBON, user="alice", metadata={"page": 1})
        assert await both(memory).aupdate(before.id, PORTO) is True
        changed = await both(memory).aget(before.id)
        assert (changed.text, changed.metadata, changed.user) == (PORTO, {"page": 1}, "alice")
        assert changed.updated_ts >= changed.created_ts
        assert await both(memory).aupdate(before.id, metadata={}, ttl_seconds=100) is True
        changed = await both(memory).aget(before.id)
        assert (changed.text, changed.metadata) == (PORTO, {})
        assert 90 < changed.ttl_seconds <= 100
        (pointer,) = pointers(bare)
        assert 90 < bare.ttl(pointer) <= 100
        assert await both(memory).aupdate(before.id, ttl_seconds=None) is True
        assert bare.ttl(f"memory:{before.id}") == bare.ttl(pointer) == -1

    async def test_what_an_updated_memory_says_is_known_and_what_it_said_is_not(
        self, memory: UpstashLongTermMemory, bare: redis.Redis, emulator: Emulator, both: Both
    ) -> None:
        first = memory.remember(LISBON, user="alice")
        memory.update(first.id, PORTO)
        emulator.requests.clear()
        known = await both(memory).aremember("i live in porto", user="alice")
        assert (known.id, known.deduped) == (first.id, True)
        assert len(emulator.requests) == 2
        again = await both(memory).aremember(LISBON, user="alice")
        assert (again.deduped, again.id == first.id) == (False, False)
        memory.update(first.id, "I live in Braga.")
        assert not (await both(memory).aremember(PORTO, user="alice")).deduped
        assert (await both(memory).aremember("I live in Braga.", user="alice")).id == first.id

    async def test_a_memory_that_says_again_what_it_said_at_first_needs_no_pointer(
        self, memory: UpstashLongTermMemory, bare: redis.Redis, both: Both
    ) -> None:
        first = memory.remember(LISBON, user="alice")
        memory.update(first.id, PORTO)
        assert len(pointers(bare)) == 1
        memory.update(first.id, LISBON)
        assert pointers(bare) == []
        assert "same" not in bare.json().get(f"memory:{first.id}")
        assert (await both(memory).aremember(LISBON, user="alice")).id == first.id

    async def test_what_is_not_there_or_not_the_users_or_superseded_is_not_changed(
        self, memory: UpstashLongTermMemory, bare: redis.Redis, both: Both
    ) -> None:
        old = memory.remember(LISBON, user="alice")
        assert await both(memory).aupdate("alice:gone", PORTO) is False
        assert await both(memory).aupdate(old.id, PORTO, user="bob") is False
        memory.remember(PORTO, user="alice", replaces=old.id)
        assert await both(memory).aupdate(old.id, "I live in Faro.") is False
        stored_by_others(bare, "alice:odd", hitCount="many")
        with pytest.raises(StoreError, match="no memory"):
            await both(memory).aupdate("alice:odd", PORTO)

    def test_one_that_changes_meanwhile_is_read_again(
        self, memory: UpstashLongTermMemory, bare: redis.Redis
    ) -> None:
        first = memory.remember(LISBON, user="alice")
        others = ["I live in Faro."]

        def act(batch: Batch) -> None:
            if others and batch[0].args[0] != "JSON.GET":
                memory.update(first.id, others.pop())

        op = memory.update_op(
            memory.drafting.update(first.id, text=PORTO, user=None, metadata=None, ttl_seconds=...), None
        )
        assert memory.transport.run(before_each_batch(op, act)) is True
        (pointer,) = pointers(bare)
        assert bare.get(pointer) == f"memory:{first.id}".encode()
        assert memory.remember(PORTO, user="alice").id == first.id


class TestOlderMemories:
    async def test_a_recalled_memory_of_others_that_says_the_same_gets_its_digest(
        self, memory: UpstashLongTermMemory, bare: redis.Redis, both: Both
    ) -> None:
        stored_by_others(bare, "alice:0b5f", text=PORTO)
        memory.wait_indexing()
        recalled = await both(memory).arecall("Porto", user="alice")

        async def again(text: str, **more: Any) -> Any:
            op = memory.remember_op(text, user="alice", kind="fact", known=recalled, **more)
            return memory.transport.run(op)

        first = await again("i live in porto")
        assert (first.id, first.deduped) == ("alice:0b5f", True)
        assert bare.json().get("memory:alice:0b5f")["hitCount"] == 1
        later = await both(memory).aremember("I live in Porto", user="alice", kind="fact")
        assert (later.id, later.deduped) == ("alice:0b5f", True)
        assert not (await again(LISBON)).deduped

    def test_one_that_was_changed_since_it_was_recalled_is_not_known(
        self, memory: UpstashLongTermMemory, bare: redis.Redis
    ) -> None:
        stored_by_others(bare, "alice:0b5f", text=PORTO)
        memory.wait_indexing()
        recalled = memory.recall("Porto", user="alice")
        bare.json().set("memory:alice:0b5f", "$.text", LISBON)
        op = memory.remember_op(PORTO, user="alice", kind="fact", known=recalled)
        assert not memory.transport.run(op).deduped

    async def test_what_holds_the_place_of_a_memory_is_left_as_it_is(
        self, memory: UpstashLongTermMemory, bare: redis.Redis, both: Both
    ) -> None:
        key = f"memory:{memory.remember(PORTO, user='alice').id}"
        for taken in (
            {"text": "tea"},
            {"text": PORTO, "userId": "alice", "kind": "fact", "createdAt": "now"},
        ):
            bare.json().set(key, "$", taken)
            bare.expire(key, 100)
            first = await both(memory).aremember(PORTO, user="alice")
            assert (first.deduped, f"memory:{first.id}" == key) == (False, False)
            assert (await both(memory).aremember(PORTO, user="alice")).id == first.id
            assert bare.json().get(key) == taken
            assert 90 < bare.ttl(key) <= 100
            assert memory.delete_memory(first.id)

    @pytest.mark.parametrize(
        "members",
        [
            {"text": None}, {"userId": None}, {"kind": None}, {"text": 5}, {"createdAt": "now"},
            {"hitCount": -1}, {"hitCount": 1.5}, {"hitCount": "1"}, {"hitCount": None},
            {"kind": "goal"}, {"userId": "bob"}, {"same": None}, {"same": 5}, {"same": "0" * 32}, {"supersededBy": "alice:x"},
        ],
        ids=str,
    )  # fmt: skip
    def test_what_cannot_be_read_or_is_of_another_scope_is_not_known(
        self, memory: UpstashLongTermMemory, bare: redis.Redis, members: dict[str, Any]
    ) -> None:
        key = memory.remember(PORTO, user="alice", kind="fact").id
        stored_by_others(bare, key, **{"text": PORTO, **members})
        before = bare.json().get(f"memory:{key}")
        assert not memory.remember(PORTO, user="alice", kind="fact").deduped
        assert bare.json().get(f"memory:{key}") == before

    async def test_a_memory_from_before_1970_is_known_too(
        self, memory: UpstashLongTermMemory, bare: redis.Redis, both: Both
    ) -> None:
        key = memory.remember("Likes tea", user="alice", kind="fact").id
        stored_by_others(bare, key, createdAt=-5)
        assert (await both(memory).aremember("Likes tea", user="alice", kind="fact")).deduped


class TestForgetting:
    @pytest.mark.parametrize("whole", [True, False])
    async def test_pointers_go_with_their_memories(
        self, memory: UpstashLongTermMemory, bare: redis.Redis, both: Both, whole: bool
    ) -> None:
        for user in ("alice", "alice:b"):
            first = memory.remember(LISBON, user=user)
            memory.update(first.id, PORTO)
            memory.remember("I live in Faro.", user=user, replaces=first.id)
            again = memory.remember(LISBON, user=user)
            memory.update(again.id, "I live in Braga.")
        assert len(pointers(bare)) == 4
        assert len(memory.transport.run(memory.ids_op(None))) == 6
        if whole:
            assert await both(memory).aforget_user("alice") == 3
        else:
            assert await both(memory).aclear(user="alice", kind="semantic") == 0
            assert len(pointers(bare)) == 4
            assert await both(memory).aclear(user="alice", kind="episodic") == 3
        assert all(key.startswith(b"memory:alice:b:") for key in bare.keys("memory:*"))
        assert len(pointers(bare)) == 2
        assert await both(memory).aclear() == 3
        assert bare.keys("memory:*") == []

    async def test_a_pointer_that_was_left_behind_is_forgotten_too(
        self, memory: UpstashLongTermMemory, bare: redis.Redis, both: Both
    ) -> None:
        first = memory.remember(LISBON, user="alice")
        memory.update(first.id, PORTO)
        bare.delete(f"memory:{first.id}")
        assert await both(memory).aforget_user("alice") == 0
        assert bare.keys("memory:*") == []

    async def test_a_pointer_that_leads_to_nothing_goes_when_its_text_is_said_again(
        self, memory: UpstashLongTermMemory, bare: redis.Redis, both: Both
    ) -> None:
        first = memory.remember(LISBON, user="alice")
        memory.update(first.id, PORTO)
        bare.delete(f"memory:{first.id}")
        assert not (await both(memory).aremember(PORTO, user="alice")).deduped
        assert pointers(bare) == []

    async def test_a_pointer_that_leads_to_another_memory_now_stays(
        self, memory: UpstashLongTermMemory, both: Both
    ) -> None:
        first, second = (
            memory.remember(LISBON, user="alice"),
            memory.remember("I live in Faro.", user="alice"),
        )
        memory.update(first.id, PORTO)
        memory.update(second.id, PORTO)
        assert await both(memory).adelete_memory(first.id) is True
        assert (await both(memory).aremember(PORTO, user="alice")).id == second.id


def test_writers_that_say_again_what_was_superseded_store_it_once(
    memory: UpstashLongTermMemory, bare: redis.Redis
) -> None:
    old = memory.remember(LISBON, user="alice")
    memory.remember(PORTO, user="alice", replaces=old.id)
    writers = 6
    ready = Barrier(writers)

    def say(_: int) -> bool:
        ready.wait()
        return memory.remember(LISBON, user="alice").deduped

    with ThreadPoolExecutor(writers) as pool:
        assert list(pool.map(say, range(writers))).count(False) == 1
    assert len(bare.keys("memory:*")) == 4
