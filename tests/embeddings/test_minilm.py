"""The default embeddings, as far as they go without loading the model."""

from __future__ import annotations

import builtins
import os
import runpy
from pathlib import Path
from typing import Any

import pytest

from langchain_agentmem.embeddings import minilm
from langchain_agentmem.embeddings.minilm import MiniLMEmbeddings
from langchain_agentmem.errors import ConfigurationError, MissingDependencyError

PROJECT = Path(__file__).parents[2]


@pytest.mark.parametrize("missing", ["onnxruntime", "tokenizers"])
def test_a_missing_package_is_an_error_that_says_what_to_install(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith(missing):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(minilm, "_model", None)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependencyError, match=r"langchain-agentmem\[local\]"):
        MiniLMEmbeddings().embed_query("tea")


def test_nothing_is_loaded_for_no_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minilm, "_loaded", lambda: pytest.fail("loaded"))
    assert MiniLMEmbeddings().embed_documents([]) == []


@pytest.mark.parametrize("threads", [0, -1, "2", 1.5, True, 10**9])
def test_a_number_of_threads_is_positive(threads: Any) -> None:
    with pytest.raises(ConfigurationError, match="threads"):
        MiniLMEmbeddings(threads=threads)


@pytest.mark.parametrize(
    ("named", "cpus", "expected"),
    [("3", 8, 3), ("2,1", 8, 2), ("", 8, 4), ("0", 2, 2), ("many", 1, 1), (None, 3, 3)],
)
def test_how_many_threads_compute(
    named: str | None, cpus: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if named is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", named)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cpus)), raising=False)
    assert minilm._default_threads() == expected


def test_batches_hold_each_text_once_by_length_and_no_more_tokens_than_fit() -> None:
    lengths = [256, 3, 40, 40, 7, 256, 256] * 9 + [2]
    batches = list(minilm._batches(lengths))
    assert sorted(number for batch in batches for number in batch) == list(range(len(lengths)))
    in_order = [lengths[number] for batch in batches for number in batch]
    assert in_order == sorted(lengths)
    assert all(len(batch) * lengths[batch[-1]] <= minilm._BATCH_TOKENS for batch in batches)


def test_a_text_of_more_tokens_than_a_batch_has_is_a_batch() -> None:
    assert list(minilm._batches([minilm._BATCH_TOKENS + 1])) == [[0]]


def test_the_graph_is_what_its_generator_writes() -> None:
    pytest.importorskip("onnx")
    generator = runpy.run_path(str(PROJECT / "tools" / "generate_minilm_graph.py"))
    written = generator["FILE"].read_bytes()
    assert written == generator["graph"]().SerializeToString(deterministic=True), (
        "run: python tools/generate_minilm_graph.py"
    )
    assert len(written) < 32_000, "it holds no weights"
