"""`agentmem mcp` on a real Redis Cluster, over both transports, by the same tests as on a single server."""

from __future__ import annotations

import pytest

from integration_tests.mcp_server.test_http import (  # noqa: F401 - they run here on a cluster
    test_many_users_at_once_see_their_own_memories_alone,
)
from integration_tests.mcp_server.test_stdio import (  # noqa: F401
    test_conversations_of_the_user_are_read_and_nobody_elses,
    test_what_one_conversation_remembers_another_recalls,
)


@pytest.fixture
def url(cluster_url: str) -> str:
    return cluster_url
