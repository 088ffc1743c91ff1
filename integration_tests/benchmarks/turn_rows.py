"""Rows of a whole turn: the session is read, memories are recalled, then both are written, and an event.

Ours runs the operations that `wrap` runs around a chain, without the chain: two round trips.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import orjson

from integration_tests.benchmarks import bare, embedders
from integration_tests.benchmarks.guide import GuideMemories, GuideTurns, TierByTier, Turned
from integration_tests.benchmarks.measure import Row, Side
from integration_tests.benchmarks.targets import FLAT
from integration_tests.benchmarks.tier_rows import bare_hits, hits, key_of, plain
from integration_tests.benchmarks.world import USER, Facts, Store, World, conversation
from langchain_agentmem.core.operations import gather, ok
from langchain_agentmem.events.event import event_fields
from langchain_agentmem.longterm.drafts import CONTEXT_MESSAGES, context_of

_NETWORK_SECONDS = 0.0005
_GUIDE = "the guide's own code"
_STRICT = "each command its own call, execute_command and orjson"
_QUICK: dict[str, Any] = {"dumps": orjson.dumps, "loads": orjson.loads}


def vector_turn(store: Store, thread: str, at: int) -> Turned:
    """A turn that recalls by vectors and stores nothing else than the other sides do."""
    working, long_term, events = store.memory.working, store.memory.long_term, store.memory.events
    fact, messages = store.fact(at), store.exchange(at)
    vector = long_term.check_embedding(fact.embedding)
    recall = long_term.recall_op(fact.text, user=USER, embedding=vector, mode="vector")
    run = store.memory.transport.run
    history, recalled = map(ok, run(gather([working.messages_op(thread), recall])))
    writes = [
        working.append_op(thread, messages, user=USER),
        events.record_op([(thread, event_fields("turn", fact.text))]),
        long_term.remember_op(fact.text, user=USER, embedding=vector, source_thread=thread),
    ]
    _, _, remembered = map(ok, run(gather(writes)))
    return Turned(history, recalled, store.prefix + remembered.id)


def default_turn(store: Store, thread: str, at: int, embedding: Sequence[float] | None = None) -> Turned:
    """A turn with the default settings: it recalls by meaning and words, and stores what was said before."""
    working, long_term, events = store.memory.working, store.memory.long_term, store.memory.events
    fact, messages = store.fact(at), store.exchange(at)
    vector = long_term.check_embedding(fact.embedding if embedding is None else embedding)
    recall = long_term.recall_op(fact.text, user=USER, embedding=vector)
    run = store.memory.transport.run
    history, recalled = map(ok, run(gather([working.messages_op(thread), recall])))
    writes = [
        working.append_op(thread, messages, user=USER),
        events.record_op([(thread, event_fields("turn", fact.text))]),
        long_term.remember_op(
            fact.text,
            user=USER,
            embedding=vector,
            source_thread=thread,
            context=context_of([message.text for message in history[-CONTEXT_MESSAGES:]]),
            known=recalled,
        ),
    ]
    _, _, remembered = map(ok, run(gather(writes)))
    return Turned(history, recalled, store.prefix + remembered.id)


def _read_and_found(found: Callable[[Any], Any]) -> Callable[[Turned], Any]:
    return lambda turned: (plain(turned.history), found(turned.recalled))


def _read_and_stored(world: World) -> Callable[[Turned], Any]:
    """What is the same on both sides if one recalls by words too."""

    def result(turned: Turned) -> Any:
        text, seconds = world.client.json().get(turned.key, "$.text"), world.client.ttl(turned.key)
        return plain(turned.history), text, seconds > 0

    return result


def _by_hand(
    world: World, store: Store, name: str, made: TierByTier, target: str = "", *, result: Any = None
) -> Side:
    made.start(conversation())
    return Side(
        name,
        lambda at: made.turn(store.exchange(at), store.fact(at).embedding),
        lambda turned: world.client.delete(turned.key),
        result=result or _read_and_found(bare_hits),
        target=target,
    )


def _guide(world: World, facts: Facts) -> GuideMemories:
    """What the guide's code has stored: the same facts, behind an index of its own."""
    name = "made-up" if facts is world.facts else "natural"
    memories = GuideMemories(world.client, f"guide-{name}:idx", f"guide:{name}:mem:")
    if memories.index.encode() not in world.client.execute_command("FT._LIST"):
        memories.fill(facts.stored)
    return memories


def _guide_turns(world: World, thread: str, stored: GuideMemories) -> GuideTurns:
    """The guide's turn on its index, without the TTLs it asks for and does not need: 12 round trips, not 20."""
    memories = bare.Memories(world.client, stored.index, stored.prefix)
    return GuideTurns(world.client, thread, memories, pipelined=True)


def turn(world: World, algorithm: str = FLAT) -> Row:
    """All three tiers, by vectors."""
    client, store, key = world.client, world.store(algorithm), key_of("turn", algorithm)
    store.memory.history(key).add_messages(conversation())
    simple = bare.Memories(client, store.index, store.prefix)
    strict = bare.StrictMemories(client, store.index, store.prefix)
    guide = _guide(world, store.facts)

    def side(name: str, made: TierByTier, target: str = "") -> Side:
        return _by_hand(world, store, name, made, target)

    return Row(
        key,
        f"a whole turn by vectors: session read, recall, append, remember, event; vector given, {algorithm}",
        Side(
            'two gathers of operations, as wrap runs them, mode="vector"',
            lambda at: vector_turn(store, key, at),
            lambda turned: client.delete(turned.key),
            result=_read_and_found(hits),
        ),
        [
            side(f"{_GUIDE}, on HNSW", _guide_turns(world, f"{key}:guide", guide), "turn-guide"),
            side(
                "the same to the letter: the TTL of each memory found, too, and MULTI",
                GuideTurns(client, f"{key}:letter", guide),
            ),
            side(f"{_STRICT}, same index", TierByTier(client, f"{key}:s", strict, **_QUICK), "turn-strict"),
            side(
                "the same, with each tier's writes in a pipeline",
                TierByTier(client, f"{key}:p", strict, pipelined=True, **_QUICK),
            ),
            side("each command its own call, as redis-py has them", TierByTier(client, f"{key}:t", simple)),
        ],
        share=0.5,
        tidy=world.tidy,
        index=algorithm,
    )


def turn_hybrid(world: World, algorithm: str = FLAT) -> Row:
    """All three tiers with the default settings, in sentences as people say them."""
    client, key = world.client, key_of("turn-hybrid", algorithm)
    store = world.store(algorithm, world.natural_facts)
    store.memory.history(key).add_messages(conversation())
    guide = _guide(world, store.facts)
    strict = bare.StrictMemories(client, store.index, store.prefix)

    result = _read_and_stored(world)

    def side(name: str, made: TierByTier, target: str = "") -> Side:
        return _by_hand(world, store, name, made, target, result=result)

    return Row(
        key,
        f"a whole turn with the default settings, by meaning and words; vector given, {algorithm}",
        Side(
            "two gathers of operations, as wrap runs them",
            lambda at: default_turn(store, key, at),
            lambda turned: client.delete(turned.key),
            result=result,
        ),
        [
            side(
                f"{_GUIDE}, by meaning alone, on HNSW",
                _guide_turns(world, f"{key}:guide", guide),
                "turn-hybrid",
            ),
            side(
                f"{_STRICT}, by meaning alone, same index",
                TierByTier(client, f"{key}:s", strict, **_QUICK),
            ),
        ],
        share=0.5,
        tidy=world.tidy,
        index=algorithm,
    )


def turn_embedded(world: World, algorithm: str = FLAT) -> Row:
    """The turn as a program has it: the sentence is embedded first."""
    client, key = world.client, key_of("turn-embedded", algorithm)
    store = world.store(algorithm, world.natural_facts)
    store.memory.history(key).add_messages(conversation())
    guide = _guide_turns(world, f"{key}:guide", _guide(world, store.facts))
    guide.start(conversation())
    embed, encode = embedders.ours().embed_query, embedders.sentence_transformers()
    result = _read_and_stored(world)

    def forget(turned: Turned) -> None:
        client.delete(turned.key)

    return Row(
        key,
        f"a whole turn with the default settings, the sentence embedded first, {algorithm}",
        Side(
            "embed_query, then the two gathers",
            lambda at: default_turn(store, key, at, embed(store.fact(at).text)),
            forget,
            result=result,
        ),
        [
            Side(
                f"{_GUIDE} with sentence-transformers, by meaning alone, on HNSW",
                lambda at: guide.turn(store.exchange(at), encode([store.fact(at).text])[0].tolist()),
                forget,
                result=result,
                target="turn-embedded",
            )
        ],
        share=0.2,
        tidy=world.tidy,
        index=algorithm,
    )


def turn_far_away(world: World) -> Row:
    """The turn with a network between."""

    def far(side: Side) -> Side:
        def run(at: int) -> Any:
            with world.far_away(_NETWORK_SECONDS):
                return side.run(at)

        return replace(side, run=run, target="")

    near = turn(world)
    return replace(
        near,
        key="turn-network",
        what="the turn by vectors, each round trip made 0.5 ms longer, as between data centres of a region",
        ours=far(near.ours),
        others=[far(side) for side in near.others],
        share=0.15,
    )
