"""Rows of whole processes: the package's import, in a new interpreter each time."""

from __future__ import annotations

import subprocess
import sys

from integration_tests.benchmarks.measure import Row, Side
from integration_tests.benchmarks.world import World

_TIMED = "import time; began = time.perf_counter(); {}; print(time.perf_counter() - began)"
_BASE = "import langchain_core.messages, redis"


def _importing(statement: str, target: str = "") -> Side:
    command = [sys.executable, "-c", _TIMED.format(statement)]

    def run(at: int) -> float:
        return float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)

    return Side(statement, run, result=lambda _: None, target=target, times_itself=True)


def imports(world: World) -> Row:
    """The package, in a new interpreter each time."""
    return Row(
        "import",
        "import langchain_agentmem (its names load when first used)",
        _importing("import langchain_agentmem"),
        [_importing(_BASE, "import")],
        share=0.02,
        on_redis=False,
    )


def imports_used(world: World) -> Row:
    """The package with what a chain uses: what a program pays in the end."""
    return Row(
        "import-used",
        "the same, and the names used: AgentMemory and the three tiers",
        _importing("from langchain_agentmem import AgentMemory, WorkingMemory, LongTermMemory, EventLog"),
        [_importing(_BASE)],
        share=0.02,
        on_redis=False,
    )
