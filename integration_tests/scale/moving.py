"""How long `agentmem move` takes, and how much memory: `python -m integration_tests.scale.moving --memories 100000`.

From one server to another beside it, into partitions: the memories and conversations of 100 for each user.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time

from integration_tests.scale.servers import STANDALONE, started
from integration_tests.scale.worlds import Place, opened


def main(words: list[str] | None = None) -> None:
    """Print what a move took."""
    parser = argparse.ArgumentParser(prog="python -m integration_tests.scale.moving", description=__doc__)
    parser.add_argument("--memories", type=int, default=100_000, help="how many, a multiple of 100")
    parser.add_argument("--partitions", type=int, default=256, help="how many there are at the target")
    chosen = parser.parse_args(words)
    with opened(Place(STANDALONE, chosen.memories), "float32") as world, started(STANDALONE) as target:
        world.fill(lambda count: None)
        empty = target.used_bytes()
        began = time.perf_counter()
        move = [sys.executable, "-m", "langchain_agentmem.cli", "move", world.servers.url, target.url]
        done = subprocess.run(
            [*move, "--partitions", str(chosen.partitions), "--json"],
            env={**os.environ, "AGENTMEM_STORAGE": "hash"},
            check=True,
            stdout=subprocess.PIPE,
        )
        seconds = time.perf_counter() - began
        most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000
        report = json.loads(done.stdout.splitlines()[-1])
        print(
            f"{chosen.memories:,} memories and {world.place.users * 10:,} conversations: {seconds:.0f} s, "
            f"{most:.0f} MB; {target.used_bytes() - empty:,} bytes at the target; ok: {report['ok']}"
        )


if __name__ == "__main__":
    main()
