"""The tools of a memory that do without a server."""

from __future__ import annotations

import sys

import pytest

from langchain_agentmem import AgentMemory
from langchain_agentmem.errors import MissingDependencyError


def test_without_the_extra_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "langchain_agentmem.agents.tools", raising=False)
    monkeypatch.setitem(sys.modules, "langgraph.prebuilt", None)
    memory = AgentMemory("redis://127.0.0.1:1")
    with pytest.raises(MissingDependencyError, match=r'pip install "langchain-agentmem\[agents\]"'):
        memory.tools()
    memory.close()
