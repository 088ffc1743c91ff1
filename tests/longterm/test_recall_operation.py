"""A recall driven by hand: what is sent, in how many round trips, and what a server's answers become."""

from __future__ import annotations

import json
from typing import Any

import pytest

from langchain_agentmem.errors import StoreError
from langchain_agentmem.longterm.ranking import NEAREST, WORDED, rank
from langchain_agentmem.longterm.redisearch.memory import LongTermMemory
from tests.embedding_model import RecordingEmbeddings
from tests.fake_transport import FakeTransport
from tests.twins import Both

MEMBERS = [
    "I like green tea",
    "alice",
    "default",
    "episodic",
    "t1",
    1715990400.123,
    2,
    "Tea?",
    None,
    None,
    None,
    None,
]
NO = [0]


def memory(*replies: Any, contexts: bool = True, **options: Any) -> tuple[LongTermMemory, FakeTransport]:
    """A memory that knows its index, on a server that gives these answers."""
    transport = FakeTransport(*replies)
    made = LongTermMemory(transport=transport, embeddings=RecordingEmbeddings(), **options)
    knowledge = made.index.knowledge
    knowledge.exists = knowledge.checked = True
    knowledge.dimensions, knowledge.contexts = 1, contexts
    return made, transport


def row(name: str, *members: Any, distance: float | None = None) -> list[Any]:
    fields = [b"members", json.dumps(members or MEMBERS).encode()]
    return [
        f"agent:mem:{name}".encode(),
        fields + ([] if distance is None else [b"distance", str(distance).encode()]),
    ]


def reply(*rows: list[Any], total: int | None = None) -> list[Any]:
    return [len(rows) if total is None else total, *(part for one in rows for part in one)]


async def test_one_batch_counts_and_searches_by_words_and_by_vector(both: Both) -> None:
    made, transport = memory(
        [0, [9], reply(row("m1")), reply(row("m1", distance=0.25), row("m2", distance=0.5))]
    )
    found = await both(made).arecall("Does Bob love the green tea?", user="alice", kind="episodic")
    best = found[0]
    assert (best.id, best.distance, best.context, best.created_ts) == ("m1", 0.25, "Tea?", 1715990400.12)
    ((flag, count, words, vector),) = transport.sent_args
    assert flag[0] == "EXISTS"
    scope = "((@user:{alice} @namespace:{default}) @kind:{episodic})"
    assert count[:6] == ("FT.SEARCH", "agentmem:idx", scope, "LIMIT", 0, 0)
    # Names are optional, and no word is part of the query.
    required = "($w0|$w1|$w2)"
    assert (
        words[2]
        == f"{scope} ((@text:{required}) | ((@context:{required}) => {{ $weight: 0.5; }})) ~@text:($w3)"
    )
    at = words.index("PARAMS")
    assert words[at + 1 : at + 10] == (8, "w0", "love", "w1", "green", "w2", "tea", "w3", "bob")
    assert words[words.index("LANGUAGE") + 1] == "english"
    assert words[words.index("LIMIT") :][:3] == ("LIMIT", 0, WORDED)
    assert vector[2] == f"{scope}=>[KNN $k @embedding $vector AS distance]"
    assert vector[vector.index("LIMIT") :][:3] == ("LIMIT", 0, NEAREST)
    assert all(search[search.index("TIMEOUT") + 1] == 5000 for search in (count, words, vector))


async def test_the_size_of_a_scope_is_asked_once_a_minute(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("langchain_agentmem.longterm.search_index.monotonic", lambda: now)
    counted, plain = [0, [9], reply(), reply()], [0, reply(), reply()]
    made, transport = memory(counted, plain, counted, counted)
    for user, later in (("alice", 0), ("alice", 59), ("bob", 0), ("alice", 2)):
        now += later
        await both(made).arecall("green tea", user=user)
    assert [len(batch) for batch in transport.sent] == [4, 3, 4, 4]


async def test_the_size_of_a_small_scope_is_told_by_the_search_by_vector(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    plain = rank

    def noted(*args: Any, size: int, **options: Any) -> Any:
        sizes.append(size)
        return plain(*args, size=size, **options)

    monkeypatch.setattr("langchain_agentmem.longterm.redisearch.recall.rank", noted)
    near = [reply(), reply(row("m1", distance=0.25), total=2)], [reply(), reply(total=NEAREST)]
    made, _ = memory([0, [7], *near[0]], [0, *near[0]], [0, *near[1]], [0, [700], *near[1]])
    for user in ("alice", "alice", "alice", "bob"):
        await both(made).arecall("green tea", user=user)
    assert sizes == [2, 2, NEAREST, 700]


async def test_by_words_alone_the_size_of_a_small_scope_is_asked_each_time(both: Both) -> None:
    few, many = [0, [NEAREST - 1], reply()], [0, [NEAREST], reply()]
    made, transport = memory([0, [0], reply()], few, many, [0, reply()])
    for _ in range(4):
        await both(made).arecall("green tea", user="alice", mode="text")
    assert [len(batch) for batch in transport.sent] == [3, 3, 3, 2]


async def test_many_memories_stored_at_once_are_counted(both: Both) -> None:
    counted, plain = [0, [9], reply(), reply()], [0, reply(), reply()]
    stored = [[0, b"0" * 32, 0]]
    made, transport = memory(counted, stored, plain, [*stored, *stored], counted)
    for text in ("green tea", "black tea"):
        await both(made).arecall("green tea", user="alice")
        await both(made).aremember_many([text, "coffee"][: 1 + (text == "black tea")], user="alice")
    await both(made).arecall("green tea", user="alice")
    assert [len(batch) for batch in transport.sent] == [4, 1, 3, 2, 4]


async def test_contexts_are_searched_only_where_the_index_has_them(both: Both) -> None:
    made, transport = memory([0, [1], reply()], contexts=False)
    assert await both(made).arecall("green tea", user="alice", mode="text") == []
    assert "@context" not in str(transport.sent_args)


async def test_without_words_nothing_is_sent_by_text(both: Both) -> None:
    made, transport = memory()
    assert await both(made).arecall("What is it?", user="alice", mode="text") == []
    assert transport.sent == []


@pytest.mark.parametrize("k", [5, NEAREST, 500])
async def test_enough_candidates_for_k(both: Both, k: int) -> None:
    made, transport = memory([0, [1], reply(), reply()])
    await both(made).arecall("green tea", user="alice", k=k)
    ((_, _, words, vector),) = transport.sent_args
    limits = [search[search.index("LIMIT") + 2] for search in (words, vector)]
    assert limits == [max(WORDED, k), max(NEAREST, k)]


async def test_irregular_forms_and_capitals_beyond_ascii_are_searched_for_too(both: Both) -> None:
    made, transport = memory([0, [1], reply()])
    await both(made).arecall("bought Élan", user="alice", mode="text")
    ((_, _, words),) = transport.sent_args
    at = words.index("PARAMS")
    assert {*words[at + 3 : at + 2 + int(words[at + 1]) : 2]} == {"buy", "bought", "élan", "Élan"}


async def test_what_is_no_memory_makes_room_for_others(both: Both) -> None:
    other = [*MEMBERS[:2], "work", *MEMBERS[3:]]
    broken = [MEMBERS[0], None, *MEMBERS[2:]]
    rows = [row("other", *other, distance=0.1), row("broken", *broken, distance=0.1)]
    made, transport = memory(
        [0, [9], reply(), reply(*rows)], [0, reply(), reply(*rows, row("m1", distance=0.3))]
    )
    (found,) = await both(made).arecall("green tea", user="alice", k=1)
    assert found.id == "m1"
    limits = [[search[search.index("LIMIT") + 2] for search in batch[-2:]] for batch in transport.sent_args]
    assert limits == [[WORDED, NEAREST], [WORDED + 4, NEAREST + 4]]


async def test_that_nothing_else_comes_ends_it(both: Both) -> None:
    other = row("other", *MEMBERS[:2], "work", *MEMBERS[3:], distance=0.1)
    made, transport = memory([0, [9], reply(), reply(other)], [0, reply(), reply(other)])
    assert await both(made).arecall("green tea", user="alice") == []
    assert len(transport.sent) == 2


async def test_a_document_of_the_first_version_is_read_member_by_member(both: Both) -> None:
    old = row("m1", *MEMBERS[:7], '{"page":3}', distance=0.25)
    values = {"text": MEMBERS[0], "user": "alice", "namespace": "default", "kind": "episodic"}
    values |= {"source_thread": "t1", "created_ts": 1715990400.123, "hit_count": 2, "metadata": '{"page":3}'}
    whole = json.dumps({f"$.{name}": [value] for name, value in values.items()}).encode()
    made, transport = memory([0, [1], reply(), reply(old)], [whole])
    (found,) = await both(made).arecall("green tea", user="alice")
    assert (found.metadata, found.source_thread, found.hit_count) == ({"page": 3}, "t1", 2)
    assert transport.sent_args[1][0][:2] == ("JSON.GET", b"agent:mem:m1")


SUPERSEDED = {
    "text": [],
    "past": [MEMBERS[0]],
    "superseded_by": ["m2"],
    "superseded_ts": [5],
    "user": ["alice"],
}
SUPERSEDED |= {
    "namespace": ["default"],
    "kind": ["k"],
    "source_thread": [""],
    "created_ts": [5],
    "hit_count": [0],
}


@pytest.mark.parametrize(
    "gone",
    [
        None,
        json.dumps({"$.text": []}).encode(),
        json.dumps({f"$.{name}": value for name, value in SUPERSEDED.items()}).encode(),
    ],
    ids=["missing", "empty", "superseded"],
)
async def test_one_that_is_gone_or_superseded_by_then_is_left_out_in_silence(
    both: Both, gone: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    old = row("m1", *MEMBERS[:7], '{"page":3}', distance=0.25)
    made, _ = memory([0, [1], reply(), reply(old)], [gone], [0, reply(), reply()])
    assert await both(made).arecall("green tea", user="alice") == []
    assert caplog.text == ""


async def test_distances_beyond_what_there_is_are_rounding(both: Both) -> None:
    rows = [row("m1", distance=-3e-7), row("m2", *["other", *MEMBERS[1:]], distance=2.0000002)]
    for mode, answer in {"hybrid": [0, [2], reply(), reply(*rows)], "vector": [0, reply(*rows)]}.items():
        made, _ = memory(answer)
        found = await both(made).arecall("tea", user="alice", mode=mode, distance_threshold=None)  # type: ignore[arg-type]
        assert found[0].distance == 0
        assert {one.distance for one in found} <= {0, 2}
        assert all(0 <= one.score <= 1 for one in found)


async def test_a_servers_error_is_raised(both: Both) -> None:
    error = StoreError("The server answered: Syntax error.")
    made, _ = memory([0, [1], error, reply()])
    with pytest.raises(StoreError, match="Syntax error"):
        await both(made).arecall("green tea", user="alice")
