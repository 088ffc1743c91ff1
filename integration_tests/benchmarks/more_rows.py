"""Rows without a Redis side: imports; and rows for information: LangChain around a turn, storages, batches."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

from langchain_core.embeddings import Embeddings
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import RunnableLambda

from integration_tests.benchmarks.measure import Row, Side
from integration_tests.benchmarks.rest_rows import upstash_turn
from integration_tests.benchmarks.rows import (
    RowOf,
    _recall,
    _remember,
    _turn,
    append,
    read,
    recall,
    remember,
    turn,
)
from integration_tests.benchmarks.world import USER, World, conversation, exchange

_TIMED = "import time; began = time.perf_counter(); {}; print(time.perf_counter() - began)"
_BASE = "import langchain_core.messages, redis"
_PER_BATCH = 16
_NETWORK_SECONDS = 0.0005


def _importing(statement: str, reach: float | None = None) -> Side:
    command = [sys.executable, "-c", _TIMED.format(statement)]

    def run(at: int) -> float:
        return float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)

    return Side(statement, run, result=lambda _: None, reach=reach, times_itself=True)


def imports(world: World) -> Row:
    """The package, in a new interpreter each time."""
    return Row(
        "import",
        "import langchain_agentmem (its names load when first used)",
        _importing("import langchain_agentmem"),
        [_importing(_BASE, 1.3)],
        share=0.02,
    )


def imports_used(world: World) -> Row:
    """The package with what a chain uses: what a program pays in the end."""
    return Row(
        "import-used",
        "the same, and the names used: AgentMemory and the three tiers",
        _importing("from langchain_agentmem import AgentMemory, WorkingMemory, LongTermMemory, EventLog"),
        [_importing(_BASE)],
        share=0.02,
    )


class _Given(Embeddings):
    """Gives the embedding that was put there."""

    def __init__(self) -> None:
        self.next: list[float] = []

    def embed_query(self, text: str) -> list[float]:
        return self.next

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.next for _ in texts]


def wrapped(world: World) -> Row:
    """What LangChain's callbacks and the wrapping add to a turn."""
    thread, embeddings, remembered = "wrapped", _Given(), [""]
    memory = world.new_memory(embeddings=embeddings)
    memory.history(thread).add_messages(conversation())
    memory.history("unwrapped").add_messages(conversation())
    answer = RunnableLambda(lambda value: AIMessage(exchange(0)[1].content))

    def note(report: Any) -> None:
        remembered[0] = memory.settings.memory_prefix + report.remembered.id

    # Any text, so that each exchange writes what the other side does.
    chain = memory.wrap(answer, remember="episodic", on_exchange=note)
    config: Any = {"configurable": {"session_id": thread, "user_id": USER}}

    def run(at: int) -> BaseMessage:
        embeddings.next = world.fact(at).embedding
        message: BaseMessage = chain.invoke({"input": exchange(at)[0].content}, config)
        return message

    def undo(_: object) -> None:
        world.client.delete(remembered[0])

    return Row(
        "wrap",
        "memory.wrap(RunnableLambda).invoke, with its callbacks and 3 events",
        Side("wrap", run, undo, result=lambda message: message.content),
        [
            Side(
                "the turn's two gathers alone",
                lambda at: _turn(memory, world, "unwrapped", at),
                lambda turned: world.client.delete(turned.key),
                result=lambda _: exchange(0)[1].content,
            ),
            Side(
                "RunnableLambda.invoke alone",
                lambda at: answer.invoke({"input": exchange(at)[0].content}),
                result=lambda message: message.content,
            ),
        ],
        share=0.5,
        tidy=world.tidy,
    )


def turn_far_away(world: World) -> Row:
    """The turn with a network between."""

    def far(side: Side) -> Side:
        def run(at: int) -> Any:
            with world.far_away(_NETWORK_SECONDS):
                return side.run(at)

        return replace(side, run=run, reach=None)

    near = turn(world)
    return replace(
        near,
        key="turn-network",
        what="the same turn, each round trip made 0.5 ms longer, as between two data centres of a region",
        ours=far(near.ours),
        others=[far(side) for side in near.others],
        share=0.25,
    )


_STORAGES: dict[str, dict[str, Any]] = {
    "Hash": {"storage": "hash"},
    "Hash, FLOAT16": {"storage": "hash", "vector_type": "float16"},
    "JSON, FLAT": {"algorithm": "flat"},
}


def _stores(world: World) -> dict[str, Any]:
    made = {"JSON (default)": world.memory}
    for name, settings in _STORAGES.items():
        slug = "".join(filter(str.isalnum, name)).lower()
        made[name] = world.new_memory(
            index_name=f"{slug}:idx", memory_prefix=f"other:{slug}:mem:", **settings
        )
        world.store_facts(made[name])
    return made


def recall_storages(world: World) -> Row:
    """Recall, by storage."""

    def side(name: str, memory: Any) -> Side:
        return Side(
            name,
            lambda at: _recall(memory, world, at),
            result=lambda records: [record.text for record in records],
        )

    ours, *others = [side(name, memory) for name, memory in _stores(world).items()]
    return Row("recall-storages", "recall by storage", ours, others, 0.5, world.tidy)


def remember_storages(world: World) -> Row:
    """Remember, by storage."""

    def side(name: str, memory: Any) -> Side:
        return Side(
            name,
            lambda at: _remember(memory, world, at),
            world.client.delete,
            result=lambda key: world.client.ttl(key) > 0,
        )

    ours, *others = [side(name, memory) for name, memory in _stores(world).items()]
    return Row("remember-storages", "remember a new fact, by storage", ours, others, 0.5, world.tidy)


def remember_many(world: World) -> Row:
    """Many facts at once, a fact."""
    long_term = world.memory.long_term

    def facts(at: int) -> list[Any]:
        return [world.fact(at + number) for number in range(_PER_BATCH)]

    def at_once(at: int) -> list[Any]:
        chosen = facts(at)
        return long_term.remember_many(
            [fact.text for fact in chosen], user=USER, embeddings=[fact.embedding for fact in chosen]
        )

    def one_by_one(at: int) -> list[Any]:
        return [long_term.remember(fact.text, user=USER, embedding=fact.embedding) for fact in facts(at)]

    def undo(results: list[Any]) -> None:
        world.client.delete(*(world.memory.settings.memory_prefix + result.id for result in results))

    return Row(
        "remember-many",
        f"remember_many of {_PER_BATCH} new facts, per fact",
        Side("remember_many", at_once, undo, result=len, each=_PER_BATCH),
        [Side("remember, one by one", one_by_one, undo, result=len, each=_PER_BATCH)],
        share=0.1,
        tidy=world.tidy,
    )


ROWS: dict[str, RowOf] = {
    "append": append,
    "read": read,
    "recall": recall,
    "remember": remember,
    "turn": turn,
    "turn-network": turn_far_away,
    "import": imports,
    "import-used": imports_used,
    "wrap": wrapped,
    "recall-storages": recall_storages,
    "remember-storages": remember_storages,
    "remember-many": remember_many,
    "upstash-turn": upstash_turn,
}
