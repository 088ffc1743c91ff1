"""A store on each kind of server: with Search, without modules, and over REST."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import redis

from integration_tests.conftest import bare_client, connection_to, forget_what_is_known
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory, EmbeddedRedis

SERVERS = ("redis", "plain", "upstash", "front")
EVERY_SERVER = pytest.mark.parametrize("memory", SERVERS, indirect=True)
"""Runs tests that use the fixture `memory` on every server; else they run on Redis with Search."""

WITHOUT_SEARCH = pytest.mark.parametrize("memory", ["plain"], indirect=True)


@pytest.fixture(scope="session")
def plain_server() -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis(search=False) as server:
        yield server


@pytest.fixture
async def memory(request: pytest.FixtureRequest, url: str) -> AsyncIterator[AgentMemory]:
    backend = getattr(request, "param", "redis")
    if backend == "plain":
        url = request.getfixturevalue("plain_server").url
        forget_what_is_known(url)
        with redis.Redis.from_url(url) as client:
            client.flushall()
    if backend in ("upstash", "front"):
        connection = connection_to(backend, request, url)
        source, _, token = connection._key
        await connection.aclose()
        memory = AgentMemory(source, token=token)
    else:
        memory = AgentMemory(url, embeddings=WordEmbeddings())
    async with memory:
        yield memory


@pytest.fixture
def server_client(
    memory: AgentMemory, request: pytest.FixtureRequest
) -> Iterator[redis.Redis | redis.RedisCluster]:
    """A plain client of the server that the memory is on, to look at what it wrote."""
    plain = getattr(request.node, "callspec", None)
    is_plain = plain is not None and plain.params.get("memory") == "plain"
    url = request.getfixturevalue("plain_server").url if is_plain else request.getfixturevalue("url")
    with bare_client(url) as client:
        yield client
