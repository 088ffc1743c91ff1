"""What is refused, and what is not touched, before anything is sent."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import pytest

from integration_tests.words import WordEmbeddings
from langchain_agentmem.embeddings.minilm import MiniLMEmbeddings
from langchain_agentmem.errors import ConfigurationError, EmbeddingError, InvalidInputError
from langchain_agentmem.longterm.redisearch.memory import LongTermMemory
from langchain_agentmem.longterm.upstash.memory import UpstashLongTermMemory
from tests.fake_transport import FakeTransport


@pytest.mark.parametrize("given", ["openai", WordEmbeddings, object()])
def test_what_embeds_nothing_is_no_embeddings(given: Any) -> None:
    with pytest.raises(ConfigurationError, match="embeddings must be a LangChain Embeddings"):
        LongTermMemory(transport=FakeTransport(), embeddings=given)


def silent(**options: Any) -> LongTermMemory:
    return LongTermMemory(transport=FakeTransport(), embeddings=WordEmbeddings(8), **options)


@pytest.mark.parametrize(
    "arguments",
    [
        {"text": ""},
        {"text": " \n\t"},
        {"text": "x" * 32769},
        {"text": "é" * 16385},
        {"text": "\ud800"},
        {"text": None},
        {"user": ""},
        {"user": None},
        {"user": 5},
        {"user": "x" * 4097},
        {"user": "\ud800"},
        {"namespace": ""},
        {"namespace": None},
        {"kind": ""},
        {"kind": None},
        {"source_thread": None},
        {"source_thread": "x" * 4097},
        {"ttl_seconds": 0},
        {"ttl_seconds": -1},
        {"ttl_seconds": 1.5},
        {"ttl_seconds": 2**31},
        {"ttl_seconds": True},
        {"metadata": {"a": math.nan}},
        {"metadata": "a"},
        {"embedding": [0.0] * 8},
        {"embedding": [math.nan] * 8},
        {"embedding": "12345678"},
        {"embedding": []},
    ],
)
async def test_what_cannot_be_stored_is_refused_before_anything_is_sent(arguments: dict[str, Any]) -> None:
    given = {"text": "tea", "user": "alice", **arguments}
    text = given.pop("text")
    memory = silent()
    with pytest.raises(InvalidInputError):
        memory.remember(text, **given)
    with pytest.raises(InvalidInputError):
        await memory.aremember(text, **given)


def test_a_user_must_be_named() -> None:
    with pytest.raises(TypeError, match="user"):
        silent().remember("tea")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="user"):
        silent().recall("tea")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="user"):
        silent().list_memories()  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "arguments",
    [
        {"query": ""},
        {"query": "  "},
        {"query": None},
        {"query": "\ud800"},
        {"user": ""},
        {"user": None},
        {"namespace": ""},
        {"kind": ""},
        {"k": 0},
        {"k": -1},
        {"k": 2.0},
        {"k": True},
        {"mode": "bm25"},
        {"mode": "text", "distance_threshold": 0.5},
        {"recency_weight": -1},
        {"recency_weight": math.inf},
        {"reranker": "a cross-encoder"},
        {"distance_threshold": -0.1},
        {"distance_threshold": 2.1},
        {"distance_threshold": math.nan},
        {"distance_threshold": "0.5"},
        {"filter": "@kind:{a}"},
        {"embedding": [math.inf] * 8},
    ],
)
async def test_what_cannot_be_searched_for_is_refused_before_anything_is_sent(
    arguments: dict[str, Any],
) -> None:
    given = {"query": "tea", "user": "alice", **arguments}
    query = given.pop("query")
    with pytest.raises(InvalidInputError):
        silent().recall(query, **given)
    with pytest.raises(InvalidInputError):
        await silent().arecall(query, **given)


@pytest.mark.parametrize(
    "arguments",
    [
        {"user": ""},
        {"user": None},
        {"user": "alice", "limit": 0},
        {"user": "alice", "namespace": ""},
        {"user": "alice", "kind": ""},
    ],
)
def test_what_cannot_be_listed_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        silent().list_memories(**arguments)


@pytest.mark.parametrize("user", ["", None])
def test_an_empty_user_is_never_everyone(user: Any) -> None:
    with pytest.raises(InvalidInputError):
        silent().forget_user(user)
    if user is not None:
        with pytest.raises(InvalidInputError):
            silent().clear(user=user)
        with pytest.raises(InvalidInputError):
            silent().get("m1", user=user)
        with pytest.raises(InvalidInputError):
            silent().delete_memory("m1", user=user)


@pytest.mark.parametrize(
    "arguments",
    [
        {"texts": ["tea", ""]},
        {"texts": ["tea", "x" * 32769]},
        {"texts": "tea"},
        {"metadatas": [None]},
        {"metadatas": [None, {"a": math.nan}]},
        {"embeddings": [[1.0] * 8]},
        {"embeddings": [[1.0] * 8, [0.0] * 8]},
        {"ids": ["a"]},
        {"ids": ["a", ""]},
        {"batch_size": 0},
    ],
)
def test_of_many_memories_none_is_sent_if_one_is_refused(arguments: dict[str, Any]) -> None:
    given = {"texts": ["tea", "coffee"], "batch_size": 1, **arguments}
    with pytest.raises(InvalidInputError):
        silent().remember_many(given.pop("texts"), user="alice", **given)


def test_embeddings_of_a_model_are_checked_too() -> None:
    memory = silent()
    memory.embeddings.embed_documents = lambda texts: [[math.nan]] * len(texts)  # type: ignore[method-assign]
    with pytest.raises(EmbeddingError):
        memory.remember("tea", user="alice")
    memory.embeddings.embed_documents = lambda texts: []  # type: ignore[method-assign]
    with pytest.raises(EmbeddingError, match="1 texts have 0"):
        memory.remember("tea", user="alice")


@pytest.mark.parametrize(
    "options",
    [
        {"storage": "xml"},
        {"algorithm": "ivf"},
        {"vector_type": "float64"},
        {"dedup_threshold": -1},
        {"recall_threshold": 3},
        {"recall_threshold": None},
        {"ttl_by_kind": {"episodic": 0}},
        {"ttl_by_kind": {"": 5}},
        {"max_text_bytes": 0},
        {"index_name": ""},
        {"key_prefix": ""},
    ],
)
def test_settings_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises((ConfigurationError, InvalidInputError)):
        silent(**options)


async def test_a_transport_that_was_handed_in_stays_open() -> None:
    with silent() as memory:
        pass
    async with memory:
        pass
    assert isinstance(memory.transport, FakeTransport)
    assert not memory.transport.closed


def test_importing_and_constructing_loads_nothing_heavy() -> None:
    code = """
import sys
from langchain_agentmem.longterm.redisearch.memory import LongTermMemory
from langchain_agentmem.transport.connections import Transport
from langchain_agentmem.transport.drivers import Driver, InFlightBatch
LongTermMemory("redis://localhost:1").close()
heavy = {"numpy", "redisvl", "torch", "sentence_transformers", "transformers", "huggingface_hub"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
import langchain_agentmem.longterm.retriever, langchain_agentmem.longterm.redisearch.vector_store
import langchain_agentmem.embeddings.minilm
heavy -= {"numpy"}  # langchain_core.vectorstores imports it
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


class CountingEmbeddings(WordEmbeddings):
    """Embeddings that tell how many tokens they read: words, and one that marks the end."""

    max_tokens = 20

    def count_tokens(self, text: str) -> int:
        return len(text.split()) + 1


@pytest.mark.parametrize(("words", "expected"), [(1, False), (19, False), (20, True), (5000, True)])
def test_a_text_longer_than_its_embeddings_read_is_truncated(words: int, expected: bool) -> None:
    memory = LongTermMemory(transport=FakeTransport(), embeddings=CountingEmbeddings())
    assert memory.is_truncated("tea " * words) is expected


def test_whether_a_text_is_truncated_is_not_known_of_other_embeddings() -> None:
    memory = silent()
    assert not memory.is_truncated("tea " * 5000)
    assert not UpstashLongTermMemory(transport=FakeTransport(rest=True)).is_truncated("tea " * 5000)
    with pytest.raises(InvalidInputError, match="text"):
        memory.is_truncated("\ud800")


def test_a_short_text_is_known_not_to_be_truncated_without_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MiniLMEmbeddings, "count_tokens", lambda self, text: pytest.fail("loaded"))
    assert not LongTermMemory(transport=FakeTransport()).is_truncated("tea " * 60)
