"""Many conversations at once over one `AgentMemory`: turns per second, their times, and whether all get as many.

`python -m integration_tests.scale.at_once --conversations 1000` prints them; `--profile` shows where the time goes.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import asdict, dataclass

from langchain_core.messages import AIMessage, HumanMessage

from integration_tests.benchmarks.conversations import RARE, GivenVectors
from integration_tests.benchmarks.world import exchange
from integration_tests.scale.growth import share
from integration_tests.scale.sampling import Sampled, sampled
from integration_tests.scale.servers import STANDALONE, Servers, started
from langchain_agentmem import AgentMemory
from langchain_agentmem.longterm.types import Mode

COLLECTIONS = {"usual": gc.get_threshold(), "rare": (RARE,)}


@dataclass(frozen=True)
class AtOnce:
    """What came of so many conversations in so much time. Times are in milliseconds.

    Attributes:
        conversations: How many there were.
        mode: How memories were recalled.
        collections: How often Python collected garbage: as it does, or rarely.
        seconds: How long.
        turns_per_second: Of all of them together.
        p50: The median time of a turn, from before it is read until it is written.
        p99: What one turn in a hundred exceeded.
        fairness: Jain's index of the turns that each conversation finished: 1 if all finished as many.
        client: The client's CPU per turn.
        server: The server's CPU per turn.
        collecting: What part of the client's CPU Python's garbage collector took.
        profile: What part of the client's CPU other code took, by folder; empty unless asked for.
    """

    conversations: int
    mode: str
    collections: str
    seconds: float
    turns_per_second: float
    p50: float
    p99: float
    fairness: float
    client: float
    server: float
    collecting: float
    profile: dict[str, float]


def jain(counts: Iterable[int]) -> float:
    """Return Jain's index of fairness: 1 if all are equal, 1/n if one has everything."""
    found = list(counts)
    squares = len(found) * sum(count * count for count in found)
    return sum(found) ** 2 / squares if squares else 0.0


async def converse(
    memory: AgentMemory, conversations: int, seconds: float, name: str, mode: Mode
) -> tuple[list[float], list[int]]:
    """Have conversations at once for so long; return the time of every turn, and how many each finished.

    Each is of a user of its own, and has its turns one after the other. Two turns of each come before, so that
    connections, scripts and something to recall are there.
    """
    times: list[float] = []
    finished = Counter(dict.fromkeys(range(conversations), 0))
    end = float("inf")

    async def turn(number: int, at: int) -> None:
        who = f"{name}:{number}"
        said, answer = (str(message.content) for message in exchange(at))
        text = f"{said} I told {number} of it."
        context = await memory.aread_turn(who, user=who, text=text, remember="episodic", mode=mode)
        await memory.awrite_turn(context, [HumanMessage(text), AIMessage(answer)])

    async def go_on(number: int) -> None:
        at = 2
        while True:
            began = time.perf_counter()
            await turn(number, at)
            at, now = at + 1, time.perf_counter()
            if now > end:
                return  # begun in time, but not finished
            times.append(now - began)
            finished[number] += 1

    for at in range(2):
        await asyncio.gather(*(turn(number, at) for number in range(conversations)))
    end = time.perf_counter() + seconds
    await asyncio.gather(*(go_on(number) for number in range(conversations)))
    return times, list(finished.values())


def measure(
    servers: Servers,
    memory: AgentMemory,
    conversations: int,
    seconds: float,
    *,
    mode: Mode = "hybrid",
    collections: str = "usual",
    profile: bool = False,
    name: str = "conversation",
) -> AtOnce:
    """Have conversations at once for so long, and return what came of them."""
    usual = gc.get_threshold()
    gc.collect()
    gc.set_threshold(*COLLECTIONS[collections])
    try:
        with sampled(profile) as found:
            client, server = time.process_time(), servers.cpu_seconds()
            times, finished = asyncio.run(converse(memory, conversations, seconds, name, mode))
            client, server = time.process_time() - client, servers.cpu_seconds() - server
    finally:
        gc.set_threshold(*usual)
    return _at_once(conversations, mode, collections, seconds, times, finished, client, server, found)


def _at_once(
    conversations: int,
    mode: str,
    collections: str,
    seconds: float,
    times: list[float],
    finished: list[int],
    client: float,
    server: float,
    found: Sampled,
) -> AtOnce:
    done = len(times) + 3 * conversations  # two before, and one that was not finished in time
    ordered = sorted(times)
    return AtOnce(
        conversations,
        mode,
        collections,
        seconds,
        len(times) / seconds,
        share(ordered, 0.5) * 1000,
        share(ordered, 0.99) * 1000,
        jain(finished),
        client / done * 1000,
        server / done * 1000,
        found.collecting_seconds / client,
        found.shares,
    )


def measured(
    conversations: Iterable[int],
    seconds: float,
    *,
    on: str = STANDALONE,
    modes: Iterable[Mode] = ("hybrid", "vector"),
    profile: bool = False,
) -> list[AtOnce]:
    """Measure each number of conversations, by mode, with Python's garbage collection as it is and made rare."""
    results = []
    with ExitStack() as stack:
        servers = stack.enter_context(started(on))
        memory = stack.enter_context(AgentMemory(servers.url, embeddings=GivenVectors(), storage="hash"))
        measure(servers, memory, 10, min(1.0, seconds), name="first")  # what is loaded late
        for count in conversations:
            for mode in modes:
                for collections in COLLECTIONS:
                    name = f"{count}:{mode}:{collections}"
                    how = {"mode": mode, "collections": collections, "profile": profile, "name": name}
                    results.append(measure(servers, memory, count, seconds, **how))  # type: ignore[arg-type]
    return results


def main(words: list[str] | None = None) -> None:
    """Print what came of conversations at once, or all of it as JSON."""
    parser = argparse.ArgumentParser(prog="python -m integration_tests.scale.at_once", description=__doc__)
    parser.add_argument("--conversations", default="1000", help="how many; several numbers with commas")
    parser.add_argument("--seconds", type=float, default=20.0, help="for how long, each time")
    parser.add_argument("--on", default=STANDALONE, help="standalone, or a number of primaries")
    parser.add_argument("--modes", default="hybrid,vector", help="how memories are recalled, with commas")
    parser.add_argument("--profile", action="store_true", help="sample where the client's CPU goes")
    parser.add_argument("--json", action="store_true", help="print JSON")
    chosen = parser.parse_args(words)
    counts = [int(count) for count in chosen.conversations.split(",")]
    modes = chosen.modes.split(",")
    found = measured(counts, chosen.seconds, on=chosen.on, modes=modes, profile=chosen.profile)
    if chosen.json:
        print(json.dumps([asdict(one) for one in found]))
        return
    for one in found:
        print(
            f"{one.conversations} at once, {one.mode}, collections {one.collections}: "
            f"{one.turns_per_second:,.0f} turns/s, p50 {one.p50:,.0f} ms, p99 {one.p99:,.0f} ms, "
            f"fairness {one.fairness:.4f}, CPU per turn: client {one.client:.2f} ms, server {one.server:.2f} ms, "
            f"garbage collector {one.collecting:.0%} of the client's"
        )
        for folder, part in one.profile.items():
            print(f"    {part:6.1%}  {folder}")


if __name__ == "__main__":
    main()
