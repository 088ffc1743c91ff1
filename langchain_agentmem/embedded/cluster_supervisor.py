"""Owns the servers of a private cluster, as a process: starts them as it is told, ends them with its user.

The user, an `EmbeddedCluster`, holds a socket to it. Orders and answers are lines of JSON on that socket, and
its end is the user's, however that died. Unlike `supervisor`, it brings no server back: a primary without its
data would have its replicas drop theirs. Taking over from it is what replicas are for.

Imports the standard library only, as `supervisor` does.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from langchain_agentmem.embedded.append_only_sync import AppendOnlySync
from langchain_agentmem.embedded.protocol import LOG, SUPERVISOR_LOCK, FileLock, end_of_log, misfit
from langchain_agentmem.embedded.server_process import ServerProcess
from langchain_agentmem.embedded.supervisor import become_daemon, log

if TYPE_CHECKING:
    import socket

_IN_USE_AFTER_SECONDS = 5.0  # in which the servers of a user that has ended are gone
_SYNC_EVERY_SECONDS = 1.0


class ClusterSupervisor:
    """Runs the servers of one folder.

    Args:
        folder: The folder of the cluster; each server has one of its own in it.
        user: The socket to whom it belongs.

    Raises:
        OSError: The folder or the lock in it cannot be opened.
    """

    def __init__(self, folder: str, user: socket.socket) -> None:
        self.folder = folder
        self.user = user
        self.lock = FileLock(os.path.join(folder, SUPERVISOR_LOCK))
        self.servers: dict[str, ServerProcess] = {}
        self.ephemeral = False  # until it is told so

    def run(self) -> None:
        """Do what the user orders, until it is gone; then end all servers.

        The first line says whether the cluster is `ephemeral`. Each further one is an order: `server` (the
        program), `password`, `nodes` (each a `folder`, a `port` and its whole `config`), `timeout_seconds`.
        """
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        try:
            with self.user.makefile("rb") as orders:
                if not (first := orders.readline()):
                    return
                if not self._take_lock():
                    self._answer(failed="another cluster uses this folder")
                    return
                self.ephemeral = json.loads(first)["ephemeral"]
                if not self.ephemeral:
                    self._in_thread(self._sync_data)
                self._answer(ready=True)
                for order in orders:
                    self._answer(failed=self._start(json.loads(order)))
        except ConnectionError:
            pass
        finally:
            self._end()

    def _take_lock(self) -> bool:
        deadline = time.monotonic() + _IN_USE_AFTER_SECONDS
        while not self.lock.take():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True

    def _start(self, order: dict[str, Any]) -> str | None:
        """Start these nodes side by side; return why one of them does not, after which none of them runs."""
        deadline = time.monotonic() + order["timeout_seconds"]
        started: dict[str, ServerProcess] = {}
        reason = None
        try:
            for node in order["nodes"]:
                folder, address = node["folder"], ("127.0.0.1", node["port"])
                # Known from before it runs: whatever interrupts this ends it.
                self.servers[folder] = started[folder] = ServerProcess(folder, address, order["password"])
                node["begin"] = _size_of_log(folder)
                started[folder].start(order["server"], node["config"], deadline=deadline)
            for node in order["nodes"]:
                if reason := self._failure(started[node["folder"]], node, order, deadline):
                    break
        except OSError as error:
            reason = str(error)
        if reason is not None:
            _stop(started, at_once=True)
            return reason
        for folder, server in started.items():
            self._in_thread(lambda folder=folder, server=server: log(f"{folder}: ended, {server.wait()}"))
        return None

    def _failure(
        self, server: ServerProcess, node: dict[str, Any], order: dict[str, Any], deadline: float
    ) -> str | None:
        """Wait until the node answers and has loaded its data; return why it does not."""
        pause_seconds = 0.005
        while True:
            info = server.info()
            if (status := server.exit_status()) is not None:
                reason = f"exit status {status}"
                break
            if info is not None and not info.loading:
                return misfit(info, search=True)
            if info is not None:  # as long as it loads, it may
                deadline = time.monotonic() + order["timeout_seconds"]
            if time.monotonic() > deadline:
                reason = f"not ready after {order['timeout_seconds']:g} s"
                break
            # It has no order to send before it has this answer: what there is to read is its end.
            if select.select([self.user], [], [], pause_seconds)[0]:
                return "its user is gone"
            pause_seconds = min(pause_seconds * 1.2, 0.05)
        return f"{reason}\n{end_of_log(node['folder'], since=node['begin'], hide=order['password'])}"

    def _sync_data(self) -> None:
        """Sync what the nodes wrote, every second, as `append_only_sync` says."""
        syncs: dict[str, AppendOnlySync] = {}
        while True:
            for folder in list(self.servers):
                try:
                    if folder not in syncs:
                        syncs[folder] = AppendOnlySync(os.open(folder, os.O_RDONLY))
                    syncs[folder].sync()
                except OSError as error:
                    log(f"no sync: {error}")
            time.sleep(_SYNC_EVERY_SECONDS)

    def _end(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _stop(self.servers, at_once=self.ephemeral)
        if self.ephemeral:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _in_thread(self, run: Any) -> None:
        def blocked() -> None:
            # The main thread has to get the signals, or they would not wake it.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
            run()

        threading.Thread(target=blocked, daemon=True).start()

    def _answer(self, **words: object) -> None:
        with contextlib.suppress(OSError):  # the user may have been killed
            self.user.sendall(json.dumps(words).encode() + b"\n")


def _stop(servers: dict[str, ServerProcess], *, at_once: bool) -> None:
    """End all servers side by side: one in good order waits for its replicas."""
    threads = [
        threading.Thread(target=server.stop, kwargs={"at_once": at_once}) for server in servers.values()
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()


def _size_of_log(folder: str) -> int:
    try:
        return os.path.getsize(os.path.join(folder, LOG))
    except FileNotFoundError:
        return 0


def main() -> None:
    """Become a daemon, and serve the user at the other end of the socket."""
    user = become_daemon()
    ClusterSupervisor(sys.argv[1], user).run()
