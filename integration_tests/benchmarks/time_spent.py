"""Where the time of a side goes: the server's, the client's CPU, and the rest, which is waiting."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from statistics import mean
from typing import Any

from integration_tests.benchmarks.measure import Row, Side
from integration_tests.benchmarks.world import World


@dataclass(frozen=True)
class Spent:
    """The time of a side, in milliseconds per run.

    Attributes:
        row: The key of its row.
        side: Its name.
        target: The target that is judged by it; empty if it is ours.
        total: From beginning to end, on average.
        server: What the server's commands took.
        client: The CPU time of this thread.
        commands: What each command that was sent took on the server, the longest first.
    """

    row: str
    side: str
    target: str
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
    before = _per_command(world)
    for number in range(runs):
        cpu, began = time.thread_time(), time.perf_counter()
        result = side.run(number)
        totals.append(time.perf_counter() - began)
        client += time.thread_time() - cpu
        side.undo(result)
    after = _per_command(world)
    commands: Counter[str] = Counter()
    for name, times in sent.items():
        calls, microseconds = (after[name][at] - before.get(name, (0, 0))[at] for at in range(2))
        # Those that scripts call are counted under the same names, and in the script's time as well.
        commands[name] = round(microseconds / calls * times / 1000, 4)
    return Spent(
        row.key,
        side.name,
        side.target,
        mean(totals) * 1000,
        sum(commands.values()),
        client / runs * 1000,
        dict(commands.most_common()),
    )


def _sent(world: World, side: Side) -> Counter[str]:
    """How often a run sends each command; those that scripts call are not among them."""
    sent: Counter[str] = Counter()
    with world.client.monitor() as monitor:
        side.undo(side.run(0))  # the monitor has taken a connection: another one is opened here
        world.client.echo("begin")
        result = side.run(1)
        world.client.echo("end")
        began = False
        for command in monitor.listen():
            name = command["command"].split()[0].lower()
            if name == "echo":
                if began:
                    break
                began = True
            # The time of EXEC is that of the commands in it.
            elif began and command["client_type"] != "lua" and name != "exec":
                sent[name] += 1
    side.undo(result)
    return sent


def _per_command(world: World) -> dict[str, tuple[int, int]]:
    stats: Any = world.client.info("commandstats")
    return {
        name.removeprefix("cmdstat_").lower(): (int(one["calls"]), int(one["usec"]))
        for name, one in stats.items()
    }
