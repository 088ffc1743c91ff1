"""`--rerank`: any LangChain `BaseDocumentCompressor`, by import path, or a cross-encoder by its name."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from langchain_core.documents import BaseDocumentCompressor


def named(name: str) -> BaseDocumentCompressor:
    """Return a reranker.

    Args:
        name: `module:attribute`, an instance or what makes one; otherwise a cross-encoder's name or folder.
            It is loaded with sentence-transformers, and has to be on this machine.

    Raises:
        TypeError: It is no `BaseDocumentCompressor`.
    """
    found = imported(name) if ":" in name else _cross_encoder(name)
    if not isinstance(found, BaseDocumentCompressor):
        raise TypeError(f"{name} is no BaseDocumentCompressor, but a {type(found).__name__}.")
    return found


def imported(path: str) -> Any:
    """Return what stands at `module:attribute`; called, if it is a class or a function."""
    module, _, attribute = path.partition(":")
    found = getattr(import_module(module), attribute)
    return found() if callable(found) and not isinstance(found, BaseDocumentCompressor) else found


def _cross_encoder(name: str) -> Any:
    from langchain_classic.retrievers.document_compressors import CrossEncoderReranker
    from langchain_community.cross_encoders import HuggingFaceCrossEncoder

    return CrossEncoderReranker(model=HuggingFaceCrossEncoder(model_name=name), top_n=20)
