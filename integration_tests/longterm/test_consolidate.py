"""Duplicates that are there already, made one."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
import redis

from integration_tests.conftest import Both
from integration_tests.longterm.conftest import Make
from langchain_agentmem.core.keys import Keys
from langchain_agentmem.core.operations import call, writes
from langchain_agentmem.errors import InvalidInputError, StoreError
from langchain_agentmem.longterm.redisearch.memory import LongTermMemory

SAID = ("I like green tea", "By the way, I like green tea", "I currently like green tea.")
OTHER = "two dogs named Rex"
WEEK = 604_800
SECONDS = itertools.count(1_700_000_000)


@pytest.fixture(params=["json", "hash"])
def storage(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def memory(make: Make, storage: str) -> LongTermMemory:
    memory = make(storage=storage)
    memory.create_index()
    return memory


def add(memory: LongTermMemory, text: str, user: str = "alice", **about: Any) -> str:
    """Store a text in any case, as an import that keeps all does, each a second after the one before."""
    about = {"kind": "semantic", "deduplicate": "id" in about, **about}
    stored = memory.remember(text, user=user, **about).id
    prefix = Keys(partitions=memory.parts.partitions).of(user).memory_prefix
    key, seconds = f"{prefix}{stored}", next(SECONDS)
    plain = memory.config.storage == "hash"
    command = (
        writes("HSET", key, "created_ts", seconds)
        if plain
        else writes("JSON.SET", key, "$.created_ts", seconds)
    )
    memory.transport.run(call(command))
    return stored


def dump(bare: redis.Redis) -> dict[bytes, object]:
    return {key: bare.dump(key) for key in bare.keys("agent:*")}


def same_of(bare: redis.Redis, memory: LongTermMemory, memory_id: str) -> str:
    key = f"agent:mem:{memory_id}"
    if memory.config.storage == "hash":
        return (bare.hget(key, "same") or b"").decode()
    return str((json.loads(bare.execute_command("JSON.GET", key, "$.same")) or [""])[0])


async def test_duplicates_become_the_oldest_one(memory: LongTermMemory, both: Both) -> None:
    first, second, third = (add(memory, text, metadata={"a": n, f"m{n}": n}) for n, text in enumerate(SAID))
    memory.remember(SAID[1], user="alice", kind="semantic")  # counted by one of them
    other = add(memory, OTHER)
    found = await both(memory).aconsolidate(user="alice", dry_run=False)
    assert (found.scanned, found.merged, found.superseded, found.skipped) == (4, 2, 0, 0)
    assert [(one.kept, one.other, one.because) for one in found.pairs] == [
        (first, second, "same"),
        (first, third, "same"),
    ]
    assert (found.pairs[0].kept_text, found.pairs[0].other_text) == SAID[:2]
    assert (found.pairs[0].namespace, found.pairs[0].kind) == ("default", "semantic")
    left = {one.id: one for one in await both(memory).alist_memories(user="alice")}
    assert set(left) == {first, other}
    assert (left[first].text, left[first].hit_count) == (SAID[0], 3)
    assert left[first].metadata == {"a": 0, "m0": 0, "m1": 1, "m2": 2}
    again = await both(memory).aconsolidate(user="alice", dry_run=False)
    assert (again.merged, again.skipped, again.pairs) == (0, 0, [])


async def test_a_dry_run_says_the_same_and_writes_nothing(
    memory: LongTermMemory, bare: redis.Redis, both: Both
) -> None:
    for text in (*SAID, OTHER, OTHER):
        add(memory, text, metadata={text: 1})
    before = dump(bare)
    told = await both(memory).aconsolidate(user="alice")
    assert dump(bare) == before
    assert (told.dry_run, told.merged) == (True, 3)
    made = await both(memory).aconsolidate(user="alice", dry_run=False)
    assert (made.dry_run, made.pairs, made.merged) == (False, told.pairs, 3)


async def test_what_is_merged_is_found_as_a_duplicate_afterwards(
    memory: LongTermMemory, bare: redis.Redis, both: Both
) -> None:
    kept = add(memory, SAID[0], id="mine")
    by_digest = memory.remember(SAID[1], user="alice", kind="semantic")
    assert by_digest.id == kept  # the pointer leads there
    bare.delete(*bare.keys("agent:same:*"))
    stored = memory.remember(SAID[1], user="alice", kind="semantic")  # under its digest
    assert stored.id != kept
    assert (await both(memory).aconsolidate(user="alice", dry_run=False)).merged == 1
    assert same_of(bare, memory, kept) == stored.id
    again = memory.remember(SAID[2], user="alice", kind="semantic")
    assert (again.id, again.deduped) == (kept, True)
    assert memory.get(kept).hit_count == 3  # type: ignore[union-attr]
    assert memory.forget_user("alice") == 1
    assert bare.keys("agent:*") == []


async def test_the_digest_itself_may_be_the_oldest(
    memory: LongTermMemory, bare: redis.Redis, both: Both
) -> None:
    kept = add(memory, SAID[0], deduplicate=True)
    other = add(memory, SAID[1])
    bare.set(f"agent:same:{{agent:mem:{kept}}}", other)
    assert (await both(memory).aconsolidate(user="alice", dry_run=False)).merged == 1
    assert memory.remember(SAID[2], user="alice", kind="semantic").id == kept
    assert len(bare.keys("agent:*")) == 1


async def test_pointers_of_what_the_other_one_said_before_go_with_it(
    memory: LongTermMemory, bare: redis.Redis, both: Both
) -> None:
    kept = add(memory, SAID[0])
    other = add(memory, OTHER, id="other")
    memory.update(other, SAID[1], user="alice")
    assert b"other" in {bare.get(key) for key in bare.keys("agent:same:*")}
    (pair,) = (await both(memory).aconsolidate(user="alice", dry_run=False)).pairs
    assert (pair.kept, pair.other) == (kept, other)
    assert {bare.get(key) for key in bare.keys("agent:same:*")} == {kept.encode()}
    assert not memory.remember(OTHER, user="alice", kind="semantic").deduped


async def test_memories_without_a_digest_get_it(
    memory: LongTermMemory, bare: redis.Redis, both: Both
) -> None:
    """As the first version, and other programs, wrote them."""
    kept, *_ = [add(memory, text) for text in SAID]
    for key in bare.keys("agent:mem:*"):
        if memory.config.storage == "hash":
            bare.hdel(key, "same")
        else:
            bare.execute_command("JSON.DEL", key, "$.same")
    bare.delete(*bare.keys("agent:same:*"))
    assert (await both(memory).aconsolidate(user="alice", dry_run=False)).merged == 2
    assert memory.remember(SAID[1], user="alice", kind="semantic").id == kept


async def test_the_longest_life_holds(memory: LongTermMemory, bare: redis.Redis, both: Both) -> None:
    short = add(memory, SAID[0], ttl_seconds=100)
    add(memory, SAID[1], ttl_seconds=WEEK)
    add(memory, SAID[2], ttl_seconds=50)
    for_ever = add(memory, OTHER, ttl_seconds=100)
    add(memory, OTHER, ttl_seconds=None)
    stays = add(memory, "a", ttl_seconds=None)
    add(memory, "a", ttl_seconds=100)
    assert (await both(memory).aconsolidate(user="alice", dry_run=False)).merged == 4
    left = {one.id: one.ttl_seconds for one in memory.list_memories(user="alice")}
    assert left[short] is not None
    assert WEEK - 5 < left[short] <= WEEK
    assert (left[for_ever], left[stays]) == (None, None)
    for pointer in bare.keys("agent:same:*"):
        memory_id = (bare.get(pointer) or b"").decode()
        left_to_pointer, left_to_memory = bare.pttl(pointer), bare.pttl(f"agent:mem:{memory_id}")
        assert (left_to_pointer < 0) == (left_to_memory < 0)
        assert abs(left_to_pointer - left_to_memory) < 1000


async def test_scopes_are_never_mixed(memory: LongTermMemory, bare: redis.Redis, both: Both) -> None:
    for about in (
        {"user": "alice"},
        {"user": "alice", "namespace": "work"},
        {"user": "alice", "namespace": "a b, c"},
        {"user": "alice", "kind": "episodic"},
        {"user": "bob"},
        {"user": "Alice"},
    ):
        add(memory, SAID[0], **about)
    before = dump(bare)
    found = await both(memory).aconsolidate(user="alice", dry_run=False)
    assert (found.scanned, found.merged) == (4, 0)
    assert dump(bare) == before
    add(memory, SAID[1], namespace="a b, c")
    assert (await both(memory).aconsolidate(user="alice", namespace="work", dry_run=False)).scanned == 1
    (pair,) = (await both(memory).aconsolidate(user="alice", namespace="a b, c", dry_run=False)).pairs
    assert pair.namespace == "a b, c"
    with pytest.raises(InvalidInputError):
        await both(memory).aconsolidate(user="")


async def test_what_is_superseded_is_no_duplicate_and_follows_the_one_that_stays(
    memory: LongTermMemory, both: Both
) -> None:
    past = add(memory, "I like coffee")
    kept = add(memory, SAID[0])
    other = add(memory, SAID[1], replaces=past)
    add(memory, "I like coffee")
    found = await both(memory).aconsolidate(user="alice", dry_run=False)
    assert [(one.kept, one.other) for one in found.pairs] == [(kept, other)]
    assert memory.get(past).superseded_by == kept  # type: ignore[union-attr]
    assert [one.id for one in memory.history(kept)] == [past, kept]


async def test_what_cannot_be_read_and_documents_of_a_vector_store_stay(
    memory: LongTermMemory, bare: redis.Redis, both: Both
) -> None:
    add(memory, SAID[0])
    batches = memory.write_batches(
        [SAID[0]], user="alice", kind="semantic", document_ids=["d1"], ids=["document"]
    )
    memory.transport.run(memory.store_all_op(batches))
    broken = add(memory, SAID[0])
    if memory.config.storage == "hash":
        bare.hset(f"agent:mem:{broken}", "hit_count", "many")
    else:
        bare.execute_command("JSON.SET", f"agent:mem:{broken}", "$.hit_count", '"many"')
    before = dump(bare)
    found = await both(memory).aconsolidate(user="alice", dry_run=False)
    assert (found.scanned, found.merged, found.unreadable) == (1, 0, 1)
    assert dump(bare) == before


async def test_metadata_of_other_programs_is_merged_too(make: Make, bare: redis.Redis, both: Both) -> None:
    memory = make()
    kept, other = (add(memory, text) for text in SAID[:2])
    bare.execute_command("JSON.SET", f"agent:mem:{kept}", "$.metadata", '{"a":1.5}')
    bare.execute_command("JSON.SET", f"agent:mem:{other}", "$.metadata", '{"a":2,"é/\\u0001\\"":[{}]}')
    assert (await both(memory).aconsolidate(user="alice", dry_run=False)).merged == 1
    assert memory.get(kept).metadata == {"a": 1.5, 'é/\x01"': [{}]}  # type: ignore[union-attr]


@pytest.mark.parametrize("rule", [None, "exact", str.upper], ids=["none", "exact", "function"])
async def test_what_is_a_duplicate_is_what_the_setting_says(
    make: Make, storage: str, both: Both, rule: Any
) -> None:
    memory = make(storage=storage, dedup=rule)
    texts = ("I like tea", "I like tea", "I LIKE TEA", "I really like tea")
    for text in texts:
        add(memory, text)
    merged = (await both(memory).aconsolidate(user="alice", dry_run=False)).merged
    assert merged == {None: 0, "exact": 1, str.upper: 2}[rule]
    if rule is not None:
        assert memory.remember("I like tea", user="alice", kind="semantic").deduped


async def test_by_nearness_what_is_within_the_distance_is_merged(
    make: Make, storage: str, both: Both
) -> None:
    memory = make(storage=storage, dedup="near", dedup_threshold=0.3)
    far = "my sister lives in Rome with two cats"
    texts = ("red big old car", "red big old car here", "red big old car now", far, f"{far}.", "blue boat")
    ids = [add(memory, text) for text in texts]
    told = await both(memory).aconsolidate(user="alice")
    found = await both(memory).aconsolidate(user="alice", dry_run=False)
    assert told.pairs == found.pairs
    assert {(one.kept, one.other, one.because) for one in found.pairs} == {
        (ids[0], ids[1], "near"),
        (ids[0], ids[2], "near"),
        (ids[3], ids[4], "same"),
    }
    assert memory.get(ids[0]).hit_count == 2  # type: ignore[union-attr]
    assert memory.remember(texts[1], user="alice", kind="semantic").id == ids[0]
    assert (await both(memory).aconsolidate(user="alice", dry_run=False)).pairs == []


async def test_more_than_a_page_is_merged(memory: LongTermMemory, both: Both) -> None:
    told: list[tuple[int, int]] = []
    texts = [f"fact{n}" for n in range(300)]
    batches = memory.write_batches([*texts, *texts, *["twin"] * 600], user="alice", deduplicate=False)
    memory.transport.run(memory.store_all_op(batches))
    found = await both(memory).aconsolidate(
        user="alice", dry_run=False, on_progress=lambda done, total: told.append((done, total))
    )
    assert (found.scanned, found.merged, found.skipped, len(found.pairs)) == (1200, 899, 0, 899)
    assert told == [(500, 1200), (1000, 1200), (1200, 1200)]
    left = memory.list_memories(user="alice", limit=1000)
    assert sorted(one.text for one in left) == sorted([*texts, "twin"])
    assert {one.text: one.hit_count for one in left}["twin"] == 599


async def test_a_server_without_scripts_over_slots_is_refused_and_only_tells(
    memory: LongTermMemory, bare: redis.Redis, both: Both
) -> None:
    for text in SAID:
        add(memory, text)
    memory.index.knowledge.spans_slots = False
    before = dump(bare)
    assert (await both(memory).aconsolidate(user="alice")).merged == 2
    with pytest.raises(StoreError, match="hash tag"):
        await both(memory).aconsolidate(user="alice", dry_run=False)
    assert dump(bare) == before
