"""How a wrapped chain ranks the memories that it recalls: as told, if the backend can."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.runnables import RunnableLambda

from langchain_agentmem import AgentMemory
from langchain_agentmem.errors import InvalidInputError

OK = RunnableLambda(lambda _: "ok")
CONFIG: Any = {"configurable": {"session_id": "t1", "user_id": "alice"}}


@pytest.mark.parametrize("mode", ["vector", None])
def test_memories_on_redis_are_ranked_by_their_vectors(memory: AgentMemory, mode: Any) -> None:
    memory.long_term.remember("the cat sleeps", user="alice")
    reports: list[Any] = []
    memory.wrap(OK, mode=mode, distance_threshold=None, on_exchange=reports.append).invoke("the cat", CONFIG)
    assert [record.text for record in reports[0].recalled] == ["the cat sleeps"]
    assert reports[0].failures == []


@pytest.mark.parametrize("mode", ["bm25", "words", 5])
def test_another_ranking_is_refused_at_once(memory: AgentMemory, mode: Any) -> None:
    with pytest.raises(InvalidInputError, match="mode must be one of hybrid, vector, text, not"):
        memory.wrap(OK, mode=mode)


def test_vectors_are_refused_on_upstash() -> None:
    with AgentMemory("https://example.invalid", token="t") as upstash:
        assert upstash.wrap(OK, mode="text").options.recall["mode"] == "text"
        with pytest.raises(InvalidInputError, match="mode must be 'text', not 'vector'"):
            upstash.wrap(OK, mode="vector")
