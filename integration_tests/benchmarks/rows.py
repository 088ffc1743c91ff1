"""The rows: what is compared with what, and what is to be reached. Each function prepares its row."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import orjson
from langchain_core.messages import BaseMessage

from integration_tests.benchmarks import bare
from integration_tests.benchmarks.measure import Row, Side
from integration_tests.benchmarks.world import TTL_SECONDS, USER, WINDOW, World, conversation, exchange
from langchain_agentmem import AgentMemory, MemoryRecord
from langchain_agentmem.core.operations import gather, ok
from langchain_agentmem.events.event import event_fields

RowOf = Callable[[World], Row]


def _plain(messages: list[BaseMessage]) -> list[tuple[str, Any]]:
    return [(message.type, message.content) for message in messages]


def append(world: World) -> Row:
    """An exchange appended to a full window."""
    client, history = world.client, world.memory.history("append")
    history.add_messages(conversation())
    keys = [f"bare:append:{name}" for name in ("json", "multi", "orjson")]
    for key in keys:
        bare.append(client, key, conversation(), json.dumps, transaction=False)
    theirs = bare.langchain_redis_history(world.resp2_client, "append")
    theirs.add_messages(conversation())
    rounds = itertools.count(1)

    def shorten(_: object) -> None:
        if next(rounds) % 20 == 0:  # it has no window: without this, it would get slower and slower
            theirs.clear()
            theirs.add_messages(conversation())

    def last(messages: list[BaseMessage]) -> list[tuple[str, Any]]:
        return _plain(messages)[-2:]

    def side(name: str, key: str, dumps: bare.Dumps, *, transaction: bool, reach: float | None) -> Side:
        return Side(
            name,
            lambda at: bare.append(client, key, exchange(at), dumps, transaction=transaction),
            result=lambda _: last(bare.turns(client, key)),
            reach=reach,
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
            side(
                "RPUSH, LTRIM, EXPIRE in a pipeline, json", keys[0], json.dumps, transaction=False, reach=1.25
            ),
            side(
                "RPUSH, LTRIM, EXPIRE in a pipeline, orjson",
                keys[2],
                orjson.dumps,
                transaction=False,
                reach=1.25,
            ),
            side(
                "the pipeline in MULTI (atomic, as ours is), json",
                keys[1],
                json.dumps,
                transaction=True,
                reach=None,
            ),
            Side(
                "langchain-redis 0.2.6",
                lambda at: theirs.add_messages(exchange(at)),
                shorten,
                result=lambda _: last(theirs.messages),
                reach=0.7,
            ),
        ],
    )


def read(world: World) -> Row:
    """A window of 20 messages, read."""
    client, history, key = world.client, world.memory.history("read"), "bare:read"
    history.add_messages(conversation())
    bare.fill(client, key, conversation())
    theirs = bare.langchain_redis_history(world.resp2_client, "read")
    theirs.add_messages(conversation())
    return Row(
        "read",
        f"read {WINDOW} messages as LangChain messages",
        Side("history.messages", lambda at: history.messages, result=_plain),
        [
            Side(
                "LRANGE + messages_from_dict, json",
                lambda at: bare.read(client, key, json.loads),
                result=_plain,
                reach=1.0,
            ),
            Side(
                "LRANGE + messages_from_dict, orjson",
                lambda at: bare.read(client, key, orjson.loads),
                result=_plain,
                reach=1.0,
            ),
            Side("langchain-redis 0.2.6", lambda at: theirs.messages, result=_plain, reach=0.7),
        ],
    )


def _hits(records: list[MemoryRecord]) -> list[tuple[str, str, float]]:
    return [(bare.PREFIX + record.id, record.text, round(record.distance or 0.0, 6)) for record in records]


def _bare_hits(hits: list[bare.Hit]) -> list[tuple[str, str, float]]:
    return [(hit.id, hit.text, round(hit.distance, 6)) for hit in hits]


def recall(world: World) -> Row:
    """The 5 nearest of the user's memories."""
    plain, strict = bare.Memories(world.client), bare.StrictMemories(world.client)
    return Row(
        "recall",
        f"recall, 5 hits, {len(world.facts.stored):,} memories, embedding given",
        Side("long_term.recall", lambda at: _recall(world.memory, world, at), result=_hits),
        [
            Side(
                "FT.SEARCH with client.ft().search",
                lambda at: plain.recall(world.fact(at).embedding),
                result=_bare_hits,
                reach=1.3,
            ),
            Side(
                "FT.SEARCH with execute_command",
                lambda at: strict.recall(world.fact(at).embedding),
                result=_bare_hits,
                reach=1.3,
            ),
        ],
    )


def _recall(memory: AgentMemory, world: World, at: int) -> list[MemoryRecord]:
    return memory.long_term.recall("", user=USER, embedding=world.fact(at).embedding)


def _remember(memory: AgentMemory, world: World, at: int) -> str:
    fact = world.fact(at)
    result = memory.long_term.remember(fact.text, user=USER, embedding=fact.embedding)
    assert not result.deduped
    return memory.settings.memory_prefix + result.id


def remember(world: World) -> Row:
    """A fact nobody knew, remembered; it is deleted again before the next one's turn."""
    client = world.client
    plain, strict = bare.Memories(client), bare.StrictMemories(client)

    def stored(key: str) -> tuple[Any, bool]:
        return client.json().get(key, "$.text"), client.ttl(key) > 0

    def side(name: str, memories: bare.Memories) -> Side:
        def run(at: int) -> str:
            fact = world.fact(at)
            return memories.remember(fact.text, fact.embedding)

        return Side(name, run, client.delete, result=stored, reach=0.9)

    return Row(
        "remember",
        "remember, new fact, embedding given",
        Side(
            "long_term.remember", lambda at: _remember(world.memory, world, at), client.delete, result=stored
        ),
        [
            side("KNN, then JSON.SET + EXPIRE, as redis-py has them", plain),
            side("KNN, then JSON.SET + EXPIRE, execute_command and orjson", strict),
        ],
        tidy=world.tidy,
    )


def _turn(memory: AgentMemory, world: World, thread: str, at: int) -> bare.Turned:
    """What a wrapped chain runs around the model, without the chain: two round trips.

    It recalls by vectors, as the other sides do.
    """
    fact, messages = world.fact(at), exchange(at)
    working, long_term = memory.working, memory.long_term
    text = str(messages[0].content)
    recall = long_term.recall_op(text, user=USER, embedding=fact.embedding, mode="vector")
    history, recalled = map(ok, memory.transport.run(gather([working.messages_op(thread), recall])))
    writes = [
        working.append_op(thread, messages, user=USER),
        memory.events.record_op([(thread, event_fields("turn", text))]),
        long_term.remember_op(text, user=USER, embedding=fact.embedding, source_thread=thread),
    ]
    _, _, remembered = map(ok, memory.transport.run(gather(writes)))
    return bare.Turned(history, recalled, memory.settings.memory_prefix + remembered.id)


def _turned(hits: Callable[[Any], Any]) -> Callable[[bare.Turned], Any]:
    return lambda turned: (_plain(turned.history), hits(turned.recalled))


def turn(world: World) -> Row:
    """All three tiers."""
    client, thread = world.client, "turn"
    world.memory.history(thread).add_messages(conversation())

    def guide(name: str, made: bare.Guide, reach: float | None = None) -> Side:
        made.start(conversation())
        return Side(
            name,
            lambda at: made.turn(exchange(at), world.fact(at).embedding),
            lambda turned: client.delete(turned.key),
            result=_turned(_bare_hits),
            reach=reach,
        )

    plain, strict = bare.Memories(client), bare.StrictMemories(client)
    quick: dict[str, Any] = {"dumps": orjson.dumps, "loads": orjson.loads}
    return Row(
        "turn",
        "a whole turn: session read, recall by vectors, append, remember, event; embedding given",
        Side(
            "two gathers of operations, as wrap runs them",
            lambda at: _turn(world.memory, world, thread, at),
            lambda turned: client.delete(turned.key),
            result=_turned(_hits),
        ),
        [
            guide("a tier at a time, each command its own call", bare.Guide(client, "guide", plain), 0.4),
            guide(
                "each command its own call, execute_command and orjson",
                bare.Guide(client, "strict", strict, **quick),
                0.4,
            ),
            guide("the guide's own code", bare.GuideCode(client, "code", plain, pipelined=True)),
            guide(
                "a tier at a time, its writes pipelined, execute_command and orjson",
                bare.Guide(client, "pipelined", strict, pipelined=True, **quick),
            ),
        ],
        share=0.6,
        tidy=world.tidy,
    )
