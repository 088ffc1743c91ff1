"""Where the time of a side goes: the server's, the client's CPU, and the rest, which is waiting."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from statistics import mean
from typing import Any

from integration_tests.benchmarks.measure import Row, Side
from integration_tests.benchmarks.world import World

_OURS = ("PING", "INFO", "MONITOR")  # what measuring itself sends


@dataclass(frozen=True)
class Spent:
    """The time of a side, in milliseconds per run.

    Attributes:
        row: The key of its row.
        side: Its name.
        total: From beginning to end, on average.
        server: What the server's commands took.
        client: The CPU time of this thread.
        commands: What each command that was sent took on the server, the longest first.
    """

    row: str
    side: str
    total: float
    server: float
    client: float
    commands: dict[str, float]

    @property
    def waiting(self) -> float:
        """The rest: the way to the server and back, and waking up."""
        return max(0.0, self.total - self.server - self.client)


def time_spent(world: World, row: Row, runs: int) -> list[Spent]:
    """Split the time of our side and of the judged ones."""
    return [_spent(world, row, side, runs) for side in (row.ours, *row.judged)]


def _spent(world: World, row: Row, side: Side, runs: int) -> Spent:
    sent = _sent(world, side)
    row.tidy()
    totals, client = [], 0.0
    before, after = _per_command(world), Counter[str]()
    for number in range(runs):
        before = _per_command(world)
        cpu, began = time.thread_time(), time.perf_counter()
        result = side.run(number)
        totals.append(time.perf_counter() - began)
        client += time.thread_time() - cpu
        for name, (calls, microseconds) in _per_command(world).items():
            had_calls, had = before.get(name, (0, 0))
            if calls > had_calls and name in sent:
                # Scripts call commands of their own, which are counted here and in the script's time.
                after[name] += (microseconds - had) / (calls - had_calls) * sent[name]
        side.undo(result)
    commands = {name: took / runs / 1000 for name, took in after.most_common()}
    return Spent(
        row.key, side.name, mean(totals) * 1000, sum(commands.values()), client / runs * 1000, commands
    )


def _sent(world: World, side: Side) -> Counter[str]:
    """How often a run sends each command; those that scripts call are not among them."""
    side.undo(side.run(0))
    sent: Counter[str] = Counter()
    with world.client.monitor() as monitor:
        result = side.run(1)
        world.client.echo("the end")
        for command in monitor.listen():
            if command["client_type"] == "lua":
                continue
            name = command["command"].split()[0].upper()
            if name == "ECHO":
                break
            sent[name.lower()] += 1
    side.undo(result)
    return sent


def _per_command(world: World) -> dict[str, tuple[int, int]]:
    stats: Any = world.client.info("commandstats")
    return {
        name.removeprefix("cmdstat_").lower(): (int(one["calls"]), int(one["usec"]))
        for name, one in stats.items()
    }
