"""Children that are forked while a model of the parent is loaded, and perhaps in use."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable

from langchain_core.embeddings import Embeddings


def children_embed(
    embeddings: Embeddings,
    embed_as_child: Callable[[], None],
    *,
    busy: bool,
    children: int = 1,
    seconds: float = 30,
) -> None:
    """Fork children, one after the other, which have to end well in time.

    Args:
        embeddings: What the parent embeds with.
        embed_as_child: What a child does.
        busy: Whether a thread of the parent embeds meanwhile.
        children: How many are forked.
        seconds: How long each may take.
    """
    embeddings.embed_query("a parent")
    stopping = threading.Event()

    def embed() -> None:
        while not stopping.is_set():
            embeddings.embed_query("a thread of the parent, at the same time")

    thread = threading.Thread(target=embed)
    if busy:
        thread.start()
    try:
        for _ in range(children):
            child = multiprocessing.get_context("fork").Process(target=embed_as_child)
            child.start()
            child.join(seconds)
            if child.is_alive():
                child.kill()
                child.join()
            assert child.exitcode == 0
    finally:
        stopping.set()
        if busy:
            thread.join()
