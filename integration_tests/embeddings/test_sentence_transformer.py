"""sentence-transformers with the packaged MiniLM: for itself, and as what the default embeddings must equal."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from integration_tests.embeddings.forking import children_embed
from integration_tests.longterm.conftest import make  # noqa: F401 - a fixture
from langchain_agentmem import MiniLMEmbeddings, SentenceTransformerEmbeddings
from langchain_agentmem.embeddings import weights
from langchain_agentmem.errors import ConfigurationError

pytest.importorskip("sentence_transformers")
pytestmark = [pytest.mark.xdist_group("minilm")]

TEXTS = [
    "",
    " ",
    "tea",
    "Could you schedule the budget review with finance for next week?",
    "tea " * 253 + "tea",  # with [CLS] and [SEP] 256 tokens
    "tea " * 255,
    "tea " * 256,
    " ".join(f"word{n}" for n in range(400)),
    "x" * 5000,
    "Zürich, naïve café, Ålesund, İstanbul, ß, ﬁ",
    "e\u0301 and é",
    "👋 hi 👩‍👩‍👧‍👦 🇵🇹 🫠",
    "我喜欢绿茶 緑茶が好きです 녹차를 좋아해요",
    "مرحبا بالعالم שלום עולם नमस्ते Привет",
    "two\nlines\tand\r\na tab\u2028and more\x0b\x1c",
    "\x00 a null, \x07 a bell, \u200b nothing, \ufffd unknown, \ufeff a mark",
    "[SEP] [CLS] [MASK] [PAD] [UNK] sep##ing ##s [sep]",
    "[PAD]",
    "{'a': [1, 2, 3]} <html> https://example.com/?q=1&x=%20 C++ $5.00 50% @you #tag",
    "A" * 101 + " a word too long to be known",
    "1234567890 3.14159 2024-06-30T19:45:00Z",
]


@pytest.fixture(scope="module")
def reference() -> SentenceTransformerEmbeddings:
    embeddings = SentenceTransformerEmbeddings(str(weights.verified().folder), device="cpu")
    assert embeddings.dimensions is None
    embeddings.load()
    return embeddings


def test_the_default_embeddings_equal_it(reference: SentenceTransformerEmbeddings) -> None:
    wanted = np.array(reference.embed_documents(TEXTS))
    own = MiniLMEmbeddings()
    assert np.abs(np.array(own.embed_documents(TEXTS)) - wanted).max() < 1e-6
    assert np.abs(np.array([own.embed_query(text) for text in TEXTS]) - wanted).max() < 1e-6


def test_the_default_embeddings_equal_it_in_large_batches(reference: SentenceTransformerEmbeddings) -> None:
    page = Path(__file__).parents[2].joinpath("docs", "concepts.md").read_text("utf-8")
    texts = [line for line in page.splitlines() if line][:150]
    found = np.array(MiniLMEmbeddings().embed_documents(texts))
    assert np.abs(found - np.array(reference.embed_documents(texts))).max() < 1e-6


def test_it_tells_the_length_of_its_vectors(reference: SentenceTransformerEmbeddings) -> None:
    assert reference.dimensions == len(reference.embed_query("tea")) == 384
    assert reference.embed_documents([]) == []


def test_it_tells_how_many_tokens_it_reads(reference: SentenceTransformerEmbeddings) -> None:
    assert reference.max_tokens == MiniLMEmbeddings.max_tokens
    for text in ("", "I like green tea.", "tea " * 1000):
        assert reference.count_tokens(text) == MiniLMEmbeddings().count_tokens(text)


def test_threads_share_it(reference: SentenceTransformerEmbeddings) -> None:
    alone = np.array(reference.embed_query("tea"))
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(reference.embed_query, ["tea"] * 8))
    assert np.abs(np.array(found) - alone).max() < 1e-6


async def test_async_gives_the_same(reference: SentenceTransformerEmbeddings) -> None:
    assert await reference.aembed_query("tea") == pytest.approx(reference.embed_query("tea"), abs=1e-6)
    assert len(await reference.aembed_documents(["tea", "a seat"])) == 2


def test_a_vector_is_as_long_as_the_model_has_it(
    reference: SentenceTransformerEmbeddings, tmp_path: Path
) -> None:
    """Without the model's last part, which scales vectors to length one."""
    import sentence_transformers

    model = sentence_transformers.SentenceTransformer(str(weights.verified().folder), device="cpu")
    del model[2]
    model.save(str(tmp_path))
    other = SentenceTransformerEmbeddings(str(tmp_path), device="cpu")
    assert np.linalg.norm(other.embed_query("tea")) > 1.5
    assert np.linalg.norm(reference.embed_query("tea")) == pytest.approx(1)


def test_prompts_are_the_models(reference: SentenceTransformerEmbeddings) -> None:
    prompts = {"query": "look for: ", "document": "stored: "}
    other = SentenceTransformerEmbeddings(reference.model, device="cpu", prompts=prompts)
    (query, document) = reference.embed_documents(["look for: tea", "stored: tea"])
    assert other.embed_query("tea") == pytest.approx(query, abs=1e-6)
    assert other.embed_documents(["tea"])[0] == pytest.approx(document, abs=1e-6)


@pytest.mark.parametrize("model", ["no-such/model", "/no/such/folder"])
def test_a_model_that_cannot_be_loaded_is_an_error_that_names_it(model: str) -> None:
    embeddings = SentenceTransformerEmbeddings(model, local_files_only=True)
    with pytest.raises(ConfigurationError, match=model):
        embeddings.embed_query("tea")


def test_long_term_memory_takes_it(reference: SentenceTransformerEmbeddings, make: Any) -> None:  # noqa: F811
    memory = make(embeddings=SentenceTransformerEmbeddings(reference.model, device="cpu"))
    first = memory.remember("I prefer window seats on long flights", user="alice")
    (found,) = memory.recall("which seat does the user like on a long flight?", user="alice")
    assert found.id == first.id
    assert memory.index_info()["dimensions"] == 384


def _embed_as_child(embeddings: SentenceTransformerEmbeddings) -> None:
    assert len(embeddings.embed_query("a child")) == 384


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("busy", [False, True])
def test_a_forked_child_embeds(reference: SentenceTransformerEmbeddings, busy: bool) -> None:
    children_embed(reference, partial(_embed_as_child, reference), busy=busy, seconds=60)
