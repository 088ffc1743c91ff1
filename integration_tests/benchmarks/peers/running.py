"""A library's process, as it is told what to do, and the Redis of its own that it does it on."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from integration_tests.benchmarks.peers import process
from integration_tests.benchmarks.peers.libraries import OURS
from integration_tests.benchmarks.peers.material import Files
from integration_tests.peers import environments
from langchain_agentmem import EmbeddedRedis

PATIENCE_SECONDS = 120.0


class NoResultError(Exception):
    """Something was not measured; the message says why, in the words of a table's cell."""


class NotOfferedError(NoResultError):
    """The library has no such thing."""


class Running:
    """A library in a process of its own, on a Redis of its own. Its end is the end of both.

    Args:
        key: Of `COMPARED` or `GROWING`.
        folder: Where it may write.
        material: What it is given.

    Attributes:
        problem: Why it does not run; empty if it does. Then every question raises `NoResultError`.
    """

    def __init__(self, key: str, folder: Path, material: Files) -> None:
        self.key = key
        self.problem = ""
        self._answers: queue.Queue[str] = queue.Queue()
        self._server: EmbeddedRedis | None = None
        self._process: subprocess.Popen[str] | None = None
        self._said = folder / f"{key}.stderr"
        folder = Path(tempfile.mkdtemp(dir=folder))
        try:
            python = sys.executable if key.startswith(OURS) else environments.python_of(key)
            self._server = EmbeddedRedis()
            self._server.start()
            job = {"url": self._server.url, "folder": str(folder), "material": material.to_dict()}
            (folder / "job.json").write_text(json.dumps(job), "utf-8")
            self._process = self._start(python, str(folder / "job.json"))
        except environments.PeerNotInstalledError as error:
            self.problem = str(error)

    def _start(self, python: str, job_file: str) -> subprocess.Popen[str]:
        with self._said.open("w", encoding="utf-8") as said:
            started = subprocess.Popen(
                [python, "-m", process.__name__, self.key, job_file],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
                env=environments.environment(),
            )

        def listen() -> None:
            assert started.stdout is not None
            for line in started.stdout:
                self._answers.put(line)
            self._answers.put("")  # its end

        self._listening = threading.Thread(target=listen, daemon=True)
        self._listening.start()
        return started

    def ask(self, do: str, *, patience_seconds: float = PATIENCE_SECONDS, **arguments: Any) -> Any:
        """Return what one of `Worker`'s methods returns.

        Raises:
            NotOfferedError: The library has no such thing.
            NoResultError: The library raised, its process died, or it took too long.
        """
        if self.problem:
            raise NoResultError(self.problem)
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._process.stdin.flush()
            line = self._answers.get(timeout=patience_seconds)
        except BrokenPipeError:
            line = ""
        except queue.Empty:
            self._process.kill()
            self.problem = f"took longer than {patience_seconds:.0f} s"
            raise NoResultError(self.problem) from None
        if not line:
            self._process.wait()
            said = environments.last_words(self._said.read_text("utf-8")).splitlines()
            self.problem = said[-1] if said else f"exit code {self._process.returncode}"
            raise NoResultError(self.problem)
        answer = json.loads(line)
        if "not_offered" in answer:
            raise NotOfferedError(f"not offered: {answer['not_offered']}")
        if "problem" in answer:
            raise NoResultError(answer["problem"])
        return answer["value"]

    def close(self) -> None:
        """End the process and its Redis."""
        if self._process is not None:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            try:
                self._process.stdin.close()
                self._process.wait(10)
            except (BrokenPipeError, subprocess.TimeoutExpired):
                self._process.kill()
                self._process.wait()
            self._listening.join()
            self._process.stdout.close()
        if self._server is not None:
            self._server.close()
