"""Working memory is the same on every backend."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from integration_tests.conftest import BACKENDS, connection_to
from langchain_agentmem.transport.connections import SharedConnection


@pytest.fixture(params=BACKENDS)
async def transport(request: pytest.FixtureRequest, url: str) -> AsyncIterator[SharedConnection]:
    connection = connection_to(request.param, request, url)
    yield connection
    await connection.aclose()
