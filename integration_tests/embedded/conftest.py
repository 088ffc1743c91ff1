"""Folders, user processes and clients for tests of a real private Redis."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
import redis

from integration_tests.waiting import wait_until
from langchain_agentmem.embedded.protocol import read_state, supervisor_is_gone
from langchain_agentmem.embedded.server import EmbeddedRedis

# A user in a process of its own: says what it got, lives until its stdin closes, and never calls close().
_USER = """
import json, os, sys
from langchain_agentmem.embedded.server import EmbeddedRedis

folder = sys.argv[1] or None
user = EmbeddedRedis(folder).start()
print(json.dumps({"pid": user.pid, "url": user.url, "data_dir": str(user.data_dir)}), flush=True)
if "fork" in sys.argv and os.fork():
    os._exit(0)
sys.stdin.read()
"""


def is_running(pid: int) -> bool:
    """Whether the process lives; one that only waits to be reaped does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] != "Z"
    return sys.platform != "linux"


def state_of(folder: Path) -> dict[str, Any]:
    state = read_state(folder)
    assert state is not None
    return state


class UserProcess:
    """Another process that uses the server of a folder ("" for an ephemeral one)."""

    def __init__(self, folder: Path | str, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _USER, str(folder), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def got(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found

    def end(self) -> None:
        with self.process:
            pass  # closes its stdin, and waits

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.end()


@pytest.fixture
def user_process() -> Iterator[Callable[..., UserProcess]]:
    with ExitStack() as stack:

        def start(folder: Path | str, *words: str) -> UserProcess:
            user = UserProcess(folder, *words)
            stack.callback(user.end)
            return user

        yield start


@pytest.fixture(scope="session")
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_cache(_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(_cache))


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data folder with a short name, whose server must have ended when the test has."""
    parent = Path(tempfile.mkdtemp(prefix="am-")).resolve()
    data = parent / "data"
    yield data
    try:
        wait_until(lambda: not data.is_dir() or supervisor_is_gone(data))
    finally:
        if state := read_state(data):
            os.kill(state["supervisor_pid"], signal.SIGKILL)
        shutil.rmtree(parent, ignore_errors=True)


@pytest.fixture
def open_redis() -> Iterator[Callable[..., EmbeddedRedis]]:
    """`EmbeddedRedis(…).start()`, closed after the test."""
    with ExitStack() as stack:
        yield lambda *args, **kwargs: stack.enter_context(EmbeddedRedis(*args, **kwargs))


@pytest.fixture
def connect() -> Iterator[Callable[[EmbeddedRedis | str], redis.Redis]]:
    """A client for a private Redis or a URL, closed after the test."""
    with ExitStack() as stack:

        def make(target: EmbeddedRedis | str) -> redis.Redis:
            url = target if isinstance(target, str) else target.url
            client: redis.Redis = stack.enter_context(redis.Redis.from_url(url, decode_responses=True))
            return client

        yield make
