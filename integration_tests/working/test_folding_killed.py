"""Workers that fold at once or are killed in between: no message is folded twice, and none is missing."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import redis
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from integration_tests.conftest import before_each_batch
from integration_tests.processes import FORKING
from langchain_agentmem.working.working_memory import WorkingMemory

WINDOW, WRITERS, FOLDERS, EXCHANGES = 6, 2, 4, 125


def listing(summary: str, messages: Sequence[BaseMessage]) -> str:
    calls = {call["id"] for one in messages if isinstance(one, AIMessage) for call in one.tool_calls}
    assert calls == {one.tool_call_id for one in messages if isinstance(one, ToolMessage)}
    return " ".join([*summary.split(), *(one.id or "" for one in messages)])


def memory_of(url: str, storage: Any, summarise: Any = listing) -> WorkingMemory:
    return WorkingMemory(url, storage=storage, summarise=summarise, max_turns=WINDOW, max_waiting=10_000)


def exchange(name: str) -> list[BaseMessage]:
    call = {"name": "f", "args": {}, "id": f"{name}c"}
    return [
        HumanMessage("q", id=f"{name}q"),
        AIMessage("", id=f"{name}c", tool_calls=[call]),
        ToolMessage("r", id=f"{name}r", tool_call_id=f"{name}c"),
        AIMessage("a", id=f"{name}a"),
    ]


def places(working: WorkingMemory) -> list[str | None]:
    """The ids of all messages: in the summary, waiting, in the window."""
    state = working.load("t1")
    assert state is not None
    waiting = working.transport.run(working.waiting_op("t1"))
    read = [None if one is None else one.id for one in waiting.messages]
    return [*state.summary.split(), *read, *(turn.message.id for turn in state.recent_turns)]


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def write_and_fold(url: str, storage: str, steps: int) -> None:
    """Write exchanges and fold, until it is killed before a step: a round trip, the summariser, what follows."""
    left = [steps]

    def step(*_: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            kill()

    def summarise(summary: str, messages: Sequence[BaseMessage]) -> str:
        step()
        told = listing(summary, messages)
        step()
        return told

    with memory_of(url, storage, summarise) as working:
        run = working.transport._run
        vars(working.transport)["_run"] = lambda op: run(before_each_batch(op, step))
        for n in range(6):
            state = working.load("t1")
            begun = 0 if state is None else state.turn_count // 4
            if n >= begun:
                working.append("t1", exchange(str(n)))
            working.fold("t1")
            step()


@pytest.mark.parametrize("storage", ["hash", "list"])
def test_killed_between_any_two_steps_a_worker_leaves_each_message_in_one_place(
    url: str, bare: redis.Redis, storage: str
) -> None:
    every = [one.id for n in range(6) for one in exchange(str(n))]
    steps = 0
    while True:
        bare.flushall()
        process = FORKING.Process(target=write_and_fold, args=(url, storage, steps))
        process.start()
        process.join()
        with memory_of(url, storage) as working:
            if process.exitcode == 0:
                assert places(working) == every
                break
            assert process.exitcode == -signal.SIGKILL
            left = places(working) if working.load("t1") is not None else []
            assert left == every[: len(left)]
            assert len(left) % 4 == 0
        write_and_fold(url, storage, 10_000)  # the next one goes on where it ended
        with memory_of(url, storage) as working:
            assert places(working) == every
            state = working.load("t1")
            assert state is not None
            assert state.folded_count == len(state.summary.split())
        steps += 1
    assert steps > 30


def write(url: str, storage: str, number: int) -> None:
    with memory_of(url, storage) as working:
        for n in range(EXCHANGES):
            working.append("t1", exchange(f"{number}.{n}"))


def fold(url: str, storage: str, number: int) -> None:
    with redis.Redis.from_url(url) as client:

        def summarise(summary: str, messages: Sequence[BaseMessage]) -> str:
            for _ in range(20):  # a model takes its time, in which the others get at the same messages
                client.ping()
            return listing(summary, messages)

        with memory_of(url, storage, summarise) as working:
            while not client.exists("written"):
                working.fold("t1")


def started(target: Callable[..., None], count: int, *args: Any) -> list[Any]:
    processes = [FORKING.Process(target=target, args=(*args, n)) for n in range(count)]
    for process in processes:
        process.start()
    return processes


@pytest.mark.parametrize("storage", ["hash", "list"])
def test_workers_that_fold_while_others_write_fold_each_message_once(
    url: str, bare: redis.Redis, storage: str
) -> None:
    folders = started(fold, FOLDERS, url, storage)
    writers = started(write, WRITERS, url, storage)
    for process in writers:
        process.join()
    bare.set("written", 1)
    for process in folders:
        process.join()
    assert {process.exitcode for process in [*writers, *folders]} == {0}
    with memory_of(url, storage) as working:
        assert int(bare.hget("agent:session:t1", "folded_count") or 0) > 0
        while working.fold("t1"):
            pass
        found = places(working)
    written = {one.id for n in range(WRITERS) for m in range(EXCHANGES) for one in exchange(f"{n}.{m}")}
    assert len(found) == len(written) == WRITERS * EXCHANGES * 4
    assert {*found} == written
    assert len({one for one in found if one is not None}) == len(found)
