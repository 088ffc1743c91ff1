"""Many event streams, written at once by the handlers of chains."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from random import Random

import redis
from langchain_core.runnables import RunnableLambda

from integration_tests.soak.trial import Clock, Figures
from langchain_agentmem import AsyncEventLogHandler, EmbeddedRedis, EventLog, EventLogHandler

_STREAMS, _AT_ONCE = 500, 50
_CHAIN = RunnableLambda(lambda text: text.upper()) | RunnableLambda(lambda text: text.lower())
_ACTIONS = 6  # the beginnings and ends of the chain and its two steps


def many_streams(clock: Clock, random: Random) -> Figures:
    """Run chains in 500 threads at once, each with a handler: no event is dropped, all are there."""
    figures = Figures()
    with EmbeddedRedis(search=False) as server, redis.Redis.from_url(server.url) as bare:
        while not figures.counts or not clock.is_over():
            for write in (_from_threads, _from_tasks):
                bare.flushall()
                names = [f"{number}:{random.random()}" for number in range(_STREAMS)]
                dropped = write(server.url, names, clock)
                figures.add(_look(server.url, names, dropped))
    return figures


def _from_threads(url: str, names: list[str], clock: Clock) -> int:
    """Run a chain for each name, many at once; how many events were dropped."""
    with EventLog(url) as log, ThreadPoolExecutor(_AT_ONCE) as pool:

        def run(name: str) -> None:
            _CHAIN.invoke(name, {"callbacks": [EventLogHandler(log, name)]})
            clock.is_over()

        list(pool.map(run, names))
    return log.dropped


def _from_tasks(url: str, names: list[str], clock: Clock) -> int:
    """Async version of `_from_threads`, all of them at once."""

    async def run() -> int:
        async with EventLog(url) as log:
            runs = (_CHAIN.ainvoke(name, {"callbacks": [AsyncEventLogHandler(log, name)]}) for name in names)
            await asyncio.gather(*runs)
        return log.dropped

    dropped = asyncio.run(run())
    clock.is_over()
    return dropped


def _look(url: str, names: list[str], dropped: int) -> Figures:
    with EventLog(url) as log:
        events = [log.recent(name, 100) for name in names]
    lost = sum(max(0, _ACTIONS - len(of)) for of in events)
    doubled = sum(max(0, len(of) - _ACTIONS) for of in events)
    strangers = sum(
        name.lower() not in one.detail.lower() for name, of in zip(names, events, strict=True) for one in of
    )
    return Figures(
        {"streams": len(names), "events": sum(map(len, events))},
        {"dropped": dropped, "lost": lost, "doubled": doubled, "strangers": strangers},
    )
