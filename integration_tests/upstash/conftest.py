"""Here, everything goes over REST."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from integration_tests.upstash.emulator import Emulator
from langchain_agentmem.transport.connections import SharedConnection


@pytest.fixture
async def transport(emulator: Emulator) -> AsyncIterator[SharedConnection]:
    connection = SharedConnection(emulator.url, token=emulator.token)
    yield connection
    await connection.aclose()
