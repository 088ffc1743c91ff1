"""No turn is lost, whoever writes at the same time."""

from __future__ import annotations

import asyncio
from itertools import groupby

import redis
from langchain_core.messages import HumanMessage

from integration_tests.processes import FORKING
from integration_tests.upstash.emulator import Emulator
from langchain_agentmem.working.histories import RedisListChatMessageHistory, UpstashChatMessageHistory
from langchain_agentmem.working.working_memory import WorkingMemory

WRITERS, TURNS, WINDOW = 6, 40, 100


def write_turns(url: str, writer: int) -> None:
    with WorkingMemory(url, max_turns=WINDOW) as working:
        for turn in range(TURNS):
            working.append("t1", [HumanMessage(f"{writer}:{turn}")])


def write_entries(url: str, writer: int) -> None:
    history = RedisListChatMessageHistory("t1", url=url, max_messages=WINDOW)
    for turn in range(TURNS):
        history.add_messages([HumanMessage(f"{writer}:{turn}")])
    history.close()


def write_over_rest(url: str, writer: int) -> None:
    rest_url, token = url.split(" ")
    history = UpstashChatMessageHistory("t1", url=rest_url, token=token, max_messages=WINDOW)
    for turn in range(TURNS):
        history.add_messages([HumanMessage(f"{writer}:{turn}")])
    history.close()


def write_turns_over_rest(url: str, writer: int) -> None:
    rest_url, token = url.split(" ")
    with WorkingMemory(rest_url, token=token, storage="list") as working:
        for turn in range(TURNS):
            working.append("t1", [HumanMessage(f"{writer}:{turn}")])


def assert_last_of_all(contents: list[str]) -> None:
    assert len(contents) == len(set(contents)) == WINDOW
    pairs = sorted((int(w), n, int(t)) for n, (w, t) in enumerate(c.split(":") for c in contents))
    for _, of_writer in groupby(pairs, key=lambda item: item[0]):
        turns = [turn for _, _, turn in of_writer]
        assert turns == list(range(TURNS - len(turns), TURNS))  # the newest of each, in its own order


def run_processes(target: object, url: str) -> None:
    processes = [FORKING.Process(target=target, args=(url, n)) for n in range(WRITERS)]  # type: ignore[arg-type]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0


def test_processes_on_one_thread_leave_exactly_the_last_turns(url: str, bare: redis.Redis) -> None:
    run_processes(write_turns, url)
    with WorkingMemory(url) as working:
        state = working.load("t1")
    assert state is not None
    assert state.turn_count == WRITERS * TURNS
    assert_last_of_all([str(turn.content) for turn in state.recent_turns])
    assert bare.ttl("agent:session:t1") > 3500


def test_processes_on_one_list_leave_exactly_the_last_messages(url: str) -> None:
    run_processes(write_entries, url)
    history = RedisListChatMessageHistory("t1", url=url)
    assert_last_of_all([str(message.content) for message in history.messages])
    history.close()


def test_processes_over_rest_leave_exactly_the_last_messages(emulator: Emulator) -> None:
    run_processes(write_over_rest, f"{emulator.url} {emulator.token}")
    with UpstashChatMessageHistory("t1", url=emulator.url, token=emulator.token) as history:
        assert_last_of_all([str(message.content) for message in history.messages])


def test_processes_over_rest_lose_no_turn_of_a_listed_session(emulator: Emulator) -> None:
    run_processes(write_turns_over_rest, f"{emulator.url} {emulator.token}")
    with WorkingMemory(emulator.url, token=emulator.token, storage="list", max_turns=WINDOW) as working:
        state = working.load("t1")
    assert state is not None
    assert state.turn_count == WRITERS * TURNS
    assert_last_of_all([str(turn.content) for turn in state.recent_turns])


async def test_tasks_on_one_thread_leave_exactly_the_last_turns(url: str) -> None:
    async def write(working: WorkingMemory, writer: int) -> None:
        for turn in range(TURNS):
            await working.aappend("t1", [HumanMessage(f"{writer}:{turn}")])

    async with WorkingMemory(url, max_turns=WINDOW) as working:
        await asyncio.gather(*(write(working, n) for n in range(WRITERS)))
        state = await working.aload("t1")
    assert state is not None
    assert state.turn_count == WRITERS * TURNS
    assert_last_of_all([str(turn.content) for turn in state.recent_turns])
