"""Rows for information: LangChain around a turn, storages, many facts at once."""

from __future__ import annotations

from typing import Any

from langchain_core.embeddings import Embeddings
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import RunnableLambda

from integration_tests.benchmarks.measure import Row, Side
from integration_tests.benchmarks.targets import FLAT, HNSW
from integration_tests.benchmarks.tier_rows import recalled, remembered
from integration_tests.benchmarks.turn_rows import default_turn
from integration_tests.benchmarks.world import USER, Store, World, conversation, exchange

_PER_BATCH = 16


class _Given(Embeddings):
    """Gives the vector that was put there."""

    def __init__(self) -> None:
        self.next: list[float] = []

    def embed_query(self, text: str) -> list[float]:
        return self.next

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.next for _ in texts]


def wrapped(world: World) -> Row:
    """What LangChain's callbacks and the wrapping add to a turn."""
    thread, embeddings, written = "wrapped", _Given(), [""]
    store = world.store(FLAT)
    memory = world.new_memory(embeddings=embeddings, algorithm="flat")
    memory.history(thread).add_messages(conversation())
    memory.history("unwrapped").add_messages(conversation())
    answer = RunnableLambda(lambda value: AIMessage(exchange(0)[1].content))

    def note(report: Any) -> None:
        written[0] = store.prefix + report.remembered.id

    # Any text, so that each exchange writes what the other side does.
    chain = memory.wrap(answer, remember="episodic", on_exchange=note)
    config: Any = {"configurable": {"session_id": thread, "user_id": USER}}

    def run(at: int) -> BaseMessage:
        embeddings.next = store.fact(at).embedding
        message: BaseMessage = chain.invoke({"input": store.fact(at).text}, config)
        return message

    def undo(_: object) -> None:
        world.client.delete(written[0])

    return Row(
        "wrap",
        "memory.wrap(RunnableLambda).invoke with the default settings, its callbacks and 3 events",
        Side("wrap", run, undo, result=lambda message: message.content),
        [
            Side(
                "the turn's two gathers alone",
                lambda at: default_turn(store, "unwrapped", at),
                lambda turned: world.client.delete(turned.key),
                result=lambda _: exchange(0)[1].content,
            ),
            Side(
                "RunnableLambda.invoke alone",
                lambda at: answer.invoke({"input": store.fact(at).text}),
                result=lambda message: message.content,
            ),
        ],
        share=0.25,
        tidy=world.tidy,
    )


def _stores(world: World) -> dict[str, Store]:
    return {
        "JSON, FLAT (default)": world.store(FLAT),
        "JSON, HNSW": world.store(HNSW),
        "Hash, FLAT": world.store(FLAT, storage="hash"),
        "Hash, FLAT, FLOAT16": world.store(FLAT, storage="hash", vector_type="float16"),
    }


def recall_storages(world: World) -> Row:
    """Recall, by storage."""

    def side(name: str, store: Store) -> Side:
        return Side(
            name,
            lambda at: recalled(store, at),
            result=lambda records: [record.text for record in records],
        )

    ours, *others = [side(name, store) for name, store in _stores(world).items()]
    return Row("recall-storages", "recall by vectors, by storage", ours, others, 0.5, world.tidy)


def remember_storages(world: World) -> Row:
    """Remember, by storage."""

    def side(name: str, store: Store) -> Side:
        return Side(
            name,
            lambda at: remembered(store, at),
            world.client.delete,
            result=lambda key: world.client.ttl(key) > 0,
        )

    ours, *others = [side(name, store) for name, store in _stores(world).items()]
    return Row("remember-storages", "remember a new fact, by storage", ours, others, 0.5, world.tidy)


def remember_many(world: World) -> Row:
    """Many facts at once, per fact."""
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
