"""Here, everything goes over REST."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis

from integration_tests.upstash.emulator import Emulator
from langchain_agentmem.longterm.upstash.memory import UpstashLongTermMemory
from langchain_agentmem.transport.connections import SharedConnection

Make = Callable[..., UpstashLongTermMemory]


@pytest.fixture
async def transport(emulator: Emulator) -> AsyncIterator[SharedConnection]:
    connection = SharedConnection(emulator.url, token=emulator.token)
    yield connection
    await connection.aclose()


@pytest.fixture
def make(transport: SharedConnection) -> Make:
    def memory(**options: Any) -> UpstashLongTermMemory:
        return UpstashLongTermMemory(transport=transport, **options)

    return memory


def stored_by_others(bare: redis.Redis, name: str, **members: Any) -> None:
    """Store a document as the tutorial's program does."""
    document = {"text": "Likes tea", "userId": "alice", "kind": "fact", "createdAt": time.time() * 1000}
    bare.json().set(f"memory:{name}", "$", document | members)
