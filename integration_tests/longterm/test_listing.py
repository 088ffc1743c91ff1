"""Lists and counts of memories: pages, orders, words, embeddings; on Redis in every layout, and on Upstash."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from integration_tests.conftest import Both, Counting
from integration_tests.longterm.conftest import LAYOUTS, Make, expire_unnoticed
from integration_tests.longterm.guide import Guide
from integration_tests.upstash.emulator import Emulator
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory, LongTermMemory, UpstashLongTermMemory
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.longterm.redisearch import listing

HOSTILE = [
    "')",
    "' || 1==1 || '",
    "@text:{tea} | *",
    "tea' ) || exists(@user)",
    "\\",
    "'; FT.DROPINDEX agentmem:idx",
    "$w0",
    "\x00tea",
    "tea\n",
    "-tea",
    "%%tea%%",
    "{tea",
    '"tea',
    "te*",
    "will there",
    "x " * 5_000,
    "x" * 40_000,
]


@pytest.fixture(params=[*LAYOUTS, "partitions", "upstash"])
def whole(request: pytest.FixtureRequest, url: str) -> Iterator[AgentMemory]:
    """A memory of each backend, which can import."""
    if request.param == "upstash":
        emulator: Emulator = request.getfixturevalue("emulator")
        with AgentMemory(emulator.url, token=emulator.token) as memory:
            yield memory
    else:
        layout = {"partitions": 16} if request.param == "partitions" else LAYOUTS[request.param]
        with AgentMemory(url, embeddings=WordEmbeddings(32), **layout) as memory:
            yield memory


def store(memory: AgentMemory, lines: list[dict[str, Any]]) -> None:
    memory.import_lines([{"user": "alice", "kind": "semantic", **line} for line in lines])
    if isinstance(memory.long_term, UpstashLongTermMemory):
        memory.long_term.wait_indexing()


async def test_pages_of_memories_of_one_time_show_each_once(whole: AgentMemory, both: Both) -> None:
    store(whole, [{"text": f"n{n} m{n}", "created_ts": 1_700_000_000.0} for n in range(300)])
    store(whole, [{"text": "newest", "created_ts": 1_700_000_001.0}])
    for sort in ("newest", "oldest"):
        seen = [
            one.text
            for offset in range(0, 350, 50)
            for one in await both(whole.long_term).alist_memories(
                user="alice", limit=50, offset=offset, sort=sort
            )
        ]
        assert len(seen) == len(set(seen)) == 301
        assert seen.index("newest") == (0 if sort == "newest" else 300)
    assert await both(whole.long_term).alist_memories(user="alice", limit=5, offset=301) == []
    assert await both(whole.long_term).acount_memories(user="alice") == 301


async def test_what_is_superseded_takes_no_place_on_pages(whole: AgentMemory, both: Both) -> None:
    store(whole, [{"text": f"new n{n}", "created_ts": 100.5 + n} for n in range(5)])
    memory = whole.long_term
    for n in range(5):
        (found,) = memory.list_memories(user="alice", contains=f"n{n}")
        memory.remember(f"newer x{n}", user="alice", kind="semantic", replaces=found.id)
    store(whole, [])
    pages = [
        await both(memory).alist_memories(user="alice", limit=2, offset=offset, sort="oldest")
        for offset in (0, 2, 4)
    ]
    assert [one.text for page in pages for one in page] == [f"newer x{n}" for n in range(5)]
    everything = await both(memory).alist_memories(
        user="alice", include_superseded=True, limit=3, offset=4, sort="oldest"
    )
    assert [one.text for one in everything] == ["new n4", "newer x0", "newer x1"]
    assert await both(memory).acount_memories(user="alice") == 5
    assert await both(memory).acount_memories(user="alice", include_superseded=True) == 10
    assert await both(memory).acount_memories(user="alice", include_superseded=True, contains="new") == 10
    assert await both(memory).acount_memories(user="alice", contains="new n1") == 0
    assert await both(memory).acount_memories(user="alice", contains="new n1", include_superseded=True) == 1


async def test_words_narrow_a_list_and_its_count(whole: AgentMemory, both: Both) -> None:
    texts = ["I live in Lisbon", "Lisbon is warm", "I like green tea", "Ärger mit dem Tee", "我住在波尔图"]
    store(whole, [{"text": text, "created_ts": 100.0 + n} for n, text in enumerate(texts)])
    store(whole, [{"text": "Lisbon by night", "user": "bob"}, {"text": "Lisbon lights", "kind": "episodic"}])
    memory = whole.long_term
    expected = {
        "lis": [6, 1, 0],
        "Lisbon": [6, 1, 0],
        "lisbon i": [1, 0],
        "in lisbon": [0],
        "t": [3, 2],
        "är": [3],
        "波尔": [4],
        "isbon": [],
        "lisbon tea": [],
        "...": [6, 4, 3, 2, 1, 0],
        "": [6, 4, 3, 2, 1, 0],
    }
    texts += ["", "Lisbon lights"]
    for typed, numbers in expected.items():
        found = await both(memory).alist_memories(user="alice", contains=typed)
        assert [one.text for one in found] == [texts[n] for n in numbers], typed
        assert await both(memory).acount_memories(user="alice", contains=typed) == len(numbers)
    (second,) = await both(memory).alist_memories(user="alice", contains="lis", limit=1, offset=1)
    assert second.text == "Lisbon is warm"
    assert await both(memory).acount_memories(user="alice", contains="lis", kind="semantic") == 2


async def test_no_typed_text_does_harm(whole: AgentMemory, both: Both) -> None:
    store(whole, [{"text": "green tea"}, {"text": "red car"}])
    for typed in HOSTILE:
        found = await both(whole.long_term).alist_memories(user="alice", contains=typed)
        assert {one.text for one in found} <= {"green tea", "red car"}
        assert await both(whole.long_term).acount_memories(user="alice", contains=typed) == len(found)
    assert await both(whole.long_term).acount_memories(user="alice") == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"offset": -1},
        {"offset": 1.5},
        {"offset": True},
        {"offset": 2**70},
        {"limit": 0},
        {"sort": "best"},
        {"sort": None},
        {"contains": 5},
        {"contains": "\ud800"},
        {"user": ""},
    ],
)
async def test_what_is_not_usable_is_refused_before_anything_is_sent(
    whole: AgentMemory, both: Both, wrong: dict[str, Any]
) -> None:
    counting = Counting(whole.transport)
    with pytest.raises(InvalidInputError, match=next(iter(wrong))):
        await both(whole.long_term).alist_memories(**{"user": "alice", **wrong})
    assert counting.round_trips == 0


async def test_the_most_seen_come_first(make: Make, layout: dict[str, Any], both: Both) -> None:
    memory = make(**layout)
    for text, times in (("once", 1), ("thrice", 3), ("never", 0), ("many", 12), ("once more", 1)):
        for _ in range(times + 1):
            memory.remember(text, user="alice", kind="semantic")
    found = await both(memory).alist_memories(user="alice", sort="most_seen")
    assert [one.text for one in found] == ["many", "thrice", "once more", "once", "never"]
    found = await both(memory).alist_memories(user="alice", sort="most_seen", limit=2, offset=1, contains="o")
    assert [one.text for one in found] == ["once"]


async def test_a_memory_that_does_not_say_how_often_it_was_seen_hides_no_others(
    make: Make, layout: dict[str, Any], bare: redis.Redis
) -> None:
    memory = make(**layout)
    ids = [memory.remember(f"tea x{n}", user="alice").id for n in range(3)]
    if layout.get("storage") == "hash":
        bare.hdel(f"agent:mem:{ids[1]}", "hit_count")
    else:
        bare.execute_command("JSON.DEL", f"agent:mem:{ids[1]}", "$.hit_count")
    found = memory.list_memories(user="alice", sort="most_seen")
    assert [one.id for one in found] == [ids[2], ids[0]]


async def test_embeddings_are_those_that_were_stored(make: Make, layout: dict[str, Any], both: Both) -> None:
    memory = make(embeddings=WordEmbeddings(8), **layout)
    given = [3.0, 0.0, 4.0, 0.0, 0.0, 0.0, 0.0, 1e-3]
    old = memory.remember("tea", user="alice", embedding=given)
    (record,) = await both(memory).alist_memories(user="alice", include_embeddings=True)
    norm = math.hypot(*given)
    assert record.embedding == pytest.approx([one / norm for one in given], abs=1e-3)
    assert isinstance(record.embedding, tuple)
    assert (await both(memory).alist_memories(user="alice"))[0].embedding is None
    assert "embedding" not in memory.list_memories(user="alice")[0].to_dict()
    memory.remember("coffee", user="alice", replaces=old.id)
    found = await both(memory).alist_memories(user="alice", include_embeddings=True, include_superseded=True)
    assert {one.text: one.embedding is None for one in found} == {"tea": True, "coffee": False}


async def test_a_damaged_embedding_is_none(make: Make, layout: dict[str, Any], bare: redis.Redis) -> None:
    memory = make(embeddings=WordEmbeddings(8), **layout)
    one = memory.remember("tea", user="alice")
    if layout.get("storage") == "hash":
        bare.hset(f"agent:mem:{one.id}", "embedding", b"abc")
    else:
        bare.execute_command("JSON.SET", f"agent:mem:{one.id}", "$.embedding", '"abc"')
    for record in memory.list_memories(user="alice", include_embeddings=True):
        assert record.embedding is None


async def test_what_upstash_cannot_do_is_refused_before_anything_is_sent(
    emulator: Emulator, both: Both
) -> None:
    with UpstashLongTermMemory(emulator.url, token=emulator.token) as memory:
        counting = Counting(memory.transport)
        for wrong, match in (
            ({"include_embeddings": True}, "no vectors"),
            ({"sort": "most_seen"}, "newest or oldest"),
            ({"limit": 1000, "offset": 10_001}, r"offset \+ limit"),
            ({"namespace": "work"}, "namespace"),
        ):
            with pytest.raises(InvalidInputError, match=match):
                await both(memory).alist_memories(user="alice", **wrong)
        assert counting.round_trips == 0


async def test_the_costs_are_counted(memory: LongTermMemory, counting: Counting, both: Both) -> None:
    for n in range(5):
        memory.remember(f"tea n{n}", user="alice")
    for options, cost in (
        ({}, 2),
        ({"offset": 2, "limit": 2}, 2),
        ({"contains": "te", "sort": "oldest", "include_embeddings": True}, 2),
        ({"contains": "coffee"}, 1),
    ):
        before = counting.round_trips
        await both(memory).alist_memories(user="alice", **options)
        assert counting.round_trips - before == cost
    for options in ({}, {"contains": "tea"}):
        before = counting.round_trips
        assert await both(memory).acount_memories(user="alice", **options) == 5
        assert counting.round_trips - before == 1


@pytest.mark.usefixtures("lazy")
async def test_expired_memories_take_no_place_and_are_not_counted(
    make: Make, layout: dict[str, Any], bare: redis.Redis, both: Both
) -> None:
    memory = make(**layout)
    ids = [memory.remember(f"tea x{n}", user="alice").id for n in range(6)]
    expire_unnoticed(bare, ids[1:5])
    found = await both(memory).alist_memories(user="alice", limit=1, offset=1)
    assert [one.id for one in found] == [ids[0]]
    assert await both(memory).acount_memories(user="alice") == 2


async def test_a_page_is_filled_where_documents_are_no_memories(
    memory: LongTermMemory, bare: redis.Redis
) -> None:
    ids = [memory.remember(f"tea x{n}", user="alice").id for n in range(6)]
    for one in (ids[5], ids[3]):
        bare.execute_command("JSON.DEL", f"agent:mem:{one}", "$.source_thread")
    assert [one.id for one in memory.list_memories(user="alice", limit=3)] == [ids[4], ids[2], ids[1]]
    seen = [one.id for n in (0, 2, 4) for one in memory.list_memories(user="alice", limit=2, offset=n)]
    assert set(seen) == {ids[n] for n in (0, 1, 2, 4)}, "none is missed"


@pytest.mark.parametrize("sortable", [True, False])
async def test_the_index_of_another_program_pages_its_own_memories_only(
    make: Make, guide: Guide, both: Both, sortable: bool
) -> None:
    guide.create_index(sortable=sortable)
    memory = make(storage=guide.storage)
    for n in range(6):
        memory.remember(f"tea x{n}", user="ada", kind="semantic")
        memory.remember(f"tea y{n}", user="Ada", kind="semantic")
    for sort, order in (("newest", "543210"), ("oldest", "012345"), ("most_seen", "543210")):
        found = [
            one.text
            for offset in (0, 2, 4)
            for one in await both(memory).alist_memories(user="ada", sort=sort, limit=2, offset=offset)
        ]
        assert found == [f"tea x{n}" for n in order]
    assert await both(memory).acount_memories(user="ada") == 6
    assert await both(memory).acount_memories(user="Ada", contains="tea y3") == 1


def test_the_last_page_of_ten_thousand_is_quick(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = make(storage="hash", embeddings=WordEmbeddings(4))
    batches = memory.write_batches(
        [f"n{n} tea" for n in range(10_000)],
        user="alice",
        embeddings=[[1.0, n, 2.0, 3.0] for n in range(10_000)],
        batch_size=2000,
    )
    memory.transport.run(memory.store_all_op(batches))
    read: list[int] = []
    monkeypatch.setattr(listing, "_read", spying(listing._read, read))
    started = time.perf_counter()
    found = memory.list_memories(user="alice", limit=50, offset=9_950)
    assert time.perf_counter() - started < 1  # 0.02 s on an idle machine
    assert (len(found), read) == (50, [50]), "only the page is read"
    assert memory.count_memories(user="alice", contains="te") == 10_000


def spying(function: Any, sizes: list[int]) -> Any:
    def spied(store: Any, asked: Any, keys: list[bytes]) -> Any:
        sizes.append(len(keys))
        return function(store, asked, keys)

    return spied


async def test_the_most_seen_come_first_in_an_index_without_that_number(make: Make, guide: Guide) -> None:
    guide.create_index(without=("hit_count",))
    memory = make(storage=guide.storage)
    for text, times in (("twelve", 12), ("three", 3)):
        for _ in range(times + 1):
            memory.remember(text, user="ada", kind="semantic")
    assert [one.text for one in memory.list_memories(user="ada", sort="most_seen")] == ["twelve", "three"]
