"""MCP servers as people run them: processes of their own, on an ephemeral Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from integration_tests.mcp_server.clients import Serving

StartServer = Callable[..., Serving]


@pytest.fixture
def start(url: str) -> Iterator[StartServer]:
    """Starts a server over HTTP on this test's own database, with a model that loads at once."""
    with ExitStack() as running:

        def start_one(*arguments: str, **how: Any) -> Serving:
            serving = Serving(url, *arguments, **how)
            running.callback(serving.end)
            return serving

        yield start_one
