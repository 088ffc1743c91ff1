"""The options of a store, what a missing extra says, and what is sent."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from langgraph.store.base import GetOp, ListNamespacesOp, MatchCondition

from langchain_agentmem import AgentMemory, MemoryStore
from langchain_agentmem.agents.store.config import Indexing, milliseconds
from langchain_agentmem.agents.store.namespaces import listed
from langchain_agentmem.core.keys import Keys, store_index, store_prefix
from langchain_agentmem.errors import ConfigurationError, InvalidInputError
from tests.embedding_model import RecordingEmbeddings
from tests.fake_transport import FakeTransport

WITHOUT = """
import sys
sys.modules["langgraph"] = None
import langchain_agentmem
from langchain_agentmem.errors import MissingDependencyError
for use in (lambda: langchain_agentmem.MemoryStore, langchain_agentmem.AgentMemory("redis://localhost:1").store):
    try:
        use()
    except MissingDependencyError as error:
        assert "langchain-agentmem[agents]" in str(error), error
    else:
        raise AssertionError
from langchain_agentmem import *
"""


def test_without_langgraph_the_error_names_the_extra() -> None:
    subprocess.run([sys.executable, "-c", WITHOUT], check=True)


def test_what_is_embedded() -> None:
    model = RecordingEmbeddings()
    indexing = Indexing.read({"embed": model, "fields": ["a", "b[*].c"]}, lambda: model)
    assert indexing is not None
    value = {"a": "x", "b": [{"c": "y"}, {"c": ""}, {"d": 1}, {"c": "x"}], "e": 5}
    assert indexing.texts(value, None) == ["x", "y"]
    assert indexing.texts(value, ["e"]) == ["5"]
    assert indexing.texts(value, ["$"]) == [indexing.texts(value, ["$"])[0]]
    assert indexing.texts(value, False) == []
    assert Indexing.read(False, lambda: model) is None
    whole = Indexing.read(None, lambda: model)
    assert whole is not None
    assert whole.texts({"b": "ü", "a": 1}, None) == ['{"a": 1, "b": "ü"}']


def test_minutes() -> None:
    assert [milliseconds(one) for one in (None, 1, 0.5, 1e-9)] == [0, 60_000, 30_000, 1]


def test_a_listing_matches_labels() -> None:
    names = [("a", "b"), ("a",), ("b", "a"), ("a", "b", "c")]

    def found(*conditions: tuple[str, tuple[str, ...]], **options: Any) -> list[tuple[str, ...]]:
        matches: Any = tuple(MatchCondition(*one) for one in conditions)  # type: ignore[arg-type]
        return listed(ListNamespacesOp(matches, **options), names)

    assert found() == sorted(names)
    assert found(("prefix", ("a",))) == [("a",), ("a", "b"), ("a", "b", "c")]
    assert found(("suffix", ("*", "a"))) == [("b", "a")]
    assert found(("prefix", ("*",)), max_depth=1) == [("a",), ("b",)]
    with pytest.raises(InvalidInputError, match="prefix or suffix"):
        found(("infix", ("a",)))


def test_another_memory_has_another_store() -> None:
    assert store_prefix("agent:mem:") == store_prefix("memory:") == Keys().store_prefix == "agent:store:"
    assert store_prefix("other:") == "store:other:"
    assert store_index("agentmem:idx") == "agentmem:store"
    assert store_index("other") == "store:other"


@pytest.mark.parametrize("prefix", ["ab:item:", "ab:item:x:", "xitem:y"])
def test_a_prefix_among_the_items_of_another_store_is_refused(prefix: str) -> None:
    with (
        AgentMemory("redis://localhost:1", store_prefix=prefix, index_name="two") as memory,
        pytest.raises(ConfigurationError, match="Choose another store_prefix"),
    ):
        memory.store()
    for other in ("item:", "items:", "ab:items:"):
        with AgentMemory("redis://localhost:1", store_prefix=other) as memory:
            memory.store()


def test_a_constructor_sends_nothing_and_loads_no_model() -> None:
    with AgentMemory("redis://localhost:1") as memory:
        transport = FakeTransport([None])
        memory.transport = transport  # type: ignore[assignment]
        store = MemoryStore(memory)
        assert transport.sent == []
        assert store.batch([GetOp(("a",), "k", refresh_ttl=False)]) == [None]
        assert [command.read_only for command in transport.sent[0]] == [True]
        assert memory._embeddings is None
