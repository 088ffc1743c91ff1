"""Which documents an index of the emulator has, and from when on."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest
import redis
from upstash_redis import Redis
from upstash_redis.errors import UpstashError

from integration_tests.upstash.emulator import Emulator
from integration_tests.upstash.test_emulator.memories import create, found, remember
from integration_tests.waiting import wait_until


def test_an_index_is_created_once_described_and_dropped(client: Redis) -> None:
    create(client)
    with pytest.raises(UpstashError, match="Index memories already exists"):
        create(client)
    create(client, exists_ok=True)
    with pytest.raises(UpstashError, match="different configuration"):
        create(client, exists_ok=True, prefixes="other:")
    index = client.search.index("memories")
    description = index.describe()
    assert (description.name, description.prefixes, description.language) == (
        "memories",
        ["memory:"],
        "english",
    )
    assert {name: (info.type, info.fast) for name, info in description.schema.items()} == {
        "text": ("TEXT", False),
        "userId": ("KEYWORD", False),
        "createdAt": ("F64", True),
        "plain": ("F64", False),
    }
    remember(client, "1", text="stays")
    assert (index.drop(), index.drop()) == (1, 0)
    assert client.execute(["EXISTS", "memory:1"]) == 1


def test_options_of_create_may_stand_right_after_the_name(http: httpx.Client) -> None:
    command = [
        "SEARCH.CREATE",
        "i",
        "SKIPINITIALSCAN",
        "EXISTSOK",
        "ON",
        "JSON",
        "PREFIX",
        "1",
        "m:",
        "SCHEMA",
    ]
    command += ["text", "TEXT", "NOSTEM", "size", "I64", "FAST", "FROM", "meta.size"]
    assert [http.post("/", json=command).json() for _ in range(2)] == [{"result": 1}, {"result": 0}]
    described = http.post("/", json=["SEARCH.DESCRIBE", "i"]).json()["result"]
    assert described[-1] == [["text", "TEXT", "NOSTEM"], ["size", "I64", "FAST", "FROM", "meta.size"]]
    http.post("/", json=["JSON.SET", "m:1", "$", '{"meta": {"size": 4}}'])
    http.post("/", json=["SEARCH.WAITINDEXING", "i"])
    assert http.post("/", json=["SEARCH.COUNT", "i", '{"size": 4}']).json() == {"result": 1}
    assert http.post("/", json=["SEARCH.LISTINDEXES"]).json() == {"result": ["i"]}


def test_a_missing_index_answers_null(http: httpx.Client) -> None:
    assert http.post("/", json=["SEARCH.QUERY", "no", "{}", "LIMIT", 5]).json() == {"result": None}
    assert http.post("/", json=["SEARCH.DESCRIBE", "no"]).json() == {"result": None}
    assert http.post("/", json=["SEARCH.WAITINDEXING", "no"]).json() == {"result": 0}


@pytest.mark.parametrize(("skip", "expected"), [(False, ["old"]), (True, [])])
def test_keys_that_were_there_are_indexed_unless_skipped(
    client: Redis, skip: bool, expected: list[str]
) -> None:
    remember(client, "old", text="was there")
    create(client, skip_initial_scan=skip)
    index = client.search.index("memories")
    index.wait_indexing()
    assert found(index) == expected


def test_a_write_is_seen_late_or_after_waiting(client: Redis, memories: Any, emulator: Emulator) -> None:
    emulator.indexing_delay_seconds = 60
    remember(client, "1", text="first")
    assert found(memories) == []
    memories.wait_indexing()
    assert found(memories) == ["1"]
    emulator.indexing_delay_seconds = 0.3
    started = time.monotonic()
    remember(client, "2", text="second")
    assert found(memories) == ["1"]
    wait_until(lambda: len(found(memories)) == 2)
    assert time.monotonic() - started >= 0.3


def test_a_changed_document_is_found_by_its_new_text_only(client: Redis, memories: Any) -> None:
    remember(client, "1", text="apples")
    memories.wait_indexing()
    remember(client, "1", text="bananas")
    memories.wait_indexing()
    assert found(memories, filter={"text": "apples"}) == []
    assert found(memories, filter={"text": "bananas"}) == ["1"]


def test_a_query_never_returns_what_is_gone(
    client: Redis, memories: Any, emulator: Emulator, bare: redis.Redis
) -> None:
    for key in ("deleted", "expired", "kept"):
        remember(client, key, text="same words")
    memories.wait_indexing()
    emulator.indexing_delay_seconds = 60
    client.delete("memory:deleted")
    bare.pexpire("memory:expired", 1)
    wait_until(lambda: not bare.exists("memory:expired"))
    assert found(memories, filter={"text": "same"}, select={}) == ["kept"]
    assert found(memories, filter={"text": "same"}) == ["kept"]
    assert memories.count(filter={"text": "same"}).count == 1
    memories.wait_indexing()
    assert found(memories) == ["kept"]


def test_writes_of_others_and_of_other_prefixes_are_told_apart(
    client: Redis, memories: Any, bare: redis.Redis
) -> None:
    bare.json().set("memory:1", "$", {"text": "by another client"})
    bare.json().set("elsewhere:1", "$", {"text": "not ours"})
    bare.set("memory:2", "no JSON")
    memories.wait_indexing()
    assert found(memories) == ["1"]


def test_missing_and_mistyped_fields_are_not_found_by(client: Redis, memories: Any) -> None:
    remember(client, "typed", text=5, createdAt="yesterday", userId="u")
    remember(client, "bare")
    memories.wait_indexing()
    assert sorted(found(memories)) == ["bare", "typed"]
    assert found(memories, filter={"createdAt": {"$gt": 0}}) == []
    assert found(memories, filter={"text": "5"}) == []
    assert found(memories, filter={"userId": "u"}) == ["typed"]
