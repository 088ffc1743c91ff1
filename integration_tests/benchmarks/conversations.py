"""Many conversations at once in one process, through `wrap`: exchanges per second, with the vectors given.

`python -m integration_tests.benchmarks.conversations` prints them by mode, and what the garbage collector takes.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import json
import time
import zlib
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import redis
from langchain_core.embeddings import Embeddings
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig, RunnableLambda

from integration_tests.benchmarks.world import DIMENSIONS, exchange
from langchain_agentmem import AgentMemory, EmbeddedRedis
from langchain_agentmem.longterm.types import Mode

MODES: tuple[Mode, ...] = ("hybrid", "vector")
RARE = 50_000
_VECTORS = 512


class GivenVectors(Embeddings):
    """Embeds each text as one of a few hundred vectors, without a model and without a thread."""

    def __init__(self) -> None:
        numbers = np.random.default_rng(23).normal(size=(_VECTORS, DIMENSIONS))
        self._vectors: list[list[float]] = numbers.astype(np.float32).tolist()

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a text."""
        return self._vectors[zlib.crc32(text.encode()) % _VECTORS]

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return the vectors of texts."""
        return [self.embed_query(text) for text in texts]

    async def aembed_query(self, text: str) -> list[float]:
        """Async version of `embed_query`."""
        return self.embed_query(text)

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """Async version of `embed_documents`."""
        return self.embed_documents(texts)


def turns_per_second(
    memory: AgentMemory,
    conversations: int = 200,
    turns: int = 10,
    *,
    name: str = "conversations",
    mode: Mode | None = None,
) -> float:
    """Return how many exchanges per second are had in conversations at once, each of a user of its own.

    Each conversation has its exchanges one after the other, with `wrap(…).ainvoke`. One exchange of each
    comes before, so that connections and scripts are there; it is not counted.

    Args:
        memory: Made from a URL, so that it has async connections of its own, with `GivenVectors`.
        conversations: How many at once.
        turns: How many exchanges each of them has.
        name: What the users and threads are called by; another one begins new conversations.
        mode: How memories are recalled; by default as `wrap` does.
    """
    answers = [AIMessage(exchange(number)[1].content) for number in range(turns + 1)]

    async def answer(value: dict[str, str]) -> AIMessage:
        return answers[int(value["number"])]

    chain = memory.wrap(RunnableLambda(answer), remember="episodic", mode=mode)

    async def converse(number: int, first: int, end: int) -> None:
        who = f"{name}:{number}"
        config: RunnableConfig = {"configurable": {"session_id": who, "user_id": who}}
        for at in range(first, end):
            said = str(exchange(at)[0].content)
            await chain.ainvoke({"input": said, "number": str(at)}, config)

    async def measure() -> float:
        await asyncio.gather(*(converse(number, 0, 1) for number in range(conversations)))
        began = time.perf_counter()
        await asyncio.gather(*(converse(number, 1, turns + 1) for number in range(conversations)))
        return conversations * turns / (time.perf_counter() - began)

    return asyncio.run(measure())


class Rates(NamedTuple):
    """Exchanges per second, and what one takes, in milliseconds of CPU.

    Attributes:
        per_second: The median of all runs.
        client: The client's CPU.
        server: The server's, beside it.
    """

    per_second: float
    client: float
    server: float


def rates(conversations: int, turns: int, times: int) -> dict[str, Rates]:
    """Measure by mode, with Python's garbage collector as it is and made rare."""
    usual = gc.get_threshold()
    found: dict[str, list[Rates]] = {}
    with EmbeddedRedis() as server, AgentMemory(server.url, embeddings=GivenVectors()) as memory:
        client = redis.Redis.from_url(server.url)
        for number, mode, rare in itertools.product(range(times + 1), MODES, (False, True)):
            gc.set_threshold(*((RARE,) if rare else usual))
            theirs, ours = _server_seconds(client), time.process_time()
            rate = turns_per_second(memory, conversations, turns, name=f"{number}:{mode}:{rare}", mode=mode)
            if number:  # the first are to load what is loaded late
                done = conversations * (turns + 1) / 1000  # one of each comes before what is timed
                taken = (time.process_time() - ours) / done, (_server_seconds(client) - theirs) / done
                found.setdefault(f"{mode}, rare" if rare else mode, []).append(Rates(rate, *taken))
        client.close()
    gc.set_threshold(*usual)
    return {name: Rates(*map(median, zip(*runs, strict=True))) for name, runs in found.items()}


def _server_seconds(client: redis.Redis) -> float:
    info: Any = client.info("cpu")
    return float(info["used_cpu_user_main_thread"]) + float(info["used_cpu_sys_main_thread"])


def main() -> None:
    """Print the exchanges per second by mode, or all that was measured as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--conversations", type=int, default=200)
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    found = rates(chosen.conversations, chosen.turns, chosen.times)
    if chosen.json:
        print(json.dumps(found))
        return
    for name, rate in found.items():
        print(f"{name:<14} {rate.per_second:6.0f} per second")
    print(f"rare: gc.set_threshold({RARE:_})")


if __name__ == "__main__":
    main()
