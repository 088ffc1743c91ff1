"""Processes of a test's own that need not import everything first."""

from __future__ import annotations

import atexit
import io
import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path

FORKING = multiprocessing.get_context("forkserver")
"""Forks each process from one that has done nothing yet except import what they use.

Nothing of the test's own process gets into them: no connection, no thread, no lock.
"""

# Nothing that tests put something else in place of: no model, and nothing that looks for one.
FORKING.set_forkserver_preload(
    [
        "integration_tests.longterm.test_dedup_concurrency",
        "integration_tests.processes",
        "integration_tests.worker.test_killed",
        "integration_tests.working.test_concurrency",
        "langchain_agentmem.agent_memory",
        "langchain_agentmem.cli.app",
        "langchain_agentmem.cli.connect",
        "langchain_agentmem.events.event_log",
        "langchain_agentmem.embeddings.minilm",
        "langchain_agentmem.events.sanitize",
        "langchain_agentmem.longterm.redisearch.memory",
        "langchain_agentmem.transport.rest_driver",
        "langchain_agentmem.worker.memory_worker",
        "langchain_agentmem.working.histories",
        "pydantic_settings.sources",
        "redisvl.query",
        "redisvl.schema",
        "rich.markup",
        "rich.table",
    ]
)


def run_command(
    arguments: list[str], *, stdin: bytes, environment: dict[str, str], timeout_seconds: float
) -> subprocess.CompletedProcess[bytes]:
    """Run `agentmem` to its end in a process of its own, with files for its streams."""
    with tempfile.TemporaryDirectory() as folder:
        streams = [Path(folder, name) for name in ("stdin", "stdout", "stderr")]
        streams[0].write_bytes(stdin)
        process = FORKING.Process(
            target=_command, args=(arguments, environment, os.getcwd(), [str(one) for one in streams])
        )
        process.start()
        process.join(timeout_seconds)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(["agentmem", *arguments], timeout_seconds)
        said = [one.read_bytes() if one.exists() else b"" for one in streams[1:]]
        return subprocess.CompletedProcess(["agentmem", *arguments], process.exitcode, *said)


def _command(arguments: list[str], environment: dict[str, str], folder: str, streams: list[str]) -> None:
    """Become the program: what an interpreter would set up, then `main`, then what it would do at its end."""
    from langchain_agentmem.cli import main

    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.argv = ["agentmem", *arguments]
    for number, (path, flags) in enumerate(
        zip(streams, (os.O_RDONLY, *[os.O_WRONLY | os.O_CREAT | os.O_APPEND] * 2), strict=True)
    ):
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), encoding="utf-8")
    sys.stdout = io.TextIOWrapper(io.BufferedWriter(io.FileIO(1, "w", closefd=False)), encoding="utf-8")
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(io.FileIO(2, "w", closefd=False)),
        encoding="utf-8",
        errors="backslashreplace",
        line_buffering=True,
    )
    try:
        main()
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
