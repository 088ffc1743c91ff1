"""Any model of sentence-transformers, which needs torch. Neither is imported before the first use."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from langchain_core.embeddings import Embeddings

from langchain_agentmem.core.redaction import redact_secrets
from langchain_agentmem.errors import ConfigurationError, MissingDependencyError
from langchain_agentmem.fork_safe_lock import ForkSafeLock

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray
    from sentence_transformers import SentenceTransformer

_INSTALL = 'pip install "langchain-agentmem[sentence-transformers]"'


class SentenceTransformerEmbeddings(Embeddings):
    """Embeds with a model of sentence-transformers: as long and as scaled as the model has its vectors.

    The model is loaded on first use, once an object. Threads embed one after the other; the async versions of
    the methods embed in a thread. A model that has
    prompts for queries and for documents gets each.

    Args:
        model: A folder, or the name of a model on Hugging Face: that is downloaded unless it is in the
            cache, or `local_files_only=True` forbids it.
        **options: What else `SentenceTransformer` takes, such as `device="cuda"`.

    Raises:
        MissingDependencyError: From the first use: sentence-transformers is not installed.
        ConfigurationError: From the first use: the model cannot be loaded.
    """

    def __init__(self, model: str, **options: Any) -> None:
        self.model = model
        self._options = options
        self._loaded: SentenceTransformer | None = None
        self._lock = ForkSafeLock()  # a fast tokenizer refuses to be used by two threads at once
        self._in_use = False
        _all.add(self)

    @property
    def dimensions(self) -> int | None:
        """Return the length of the vectors, if the model is loaded and says it."""
        if self._loaded is None:
            return None
        # The newer name: where it is known, the older one warns.
        ask = getattr(self._loaded, "get_embedding_dimension", None)
        found: int | None = (ask or self._loaded.get_sentence_embedding_dimension)()
        return found

    @property
    def max_tokens(self) -> int | None:
        """Return how many tokens of a text the model reads; `None` if it does not say. Loads the model."""
        with self._lock.held():
            found: int | None = self._model().max_seq_length
        return found

    def count_tokens(self, text: str) -> int:
        """Return how many tokens a text has, with those that the model adds; it reads the first ones only."""
        with self._lock.held():
            return len(self._model().tokenizer(text, verbose=False)["input_ids"])

    def load(self) -> None:
        """Load the model now, if it is not loaded yet."""
        with self._lock.held():
            self._model()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return the vectors of texts, in their order."""
        if not texts:
            return []
        return self._encoded(lambda model: model.encode_document(texts, show_progress_bar=False))

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a text that is looked for."""
        return self._encoded(lambda model: model.encode_query([text], show_progress_bar=False))[0]

    def _encoded(self, encode: Callable[[SentenceTransformer], NDArray[float32]]) -> list[list[float]]:
        with self._lock.held():
            model = self._model()
            self._in_use = True
            try:
                numbers: list[list[float]] = encode(model).tolist()
            finally:
                self._in_use = False
        return numbers

    def _model(self) -> SentenceTransformer:
        _compute_alone_if_forked()
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded

    def _load(self) -> SentenceTransformer:
        try:
            import sentence_transformers
            from transformers.utils import logging
        except ImportError as error:
            raise MissingDependencyError(
                f"SentenceTransformerEmbeddings needs sentence-transformers: {_INSTALL}."
            ) from error
        try:
            with _no_progress_bar(logging):
                return sentence_transformers.SentenceTransformer(self.model, **self._options)
        except (OSError, ValueError) as error:
            why = redact_secrets(str(error)).partition("\n")[0]
            raise ConfigurationError(f"The model {self.model!r} cannot be loaded: {why}") from error

    def _begin_anew_in_child(self) -> None:
        if self._in_use:  # by a thread that stayed with the parent, so it would never be free
            self._loaded, self._in_use = None, False


@contextmanager
def _no_progress_bar(logging: Any) -> Iterator[None]:
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


_all: WeakSet[SentenceTransformerEmbeddings] = WeakSet()
_forked = False  # and not used since


def _compute_alone_if_forked() -> None:
    global _forked
    if _forked:
        import torch

        # The threads that compute stayed with the parent: a child that counts on them would never wake.
        torch.set_num_threads(1)
        _forked = False


def _begin_anew_in_child() -> None:
    global _forked
    for each in _all:
        each._begin_anew_in_child()
    _forked = "torch" in sys.modules


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew_in_child)
