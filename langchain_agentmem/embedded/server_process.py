"""Runs the redis-server of a supervisor as a process: one at a time in a folder, ended with its parent.

Part of the supervisor, so: the standard library only.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from langchain_agentmem.embedded.protocol import (
    SERVER_LOCK,
    Address,
    FileLock,
    ServerInfo,
    ask,
    open_log,
    server_info,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_STOP_SECONDS = 10.0

# The configuration comes over stdin: the name of a file would be expanded as a pattern, and in a folder
# `data[1]` find that of `data1`. What stands behind it counts last, so that a server which for any reason
# has not read its configuration listens nowhere, and ends.
ARGUMENTS = ("-", "--port", "0", "--bind", "127.0.0.1", "--protected-mode", "yes")
# A node of a cluster takes its port from there: one that is set behind it would be set for good.
ARGUMENTS_OF_NODE = ("-", "--bind", "127.0.0.1", "--protected-mode", "yes")


class ServerProcess:
    """Runs at most one server of this folder, at one address and with one password.

    Args:
        folder: The server's folder.
        address: Where the configuration has it listen: a unix socket, or the port of a cluster's node.
        password: The password that the configuration sets.
    """

    def __init__(self, folder: str, address: Address, password: str) -> None:
        self._folder = folder
        self._address = address
        self._password = password
        self._arguments = ARGUMENTS if isinstance(address, str) else ARGUMENTS_OF_NODE
        self._running: subprocess.Popen[bytes] | None = None

    def start(self, server: str, config: str, *, deadline: float) -> None:
        """Run this server with this configuration.

        Args:
            server: The program.
            config: A whole redis.conf.
            deadline: By `time.monotonic`, until when to wait for another server of this folder to end.

        Raises:
            OSError: It cannot be run at all, or another server of this folder does not end.
        """
        lock = self._claim_data(deadline)
        try:
            with open_log(self._folder) as log:
                self._running = subprocess.Popen(
                    [server, *self._arguments],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    cwd=self._folder,
                    pass_fds=(lock.descriptor,),
                    preexec_fn=_end_with_parent(),
                )
        finally:
            lock.close()
        if (stdin := self._running.stdin) is not None:
            with contextlib.suppress(BrokenPipeError), stdin:  # one that ended at once is found out later
                stdin.write(config.encode())

    def info(self) -> ServerInfo | None:
        """Return what it says of itself; None when it does not answer."""
        return server_info(self._address, self._password)

    def exit_status(self) -> int | None:
        """Return its exit status; None while it runs."""
        return self._running.poll() if self._running else 0

    def wait(self) -> int:
        """Wait for its end; return its exit status."""
        return self._running.wait() if self._running else 0

    def stop(self, *, at_once: bool) -> None:
        """End it: in good order, with its data synced, or at once."""
        if self._running is None:
            return
        if self._running.poll() is None:
            self._running.send_signal(signal.SIGKILL if at_once else signal.SIGTERM)
        try:
            self._running.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._running.kill()
            self._running.wait()

    def _claim_data(self, deadline: float) -> FileLock:
        """Take the lock that the server will hold; one without a supervisor that has it is told to end."""
        lock = FileLock(os.path.join(self._folder, SERVER_LOCK), forked=True)
        if not lock.take():
            with contextlib.suppress(OSError):
                ask(self._address, self._password, "SHUTDOWN")
            while not lock.take():
                if time.monotonic() > deadline:
                    lock.close()
                    raise TimeoutError("another redis-server uses this folder and does not end")
                time.sleep(0.005)
        return lock


def _end_with_parent() -> Callable[[], None] | None:
    """Return what the server runs before its `exec`, so that the kernel ends it with its parent (Linux only).

    Elsewhere a server can outlive a killed supervisor; `server.lock` tells the next one of it.
    """
    if sys.platform != "linux":
        return None
    import ctypes

    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def run() -> None:
        prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG; it follows the thread that forks: always the main one
        if os.getppid() != parent:
            os._exit(1)

    return run
