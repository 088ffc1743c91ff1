"""Every kind of client gives the same results, and is left as it was."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis
import redis.asyncio

from integration_tests.conftest import Both
from integration_tests.longterm.conftest import LAYOUTS
from integration_tests.words import WordEmbeddings
from langchain_agentmem.longterm.redisearch.memory import LongTermMemory


@pytest.fixture(params=[2, 3], ids=["resp2", "resp3"])
def protocol(request: pytest.FixtureRequest) -> int:
    number: int = request.param
    return number


@pytest.fixture(params=[True, False], ids=["decoded", "bytes"])
def decode(request: pytest.FixtureRequest) -> bool:
    choice: bool = request.param
    return choice


@pytest.fixture
async def clients(url: str, protocol: int, decode: bool) -> AsyncIterator[dict[str, Any]]:
    options: dict[str, Any] = {"protocol": protocol, "decode_responses": decode}
    with redis.Redis.from_url(url, **options) as client:
        async_client = redis.asyncio.Redis.from_url(url, **options)
        yield {"client": client, "async_client": async_client}
        await async_client.aclose()


@pytest.mark.parametrize("layout", ["json", "hash16"])
async def test_every_client_gives_the_same(
    clients: dict[str, Any], decode: bool, both: Both, layout: str
) -> None:
    memory = LongTermMemory(**clients, embeddings=WordEmbeddings(), **LAYOUTS[layout])
    metadata: dict[str, Any] = {"é": [1.5, None, {}]}
    first = await both(memory).aremember("grüner Tee 😀", user="a,b", source_thread="é", metadata=metadata)
    again = await both(memory).aremember("grüner Tee 😀", user="a,b")
    assert (again.id, again.deduped) == (first.id, True)
    memory.index.knowledge.spans_slots = False
    assert (await both(memory).aremember("grüner Tee 😀", user="a,b")).id == first.id
    (found,) = await both(memory).arecall("Tee", user="a,b", distance_threshold=0.8)
    assert (found.id, found.text, found.user, found.source_thread, found.metadata, found.hit_count) == (
        *(first.id, "grüner Tee 😀", "a,b", "é", metadata, 2),
    )
    (listed,) = await both(memory).alist_memories(user="a,b")
    assert listed.ttl_seconds > 600_000
    assert (await both(memory).aindex_info())["documents"] == 1
    assert (await both(memory).aget(first.id)).text == "grüner Tee 😀"
    assert await both(memory).aforget_user("a,b") == 1
    await both(memory).adrop_index(delete_documents=True)
    memory.close()
    await memory.aclose()
    pong = "PONG" if decode else b"PONG"
    assert clients["client"].execute_command("ECHO", "PONG") == pong, "still open, and unchanged"
    assert await clients["async_client"].execute_command("ECHO", "PONG") == pong
