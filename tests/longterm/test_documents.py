from __future__ import annotations

import datetime
import math
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from langchain_agentmem.core import json
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.longterm.drafts import encode_metadata
from langchain_agentmem.longterm.redisearch.document import (
    FIELDS,
    MEMBERS,
    decode,
    encode,
    encoded,
    fields_of,
)
from langchain_agentmem.longterm.redisearch.found import candidates, record
from langchain_agentmem.longterm.types import Draft, Storage, UnreadableDocument
from tests.strategies import json_objects, scopes

EMBEDDING = np.array([0.6, 0.8], "float32")


def stored(draft: Draft, storage: Storage) -> dict[bytes, bytes]:
    """The fields a server would give back, without the embedding."""
    parts = encode(draft, EMBEDDING, storage)
    if storage == "json":
        document = {"created_ts": 1715990400.123456, **orjson.loads(parts[0])}  # type: ignore[arg-type]
        answer = {f"$.{name}": [document[name]] if name in document else [] for name in FIELDS}
        return fields_of(orjson.dumps(answer))
    pairs = zip(parts[::2], parts[1::2], strict=True)
    fields = {
        str(name).encode(): value if isinstance(value, bytes) else str(value).encode()
        for name, value in pairs
    }
    return {b"created_ts": b"1715990400.123456", **fields}


@given(
    scopes, scopes, scopes, st.one_of(st.just(""), scopes), st.text(min_size=1), json_objects,
    st.one_of(st.none(), scopes), st.sampled_from(["json", "hash"]),
)  # fmt: skip
@example("#" + "0" * 64, "default", "k", "#", "t", {}, None, "json")
def test_a_memory_comes_back_equal(
    user: str,
    namespace: str,
    kind: str,
    thread: str,
    text: str,
    metadata: dict[str, Any],
    document_id: str | None,
    storage: Storage,
) -> None:
    draft = Draft("m1", text, user, namespace, kind, thread, 5, encode_metadata(metadata), document_id)
    found = decode("m1", stored(draft, storage), distance=0.5, score=0.75)
    assert (found.user, found.namespace, found.kind, found.source_thread) == (user, namespace, kind, thread)
    assert (found.id, found.text, found.document_id) == ("m1", text, document_id)
    assert found.metadata == metadata
    assert (found.distance, found.score, found.hit_count) == (0.5, 0.75, 0)
    assert found.created_ts == 1715990400.12
    assert found in draft.scope


@given(scopes, scopes, st.text(min_size=1), json_objects, st.one_of(st.none(), scopes), st.text())
def test_a_recalled_memory_is_what_reading_it_member_by_member_gives(
    user: str, thread: str, text: str, metadata: dict[str, Any], document_id: str | None, context: str
) -> None:
    draft = Draft(
        *("m1", text, user, "default", "k", thread, 5, encode_metadata(metadata), document_id),
        context=context,
    )
    document = {"created_ts": 1715990400.123456, **orjson.loads(encode(draft, EMBEDDING, "json")[0])}  # type: ignore[arg-type]
    members = orjson.dumps([document[name] for name in MEMBERS])
    (found,) = candidates({b"agent:mem:m1": {b"members": members, b"distance": b"0.25"}}, "json")
    assert (found.key, found.text, found.context) == (b"agent:mem:m1", text, context)
    assert (found.similarity, found.created_ts) == (0.75, 1715990400.123456)
    expected = decode("m1", stored(draft, "json"), distance=0.25, score=0.9)
    assert record("m1", found, distance=0.25, score=0.9) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("text", 5), ("user", None), ("namespace", "#" + "0" * 64), ("created_ts", "yesterday"),
        ("hit_count", 1.5), ("hit_count", "x"), ("metadata", "{"), ("metadata", "[]"),
    ],
)  # fmt: skip
def test_a_recalled_document_with_a_wrong_member_is_read_as_member_by_member(name: str, value: Any) -> None:
    document: dict[str, Any] = dict.fromkeys(MEMBERS)
    document |= {one.decode(): good.decode() for one, good in GOOD.items()}
    document |= {"created_ts": 1715990400.5, "hit_count": 2, "context": "", name: value}
    fields = {one.encode(): encoded(member) for one, member in document.items() if member is not None}
    (found,) = candidates({b"m1": {b"members": orjson.dumps([*document.values()])}}, "json")
    try:
        expected = decode("m1", fields)
    except UnreadableDocument:
        with pytest.raises(UnreadableDocument):
            record("m1", found)
    else:
        assert record("m1", found) == expected


def test_plain_names_are_stored_as_they_are_and_nothing_beside_them() -> None:
    (text,) = encode(Draft("m1", "tea", "alice", "default", "episodic", "t-1", None), EMBEDDING, "json")
    assert orjson.loads(text) == {  # type: ignore[arg-type]
        "id": "m1",
        "user": "alice",
        "namespace": "default",
        "kind": "episodic",
        "source_thread": "t-1",
        "text": "tea",
        "hit_count": 0,
        "context": "",
        **dict.fromkeys(("metadata", "exact", "document_id", "updated_ts")),  # one path reads them all
        "embedding": [0.6, 0.8],
    }


@pytest.mark.parametrize(
    "metadata",
    [
        ["a"],
        "a",
        {1: "a"},
        {"a": math.nan},
        {"a": math.inf},
        {"a": {"b": [math.nan]}},
        {"a": (1, 2)},
        {"a": {1, 2}},
        {"a": datetime.datetime(2026, 1, 1)},
        {"a": object()},
    ],
)
def test_metadata_that_would_not_come_back_equal_is_refused(metadata: Any) -> None:
    with pytest.raises(InvalidInputError, match="metadata"):
        encode_metadata(metadata)


def test_metadata_that_holds_itself_is_refused() -> None:
    metadata: dict[str, Any] = {}
    metadata["a"] = metadata
    with pytest.raises(InvalidInputError, match="metadata"):
        encode_metadata(metadata)


GOOD = {
    b"text": b"tea",
    b"user": b"alice",
    b"namespace": b"default",
    b"kind": b"episodic",
    b"source_thread": b"",
    b"created_ts": b"1715990400.5",
    b"hit_count": b"2",
}


@pytest.mark.parametrize("missing", list(GOOD))
def test_a_document_without_a_member_is_unreadable(missing: bytes) -> None:
    with pytest.raises(UnreadableDocument, match=missing.decode()):
        decode("m1", {name: value for name, value in GOOD.items() if name != missing})


@pytest.mark.parametrize(
    "wrong",
    [
        {b"text": b"\xff"},
        {b"user": b"\xff"},
        {b"user": b"#" + b"0" * 64},
        {b"user": b"#" + b"0" * 64, b"exact": b'{"user":"somebody"}'},
        {b"user": b"#" + b"0" * 64, b"exact": b'["user"]'},
        {b"user": b"#" + b"0" * 64, b"exact": b"{"},
        {b"created_ts": b"yesterday"},
        {b"hit_count": b"1.5"},
        {b"metadata": b"{"},
        {b"metadata": b"[]"},
        {b"document_id": b"\xff"},
    ],
)
def test_a_document_with_a_wrong_member_is_unreadable(wrong: dict[bytes, bytes]) -> None:
    with pytest.raises(UnreadableDocument):
        decode("m1", {**GOOD, **wrong})


def test_metadata_is_text_in_both_storages() -> None:
    draft = Draft("m1", "tea", "a", "b", "c", "", None, encode_metadata({"x": 0.1}))
    (text,) = encode(draft, EMBEDDING, "json")
    assert json.loads(text)["metadata"] == '{"x":0.1}'  # type: ignore[arg-type]
