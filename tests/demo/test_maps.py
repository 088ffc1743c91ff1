"""Maps of memories are kept: what is read again is what is new, and nothing moves."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from langchain_agentmem import MemoryRecord
from langchain_agentmem.demo.maps import Maps

pytest.importorskip("numpy")


class Listed:
    """A long-term memory that lists what it was given, newest first, and notes what was read.

    A superseded memory is listed without its embedding, as the real one does.
    """

    def __init__(self) -> None:
        self.records: list[MemoryRecord] = []
        self.read: list[tuple[int, bool]] = []
        self.embedded: list[list[str]] = []
        self.embeddings = self

    def add(self, number: int) -> MemoryRecord:
        self.records.insert(0, record(number))
        return self.records[0]

    async def alist_memories(self, *, limit: int, include_embeddings: bool, **_: Any) -> list[MemoryRecord]:
        self.read.append((limit, include_embeddings))
        return [
            one if include_embeddings and one.superseded_by is None else replace(one, embedding=None)
            for one in self.records[:limit]
        ]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        self.embedded.append(texts)
        return [list(record(int(text)).embedding or ()) for text in texts]


def record(number: int) -> MemoryRecord:
    embedding = tuple(1.0 if axis == number % 8 else 0.1 * (number % 3) for axis in range(8))
    return MemoryRecord(
        id=f"m{number}",
        text=str(number),
        user="alice",
        namespace="default",
        kind="semantic",
        created_ts=float(number),
        embedding=embedding,
    )


@pytest.fixture
def listed() -> Listed:
    made = Listed()
    for number in range(30):
        made.add(number)
    return made


def places(maps: Maps) -> dict[str, tuple[float, float]]:
    return {one.id: (x, y) for one, x, y in asyncio.run(maps.place("alice", "default"))}


def test_what_is_on_the_map_stays_and_only_what_is_new_is_read_with_its_embedding(listed: Listed) -> None:
    maps = Maps(listed)
    before = places(maps)
    assert len(before) == 30
    assert listed.read == [(10_000, True)]
    assert places(maps) == before
    assert listed.read[1:] == [(10_000, False)]
    listed.add(30)
    after = places(maps)
    assert after.keys() - before.keys() == {"m30"}
    assert {id: after[id] for id in before} == before
    (whole, without), (newest, embedded) = listed.read[2:]
    assert (whole, without, embedded) == (10_000, False, True)
    assert newest < 20


def test_what_is_superseded_stays_where_it_was(listed: Listed) -> None:
    maps = Maps(listed)
    before = places(maps)
    listed.records[4] = replace(listed.records[4], superseded_by="m29", superseded_ts=99.0)
    assert places(maps) == before
    assert listed.embedded == []


def test_what_was_superseded_before_is_placed_by_its_text_once(listed: Listed) -> None:
    listed.records[4] = replace(listed.records[4], superseded_by="m29", superseded_ts=99.0)
    maps = Maps(listed)
    before = places(maps)
    assert len(before) == 30
    assert places(maps) == before
    assert listed.embedded == [[listed.records[4].text]]


def test_what_is_deleted_is_no_longer_on_the_map(listed: Listed) -> None:
    maps = Maps(listed)
    before = places(maps)
    gone = listed.records.pop(3)
    after = places(maps)
    assert before.keys() - after.keys() == {gone.id}
    assert {id: before[id] for id in after} == after


def test_a_text_that_is_updated_is_read_anew(listed: Listed) -> None:
    maps = Maps(listed)
    places(maps)
    changed = replace(record(3), id=listed.records[7].id, updated_ts=50.0)
    listed.records[7] = changed
    asyncio.run(maps.place("alice", "default"))
    assert listed.read[-1] == (18, True)


def test_each_scope_has_its_own_map(listed: Listed) -> None:
    maps = Maps(listed)
    assert asyncio.run(maps.locate("alice", "default", [1.0] * 8)) is None  # nobody has looked at it
    places(maps)
    at = asyncio.run(maps.locate("alice", "default", [1.0] * 8))
    assert at is not None
    assert all(0 <= value <= 1 for value in at)
    assert asyncio.run(maps.locate("bob", "default", [1.0] * 8)) is None
