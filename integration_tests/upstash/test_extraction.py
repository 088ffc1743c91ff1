"""Extraction over REST: what an extractor tells is made of a turn at once, or by a worker, and never twice."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import redis
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableLambda

from integration_tests.chain.conftest import Run, ainvoke, config, contents, invoke
from integration_tests.upstash.emulator import Emulator
from integration_tests.waiting import wait_until
from langchain_agentmem import Add, AgentMemory, Exchange, MemoryWorker, Supersede
from langchain_agentmem.errors import AgentMemoryError
from langchain_agentmem.tasks.task import Place


class Telling:
    """An extractor that tells what the user says, or raises, and notes what it was given."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.given: list[Exchange] = []

    def __call__(self, exchange: Exchange) -> Sequence[Any]:
        self.given.append(exchange)
        if self.error is not None:
            raise self.error
        said = exchange.messages[0].text
        old = [one.id for one in exchange.memories if "Oslo" in one.text]
        return [Supersede(old[0], said) if old else Add(said)]


@pytest.fixture
async def memory(emulator: Emulator) -> AsyncIterator[AgentMemory]:
    async with AgentMemory(emulator.url, token=emulator.token) as memory:
        yield memory


@pytest.fixture(params=[invoke, ainvoke])
def run(request: pytest.FixtureRequest) -> Run:
    way: Run = request.param
    return way


def texts(memory: AgentMemory) -> list[str]:
    return sorted(record.text for record in memory.long_term.list_memories(user="alice"))


def left(memory: AgentMemory) -> tuple[int, int]:
    queues, failed = memory.transport.run(memory.tasks.waiting_op())
    return queues, failed


async def test_inline_it_is_shown_what_is_known_and_supersedes_it(memory: AgentMemory, run: Run) -> None:
    home = memory.long_term.remember("My home is in Oslo.", user="alice").id
    wait_until(lambda: texts(memory) == ["My home is in Oslo."])
    chain = memory.wrap(RunnableLambda(lambda _: "ok"), remember=Telling())
    await run(chain, {"input": "My home is in Porto."}, config())
    wait_until(lambda: texts(memory) == ["My home is in Porto."])  # the search index follows
    assert left(memory) == (0, 0)
    history = memory.long_term.history(home)
    assert [one.text for one in history] == ["My home is in Oslo.", "My home is in Porto."]


async def test_what_fails_inline_is_a_workers(memory: AgentMemory, run: Run) -> None:
    chain = memory.wrap(RunnableLambda(lambda _: "ok"), remember=Telling(OSError("no model")))
    assert await run(chain, {"input": "I live in Porto."}, config()) == "ok"
    assert (texts(memory), left(memory)) == ([], (1, 0))
    (queued,) = memory.transport.run(memory.tasks.read_op(Place("extract", "t1", "alice", "default"), 10))
    assert queued.task.attempts == 1


async def test_what_is_left_to_a_worker_is_done_once(memory: AgentMemory, run: Run) -> None:
    chain = memory.wrap(RunnableLambda(lambda _: "ok"), remember_when="background")
    await run(chain, {"input": "I live in Porto."}, config())
    assert (texts(memory), left(memory)) == ([], (1, 0))
    extract = Telling()
    worker = MemoryWorker(memory, extractor=extract)
    for exchanges in (1, 1):
        assert (await worker.arun(once=True)).exchanges == exchanges
    assert (len(extract.given), left(memory)) == (1, (0, 0))
    wait_until(lambda: texts(memory) == ["I live in Porto."])


async def test_a_turn_that_is_refused_is_not_queued(memory: AgentMemory, bare: redis.Redis, run: Run) -> None:
    extract = Telling()
    chain = memory.wrap(
        RunnableLambda(lambda _: bare.set("agent:session:t1", "no session")), remember=extract
    )
    with pytest.raises(AgentMemoryError):
        await run(chain, {"input": "I live in Porto."}, config())
    assert (extract.given, left(memory), texts(memory)) == ([], (0, 0), [])


def test_a_turn_written_by_hand_is_extracted_from(memory: AgentMemory) -> None:
    context = memory.read_turn("t1", user="alice", text="I ski.", remember=Telling())
    result = memory.write_turn(context, [HumanMessage("I ski."), AIMessage("Nice.")])
    assert [one.outcome for one in result.changes] == ["stored"]
    assert (result.not_remembered, contents(memory)) == (None, ["I ski.", "Nice."])
    wait_until(lambda: texts(memory) == ["I ski."])
