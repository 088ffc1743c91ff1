"""Import facts in batches, each once, and show progress.

Prints:
    100 of 250
    200 of 250
    250 of 250
    250 stored, 0 duplicates
    100 of 250
    200 of 250
    250 of 250
    0 stored, 250 duplicates
    room 42 is painted colour42 {'source': 'facts.csv', 'line': 42}
"""

from __future__ import annotations

from tiny_embeddings import TinyEmbeddings

from langchain_agentmem import AgentMemory, EmbeddedRedis

facts = [f"room {number} is painted colour{number}" for number in range(250)]


def show(done: int, total: int) -> None:
    """Print how far the import is; called after every batch."""
    print(done, "of", total)


with (
    EmbeddedRedis() as server,
    AgentMemory(server.url, embeddings=TinyEmbeddings(), storage="hash") as memory,
):
    for _ in range(2):  # the second time, every fact is a duplicate
        results = memory.long_term.remember_many(
            facts,
            user="hotel",
            kind="semantic",
            metadatas=[{"source": "facts.csv", "line": line} for line in range(len(facts))],
            batch_size=100,
            on_progress=show,
        )
        duplicates = sum(result.deduped for result in results)
        print(f"{len(results) - duplicates} stored, {duplicates} duplicates")
    (found,) = memory.long_term.recall("painted room 42 colour42", user="hotel", k=1)
    print(found.text, found.metadata)
