"""The embeddings change, or somebody recreates the index: nothing is left out without a word."""

from __future__ import annotations

import pytest
import redis
from langgraph.store.base import PutOp

from integration_tests.conftest import Both, Counting
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory
from langchain_agentmem.agents.store import search
from langchain_agentmem.errors import IndexMismatchError, InvalidInputError

DROP = ("FT.DROPINDEX", "agentmem:store")
FOREIGN = ("FT.CREATE", "agentmem:store", "ON", "HASH", "PREFIX", 1, "foreign:", "SCHEMA", "t", "TEXT")


async def test_items_with_older_vectors_are_found_or_said_to_be_missing(
    memory: AgentMemory, both: Both, server_client: redis.Redis, url: str
) -> None:
    for key in ("old", "older"):
        await both(memory.store()).aput(("a",), key, {"text": "tea", "n": 1})
    server_client.execute_command(*DROP)
    async with AgentMemory(url, embeddings=WordEmbeddings(32)) as other:
        store = both(other.store())
        await store.aput(("a",), "new", {"text": "milk", "n": 2})
        await store.aput(("b",), "k", {"text": "tea"})
        for reading in (store, both(other.store(index=False))):
            assert [one.key for one in await reading.asearch(("a",))] == ["new", "older", "old"]
            assert [one.key for one in await reading.asearch(("a",), filter={"n": 1}, limit=1)] == ["older"]
        for prefix in (("a",), ()):
            with pytest.raises(
                IndexMismatchError, match=r"lacks 2 of the items .*32 numbers.*Put them again"
            ):
                await store.asearch(prefix, query="milk")
        assert [one.key for one in await store.asearch(("b",), query="milk")] == ["k"]
        await store.adelete(("a",), "older")
        await store.aput(("a",), "old", {"text": "tea"})
        assert [one.key for one in await store.asearch(("a",), query="tea")] == ["old", "new"]


async def test_where_the_index_has_everything_a_search_is_one_round_trip(
    memory: AgentMemory, both: Both
) -> None:
    store = memory.store()
    await both(store).aput(("a",), "k", {"text": "tea"})
    await both(store).asearch(("a",))
    counting = Counting(memory.transport)
    await both(store).asearch(("a",))
    await both(store).asearch(("a",), query="tea")
    await both(store).aput(("a",), "k", {"text": "milk"})
    assert counting.round_trips == 3


async def test_a_process_with_the_old_embeddings_learns_of_the_new_index(
    memory: AgentMemory, both: Both, server_client: redis.Redis
) -> None:
    known = memory.store()
    store = both(known)
    await store.aput(("a",), "old", {"text": "tea"})
    await store.asearch(("a",), query="tea")
    server_client.execute_command(*DROP)
    index = known._part(known._items.every[0]).index
    assert index is not None
    server_client.execute_command(*index.settings.create(32).args)
    with pytest.raises(IndexMismatchError, match="is stored"):
        await store.aput(("a",), "late", {"text": "rain"})
    assert await store.aget(("a",), "late") is not None
    with pytest.raises(IndexMismatchError):  # it is known now
        await store.aput(("a",), "refused", {"text": "rain"})
    assert [one.key for one in await store.asearch(("a",))] == ["late", "old"]
    with pytest.raises(IndexMismatchError):
        await store.asearch(("a",), query="tea")


async def test_a_foreign_index_in_place_of_the_stores_is_named(
    memory: AgentMemory, both: Both, server_client: redis.Redis
) -> None:
    store = both(memory.store())
    await store.aput(("a",), "k", {"text": "tea"})
    await store.asearch(("a",), query="tea")
    server_client.execute_command(*DROP)
    server_client.execute_command(*FOREIGN)
    for options in ({}, {"query": "tea"}, {"filter": {"text": "tea"}}):
        with pytest.raises(IndexMismatchError, match="foreign:"):
            await store.asearch(("a",), **options)
    assert [name.decode() for name in server_client.execute_command("FT._LIST")] == ["agentmem:store"]


async def test_a_search_that_would_have_to_look_at_more_than_the_server_returns_is_refused(
    memory: AgentMemory, both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MAX_ROWS", 10)
    store = both(memory.store(index={"fields": ["text"]}))
    await store.abatch([PutOp(("a",), str(n), {"text": "tea", "n": n}) for n in range(9)])
    assert len(await store.asearch(("a",), query="tea", limit=20)) == 9
    await store.abatch([PutOp(("a",), str(n), {"text": "tea", "n": n}) for n in range(9, 12)])
    assert len(await store.asearch(("a",), query="tea", limit=10)) == 10
    for options in ({"limit": 11}, {"filter": {"n": {"$lt": 0}}}):
        with pytest.raises(InvalidInputError, match="10 items at most"):
            await store.asearch(("a",), query="tea", **options)
