"""The index of the Redis documentation's guide to agent memory, used as it is: what it serves, it serves exactly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis
from redisvl.query.filter import Tag, Text

from integration_tests.conftest import Both, Call, Counting
from integration_tests.longterm.conftest import Make
from integration_tests.longterm.guide import WORDS, Guide
from langchain_agentmem.errors import IndexMismatchError
from langchain_agentmem.longterm.redisearch.memory import LongTermMemory
from langchain_agentmem.longterm.types import MemoryRecord

MODES = ("hybrid", "vector", "text")
LIKE_ADA = ["Ada", "ADA", " ada ", "ada,bob", "bob, ada"]  # which the guide's index takes for `ada`


@pytest.fixture
def memory(make: Make, guide: Guide) -> LongTermMemory:
    return make(storage=guide.storage)


def found(records: list[MemoryRecord]) -> list[tuple[Any, ...]]:
    return [(one.id, one.user, one.score, one.distance, one.matched_words) for one in records]


@pytest.mark.parametrize("algorithm", ["HNSW", "FLAT"])
async def test_memories_are_recalled_stored_listed_and_forgotten(
    memory: LongTermMemory, guide: Guide, both: Both, algorithm: str
) -> None:
    guide.create_index(algorithm=algorithm)
    guide.remember("m1", "green tea", "ada", source_thread="t1")
    guide.remember("m2", "red car", "bob", kind="semantic")
    before = guide.documents()
    for mode in MODES:
        (record,) = await both(memory).arecall("tea", user="ada", mode=mode, distance_threshold=...)
        assert (record.id, record.text, record.user, record.source_thread) == ("m1", "green tea", "ada", "t1")
        assert (record.hit_count, record.created_ts) == (3, 1715990400.12)
        assert await both(memory).arecall("tea", user="carol", mode=mode) == []
    new = await both(memory).aremember("blue boat", user="ada")
    assert not new.deduped
    assert (await both(memory).aremember("blue boat", user="ada")).id == new.id
    assert [one.id for one in await both(memory).arecall("boat", user="ada")] == [new.id]
    assert [one.id for one in await both(memory).alist_memories(user="ada")] == [new.id, "m1"]
    assert [one.id for one in await both(memory).alist_memories(user="bob", kind="semantic")] == ["m2"]
    assert (await both(memory).aget("m2", user="bob")).text == "red car"
    assert guide.documents().items() >= before.items()
    assert (algorithm in guide.fields(), "topic" in guide.fields()) == (True, True), "the index stays"
    assert await both(memory).adelete_memory("m2", user="bob")
    assert await both(memory).aforget_user("ada") == 2
    assert guide.documents() == {}


async def test_by_nearness_what_the_guide_has_stored_is_known(
    make: Make, guide: Guide, both: Both, searches_in_scripts: bool
) -> None:
    guide.create_index()
    guide.remember("m1", "green tea", "ada")
    memory = make(storage=guide.storage, dedup="near")
    memory.index.knowledge.searches_in_scripts = searches_in_scripts
    assert (await both(memory).aremember("green tea", user="ada")).id == "m1"
    assert (await both(memory).aget("m1")).hit_count == 4


@pytest.mark.parametrize("algorithm", ["HNSW", "FLAT"])
async def test_of_users_that_differ_by_case_or_commas_none_sees_anothers(
    memory: LongTermMemory, guide: Guide, both: Both, algorithm: str
) -> None:
    """Nor does it matter that there are others: what is found is what an exact index finds."""
    guide.create_index(algorithm=algorithm)
    for user in LIKE_ADA:
        for at in range(40):
            guide.remember(f"{user}{at}", f"green tea {'and honey ' * at}", user, created_ts=2e9 + at)
    for at in range(8):
        guide.remember(f"own{at}", f"tea {'and milk ' * at}", "ada", created_ts=1e9 + at)
    asked = "which green tea?"
    before = {
        (user, mode): found(
            await both(memory).arecall(asked, user=user, mode=mode, distance_threshold=None, k=6)
        )
        for user in ("ada", "Ada")
        for mode in MODES
    }
    for (user, mode), records in before.items():
        assert len(records) == 6 or (mode != "vector" and records)
        assert {one[1] for one in records} == {user}
    listed = await both(memory).alist_memories(user="ada", limit=3)
    assert [one.id for one in listed] == ["own7", "own6", "own5"]
    assert len(await both(memory).alist_memories(user="ADA")) == 40
    await both(memory).arebuild_index()
    for (user, mode), records in before.items():
        again = await both(memory).arecall(asked, user=user, mode=mode, distance_threshold=None, k=6)
        assert found(again) == [
            (*one[:2], *(pytest.approx(part, abs=1e-6) for part in one[2:4]), one[4]) for one in records
        ]


async def test_of_users_that_differ_by_case_none_learns_or_forgets_anothers(
    make: Make, guide: Guide, both: Both, searches_in_scripts: bool
) -> None:
    guide.create_index()
    for at, user in enumerate(LIKE_ADA):
        guide.remember(f"m{at}", "green tea", user)
    others = guide.documents()
    memory = make(storage=guide.storage, dedup="near")
    memory.index.knowledge.searches_in_scripts = searches_in_scripts
    result = await both(memory).aremember("green tea", user="ada")
    assert (result.deduped, result.existing_distance) == (False, None)
    assert (await both(memory).aremember("green tea", user="ada")).id == result.id
    farther = await both(memory).aremember("red boat", user="aDA")
    assert (farther.deduped, farther.existing_distance) == (False, None), "nor is how near it is told"
    assert [one.id for one in await both(memory).arecall("tea", user="ada")] == [result.id]
    assert await both(memory).aforget_user("ada") == 1
    assert await both(memory).aforget_user("aDA") == 1
    assert guide.documents() == others


async def test_what_is_not_certain_to_be_found_is_refused_with_what_to_do(
    make: Make, memory: LongTermMemory, guide: Guide, both: Both
) -> None:
    guide.create_index()
    guide.remember("m1", "green tea", "Ada Lovelace", source_thread="T1")
    before = guide.documents()
    near = make(storage=guide.storage, dedup="near")
    stop_words = Text("text") % "(will|there|interview)"  # crashes RediSearch 2.10
    calls: list[Call] = [
        lambda: both(memory).arecall("tea", user="Ada Lovelace"),
        lambda: both(memory).arecall("tea", user="Ada Lovelace", mode="vector"),
        lambda: both(memory).arecall("tea", user="Ada Lovelace", mode="text"),
        lambda: both(memory).arecall("tea", user="ada", namespace="at work"),
        lambda: both(memory).alist_memories(user="Ada Lovelace"),
        lambda: both(near).aremember("green tea", user="Ada Lovelace"),
        lambda: both(memory).arecall("tea", user="ada", filter=Tag("source_thread") == "t1"),
        lambda: both(memory).arecall("tea", user="ada", mode="vector", filter=stop_words),
    ]
    for call in calls:
        with pytest.raises(IndexMismatchError, match=r"'agentmem:idx' is another program's") as raised:
            await call()
        assert "agentmem doctor --rebuild-index" in str(raised.value)
        assert "Lovelace" not in str(raised.value)
    assert guide.documents() == before
    assert "topic" in guide.fields()
    info = await both(memory).aindex_info()
    assert info["mismatch"] is None
    assert "agentmem doctor --rebuild-index" in info["limits"]


async def test_rebuilt_by_whomever_it_serves_what_was_refused(
    make: Make, memory: LongTermMemory, guide: Guide, both: Both, url: str
) -> None:
    guide.create_index()
    guide.remember("m1", "green tea", "Ada Lovelace", source_thread="t1")
    with pytest.raises(IndexMismatchError):
        await both(memory).arecall("tea", user="Ada Lovelace")
    with redis.Redis.from_url(url) as client:
        LongTermMemory(client=client, storage=guide.storage, embeddings=memory.embeddings).rebuild_index()
    narrow = Tag("source_thread") == "t1"
    assert [one.id for one in await both(memory).arecall("tea", user="Ada Lovelace", filter=narrow)] == ["m1"]
    assert (await both(memory).aindex_info())["limits"] is None


async def test_those_that_no_tag_can_hold_are_forgotten_too(
    memory: LongTermMemory, guide: Guide, both: Both
) -> None:
    guide.create_index()
    odd = ["Ada Lovelace", " ada ", "ada,bob", "café", 'a"b\\c', "a\nb"]
    for at, user in enumerate(odd):
        guide.remember(f"m{at}", "green tea", user, namespace=user)
    ours = await both(memory).aremember("red car", user="Ada Lovelace")
    stored = str(
        (await both(memory).aget(ours.id)).user and guide.documents()[f"agent:mem:{ours.id}".encode()]
    )
    digest = stored[stored.index("#") : stored.index("#") + 65]
    assert await both(memory).aforget_user(digest) == 0, "that is not the name of another user"
    assert await both(memory).aclear(user="café", namespace="café") == 1
    for user in odd:
        expected = {"café": 0, "Ada Lovelace": 2}.get(user, 1)
        assert await both(memory).aforget_user(user) == expected, user
    assert guide.documents() == {}


@pytest.mark.parametrize(
    "changes",
    [{"without": ("hit_count",)}, {"without": ("source_thread", "hit_count")}, {"sortable": False},
     {"exact": True, "without": ("hit_count", "source_thread"), "sortable": False}],
)  # fmt: skip
async def test_fields_that_no_search_needs_may_be_missing_or_not_sortable(
    memory: LongTermMemory, guide: Guide, both: Both, changes: dict[str, Any]
) -> None:
    guide.create_index(**changes)
    for at, created_ts in enumerate((9.5, 1e9, 100.25, 2.0)):
        guide.remember(f"m{at}", "green tea", "ada", source_thread="t1", created_ts=created_ts)
    listed = await both(memory).alist_memories(user="ada", limit=3)
    assert [(one.id, one.source_thread, one.hit_count) for one in listed] == [
        (name, "t1", 3) for name in ("m1", "m2", "m0")
    ]
    for mode in MODES:
        assert len(await both(memory).arecall("tea", user="ada", mode=mode)) == 4


@pytest.mark.parametrize(
    ("options", "create", "says"),
    [
        ({"language": "german"}, {}, "stop words: is the server's own, wanted none"),
        ({}, {"stopwords": ["tea", "coffee"]}, "stop words: is coffee tea, wanted none"),
        ({}, {"without": ("namespace",)}, "namespace: is missing, wanted"),
        ({}, {"without": ("created_ts",)}, "created_ts: is missing, wanted"),
    ],
)
async def test_an_index_that_would_miss_memories_is_refused(
    make: Make, guide: Guide, both: Both, options: Any, create: Any, says: str
) -> None:
    guide.create_index(**create)
    guide.remember("m1", "green tea", "ada")
    memory = make(storage=guide.storage, **options)
    calls: list[Callable[[], Any]] = [
        lambda: both(memory).arecall("tea", user="ada"),
        lambda: both(memory).aremember("red car", user="ada"),
    ]
    for call in calls:
        with pytest.raises(IndexMismatchError) as raised:
            await call()
        assert says in str(raised.value)
        assert "agentmem doctor --rebuild-index" in str(raised.value)
    await both(memory).arebuild_index()
    assert [one.id for one in await both(memory).arecall("tea", user="ada")] == ["m1"]


@pytest.mark.parametrize("protocol", [2, 3])
def test_an_index_over_some_of_the_documents_is_refused(guide: Guide, url: str, protocol: int) -> None:
    guide.create_index(filter="@user=='bob'")
    with redis.Redis.from_url(url, protocol=protocol) as client:
        memory = LongTermMemory(client=client, embeddings=WORDS, storage=guide.storage)
        with pytest.raises(IndexMismatchError, match="prefix: is agent:mem: FILTER @user=='bob', wanted"):
            memory.remember("green tea", user="ada")


@pytest.mark.parametrize("options", [{"protocol": 2}, {"protocol": 3, "decode_responses": True}])
def test_with_any_client_of_yours(guide: Guide, url: str, options: dict[str, Any]) -> None:
    guide.create_index()
    guide.remember("m1", "green tea", "ada")
    guide.remember("m2", "green tea", "Ada")
    with redis.Redis.from_url(url, **options) as client:
        memory = LongTermMemory(client=client, storage=guide.storage, embeddings=WORDS)
        for user, own in (("ada", "m1"), ("Ada", "m2")):
            assert [one.id for one in memory.recall("tea", user=user)] == [own]
        assert memory.recall("tea", user="aDA") == []


async def test_a_recall_takes_one_round_trip_and_two_more_if_others_are_found(
    memory: LongTermMemory, guide: Guide, both: Both, counting: Counting
) -> None:
    guide.create_index()
    guide.remember("m1", "green tea", "ada")
    await both(memory).arecall("tea", user="ada")
    for others, taken in ((0, 1), (1, 3)):
        for at in range(others):
            guide.remember(f"other{at}", "green tea", "Ada")
        before = counting.round_trips
        assert [one.id for one in await both(memory).arecall("tea", user="ada")] == ["m1"]
        assert counting.round_trips - before == taken
