"""One library, in a process of its own, which does what it is told line by line.

`python -m integration_tests.benchmarks.peers.process KEY JOB`: the job is a JSON object `{url, folder, options,
material}`. Every line on the standard input is `{"do": …}` with the arguments of one of `Worker`'s methods; every
line on the standard output is what came of it: `{"value": …}`, `{"not_offered": why}` or `{"problem": what}`.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import redis

from integration_tests.benchmarks.peers import checks, work
from integration_tests.benchmarks.peers.bench import Bench
from integration_tests.benchmarks.peers.libraries import COMPARED, GROWING, class_of
from integration_tests.benchmarks.peers.libraries.library import Library, NotOfferedError, Opening
from integration_tests.benchmarks.peers.material import Files, Material

_LONGEST = 160


class Worker:
    """What a process can be told to do.

    Args:
        key: Of `COMPARED` or `GROWING`.
        job: Its Redis, its folder, and the material.
    """

    def __init__(self, key: str, job: dict[str, Any]) -> None:
        self._listed = (GROWING | COMPARED)[key]
        self._class = class_of(self._listed.module)
        self._material = Material(Files(**job["material"]))
        self._opening = Opening(
            job["url"], self._material.vectors, job["folder"], options=dict(self._listed.options)
        )
        self._server = redis.Redis.from_url(job["url"])
        self._library: Library | None = None
        self._refusal: Exception = RuntimeError("start comes first")

    def versions(self) -> str:
        """Return the versions of what the library consists of."""
        packages = self._listed.packages
        return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)

    def open(
        self,
        *,
        given_client: bool = False,
        on_client: Callable[[redis.Redis], None] | None = None,
        **changes: Any,
    ) -> Library:
        """Empty the Redis, and open the library on it.

        Args:
            given_client: Whether it gets a client of the caller's, if it takes one.
            on_client: Called with that client before the library gets it.
            **changes: Of the `Opening`.
        """
        self.close()
        self._server.flushall()
        # What is deleted leaves the index when it is tidied, however little there is.
        self._server.execute_command("FT.CONFIG", "SET", "FORK_GC_CLEAN_THRESHOLD", 0)
        opening = replace(self._opening, **changes)
        if given_client and self._class.takes_client:
            opening = opening.given_client(self._class.protocol)
            if on_client is not None and opening.client is not None:
                on_client(opening.client)
        # A folder each time: what a library keeps in files belongs to the data that were on the Redis.
        opening = replace(opening, folder=tempfile.mkdtemp(dir=self._opening.folder))
        try:
            self._library = self._class(opening)
        except Exception as error:
            self._refusal = error
            raise
        return self._library

    def close(self) -> None:
        """Close the library, if it is open."""
        if self._library is not None:
            self._library.close()
            self._library = None

    def start(self, window: int | None = work.WINDOW) -> None:
        """Open the library on an empty Redis; `window` is how many messages a session keeps."""
        self.open(window=window)

    def end(self) -> None:
        """Close everything."""
        self.close()
        self._server.close()

    def load(self, user: str, first: int, count: int) -> float:
        """Remember facts at once; return the seconds it took."""
        return work.load(self.library, self._material, user, first, count)

    def row(self, row: str, first: int, rounds: int) -> list[float]:
        """Do a row's work a few times; return the seconds of each."""
        return self._burst(work.ROWS[row](self.library, self._material), first, rounds)

    def users(self, operation: str, users: int, first: int, rounds: int) -> list[float]:
        """Recall or remember with this many users, each with 100 facts; return the seconds of each."""
        return self._burst(work.of_users(self.library, self._material, operation, users), first, rounds)

    def sessions(self, operation: str, messages: int, first: int, rounds: int) -> list[float]:
        """Append to or read a session of so many messages, another each time; return the seconds of each."""
        return self._burst(work.of_sessions(self.library, operation, messages, rounds), first, rounds)

    def used_memory(self) -> int:
        """Return the bytes that the Redis uses."""
        info: Any = self._server.info("memory")
        return int(info["used_memory"])

    def check(self, name: str) -> dict[str, Any]:
        """Return what came of a row of the correctness table."""
        bench = Bench(self.open, self._server, self._material)
        try:
            return checks.CHECKS[name][1](bench)._asdict()
        finally:
            self.close()

    @property
    def library(self) -> Library:
        """Return the open library; raises why it is not open."""
        if self._library is None:
            raise self._refusal
        return self._library

    def _burst(self, job: work.Job, first: int, rounds: int) -> list[float]:
        taken = work.timed(job, first, rounds)
        if job.undo is not None:
            for index in self._server.execute_command("FT._LIST"):
                # As it would be half a minute later: searches pass over what is deleted.
                self._server.execute_command("FT.DEBUG", "GC_FORCEINVOKE", index)
        return taken


def done(worker: Worker, told: dict[str, Any]) -> dict[str, Any]:
    """Do what is told, and return what came of it."""
    name = told.pop("do")
    try:
        return {"value": getattr(worker, name)(**told)}
    except NotOfferedError as error:
        return {"not_offered": str(error)}
    except Exception as error:  # noqa: BLE001 - a library's failure is a result, whatever it is
        words = " ".join(str(error).split())
        return {"problem": f"{type(error).__name__}: {words}"[:_LONGEST]}


def main(key: str, job_file: str) -> None:
    """Do what is told until nothing more comes."""
    warnings.simplefilter("ignore")
    # What libraries print goes elsewhere than the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    worker = Worker(key, json.loads(Path(job_file).read_text("utf-8")))
    for line in sys.stdin:
        print(json.dumps(done(worker, json.loads(line))), file=answers, flush=True)
    worker.end()


if __name__ == "__main__":
    main(*sys.argv[1:])
