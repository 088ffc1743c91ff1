"""Long-term memories on the test's server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from integration_tests.longterm.guide import Guide
from integration_tests.words import WordEmbeddings
from langchain_agentmem.longterm.redisearch.memory import LongTermMemory
from langchain_agentmem.transport.connections import SharedConnection

Make = Callable[..., LongTermMemory]
LAYOUTS: dict[str, dict[str, Any]] = {
    "json": {},
    "json16": {"vector_type": "float16", "algorithm": "hnsw"},
    "hash": {"storage": "hash", "algorithm": "hnsw"},
    "hash16": {"storage": "hash", "vector_type": "float16"},
}


@pytest.fixture
def make(transport: SharedConnection) -> Make:
    def memory(**options: Any) -> LongTermMemory:
        return LongTermMemory(**{"transport": transport, "embeddings": WordEmbeddings(256), **options})

    return memory


@pytest.fixture
def memory(make: Make) -> LongTermMemory:
    return make()


@pytest.fixture(params=["json", "hash"])
def guide(request: pytest.FixtureRequest, bare: redis.Redis) -> Guide:
    return Guide(bare, request.param)


@pytest.fixture(params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> dict[str, Any]:
    options: dict[str, Any] = LAYOUTS[request.param]
    return options


@pytest.fixture(params=["same", "steps", "near", "lock"])
def way(request: pytest.FixtureRequest) -> str:
    """How duplicates are found: by digests, with scripts over several cluster slots or in steps, or by nearness."""
    return str(request.param)


@pytest.fixture
def make_so(make: Make, way: str) -> Make:
    """Make memories that find duplicates in this way."""

    def memory(**options: Any) -> LongTermMemory:
        made = make(**{"dedup": "near" if way in ("near", "lock") else "same", **options})
        made.index.knowledge.searches_in_scripts = way != "lock"
        made.index.knowledge.spans_slots = way != "steps"
        return made

    return memory


@pytest.fixture(params=[True, False], ids=["script", "lock"])
def searches_in_scripts(request: pytest.FixtureRequest) -> bool:
    """Whether the server seems to allow a search inside a script, as `dedup="near"` needs it."""
    allowed: bool = request.param
    return allowed


def expire_unnoticed(bare: redis.Redis, ids: list[str]) -> None:
    """Let documents expire while the server looks elsewhere, so that the index still names them."""
    with bare.pipeline(transaction=True) as pipe:
        for one in ids:
            pipe.pexpire(f"agent:mem:{one}", 1)
        pipe.execute()
    seconds, micros = bare.time()
    until = seconds * 1_000_000 + micros + 3000
    while until > (now := bare.time())[0] * 1_000_000 + now[1]:
        pass


@pytest.fixture
def lazy(bare: redis.Redis) -> Iterator[None]:
    """A server that hardly ever looks for expired keys by itself."""
    before = str(bare.config_get("hz")["hz"])
    bare.config_set("hz", 1)
    yield
    bare.config_set("hz", before)
