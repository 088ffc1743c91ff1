"""What Upstash's memories look like in store, and that nothing else is taken for one."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_agentmem.core.keys import Keys
from langchain_agentmem.longterm.redisearch.document import Draft, UnreadableDocument
from langchain_agentmem.longterm.upstash.document import (
    decode,
    document_of,
    encode,
    memory_id,
    records,
)
from tests.strategies import json_objects, scopes

TUTORIAL = {"text": "Likes spicy food", "userId": "user-1", "kind": "fact", "createdAt": 1763700000123}


def draft(text: str = "tea", user: str = "alice", kind: str = "fact", **more: Any) -> Draft:
    return Draft("", text, user, "default", kind, more.pop("source_thread", ""), None, **more)


def test_a_plain_memory_is_the_tutorials_document() -> None:
    assert json.loads(encode(draft("Likes spicy food", "user-1"), 1763700000.1234)) == TUTORIAL


def test_the_tutorials_document_is_a_memory() -> None:
    record = decode("user-1:8f14e45f", TUTORIAL)
    assert (record.id, record.text, record.user, record.kind) == (
        *("user-1:8f14e45f", "Likes spicy food", "user-1", "fact"),
    )
    assert (record.namespace, record.source_thread, record.hit_count, record.metadata) == (
        "default",
        "",
        0,
        {},
    )
    assert record.created_ts == 1763700000.123
    assert (record.distance, record.score, record.ttl_seconds) == (None, None, None)


@given(text=st.text(min_size=1), user=scopes, kind=scopes, thread=scopes, metadata=json_objects)
def test_a_memory_comes_back_equal(
    text: str, user: str, kind: str, thread: str, metadata: dict[str, Any]
) -> None:
    stored = draft(text, user, kind, source_thread=thread, metadata=json.dumps(metadata).encode())
    record = decode(f"{user}:x", json.loads(encode(stored, 1.5)))
    assert (record.text, record.user, record.kind, record.source_thread) == (text, user, kind, thread)
    assert (record.metadata, record.created_ts) == (metadata, 1.5)


def test_a_key_says_whose_memory_it_is() -> None:
    keys = Keys(memory_prefix="memory:")
    digest = "0123456789abcdef" * 2
    assert keys.upstash_memory(memory_id("al:ice", digest)) == f"memory:al:ice:{digest}"
    pointer = keys.upstash_same("al:ice", digest)
    assert keys.upstash_same_user(pointer) == "al:ice"
    for other in (f"memory:al:ice:{digest}", "memory:al:ice:same", f"mem:al:ice:{digest}:same"):
        assert keys.upstash_same_user(other) is None


def test_one_that_was_superseded_is_read_with_what_it_said() -> None:
    document = {key: value for key, value in TUTORIAL.items() if key != "text"}
    past = {"past": "Likes tea", "pastContext": "What?", "supersededBy": "user-1:2", "supersededAt": 5000}
    record = decode("user-1:1", {**document, **past})
    assert (record.text, record.context) == ("Likes tea", "What?")
    assert (record.superseded_by, record.superseded_ts) == ("user-1:2", 5.0)
    with pytest.raises(UnreadableDocument):
        decode("user-1:1", document)


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "text",
        {},
        {**TUTORIAL, "text": None},
        {**TUTORIAL, "text": 5},
        {**TUTORIAL, "userId": ["user-1", "user-2"]},
        {**TUTORIAL, "kind": {}},
        {**TUTORIAL, "createdAt": "2025-01-01"},
        {**TUTORIAL, "createdAt": True},
        {**TUTORIAL, "hitCount": "3"},
        {**TUTORIAL, "hitCount": 1.5},
        {**TUTORIAL, "sourceThread": 5},
        {**TUTORIAL, "metadata": "[]"},
        {**TUTORIAL, "metadata": "{"},
        {**TUTORIAL, "metadata": 3},
        {**TUTORIAL, "context": 3},
        {**TUTORIAL, "updatedAt": "now"},
        {**TUTORIAL, "supersededBy": "user-1:2"},
        {**TUTORIAL, "past": "tea", "supersededBy": "user-1:2"},
        {**TUTORIAL, "past": "tea", "supersededBy": 5, "supersededAt": 5},
    ],
)
def test_what_is_no_memory_is_not_read_as_one(document: Any) -> None:
    with pytest.raises(UnreadableDocument):
        decode("x", document)


@pytest.mark.parametrize("reply", [b"[]", b"[1,2]", b"{", b"3", 3])
def test_an_answer_that_holds_no_document_is_said_to_hold_none(reply: Any) -> None:
    with pytest.raises(UnreadableDocument):
        document_of(reply)


@pytest.mark.parametrize("score", ["7.5", b"7.5", 7.5])
@pytest.mark.parametrize("encode_string", [str, str.encode])
def test_rows_are_read_however_their_strings_come(score: Any, encode_string: Any) -> None:
    content = [[encode_string("$"), encode_string(json.dumps(TUTORIAL))]]
    (record,) = records([[encode_string("memory:user-1:x"), score, content]], "memory:")
    assert (record.id, record.text, record.score) == ("user-1:x", "Likes spicy food", 7.5)


def test_rows_that_hold_no_memory_are_reported_and_left_out(caplog: pytest.LogCaptureFixture) -> None:
    good = json.dumps(TUTORIAL).encode()
    rows: list[Any] = [
        [b"memory:user-1:1", b"3", [[b"$", b"{"]]],
        [b"memory:user-1:2", b"3", [[b"$", b"[]"]]],
        [b"memory:user-1:3", b"3", [[b"text", b"tea"]]],
        [b"memory:user-1:4", b"high", [[b"$", good]]],
        [b"other:user-1:5", b"3", [[b"$", good]]],
        [b"memory:user-1:6", b"2", [[b"$", good]]],
        [b"memory:user-1:gone", b"1", None],
    ]
    with caplog.at_level(logging.WARNING, "langchain_agentmem.longterm"):
        assert [record.id for record in records(rows, "memory:")] == ["user-1:6"]
    assert [f":{n}'" in line for n, line in enumerate(caplog.messages, 1)] == [True] * 5
