"""Connections that are cut, and tasks that are cancelled, while others write."""

from __future__ import annotations

import asyncio
from contextlib import closing
from functools import partial
from random import Random

from integration_tests.listening import CuttingProxy
from integration_tests.soak.trial import Clock, Figures, Ledger, Places, side_by_side
from integration_tests.transport.conftest import Server, binary_of_embedded
from langchain_agentmem import EventLog, WorkingMemory
from langchain_agentmem.core.operations import call, writes
from langchain_agentmem.transport.connections import Transport

_BURST = 40


def cut_connections(clock: Clock, random: Random) -> Figures:
    """Cut every connection at a random byte: no write is repeated, no acknowledged one is lost."""
    turns, events = Ledger(), Ledger()

    def write(url: str, writer: str) -> None:
        places = Places(writer)
        with WorkingMemory(url, max_turns=None) as working, EventLog(url) as log:
            while not clock.is_over():
                place = places.next()
                with turns.sending(place, writer) as entry:
                    working.append_turn(place, "user", entry)
                with events.sending(place, writer) as entry:
                    log.record(place, "note", entry)

    async def awrite(url: str, writer: str) -> None:
        places = Places(writer)
        async with WorkingMemory(url, max_turns=None) as working:
            while not clock.is_over():
                place = places.next()
                with turns.sending(place, writer) as entry:
                    await working.aappend_turn(place, "user", entry)

    with closing(Server(binary_of_embedded())) as server, CuttingProxy(server.port, random) as proxy:
        side_by_side(
            partial(write, f"{proxy.url}?protocol=2", "a"),
            partial(write, f"{proxy.url}?protocol=3", "b"),
            lambda: asyncio.run(awrite(proxy.url, "c")),
        )
        with WorkingMemory(server.url, max_turns=None) as working, EventLog(server.url) as log:
            figures = turns.compare(lambda place: _contents(working, place))
            figures.add(events.compare(lambda place: [one.detail for one in log.recent(place, 500)][::-1]))
    return Figures({"cuts": proxy.cuts, **figures.counts}, figures.broken)


def cancelled_tasks(clock: Clock, random: Random) -> Figures:
    """Cancel half of the async appends at random moments: no reply goes to another, the client lives on."""
    turns, mixed, cancelled = Ledger(), 0, 0

    async def echo(transport: Transport, number: int) -> int:
        return int(await transport.arun(call(writes("ECHO", f"mine {number}"))) != b"mine %d" % number)

    async def append(working: WorkingMemory, place: str, writer: str) -> None:
        with turns.sending(place, writer) as entry:
            await working.aappend_turn(place, "user", entry)

    async def burst(working: WorkingMemory, place: str) -> None:
        nonlocal mixed, cancelled
        # A writer each: those of a burst overtake one another.
        tasks = [asyncio.create_task(append(working, place, f"{place}.{n}")) for n in range(_BURST)]
        echoes = [asyncio.create_task(echo(working.transport, n)) for n in range(_BURST // 4)]
        for task in random.sample(tasks, _BURST // 2):
            await asyncio.sleep(random.choice([0, 0, random.random() * 0.002]))
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        cancelled += sum(task.cancelled() for task in tasks)
        mixed += sum(await asyncio.gather(*echoes))
        mixed += await echo(working.transport, -1)

    async def run(*urls: str) -> None:
        places = Places("t", _BURST // 4)
        memories = [WorkingMemory(url, max_turns=None) for url in urls]
        while not clock.is_over():
            await burst(random.choice(memories), places.next())
        for memory in memories:
            await memory.aclose()

    with closing(Server(binary_of_embedded())) as server:
        asyncio.run(run(f"{server.url}?protocol=2", f"{server.url}?protocol=3&max_connections=5"))
        with WorkingMemory(server.url, max_turns=None) as working:
            figures = turns.compare(lambda place: _contents(working, place))
    return Figures({"cancelled": cancelled, **figures.counts}, {"mixed": mixed, **figures.broken})


def _contents(working: WorkingMemory, thread: str) -> list[str]:
    return [str(message.content) for message in working.messages(thread)]
