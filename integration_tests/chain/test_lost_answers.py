"""A turn whose parts go to several nodes: the answer of one may be lost while the others succeed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableLambda

from integration_tests.words import WordEmbeddings
from langchain_agentmem import Add, AgentMemory, MemoryWorker
from langchain_agentmem.core.operations import Command, Effect, Op
from langchain_agentmem.core.scripts import name_of
from langchain_agentmem.errors import StoreConnectionError
from langchain_agentmem.tasks.task import Place

PLACE = Place("extract", "t1", "alice", "default")


@pytest.fixture
def memory(url: str) -> Iterator[AgentMemory]:
    with AgentMemory(url, embeddings=WordEmbeddings(), partitions=16) as memory:
        yield memory


def losing(memory: AgentMemory, script: str, *, done: bool, times: int = 1) -> Callable[[], None]:
    """Lose the answer to calls of a script, once they are done or before they are sent; the rest succeeds."""
    run, left = memory.transport._run, [times]

    def is_lost(command: Command) -> bool:
        return name_of(str(command.args[1])) == script

    def each(op: Op[Any]) -> Op[Any]:
        answer = None
        try:
            while True:
                step = op.send(answer)
                lost = [] if isinstance(step, Effect) else [at for at, one in enumerate(step) if is_lost(one)]
                if not lost or not left[0]:
                    answer = yield step
                    continue
                left[0] -= 1
                assert not isinstance(step, Effect)
                sent = [one for at, one in enumerate(step) if done or at not in lost]
                replies = iter((yield sent))
                answer = []
                for at in range(len(step)):
                    reply = next(replies) if done or at not in lost else None
                    answer.append(StoreConnectionError("The node is gone.") if at in lost else reply)
        except StopIteration as stop:
            return stop.value

    vars(memory.transport)["_run"] = lambda op: run(each(op))
    return lambda: vars(memory.transport).pop("_run")


def said(memory: AgentMemory) -> list[str]:
    return [one.text for one in memory.working.messages("t1")]


def queued(memory: AgentMemory) -> int:
    return len(memory.transport.run(memory.tasks.read_op(PLACE, 10)))


CONFIG = {"configurable": {"session_id": "t1", "user_id": "alice"}}


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("script", ["write_session", "enqueue"])
def test_what_is_said_again_after_a_lost_answer_stands_once_and_is_queued_once(
    memory: AgentMemory, script: str, done: bool
) -> None:
    chain = memory.wrap(RunnableLambda(lambda _: "ok"), remember_when="background", memories_key=None)
    restore = losing(memory, script, done=done)
    with pytest.raises(StoreConnectionError):
        chain.invoke({"input": "I live in Porto."}, CONFIG)
    restore()
    assert said(memory) == ["I live in Porto.", "ok"]  # marked as unanswered
    assert queued(memory) == 0
    chain.invoke({"input": "I live in Porto."}, CONFIG)
    assert said(memory) == ["I live in Porto.", "ok"]
    assert queued(memory) == 1


@pytest.mark.parametrize("done", [True, False])
def test_a_question_stored_ahead_whose_answer_was_lost_stands_once(url: str, done: bool) -> None:
    with AgentMemory(url, embeddings=WordEmbeddings(), partitions=16, on_error="continue") as memory:
        restore = losing(memory, "write_session", done=done)
        context = memory.read_turn("t1", user="alice", text="I live in Porto.", store_input=True)
        restore()
        assert context.failures
        memory.write_turn(context, [HumanMessage("I live in Porto."), AIMessage("ok")])
        assert said(memory) == ["I live in Porto.", "ok"]


def test_what_is_to_be_extracted_from_is_queued_before_it_is_stored(memory: AgentMemory) -> None:
    sent: list[str | None] = []
    run = memory.transport._run

    def noting(op: Op[Any]) -> Op[Any]:
        answer = None
        try:
            while True:
                step = op.send(answer)
                if not isinstance(step, Effect):
                    sent.extend(name_of(str(one.args[1])) for one in step)
                answer = yield step
        except StopIteration as stop:
            return stop.value

    vars(memory.transport)["_run"] = lambda op: run(noting(op))
    context = memory.read_turn("t1", user="alice", text="I live in Porto.", remember_when="background")
    memory.write_turn(context, [HumanMessage("I live in Porto."), AIMessage("ok")])
    vars(memory.transport).pop("_run")
    assert sent.index("enqueue") < sent.index("note_thread") < sent.index("write_session")


def test_a_worker_that_ends_between_a_fold_and_its_task_leaves_nothing_to_be_folded_twice(url: str) -> None:
    def listing(summary: str, messages: Any) -> str:
        return "\n".join([*summary.splitlines(), *(one.text for one in messages)])

    with AgentMemory(
        url,
        embeddings=WordEmbeddings(),
        partitions=16,
        max_turns=2,
        summarise=listing,
        summarise_when="background",
    ) as memory:
        for number in range(3):
            memory.write_turn(
                memory.read_turn("t1", user="alice", text=f"fact {number}", remember=lambda text: None),
                [HumanMessage(f"fact {number}"), AIMessage(f"So {number}")],
            )
        place = Place("fold", "t1", "alice", "default")
        assert memory.transport.run(memory.working.fold_op("t1")) == 4  # and the worker dies here
        assert len(memory.transport.run(memory.tasks.read_op(place, 5))) == 1
        metrics = MemoryWorker(memory, extractor=lambda exchange: [Add("never")]).run(once=True)
        assert (metrics.folded_messages, metrics.waiting) == (0, 0)
        state = memory.working.load("t1")
        assert state is not None
        assert state.summary.splitlines() == ["fact 0", "So 0", "fact 1", "So 1"]
