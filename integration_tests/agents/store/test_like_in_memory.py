"""Whatever is done to it, the store answers as LangGraph's `InMemoryStore`, on every server."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langgraph.store.base import GetOp, ListNamespacesOp, MatchCondition, PutOp, SearchOp
from langgraph.store.memory import InMemoryStore

from integration_tests.agents.store.conftest import EVERY_SERVER
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory, MemoryStore

LABELS = st.sampled_from(["a", "b", "1", "10", "ü", "*", "a b", "{x}"])
NAMESPACES = st.lists(LABELS, min_size=1, max_size=3).map(tuple)
KEYS = st.sampled_from(["k1", "k2", "k3", "", "ключ"])
NUMBERS = st.integers(-3, 3) | st.sampled_from([0.5, 1.0, 2**53 + 1, 1e300, 10**30])
SCALARS = NUMBERS | st.booleans() | st.none() | st.sampled_from(["", "x", "1", "red tea", "ünï"])
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("pq"), inner, max_size=2),
    max_leaves=4,
)
VALUES = st.fixed_dictionaries(
    {"n": NUMBERS}, optional={"x": JSON, "y": SCALARS, "text": st.text(max_size=5)}
)
RANGES = st.dictionaries(st.sampled_from(["$gt", "$gte", "$lt", "$lte", "$ne", "$eq"]), NUMBERS, min_size=1)
EQUALS = JSON | st.dictionaries(st.sampled_from(["$eq", "$ne"]), JSON, min_size=1)
FILTERS = st.none() | st.fixed_dictionaries({}, optional={"n": RANGES | NUMBERS, "x": EQUALS, "y": EQUALS})
PATHS = st.lists(LABELS, min_size=1, max_size=2).map(tuple)
CONDITIONS = st.builds(MatchCondition, st.sampled_from(["prefix", "suffix"]), PATHS)

PUTS = st.tuples(NAMESPACES, KEYS, st.none() | VALUES).map(lambda put: PutOp(*put))
READS = (
    st.tuples(NAMESPACES, KEYS).map(lambda get: GetOp(*get))
    | st.tuples(st.just(()) | NAMESPACES, FILTERS, st.integers(0, 12), st.integers(0, 4)).map(
        lambda search: SearchOp(*search)
    )
    | st.tuples(
        st.none() | st.lists(CONDITIONS, max_size=2).map(tuple),
        st.none() | st.integers(1, 3),
        st.integers(0, 10),
        st.integers(0, 3),
    ).map(lambda listing: ListNamespacesOp(*listing))
)
BATCHES = st.lists(st.lists(PUTS, max_size=5) | st.lists(PUTS | READS, max_size=6), max_size=5)
FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def seen(found: Any) -> Any:
    """A result without times, which the two stores do not share."""
    if isinstance(found, list):
        return [seen(one) for one in found]
    return found if found is None or isinstance(found, tuple) else (found.namespace, found.key, found.value)


class Model:
    """An `InMemoryStore`, with what it leaves open decided: the order of a search, and empty namespaces."""

    def __init__(self) -> None:
        self.store = InMemoryStore()
        self.puts: dict[tuple[tuple[str, ...], str], None] = {}

    def batch(self, ops: list[Any]) -> list[Any]:
        for namespace, items in list(self.store._data.items()):
            if not items:  # it also lists namespaces that were only read, or have no items any more
                del self.store._data[namespace]
        found: list[Any] = []
        for op in ops:
            if isinstance(op, SearchOp):
                (items,) = self.store.batch([op._replace(limit=10**6, offset=0)])
                newest = [*self.puts][::-1]
                items = sorted(items, key=lambda one: newest.index((one.namespace, one.key)))
                found.append(items[op.offset : op.offset + op.limit])
            else:
                found += self.store.batch([op]) if not isinstance(op, PutOp) else [None]
            for namespace, items in list(self.store._data.items()):
                if not items:
                    del self.store._data[namespace]
        puts = {(op.namespace, op.key): op for op in ops if isinstance(op, PutOp)}
        self.store.batch(puts.values())
        for place in puts:
            self.puts.pop(place, None)
            self.puts[place] = None
        return found


@pytest.fixture
def emptied(memory: AgentMemory, server_client: Any) -> Any:
    return server_client.flushdb


@EVERY_SERVER
@FEW
@given(batches=BATCHES)
def test_any_batches_without_vectors(memory: AgentMemory, emptied: Any, batches: list[list[Any]]) -> None:
    emptied()
    store, model = memory.store(index=False), Model()
    for ops in batches:
        assert seen(store.batch(ops)) == seen(model.batch(ops))


@FEW
@given(batches=BATCHES)
def test_any_batches_where_there_is_an_index(
    memory: AgentMemory, emptied: Any, batches: list[list[Any]]
) -> None:
    emptied()
    store, model = memory.store(), Model()
    assert store.search((), query="makes the index") == []
    for ops in batches:
        assert seen(store.batch(ops)) == seen(model.batch(ops))


WORDS = st.lists(st.sampled_from(["tea", "milk", "rain"]), min_size=1, max_size=3).map(" ".join)
# Two equal texts of one item are an error there.
PARTS = st.lists(st.sampled_from(["sun", "sun dog", "dog dog"]), max_size=3, unique=True)
TEXTS = st.fixed_dictionaries({"n": st.integers(0, 2)}, optional={"text": WORDS, "parts": PARTS})
INDEXES = st.sampled_from([None, None, None, False, ["text"], ["parts[*]", "text"]])
INDEXED = st.tuples(NAMESPACES, KEYS, TEXTS, INDEXES).map(lambda put: PutOp(*put))
QUERIES = st.tuples(
    st.just(()) | NAMESPACES,
    st.none() | st.fixed_dictionaries({"n": st.integers(0, 2) | st.just({"$lt": 2})}),
    st.integers(1, 12),
    st.integers(0, 4),
    WORDS | PARTS.map(" ".join).filter(bool),
).map(lambda search: SearchOp(*search))


@FEW
@given(
    puts=st.lists(INDEXED, max_size=12, unique_by=lambda op: (op.namespace, op.key)),
    queries=st.lists(QUERIES, min_size=1, max_size=4),
)
def test_any_searches_by_meaning(
    memory: AgentMemory, emptied: Any, puts: list[PutOp], queries: list[SearchOp]
) -> None:
    emptied()
    embeddings = WordEmbeddings()
    index: Any = {"dims": embeddings.dimensions, "embed": embeddings, "fields": ["text", "parts[*]"]}
    store, model = MemoryStore(memory, index=index), InMemoryStore(index=index)
    store.batch(puts)
    for put in puts:  # one by one: so are two equal texts of one batch
        model.batch([put])
    for op in queries:
        (found,) = store.batch([op])
        (everything,) = model.batch([op._replace(limit=10**6, offset=0)])
        scores = {(one.namespace, one.key): one.score for one in everything}
        expected = sorted(scores.values(), key=lambda score: -2.0 if score is None else score, reverse=True)
        wanted = expected[op.offset : op.offset + op.limit]
        assert [one.score for one in found] == [
            one if one is None else pytest.approx(one, abs=1e-5) for one in wanted
        ]
        for one in found:  # equal scores have no order there
            own = scores[one.namespace, one.key]
            assert one.score is own is None or one.score == pytest.approx(own, abs=1e-5)
        assert len({(one.namespace, one.key) for one in found}) == len(found)
