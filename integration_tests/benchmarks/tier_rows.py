"""Rows of one tier: append and read, recall and remember. Each function prepares its row."""

from __future__ import annotations

import json
from typing import Any

import orjson
from langchain_core.messages import BaseMessage

from integration_tests.benchmarks import bare
from integration_tests.benchmarks.measure import Row, Side
from integration_tests.benchmarks.targets import FLAT
from integration_tests.benchmarks.world import TTL_SECONDS, USER, WINDOW, Store, World, conversation, exchange
from langchain_agentmem import MemoryRecord

_DIGITS = 3  # of distances: indexes differ in the seventh


def key_of(name: str, algorithm: str) -> str:
    """The key of a row that is there for each algorithm."""
    return name if algorithm == FLAT else f"{name}-{algorithm.lower()}"


def plain(messages: list[BaseMessage]) -> list[tuple[str, Any]]:
    """Messages as they compare."""
    return [(message.type, message.content) for message in messages]


def append(world: World) -> Row:
    """An exchange appended to a full window."""
    client, history = world.client, world.memory.history("append")
    history.add_messages(conversation())

    def last(messages: list[BaseMessage]) -> list[tuple[str, Any]]:
        return plain(messages)[-2:]

    def side(name: str, dumps: bare.Dumps, *, transaction: bool = False, target: str = "") -> Side:
        key = f"bare:append:{name}"
        bare.append(client, key, conversation(), dumps, transaction=transaction)
        return Side(
            name,
            lambda at: bare.append(client, key, exchange(at), dumps, transaction=transaction),
            result=lambda _: last(bare.turns(client, key)),
            target=target,
        )

    return Row(
        "append",
        f"append a 2-message exchange (window {WINDOW}, TTL {TTL_SECONDS} s)",
        Side(
            "history.add_messages",
            lambda at: history.add_messages(exchange(at)),
            result=lambda _: last(history.messages),
        ),
        [
            side("RPUSH, LTRIM, EXPIRE in a pipeline, json", json.dumps, target="append"),
            side("RPUSH, LTRIM, EXPIRE in a pipeline, orjson", orjson.dumps),
            side("the pipeline in MULTI (atomic, as ours is), json", json.dumps, transaction=True),
        ],
    )


def read(world: World) -> Row:
    """A window of 20 messages, read."""
    client, history, key = world.client, world.memory.history("read"), "bare:read"
    history.add_messages(conversation())
    bare.fill(client, key, conversation())

    def side(name: str, loads: bare.Loads, target: str = "") -> Side:
        return Side(name, lambda at: bare.read(client, key, loads), result=plain, target=target)

    return Row(
        "read",
        f"read {WINDOW} messages as LangChain messages",
        Side("history.messages", lambda at: history.messages, result=plain),
        [
            side("LRANGE + messages_from_dict, json", json.loads, "read"),
            side("LRANGE + messages_from_dict, orjson", orjson.loads),
        ],
    )


def hits(records: list[MemoryRecord]) -> list[tuple[str, float]]:
    """Recalled memories as they compare, whichever index they come from."""
    return [(record.text, round(record.distance or 0.0, _DIGITS)) for record in records]


def bare_hits(found: list[bare.Hit]) -> list[tuple[str, float]]:
    """The same of a side without this package."""
    return [(hit.text, round(hit.distance, _DIGITS)) for hit in found]


def recalled(store: Store, at: int) -> list[MemoryRecord]:
    """Recall by vectors."""
    fact = store.fact(at)
    return store.memory.long_term.recall(fact.text, user=USER, embedding=fact.embedding, mode="vector")


def remembered(store: Store, at: int) -> str:
    """Remember a fact nobody knew; the key."""
    fact = store.fact(at)
    result = store.memory.long_term.remember(fact.text, user=USER, embedding=fact.embedding)
    assert not result.deduped
    return store.prefix + result.id


def recall(world: World, algorithm: str = FLAT) -> Row:
    """The 5 nearest of the user's memories."""
    store = world.store(algorithm)

    def side(name: str, memories: bare.Memories, target: str = "") -> Side:
        def run(at: int) -> list[bare.Hit]:
            return memories.recall(store.fact(at).embedding)

        return Side(name, run, result=bare_hits, target=target)

    return Row(
        key_of("recall", algorithm),
        f"recall by vectors, 5 hits, {len(store.facts.stored):,} memories, vector given, {algorithm}",
        Side('long_term.recall(mode="vector")', lambda at: recalled(store, at), result=hits),
        [
            side(
                "FT.SEARCH with execute_command",
                bare.StrictMemories(world.client, store.index, store.prefix),
                "recall",
            ),
            side(
                "FT.SEARCH with client.ft().search",
                bare.Memories(world.client, store.index, store.prefix),
            ),
        ],
        index=algorithm,
    )


def remember(world: World, algorithm: str = FLAT) -> Row:
    """A fact nobody knew, remembered; it is deleted again before the next side has its turn."""
    client, store = world.client, world.store(algorithm)

    def stored(key: str) -> tuple[Any, bool]:
        return client.json().get(key, "$.text"), client.ttl(key) > 0

    def side(name: str, memories: bare.Memories, target: str = "") -> Side:
        def run(at: int) -> str:
            fact = store.fact(at)
            return memories.remember(fact.text, fact.embedding)

        return Side(name, run, client.delete, result=stored, target=target)

    return Row(
        key_of("remember", algorithm),
        f"remember a new fact, vector given, {algorithm}",
        Side("long_term.remember", lambda at: remembered(store, at), client.delete, result=stored),
        [
            side(
                "KNN, then JSON.SET + EXPIRE, execute_command and orjson",
                bare.StrictMemories(client, store.index, store.prefix),
                "remember",
            ),
            side(
                "KNN, then JSON.SET + EXPIRE, as redis-py has them",
                bare.Memories(client, store.index, store.prefix),
            ),
        ],
        tidy=world.tidy,
        index=algorithm,
    )
