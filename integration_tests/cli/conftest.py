"""The command line as people run it: a process of its own, with pipes or with a terminal."""

from __future__ import annotations

import codecs
import fcntl
import os
import re
import select
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from integration_tests.processes import run_command

STUBS = Path(__file__).with_name("stubs")
NO_MODEL = {"PYTHONPATH": str(STUBS / "no_model")}
"""An environment in which the embedding model cannot be loaded."""
# Makes its standard input the controlling terminal, so that Ctrl-C in it is a SIGINT.
_ON_A_TERMINAL = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); from langchain_agentmem.cli import main; main()"


def environment(url: str, *, stubs: bool, **more: str) -> dict[str, str]:
    ours = {
        name: value
        for name, value in os.environ.items()
        if name == "AGENTMEM_PARTITIONS"  # for runs of these tests on partitions
        or not (name.startswith(("AGENTMEM_", "REDIS_")) or name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"))
    }
    paths = {"PYTHONPATH": str(STUBS)} if stubs else {}
    return {**ours, "AGENTMEM_URL": url, "TERM": "xterm-256color", **paths, **more}


def run(*arguments: str, url: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """`agentmem chat` whose streams are files, to its end."""
    return agentmem("chat", *arguments, url=url, **more)


def agentmem(
    *arguments: str, url: str, stdin: str | bytes = "", stubs: bool = True, **more: str
) -> subprocess.CompletedProcess[str]:
    """A command whose streams are files, to its end."""
    done = run_command(
        list(arguments),
        stdin=stdin.encode() if isinstance(stdin, str) else stdin,
        environment=environment(url, stubs=stubs, **more),
        timeout_seconds=90,
    )
    said = (done.stdout.decode(), done.stderr.decode())
    assert "Traceback" not in "".join(said), said[1]
    return subprocess.CompletedProcess(done.args, done.returncode, *said)


def table(output: str) -> list[dict[str, str]]:
    """The rows of a table as a program reads it: by the names in its heading."""
    heading, *rows = [line.split("\t") for line in output.splitlines()]
    return [dict(zip(heading, row, strict=True)) for row in rows]


class Terminal:
    """A process on a terminal of its own; `screen` is what it wrote, without control sequences."""

    def __init__(
        self, *arguments: str, env: dict[str, str], columns: int = 100, command: str = "chat"
    ) -> None:
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-c", _ON_A_TERMINAL, command, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=env,
            start_new_session=True,
        )
        os.close(slave)
        self.raw = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")()  # a read may end within a character
        self._seen = 0

    @property
    def screen(self) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", self.raw)

    def expect(self, text: str, seconds: float = 90.0) -> str:
        """Wait until this is shown, behind what was expected before; everything up to it."""
        deadline = time.monotonic() + seconds
        while (at := self.screen.find(text, self._seen)) < 0:
            assert self._read(deadline), f"no {text!r} in {self.screen[self._seen :]!r}"
        began, self._seen = self._seen, at + len(text)
        return self.screen[began : self._seen]

    def send(self, line: str) -> None:
        os.write(self._master, f"{line}\n".encode())

    def press(self, key: str) -> None:
        os.write(self._master, {"Ctrl-C": b"\x03", "Ctrl-D": b"\x04"}[key])

    def end(self, seconds: float = 60.0, *, pressing: str | None = None) -> int:
        """What is still written, then the exit code; `pressing` a key, again while nothing happens.

        A Ctrl-C that comes between the prompt and the wait for a key is noticed with the next key only.
        """
        deadline = time.monotonic() + seconds
        while pressing is not None and self.process.poll() is None and time.monotonic() < deadline:
            self.press(pressing)
            while self._read(time.monotonic() + 3):
                pass
        while self._read(deadline):
            pass
        return self.process.wait(max(deadline - time.monotonic(), 1))

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], max(deadline - time.monotonic(), 0))
        data = b""
        if ready:
            with suppress(OSError):  # EIO on Linux, when the last program on it has ended
                data = os.read(self._master, 65536)
        self.raw += self._decoder.decode(data)
        return bool(data)

    def close(self) -> None:
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        os.close(self._master)


@pytest.fixture
def terminal() -> Iterator[Callable[..., Terminal]]:
    with ExitStack() as stack:

        def start(
            *arguments: str,
            url: str,
            stubs: bool = True,
            command: str = "chat",
            columns: int = 100,
            **more: str,
        ) -> Terminal:
            environ = environment(url, stubs=stubs, **more)
            found = Terminal(*arguments, env=environ, columns=columns, command=command)
            stack.callback(found.close)
            return found

        yield start


@pytest.fixture
def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
