"""What long-term memory sends to Upstash, command by command, and how it takes the answers."""

from __future__ import annotations

import json
import math
import time
from typing import Any

import pytest
from hypothesis import given

from langchain_agentmem.core.operations import Command
from langchain_agentmem.core.scripts import with_source
from langchain_agentmem.errors import (
    ConfigurationError,
    IndexMismatchError,
    IndexMissingError,
    InvalidInputError,
    SearchUnavailableError,
    StoreError,
    StoreTimeoutError,
)
from langchain_agentmem.longterm.types import RememberResult, Scope
from langchain_agentmem.longterm.upstash.memory import UpstashLongTermMemory
from langchain_agentmem.longterm.upstash.queries import condition
from tests.fake_transport import FakeTransport
from tests.strategies import scopes

CREATE = (
    "SEARCH.CREATE memories ON JSON PREFIX 1 memory: EXISTSOK "
    "SCHEMA text TEXT context TEXT userId KEYWORD kind KEYWORD createdAt F64 FAST"
)
DESCRIBE = ("SEARCH.DESCRIBE", "memories")
REFUSED = StoreError("The server answered: ERR SEARCH.QUERY is not allowed in scripts.")


def talking(*answers: list[Any], **options: Any) -> tuple[UpstashLongTermMemory, FakeTransport]:
    conversation = FakeTransport(*answers, rest=True)
    return UpstashLongTermMemory(transport=conversation, **options), conversation


def described(created_at: str = "F64 FAST", *more: list[bytes], contexts: bool = True) -> list[Any]:
    context = [[b"context", b"TEXT"]] if contexts else []
    fields = [[b"text", b"TEXT"], *context, [b"userId", b"KEYWORD"], [b"kind", b"KEYWORD"]]
    return [
        *(b"name", b"memories", b"type", b"JSON", b"prefixes", [b"memory:"], b"language", b"english"),
        *(b"indexSize", 5, b"schema", [*fields, [b"createdAt", *created_at.encode().split()], *more]),
    ]


def row(name: str, score: float = 5.0, **members: Any) -> list[Any]:
    document = {"text": "tea", "userId": "alice", "kind": "fact", "createdAt": 1000, **members}
    return [f"memory:{name}".encode(), str(score).encode(), [[b"$", json.dumps(document).encode()]]]


def test_a_recall_is_one_query_that_names_the_user() -> None:
    now = time.time()
    memory, conversation = talking([[row("alice:1", 210.0, text="I like spicy food", createdAt=now * 1000)]])
    (found,) = memory.recall('What is "spicy"?', user="alice", kind="fact", k=3)
    ((command,),) = conversation.sent
    assert command.args[:2] == ("SEARCH.QUERY", "memories")
    assert json.loads(str(command.args[2])) == {
        "$must": [
            {"userId": {"$eq": "alice"}, "kind": {"$eq": "fact"}},
            {"$should": [{"text": {"$smart": "spicy"}}, {"context": {"$eq": "spicy", "$boost": 0.5}}]},
        ]
    }
    assert command.args[3:] == (
        *("LIMIT", 100, "SCOREFUNC", "SCOREMODE", "SUM", "FIELDVALUE", "createdAt", "FACTOR"),
        "0.0000000001157407407407407",
    )
    assert command.read_only
    assert 0 < found.score < 1  # type: ignore[operator]
    assert (found.distance, [*found.matched_words], found.explanation) == (None, ["spicy"], None)


def test_without_recency_no_score_function_is_sent() -> None:
    memory, conversation = talking([[row("alice:1", 4.5)]], recency_per_day=0)
    (found,) = memory.recall("tea", user="alice", explain=True)
    assert conversation.sent_args[0][0][3:] == ("LIMIT", 100)
    assert found.explanation is not None
    assert found.explanation["recency"] == 0


def test_forms_of_words_and_what_states_what_is_asked_are_searched_for_too() -> None:
    memory, conversation = talking([[]])
    memory.recall("What is the name of the child?", user="alice")
    _, any_of = json.loads(str(conversation.sent[0][0].args[2]))["$must"]
    filters = any_of["$should"]
    assert filters[0] == {"text": {"$smart": "name child"}}
    for one in (
        {"text": {"$eq": "children"}},
        {"text": {"$eq": "called", "$boost": 0.5}},
        {"text": {"$eq": "daughter", "$boost": 0.5}},
        {"context": {"$eq": "child", "$boost": 0.5}},
    ):
        assert one in filters


def test_a_phrase_is_looked_for_as_it_is() -> None:
    memory, conversation = talking([[row("alice:1", text="I saw The Who in June")]])
    (found,) = memory.recall(' "The Who" ', user="alice")
    _, any_of = json.loads(str(conversation.sent[0][0].args[2]))["$must"]
    assert any_of == {"$should": [{"text": {"$smart": '"The Who"'}}]}
    assert found.text == "I saw The Who in June"


@pytest.mark.parametrize("query", ["Thanks!", "What did you do?", "???"])
def test_what_asks_for_nothing_is_not_searched_for(query: str) -> None:
    memory, conversation = talking()
    assert memory.recall(query, user="alice") == []
    assert conversation.sent == []


def test_an_index_without_contexts_is_asked_otherwise_from_then_on() -> None:
    refusal = StoreError("The server answered: ERR Field 'context' is not defined in the schema.")
    memory, conversation = talking(
        *([refusal], [described(contexts=False)], [[row("alice:1")]], [[row("alice:1")]])
    )
    assert len(memory.recall("tea", user="alice")) == 1
    assert len(memory.recall("tea", user="alice")) == 1
    queries = [str(batch[0][2]) for batch in (conversation.sent_args[at] for at in (0, 2, 3))]
    assert ['"context"' in query for query in queries] == [True, False, False]


@given(user=scopes, kind=scopes, query=scopes)
def test_every_value_arrives_as_itself(user: str, kind: str, query: str) -> None:
    assert json.loads(condition(Scope(user, None, kind), query)) == {
        "text": {"$smart": query},
        "userId": {"$eq": user},
        "kind": {"$eq": kind},
    }


@pytest.mark.parametrize(
    "filter",
    [{"userId": {"$eq": "bob"}}, {"$should": [{"userId": "bob"}]}, {"text": "x", "kind": "y"}],
)
def test_a_filter_only_narrows(filter: dict[str, Any]) -> None:
    written = json.loads(condition(Scope("alice", None, None), "tea", filter))
    assert written == {"$must": [{"text": {"$smart": "tea"}, "userId": {"$eq": "alice"}}, filter]}


def test_of_several_filters_one_has_to_match() -> None:
    written = condition(Scope("alice", None, None), None, {"kind": "y"}, [{"text": "a"}, {"text": "b"}])
    assert json.loads(written) == {
        "$must": [
            *({"userId": {"$eq": "alice"}}, {"$should": [{"text": "a"}, {"text": "b"}]}, {"kind": "y"}),
        ]
    }


def test_an_empty_filter_is_none() -> None:
    scope = Scope("alice", None, None)
    assert condition(scope, "tea", {}) == condition(scope, "tea")


def test_rows_of_another_user_or_kind_are_dropped() -> None:
    rows = [
        row("alice:1"),
        row("alice:2", userId="Alice"),
        row("alice:3", kind="event"),
        row("alice:4", userId=["alice", "bob"]),
    ]
    memory, _ = talking([rows])
    assert [one.id for one in memory.recall("tea", user="alice", kind="fact")] == ["alice:1"]


def test_a_missing_index_holds_nothing_and_is_made() -> None:
    memory, conversation = talking([None], [1, described()])
    assert memory.recall("tea", user="alice") == []
    assert [" ".join(map(str, conversation.sent_args[1][0])), conversation.sent_args[1][1]] == [
        CREATE,
        DESCRIBE,
    ]


def test_an_index_that_has_more_fields_is_fine() -> None:
    exists = StoreError("The server answered: ERR Index memories already exists.")
    memory, _ = talking([exists, described("F64 FAST", [b"importance", b"F64"])])
    memory.create_index()


def test_a_refusal_to_create_that_no_index_explains_is_raised() -> None:
    full = StoreError("The server answered: ERR too many indexes.")
    memory, _ = talking([full, None])
    with pytest.raises(StoreError, match="too many"):
        memory.create_index()


def test_an_index_that_cannot_rank_by_recency_is_described_with_what_to_do() -> None:
    refusal = StoreError("The server answered: ERR createdAt is not a fast field.")
    memory, conversation = talking([refusal], [described("F64")])
    with pytest.raises(IndexMismatchError) as raised:
        memory.recall("tea", user="alice")
    assert raised.value.__cause__ is refusal
    for part in ("createdAt: is F64, wanted F64 FAST", "drop_index()", "create_index()", "recency_per_day=0"):
        assert part in str(raised.value)
    assert conversation.sent_args[1:] == [[DESCRIBE]]


@pytest.mark.parametrize("recency", [0.01, 0])
@pytest.mark.parametrize(
    ("part", "wrong"), [(b"JSON", b"HASH"), ([b"memory:"], [b"mem:"]), ([b"userId", b"KEYWORD"], [b"userId", b"TEXT"])]
)  # fmt: skip
def test_an_index_with_another_schema_is_never_used_or_dropped(part: Any, wrong: Any, recency: float) -> None:
    def changed(value: Any) -> Any:
        if value == part:
            return wrong
        return [changed(one) for one in value] if isinstance(value, list) else value

    memory, conversation = talking([0, changed(described())], recency_per_day=recency)
    with pytest.raises(IndexMismatchError):
        memory.create_index()
    assert len(conversation.sent) == 1


def test_a_refusal_that_the_shape_does_not_explain_is_raised_as_it_is() -> None:
    refusal = StoreError("The server answered: ERR Unknown field operator: $near.")
    memory, _ = talking([refusal], [described()])
    with pytest.raises(StoreError) as raised:
        memory.recall("tea", user="alice", filter={"text": {"$near": "x"}})
    assert raised.value is refusal


def test_a_lost_answer_is_not_looked_into() -> None:
    memory, conversation = talking([StoreTimeoutError("No answer.")])
    with pytest.raises(StoreTimeoutError):
        memory.recall("tea", user="alice")
    assert len(conversation.sent) == 1


def test_a_memory_is_stored_in_one_script_call_that_searches_nothing() -> None:
    memory, conversation = talking([1, [0, b"memory:alice:id", 0]], [[0, b"memory:alice:id", 0]])
    result = memory.remember("Likes tea", user="alice", kind="fact", ttl_seconds=60, metadata={"a": 1})
    assert result == RememberResult("alice:id", False, None)
    ((create, command),) = conversation.sent
    assert " ".join(map(str, create.args)) == CREATE
    verb, source, count, key, pointer, other, ttl, document, digest, *rest = with_source(command).args
    assert (verb, count, ttl) == ("EVAL", 3, "60")
    assert "SEARCH" not in str(source)
    assert (key, pointer) == (f"memory:alice:{digest}", f"memory:alice:{digest}:same")
    assert (command.keys, command.read_only) == ((key, pointer, other), False)
    assert rest == ["count", "", len("memory:"), "", "", ""]
    stored = json.loads(document)  # type: ignore[arg-type]
    assert time.time() - 60 < stored.pop("createdAt") / 1000 <= time.time()
    assert stored == {"text": "Likes tea", "userId": "alice", "kind": "fact", "metadata": '{"a":1}'}
    memory.remember("Likes tea", user="alice", kind="fact")
    assert len(conversation.sent[1]) == 1, "the index is there"


def test_a_duplicate_that_is_under_another_name_is_passed_to_the_script() -> None:
    memory, conversation = talking(
        [1, [2, b"memory:alice:x"], [0, b"memory:alice:y", 0]], [[1, b"memory:alice:x", 0]]
    )
    results = memory.remember_many(["Likes tea", "Likes coffee"], user="alice")
    assert [(one.id, one.deduped) for one in results] == [("alice:x", True), ("alice:y", False)]
    (again,) = conversation.sent[1]
    assert again.keys[3:] == ("memory:alice:x",)


def test_many_memories_are_one_request_a_batch() -> None:
    memory, conversation = talking(
        *([1, [0, b"memory:a:1", 0], [1, b"memory:a:2", 0]], [[0, b"memory:a:3", 0]])
    )
    seen: list[tuple[int, int]] = []
    results = memory.remember_many(
        ["x", "y", "z"], user="a", batch_size=2, on_progress=lambda done, total: seen.append((done, total))
    )
    assert [(one.id, one.deduped) for one in results] == [("a:1", False), ("a:2", True), ("a:3", False)]
    assert [len(batch) for batch in conversation.sent] == [3, 1]
    assert seen == [(2, 3), (3, 3)]


def test_nothing_to_store_sends_nothing() -> None:
    memory, conversation = talking()
    assert memory.remember_many([], user="alice") == []
    assert conversation.sent == []


def test_an_index_of_the_first_version_is_served_as_it_is() -> None:
    exists = StoreError("The server answered: ERR Index memories already exists.")
    memory, conversation = talking([exists, [0, b"memory:alice:id", 0]], [described(contexts=False)])
    assert memory.remember("tea", user="alice").id == "alice:id"
    assert conversation.sent_args[1] == [DESCRIBE]
    assert memory.index.knowledge.contexts is False


def test_an_index_with_another_schema_is_told_after_storing() -> None:
    exists = StoreError("The server answered: ERR Index memories already exists.")
    memory, _ = talking([exists, [0, b"memory:alice:id", 0]], [described("KEYWORD")])
    with pytest.raises(IndexMismatchError):
        memory.remember("tea", user="alice")


@pytest.mark.parametrize("refusal", [REFUSED, SearchUnavailableError("no module")])
def test_by_nearness_where_scripts_may_not_search_it_is_two_requests_from_then_on(
    refusal: StoreError,
) -> None:
    near, far = [[b"memory:alice:known", b"8.5"]], [[b"memory:alice:other", b"7.5"]]
    memory, conversation = talking(
        *([1, [1, b"memory:alice:x", 0], refusal, refusal], [near, far]),
        [[1, b"memory:alice:known", 0], [0, b"memory:alice:z", 0]],
        *([None], [[0, b"memory:alice:w", 0]]),
        dedup="near",
    )
    results = memory.remember_many(["x", "y", "z"], user="alice")
    assert [(one.id, one.deduped) for one in results] == [
        *(("alice:x", True), ("alice:known", True), ("alice:z", False)),
    ]
    memory.remember("w", user="alice")
    searches, stores, search, store = conversation.sent_args[1:]
    assert [command[0] for command in [*searches, *search]] == ["SEARCH.QUERY"] * 3
    assert all(command[3:] == ("LIMIT", 1, "NOCONTENT") for command in [*searches, *search])
    assert [command[2] for command in [*stores, *store]] == [4, 3, 3]  # how many keys
    assert stores[0][6] == b"memory:alice:known"
    assert "SEARCH." not in str(with_source(Command(store[0])).args[1])


def test_by_nearness_without_a_score_nothing_is_searched_for() -> None:
    memory, conversation = talking([1, [0, b"memory:a:2", 0]], dedup="near", dedup_score=None)
    assert not memory.remember("tea", user="a").deduped
    assert "SEARCH" not in str(with_source(conversation.sent[0][1]).args[1])


def test_the_memory_that_is_replaced_is_a_key_of_the_script() -> None:
    other = StoreError("The server answered: SCOPE the memory to be replaced is of another user.")
    memory, conversation = talking([1, [0, b"memory:a:2", 1]], [other])
    assert memory.remember("tea", user="a", replaces="a:1").replaced == "a:1"
    assert conversation.sent[0][1].keys[3] == "memory:a:1"
    with pytest.raises(InvalidInputError, match="another user"):
        memory.remember("tea", user="a", replaces="a:1")


def test_a_memory_is_read_by_its_id_in_one_request() -> None:
    document = json.dumps([{"text": "tea", "userId": "alice", "kind": "fact", "createdAt": 5}]).encode()
    memory, conversation = talking([document, 60], [document, -1], [None, -2], [document, -1])
    found = memory.get("alice:1")
    assert found is not None
    assert (found.id, found.text, found.ttl_seconds) == ("alice:1", "tea", 60)
    assert memory.get("alice:1", user="bob") is None
    assert memory.get("alice:2") is None
    mine = memory.get("alice:1", user="alice")
    assert mine is not None
    assert mine.ttl_seconds is None
    assert conversation.sent_args[0] == [("JSON.GET", "memory:alice:1", "$"), ("TTL", "memory:alice:1")]


def test_the_newest_come_first_page_by_page_and_those_that_are_gone_meanwhile_do_not() -> None:
    first = [row(f"alice:{n}", createdAt=5000 - n) for n in range(1000)]
    second = [row("alice:1000", createdAt=1), row("alice:1001", createdAt=2)]
    memory, conversation = talking([first], [second], [-1, -2, *[60] * 1000])
    listed = memory.list_memories(user="alice", limit=1500)
    assert [one.id for one in listed[:2]] == ["alice:0", "alice:2"]
    assert [one.id for one in listed[-2:]] == ["alice:1001", "alice:1000"]
    assert (listed[0].ttl_seconds, listed[1].ttl_seconds, listed[0].score) == (None, 60, None)
    assert [command[2:] for (command,) in conversation.sent_args[:2]] == [
        ('{"userId":{"$eq":"alice"}}', "LIMIT", 1000, "OFFSET", 0, "ORDERBY", "createdAt", "DESC"),
        ('{"userId":{"$eq":"alice"}}', "LIMIT", 500, "OFFSET", 1000, "ORDERBY", "createdAt", "DESC"),
    ]


def test_an_index_that_cannot_sort_is_sorted_here() -> None:
    refusal = StoreError("The server answered: ERR createdAt is not a fast field.")
    rows = [row("alice:1", createdAt=1), row("alice:3", createdAt=3), row("alice:2", createdAt=2)]
    memory, conversation = talking([refusal], [described("F64")], [rows], [-1, -1], recency_per_day=0)
    assert [one.id for one in memory.list_memories(user="alice", limit=2)] == ["alice:3", "alice:2"]
    assert "ORDERBY" not in conversation.sent_args[2][0]


def test_deletions_name_the_user_and_look_under_its_keys_only() -> None:
    same = "0" * 32
    keys = [b"memory:a*:1", f"memory:a*:{same}:same".encode(), f"memory:a*:b:{same}:same".encode()]
    memory, conversation = talking([[1]], [[b"7", keys]], [[0, 1, b"a*", same.encode()]], [[1]], [[b"0", []]])
    assert memory.delete_memory("a*:1", user="a*")
    assert conversation.sent_args[0][0][2:] == (1, "memory:a*:1", "a*", "", 1)
    assert memory.forget_user("a*") == 1
    assert conversation.sent_args[1] == [("SCAN", 0, "MATCH", r"memory:a\*:*", "COUNT", 1000)]
    assert conversation.sent_args[2][0][2:] == (2, *keys[:2], "a*", "", 1)
    assert conversation.sent_args[3][0][2:] == (2, keys[0], keys[1].decode(), "a*", "", 1, same)
    assert conversation.sent_args[4][0][:2] == ("SCAN", 7)


def test_the_index_is_described_and_counted_in_one_request() -> None:
    memory, conversation = talking([described(), 3], [None, -1], [1])
    assert memory.index_info() == {
        "name": "memories",
        "documents": 3,
        "schema": {"storage": "JSON", "prefix": "memory:", "language": "english", "text": "TEXT",
                  "context": "TEXT", "userId": "KEYWORD",
                  "kind": "KEYWORD", "createdAt": "F64 FAST"},
        "mismatch": None,
    }  # fmt: skip
    with pytest.raises(IndexMissingError):
        memory.index_info()
    memory.drop_index()
    assert conversation.sent_args[2] == [("SEARCH.DROP", "memories")]
    with pytest.raises(InvalidInputError, match="create_index"):
        memory.rebuild_index()


@pytest.mark.parametrize(
    "arguments",
    [
        *({"text": " "}, {"text": "x" * 32769}, {"text": "\ud800"}, {"user": ""}, {"user": None}),
        *({"kind": ""}, {"namespace": "work"}, {"namespace": None}, {"ttl_seconds": 0}),
        *({"metadata": {"a": math.nan}}, {"embedding": [0.1]}, {"near": True}, {"replaces": ""}),
    ],
)
async def test_what_cannot_be_stored_is_refused_before_anything_is_sent(arguments: dict[str, Any]) -> None:
    options = {"text": "tea", "user": "alice", **arguments}
    text = options.pop("text")
    memory, conversation = talking()
    with pytest.raises(InvalidInputError):
        memory.remember(text, **options)
    with pytest.raises(InvalidInputError):
        await memory.aremember(text, **options)
    assert conversation.sent == []


@pytest.mark.parametrize(
    "arguments",
    [
        *({"query": " "}, {"query": None}, {"query": "\ud800"}, {"user": ""}, {"kind": ""}),
        *({"namespace": "work"}, {"namespace": ""}, {"k": 0}, {"k": 1001}, {"k": True}),
        *({"mode": "vector"}, {"mode": "hybrid"}, {"distance_threshold": 0.5}, {"embedding": [0.1]}),
        *({"recency_weight": -1}, {"recency_weight": "1"}, {"reranker": "best"}),
        *({"filter": "kind"}, {"filter": {"a": math.nan}}, {"filter": {"a": object()}}, {"filter": {"a": "\ud800"}}),
    ],
)  # fmt: skip
async def test_what_cannot_be_searched_for_is_refused_before_anything_is_sent(
    arguments: dict[str, Any],
) -> None:
    options = {"query": "tea", "user": "alice", **arguments}
    query = options.pop("query")
    memory, conversation = talking()
    with pytest.raises(InvalidInputError):
        memory.recall(query, **options)
    with pytest.raises(InvalidInputError):
        await memory.arecall(query, **options)
    assert conversation.sent == []


@pytest.mark.parametrize("arguments", [{"embeddings": [[0.1]]}, {"ids": ["x"]}, {"metadatas": []}])
def test_many_are_stored_without_vectors_and_ids(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        talking()[0].remember_many(["tea"], user="alice", **arguments)


@pytest.mark.parametrize(
    "call",
    [
        lambda memory: memory.list_memories(user="alice", limit=11_001),
        lambda memory: memory.list_memories(user="alice", namespace="work"),
        lambda memory: memory.clear(namespace="work"),
        lambda memory: memory.forget_user(""),
        lambda memory: memory.get(""),
        lambda memory: memory.delete_memory("alice:1", user=""),
    ],
)
def test_other_calls_refuse_what_they_cannot_do(call: Any) -> None:
    with pytest.raises(InvalidInputError):
        call(talking()[0])


@pytest.mark.parametrize(
    "options", [{"dedup_score": -1}, {"dedup_score": math.inf}, {"recency_per_day": -0.1}, {"recency_per_day": "1"}]
)  # fmt: skip
def test_numbers_that_rank_nothing_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        talking(**options)


def test_plain_redis_is_refused() -> None:
    conversation = FakeTransport()
    with pytest.raises(ConfigurationError, match="LongTermMemory"):
        UpstashLongTermMemory(transport=conversation)
