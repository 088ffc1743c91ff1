"""What each library does for a row or a check, written as its own documentation has it."""

from __future__ import annotations

import importlib
from typing import NamedTuple

from integration_tests.benchmarks.peers.libraries.library import Library


class Listed(NamedTuple):
    """A library, as it is shown.

    Attributes:
        name: What it is called in tables.
        packages: The distributions whose versions are shown.
        module: Where it is, in this folder.
        what: Which of its classes are used, and how.
        options: What is different from the default.
    """

    name: str
    packages: tuple[str, ...]
    module: str
    what: str
    options: tuple[tuple[str, str], ...] = ()


OURS = "agentmem"
_OURS = Listed(OURS, ("langchain-agentmem", "redis"), "agentmem", "AgentMemory with its default settings")
_HASH = _OURS._replace(
    name="agentmem, hash", what='AgentMemory(storage="hash")', options=(("storage", "hash"),)
)
PEERS = {
    "langchain-redis": Listed(
        "langchain-redis",
        ("langchain-redis", "redisvl", "redis"),
        "langchain_redis",
        "RedisChatMessageHistory, RedisVectorStore",
    ),
    "redisvl": Listed("redisvl", ("redisvl", "redis"), "redisvl", "MessageHistory, SemanticMessageHistory"),
    "langgraph": Listed(
        "langgraph",
        ("langgraph-checkpoint-redis", "langgraph", "redisvl", "redis"),
        "langgraph",
        "RedisStore",
    ),
    "mem0": Listed("mem0", ("mem0ai", "redisvl", "redis"), "mem0", "Memory on its Redis store, infer=False"),
}
COMPARED = {OURS: _OURS, "agentmem-hash": _HASH} | PEERS
"""What rows are measured of: ours also as the peers that keep memories in hashes do."""
GROWING = {
    f"agentmem-{index}": _OURS._replace(name=f"agentmem, {index.upper()}", options=(("algorithm", index),))
    for index in ("flat", "hnsw")
} | PEERS
"""What is measured while a store grows: ours with either kind of index."""


def class_of(module: str) -> type[Library]:
    """Return the library's class; imports what it needs."""
    found = importlib.import_module(f"{__name__}.{module}")
    made: type[Library] = found.Opened
    return made
