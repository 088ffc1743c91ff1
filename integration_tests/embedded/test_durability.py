"""What a private Redis has answered survives its death, and is synced to the disk every second."""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from integration_tests.embedded.conftest import state_of
from integration_tests.waiting import wait_until
from langchain_agentmem.embedded.binaries import find_candidates, make_runnable
from langchain_agentmem.embedded.server import EmbeddedRedis

Open = Callable[..., EmbeddedRedis]
Connect = Callable[[EmbeddedRedis | str], redis.Redis]
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="leases of files, and LD_PRELOAD")

_SYNC_SECONDS = 1.2
_SLOW_SYNC = f"""
#include <unistd.h>
int fdatasync(int fd) {{ usleep({_SYNC_SECONDS * 1e6:.0f}); return fsync(fd); }}
"""


def answered_until_killed(embedded: EmbeddedRedis, client: redis.Redis, key: str, seconds: float) -> int:
    """Count a key up, kill the server after that time, and return the last number that was answered."""
    answered, pid, killed = 0, embedded.pid or 0, threading.Event()

    def kill() -> None:
        os.kill(pid, signal.SIGKILL)
        killed.set()

    timer = threading.Timer(seconds, kill)
    timer.start()
    while not killed.is_set():
        try:
            answered = int(client.incr(key))
        except redis.RedisError:
            break
    timer.join()
    wait_until(lambda: embedded.pid not in (None, pid))
    embedded.start()
    return answered


@contextmanager
def server_with_slow_syncs(parent: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """First on the PATH, a redis-server whose own syncs take long."""
    library, script = parent / "slow.so", parent / "redis-server"
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-x", "c", "-o", library, "-"], input=_SLOW_SYNC.encode(), check=True
    )
    server = make_runnable(find_candidates(search=False)[0]).server
    script.write_text(
        f'#!/bin/sh\nLD_PRELOAD={shlex.quote(str(library))} exec {shlex.quote(str(server))} "$@"\n'
    )
    script.chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(parent), prepend=os.pathsep)
        yield


def test_nothing_answered_is_lost_however_often_the_server_is_killed(
    folder: Path, open_redis: Open, connect: Connect
) -> None:
    embedded = open_redis(folder, search=False)
    client = connect(embedded)
    for number, seconds in enumerate((0.1, 0.9, 0.3, 1.0, 0.2)):
        answered = answered_until_killed(embedded, client, f"k{number}", seconds)
        assert answered
        assert int(client.get(f"k{number}") or 0) >= answered


@linux_only
@pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler to slow a server down")
def test_nothing_answered_is_lost_while_syncs_are_slow(
    folder: Path, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EmbeddedRedis(search=False):
        pass  # notes which binary works
    with server_with_slow_syncs(tmp_path, monkeypatch), EmbeddedRedis(folder, search=False) as embedded:
        assert state_of(folder)["server"].startswith("redis-server on PATH")
        client = connect(embedded)
        answered = answered_until_killed(embedded, client, "k", 2.0)
        assert answered
        assert int(client.get("k") or 0) >= answered


@linux_only
def test_the_supervisor_syncs_what_changed_and_says_when_it_cannot(
    folder: Path, open_redis: Open, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded = open_redis(folder, search=False)
    log = folder / "redis.log"
    handler = signal.signal(signal.SIGIO, signal.SIG_IGN)
    try:
        with (folder / "appendonlydir" / "another").open("wb") as file:
            # Nobody else may open the file meanwhile; to try that is how the supervisor is seen here.
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
            os.write(file.fileno(), b"changed")  # it may have been synced before the lease was taken
            wait_until(lambda: "no sync: " in log.read_text())
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
            wait_until(lambda: "synced again" in log.read_text())
    finally:
        signal.signal(signal.SIGIO, handler)
    assert log.read_text().count("no sync: ") == 1
    assert connect(embedded).ping()
