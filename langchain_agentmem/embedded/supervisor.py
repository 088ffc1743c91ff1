"""Owns a private Redis, as a process: starts the server, brings it back, ends it with its last user.

It belongs to no user, so that it outlives any of them. It imports the standard library only, to be up at
once. It reports to its starter until the server is ready; from then on it watches the locks, which
`protocol` describes.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import signal
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from langchain_agentmem.embedded.append_only_sync import APPEND_ONLY_FOLDER, AppendOnlySync
from langchain_agentmem.embedded.protocol import (
    LOG,
    STATE,
    SUPERVISOR_LOCK,
    USERS_LOCK,
    FileLock,
    end_of_log,
    is_still_there,
    misfit,
    write_private,
)
from langchain_agentmem.embedded.server_process import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Callable

_RESTARTS, _RESTARTS_WITHIN_SECONDS = 5, 60.0
_CLAIM_SECONDS = 10.0
_TELL_EVERY_SECONDS = 0.5
_LOOK_EVERY_SECONDS = 1.0


class Supervisor:
    """Keeps one server and its folder, as the starter described them in `order`.

    `order` has: `candidates` (each a `name`, the `server` to run and its whole `config`), `socket`,
    `password`, `search`, `ephemeral`, `syncs` (whether the supervisor syncs the append-only file),
    `timeout_seconds`.

    Args:
        folder: The server's folder.
        order: The order, as above.
        report: A socket to the starter, closed when the server is ready.

    Raises:
        OSError: The folder or a lock in it cannot be opened.
    """

    def __init__(self, folder: str, order: dict[str, Any], report: socket.socket) -> None:
        self.folder = folder
        self.order = order
        self.report = report
        # Held open from the start: should someone delete the folder and make a new one of that name, then
        # this process must still wait for its own users, and keep its hands off the new one.
        self.folder_descriptor = os.open(folder, os.O_RDONLY)
        self.users_lock = FileLock(self._path(USERS_LOCK))
        self.supervisor_lock = FileLock(self._path(SUPERVISOR_LOCK))
        self.events: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.server = ServerProcess(folder, order["socket"], order["password"])
        self.started = ("", "")
        self.restarts: list[float] = []

    def run(self) -> None:
        """Start the server, keep it up while it has users, then leave the folder tidy."""
        deadline = time.monotonic() + 1
        while not self.supervisor_lock.take():  # whoever asks for a supervisor holds the lock briefly
            if time.monotonic() > deadline:
                self._tell(failed="the supervisor", reason="another one is already there")
                self._tell(done=True)
                return
            time.sleep(0.001)
        try:
            if self._start_first_that_fits():
                self._watch()
        finally:
            self.server.stop(at_once=self.order["ephemeral"])
            self._clean()

    # Starting ----------------------------------------------------------------------------------------

    def _start_first_that_fits(self) -> bool:
        deadline = time.monotonic() + self.order["timeout_seconds"]
        for candidate in self.order["candidates"]:
            fresh = not os.path.exists(self._path(APPEND_ONLY_FOLDER))
            reason = self._try(candidate, deadline)
            if reason is None:
                self._tell(started=candidate["name"])
                self._tell(done=True)
                self.report.close()
                return True
            self.server.stop(at_once=False)
            if fresh:  # what a newer server has begun there, the next candidate may not be able to read
                shutil.rmtree(self._path(APPEND_ONLY_FOLDER), ignore_errors=True)
            self._tell(failed=candidate["name"], reason=reason)
            if time.monotonic() > deadline:
                break
        self._tell(done=True)
        return False

    def _try(self, candidate: dict[str, str], deadline: float) -> str | None:
        """Start this candidate; return why it does not fit, or None when it does."""
        log_end = os.path.getsize(self._path(LOG))
        self.started = candidate["server"], candidate["config"]
        try:
            self.server.start(*self.started, deadline=deadline)
        except OSError as error:
            return str(error)
        self._save_state(candidate["name"])
        pause, told = 0.002, time.monotonic()
        while (now := time.monotonic()) < deadline:
            info = self.server.info()
            if (status := self.server.exit_status()) is not None:
                return f"exit status {status}\n{self._said_since(log_end)}"
            if info is not None and not info.loading:
                return misfit(info, search=self.order["search"])
            if info is not None and now - told > _TELL_EVERY_SECONDS:
                # Much data takes its time, the vectors most of it: as long as it goes on, it may.
                self._tell(loaded_percent=info.loaded_percent)
                deadline, told = now + self.order["timeout_seconds"], now
            time.sleep(pause)
            pause = min(pause * 1.2, 0.05)
        return f"not ready after {self.order['timeout_seconds']:g} s\n{self._said_since(log_end)}"

    # While it runs -----------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Return when the server is to end, or cannot be kept up."""
        signal.signal(signal.SIGTERM, lambda *_: self.events.put("ended from outside"))
        self._in_thread(self._wait_for_server)
        self._in_thread(self._wait_for_users)
        if not self.order["ephemeral"]:
            self._in_thread(self._look_after_folder)
        while True:
            event = self.events.get()
            log(event)
            if event != "server died" or not self._restart():
                return

    def _wait_for_users(self) -> None:
        self.users_lock.take(wait=True)
        self.events.put("no user left")

    def _wait_for_server(self) -> None:
        # A server that ended in good order was told to: by SHUTDOWN, or as the machine goes down.
        self.events.put("ended from outside" if self.server.wait() == 0 else "server died")

    def _look_after_folder(self) -> None:
        """Sync what was written, every second, until the path of the folder no longer leads there."""
        data, complaint = AppendOnlySync(self.folder_descriptor), ""
        while self._is_still_there():
            if self.order["syncs"]:
                try:
                    data.sync()
                    failed = ""
                except OSError as error:
                    failed = f"no sync: {error}"
                if failed != complaint:  # once, and not every second
                    log(failed or "synced again")
                complaint = failed
            time.sleep(_LOOK_EVERY_SECONDS)
        # Whatever is answered from now on would be lost with it, or be looked for in vain.
        self.events.put("the folder was moved, deleted or exchanged")

    def _is_still_there(self) -> bool:
        try:
            return is_still_there(self.folder, self.users_lock)
        except OSError:  # it cannot be told, which is no reason to end a server that works
            return True

    def _in_thread(self, wait: Callable[[], None]) -> None:
        def run() -> None:
            # The main thread has to get the signals, or they would not wake it from its queue.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
            wait()

        threading.Thread(target=run, daemon=True).start()

    def _restart(self) -> bool:
        now = time.monotonic()
        self.restarts = [at for at in self.restarts if now - at < _RESTARTS_WITHIN_SECONDS]
        if len(self.restarts) == _RESTARTS:
            log(f"{_RESTARTS} restarts within {_RESTARTS_WITHIN_SECONDS:g} s: giving up")
            return False
        if not self._is_still_there():  # it would find the data of another one, or none
            log("no restart: the folder was moved, deleted or exchanged")
            return False
        self.restarts.append(now)
        try:
            self.server.start(*self.started, deadline=now + _CLAIM_SECONDS)
        except OSError as error:
            log(f"no restart: {error}")
            return False
        self._in_thread(self._wait_for_server)
        return True

    # Ending ------------------------------------------------------------------------------------------

    def _clean(self) -> None:
        socket_folder, socket_name = os.path.split(self.order["socket"])
        with contextlib.suppress(OSError):
            os.unlink(STATE, dir_fd=self.folder_descriptor)
        with contextlib.suppress(OSError):
            if socket_folder == self.folder:
                os.unlink(socket_name, dir_fd=self.folder_descriptor)
            else:
                os.unlink(self.order["socket"])
        if socket_folder != self.folder:
            with contextlib.suppress(OSError):
                os.rmdir(socket_folder)
        if self.order["ephemeral"]:
            shutil.rmtree(self.folder, ignore_errors=True)

    # Files and words ---------------------------------------------------------------------------------

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def _save_state(self, server: str) -> None:
        state = {key: self.order[key] for key in ("socket", "password", "search")}
        state |= {"server": server, "supervisor_pid": os.getpid(), "folder": self.folder}
        write_private(self.folder, STATE, json.dumps(state))

    def _said_since(self, position: int) -> str:
        return end_of_log(self.folder, since=position, hide=self.order["password"])

    def _tell(self, **words: object) -> None:
        with contextlib.suppress(OSError):  # the starter may have been killed
            self.report.sendall(json.dumps(words).encode() + b"\n")


def log(event: str) -> None:
    """Write a line to the log, which standard error leads to."""
    now = time.strftime("%d %b %Y %H:%M:%S")
    print(f"{os.getpid()}:supervisor {now} {event}", file=sys.stderr, flush=True)


def become_daemon() -> socket.socket:
    """Become a daemon, so that the starter has no child to wait for; return the socket to it, from stdin."""
    if os.fork():
        os._exit(0)
    os.umask(0o077)
    report = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    return report


def main() -> None:
    """Become a daemon, and do what the starter orders."""
    report = become_daemon()
    with report.makefile("rb") as file:
        order = json.loads(file.readline())
    Supervisor(sys.argv[1], order, report).run()
