"""Processes of a test's own that need not import everything first."""

from __future__ import annotations

import multiprocessing

FORKING = multiprocessing.get_context("forkserver")
"""Forks each process from one that has done nothing yet except import what they use.

Nothing of the test's own process gets into them: no connection, no thread, no lock.
"""

FORKING.set_forkserver_preload(
    [
        "integration_tests.longterm.test_dedup_concurrency",
        "integration_tests.working.test_concurrency",
        "langchain_agentmem.longterm.redisearch.memory",
        "langchain_agentmem.working.histories",
        "langchain_agentmem.transport.rest_driver",
    ]
)
