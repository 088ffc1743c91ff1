"""Embeddings by sentence-transformers, as far as they go without it."""

from __future__ import annotations

import builtins
from typing import Any

import pytest

from langchain_agentmem import SentenceTransformerEmbeddings
from langchain_agentmem.errors import MissingDependencyError


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("sentence_transformers"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    embeddings = SentenceTransformerEmbeddings("sentence-transformers/all-MiniLM-L6-v2")
    with pytest.raises(MissingDependencyError, match=r"langchain-agentmem\[sentence-transformers\]"):
        embeddings.embed_query("tea")


def test_nothing_is_loaded_for_no_texts_nor_to_tell_the_length_of_vectors() -> None:
    embeddings = SentenceTransformerEmbeddings("no-such/model")
    assert embeddings.embed_documents([]) == []
    assert embeddings.dimensions is None
