from __future__ import annotations

from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_tests.integration_tests import RetrieversIntegrationTests
from redisvl.query.filter import Tag

from integration_tests.longterm.conftest import Make
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.longterm.redisearch.memory import LongTermMemory
from langchain_agentmem.longterm.retriever import MemoryRetriever


class TestStandard(RetrieversIntegrationTests):
    @pytest.fixture(autouse=True)
    def filled(self, make: Make) -> None:
        self.memory = make()
        self.memory.remember_many([f"green tea number{n}" for n in range(10)], user="alice")

    @property
    def retriever_constructor(self) -> type[MemoryRetriever]:
        return MemoryRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"memory": self.memory, "user": "alice"}

    @property
    def retriever_query_example(self) -> str:
        return "green tea"


async def test_a_document_says_where_it_comes_from(memory: LongTermMemory) -> None:
    result = memory.remember(
        "green tea",
        user="alice",
        source_thread="t1",
        context="What do you drink?",
        metadata={"importance": 3, "user": "overwritten"},
    )
    retriever = MemoryRetriever(memory=memory, user="alice", explain=True)
    for (found,) in (retriever.invoke("tea"), await retriever.ainvoke("tea")):
        assert isinstance(found, Document)
        assert (found.id, found.page_content) == (result.id, "green tea")
        assert found.metadata.pop("created_ts") > 0
        assert found.metadata.pop("distance") == pytest.approx(1 - 2**-0.5, abs=0.01)
        assert 0 < found.metadata.pop("score") <= 1
        assert found.metadata.pop("explanation")["words"] > 0
        assert found.metadata == {
            "importance": 3,
            "id": result.id,
            "user": "alice",
            "namespace": "default",
            "kind": "episodic",
            "source_thread": "t1",
            "updated_ts": None,
            "hit_count": 0,
            "context": "What do you drink?",
            "matched_words": ["tea"],
        }


def test_it_keeps_to_its_scope_filter_and_threshold(memory: LongTermMemory) -> None:
    for user, namespace, kind, thread in [
        ("alice", "default", "episodic", "t1"),
        ("alice", "work", "episodic", "t1"),
        ("alice", "default", "semantic", "t2"),
        ("bob", "default", "episodic", "t1"),
    ]:
        memory.remember("green tea", user=user, namespace=namespace, kind=kind, source_thread=thread)

    def found(**options: Any) -> int:
        return len(MemoryRetriever(memory=memory, user="alice", **options).invoke("tea"))

    assert found() == 2
    assert found(namespace=None) == 3
    assert found(kind="semantic") == 1
    assert found(namespace=None, filter=Tag("source_thread") == "t1") == 2
    assert found(distance_threshold=0.01) == 0
    assert found(distance_threshold=None) == 2
    with pytest.raises(InvalidInputError):
        found(k=0)


@pytest.mark.parametrize("query", ["", " \n"])
async def test_a_blank_query_finds_nothing(memory: LongTermMemory, query: str) -> None:
    memory.remember("green tea", user="alice")
    retriever = MemoryRetriever(memory=memory, user="alice")
    assert retriever.invoke(query) == await retriever.ainvoke(query) == []
