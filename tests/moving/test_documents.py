"""Memories as JSON and as Hashes: written as the other they are the same, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_agentmem.errors import StoreError
from langchain_agentmem.longterm.types import Storage, VectorType
from langchain_agentmem.moving import documents

FLOATS = st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=8)
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20)
MEMBERS = st.fixed_dictionaries(
    {
        "id": TEXTS,
        "text": TEXTS,
        "user": TEXTS,
        "created_ts": st.floats(0, 1e10),
        "hit_count": st.integers(0, 1000),
        "embedding": FLOATS,
    },
    optional={
        "context": TEXTS,
        "metadata": TEXTS,
        "exact": st.fixed_dictionaries({"user": TEXTS}),
        "same": TEXTS,
    },
)


def as_stored(parts: tuple[Any, ...], storage: Storage) -> Any:
    if storage == "json":
        return parts[0]
    return [one if isinstance(one, bytes) else str(one).encode() for one in parts]


@pytest.mark.parametrize("vector_type", ["float32", "float16"])
@given(MEMBERS)
def test_there_and_back_it_is_the_same(vector_type: VectorType, members: dict[str, Any]) -> None:
    numbers = np.array(members["embedding"], vector_type)
    members = members | {"embedding": numbers.astype(np.float64)}
    found = members
    for storage in ("hash", "json", "hash"):
        parts = documents.write(found, storage, vector_type)
        found = documents.read(as_stored(parts, storage), storage, vector_type)
        assert documents.same(found, members, vector_type)
        assert found["embedding"].astype(vector_type).tobytes() == numbers.tobytes()


@given(MEMBERS, FLOATS)
def test_another_vector_or_member_is_noticed(members: dict[str, Any], other: list[float]) -> None:
    members = members | {"embedding": np.array(members["embedding"])}
    assert documents.same(members, dict(members), "float32")
    assert not documents.same(members, members | {"hit_count": members["hit_count"] + 1}, "float32")
    assert not documents.same(members, members | {"more": "x"}, "float32")
    if other != members["embedding"].tolist():
        equal = np.array(other, "float32").tobytes() == members["embedding"].astype("float32").tobytes()
        assert documents.same(members, members | {"embedding": np.array(other)}, "float32") is equal


@given(TEXTS)
def test_whose_a_memory_is(user: str) -> None:
    import orjson

    digest = b"#" + b"0" * 64
    exact = orjson.dumps({"user": user})
    assert documents.owner_of("hash", [digest, exact]) == user
    assert documents.owner_of("ReJSON-RL", [orjson.dumps([digest.decode()]), b"[" + exact + b"]"]) == user
    assert documents.owner_of("hash", [b"alice", None]) == "alice"
    assert documents.owner_of("hash", [None, None]) is None
    assert documents.owner_of("ReJSON-RL", [b"[7]", b"[]"]) is None
    assert documents.owner_of("hash", [b"\xff", None]) is None


def test_what_is_no_memory_is_an_error() -> None:
    for stored in (b"7", b"{", b"[]"):
        with pytest.raises(StoreError):
            documents.read(stored, "json", "float32")
