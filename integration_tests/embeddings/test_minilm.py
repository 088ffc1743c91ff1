"""The real model: one load for all tests, hence one worker of a parallel run."""

from __future__ import annotations

import asyncio
import math
import multiprocessing
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any

import pytest

from langchain_agentmem.embeddings import minilm
from langchain_agentmem.embeddings.minilm import MiniLMEmbeddings

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


def test_loading_uses_no_network_changes_no_environment_and_prints_nothing() -> None:
    code = """
import os, socket
def refuse(*args, **kwargs): raise AssertionError(f"network: {args}")
socket.socket.connect = socket.getaddrinfo = refuse
before = dict(os.environ)
from langchain_agentmem.embeddings.minilm import MiniLMEmbeddings
assert len(MiniLMEmbeddings().embed_query("tea")) == 384
changed = {name for name in {*before, *os.environ} if before.get(name) != os.environ.get(name)}
print(sorted(name for name in changed if name.startswith(("HF_", "TRANSFORMERS_", "HUGGINGFACE_"))))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
    assert done.stderr == ""


def _embed_as_child() -> None:
    assert len(MiniLMEmbeddings().embed_query("a child")) == 384


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("busy", [False, True])
def test_a_forked_child_embeds(embeddings: MiniLMEmbeddings, busy: bool) -> None:
    embeddings.embed_query("a parent")
    stopping = threading.Event()

    def embed() -> None:
        while not stopping.is_set():
            embeddings.embed_query("a thread of the parent, at the same time")

    thread = threading.Thread(target=embed)
    if busy:
        thread.start()
    try:
        for _ in range(2):
            child = multiprocessing.get_context("fork").Process(target=_embed_as_child)
            child.start()
            child.join(30)
            if child.is_alive():
                child.kill()
                child.join()
            assert child.exitcode == 0
    finally:
        stopping.set()
        if busy:
            thread.join()
