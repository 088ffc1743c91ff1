from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from upstash_redis import Redis

from integration_tests.upstash.emulator import Emulator
from integration_tests.upstash.test_emulator.memories import create
from langchain_agentmem.embedded.server import EmbeddedRedis


@pytest.fixture(scope="module")
def running(server: EmbeddedRedis) -> Iterator[Emulator]:
    with Emulator(server.url) as emulator:
        yield emulator


@pytest.fixture
def emulator(running: Emulator, url: str) -> Emulator:
    running.clear()
    running.indexing_delay_seconds = 0.05
    return running


@pytest.fixture(params=["base64", None])
def client(emulator: Emulator, request: pytest.FixtureRequest) -> Iterator[Redis]:
    with Redis(emulator.url, emulator.token, rest_encoding=request.param, rest_retries=0) as client:
        yield client


@pytest.fixture
def http(emulator: Emulator) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {emulator.token}"}
    with httpx.Client(base_url=emulator.url, headers=headers, timeout=10) as client:
        yield client


@pytest.fixture
def memories(client: Redis) -> Any:
    create(client)
    return client.search.index("memories")
