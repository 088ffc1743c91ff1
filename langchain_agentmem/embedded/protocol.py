"""Defines what the user's side and the supervisor share: files, locks, how to ask the server.

The supervisor imports this too, so: the standard library only.

The locks are `flock`s in the data folder. The kernel drops one with its last holder, however that died:

* `start.lock`: held while a user joins or starts a server.
* `users.lock`: shared by every live `EmbeddedRedis`. Its supervisor gets it when nobody needs the server, and
  keeps it until that has ended, so that a new user waits for a new server.
* `supervisor.lock`: held by the supervisor all its life.
* `server.lock`: held by redis-server itself, which inherits it. Redis does not lock its append-only
  file, and two servers on one would destroy it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import stat
from typing import Any, BinaryIO, NamedTuple

START_LOCK, USERS_LOCK = "start.lock", "users.lock"
SUPERVISOR_LOCK, SERVER_LOCK = "supervisor.lock", "server.lock"
STATE, LOG = "server.json", "redis.log"

_SOCKET_PATH = re.compile(r"/(?:.*/)?redis-[0-9a-f]{6}\.sock", re.DOTALL)
_PASSWORD = re.compile(r"[A-Za-z0-9_-]{20,200}")
_JSON_BYTES = 1_000_000

Address = str | tuple[str, int]
"""Where a server listens: the path of a unix socket, or a host with a port."""


class FileLock:
    """Locks a file by `flock`, on a descriptor that the programs this process runs do not inherit.

    Args:
        path: The file.
        create: Make the file if it is not there.
        forked: Whether a forked child shares the lock. Without it, the child closes its copy at once, which
            would keep the lock if this process were killed.
    """

    def __init__(self, path: str | os.PathLike[str], *, create: bool = True, forked: bool = False) -> None:
        flags = os.O_RDWR | os.O_NOFOLLOW | (os.O_CREAT if create else 0)
        self.descriptor = os.open(path, flags, 0o600)
        self.share_with_children(forked)

    def share_with_children(self, forked: bool = True) -> None:
        """Change whether a forked child shares the lock."""
        (_not_for_children.discard if forked else _not_for_children.add)(self)

    def take(self, *, shared: bool = False, wait: bool = False) -> bool:
        """Take the lock; False means that somebody else holds it."""
        import fcntl  # not on Windows, where importing this module must still work

        operation = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
        try:
            fcntl.flock(self.descriptor, operation)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Give the lock up, also for processes forked since, which share the descriptor."""
        import fcntl

        fcntl.flock(self.descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close this process's copy; the lock stays with processes forked since, until they close theirs."""
        _not_for_children.discard(self)
        os.close(self.descriptor)


_not_for_children: set[FileLock] = set()


def _close_copies() -> None:
    for lock in list(_not_for_children):
        lock.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_copies)


class ServerInfo(NamedTuple):
    """Holds what a running server says of itself."""

    pid: int
    version: str
    loading: bool
    loaded_percent: float
    modules: frozenset[str]


def ask(address: Address, password: str, command: str, *, timeout_seconds: float = 1.0) -> str:
    """Return the server's answer to one command that answers with a string; an error begins with `-`.

    Args:
        address: Where the server listens.
        password: The server's password.
        command: The command, its words separated by spaces.
        timeout_seconds: How long each wait may take.

    Raises:
        OSError: Nobody listens, or does not answer within `timeout_seconds`.
    """
    with socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET) as connection:
        connection.settimeout(timeout_seconds)
        connection.connect(address)
        connection.sendall(_encoded("AUTH", password) + _encoded(*command.split()))
        with connection.makefile("rb") as answers:
            authenticated, head = answers.readline(), answers.readline()
            if authenticated.startswith(b"+") and head.startswith(b"$"):
                return answers.read(int(head[1:])).decode(errors="replace")
            return (authenticated if authenticated.startswith(b"-") else head).decode(errors="replace")


def _encoded(*words: str) -> bytes:
    parts = (b"$%d\r\n%b\r\n" % (len(word), word) for word in map(str.encode, words))
    return b"*%d\r\n%b" % (len(words), b"".join(parts))


def server_info(address: Address, password: str) -> ServerInfo | None:
    """Return what the server at this address says of itself, also while it loads; None if it is silent."""
    try:
        # Plain INFO: with section names a Redis 6 would answer an error, and so seem not to be there.
        lines = ask(address, password, "INFO").splitlines()
        fields = dict(line.split(":", 1) for line in lines if ":" in line)
        return ServerInfo(
            pid=int(fields["process_id"]),
            version=fields["redis_version"],
            loading=fields.get("loading") != "0",
            loaded_percent=float(fields.get("loading_loaded_perc", 100)),
            modules=frozenset(
                line[12:].split(",", 1)[0] for line in lines if line.startswith("module:name=")
            ),
        )
    except (OSError, ValueError, KeyError):  # nobody listens, or somebody who is no Redis
        return None


def misfit(info: ServerInfo, *, search: bool) -> str | None:
    """Return why a running server does not fit; None when it does."""
    if int(info.version.split(".")[0]) < 7:  # an older one does not see the files of a newer one
        return f"Redis {info.version} is too old, 7.0 is the least"
    missing = sorted({"search", "ReJSON"} - info.modules) if search else []
    return f"Redis {info.version} runs, but lacks the module {', '.join(missing)}" if missing else None


def read_state(folder: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Return what the supervisor of this folder wrote; None if there is nothing it could have written."""
    state = read_private(os.path.join(folder, STATE))
    for name, form in (("socket", _SOCKET_PATH), ("password", _PASSWORD)):
        if not isinstance(value := state.get(name), str) or not form.fullmatch(value):
            return None
    return state


def read_private(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the JSON object in a file that this user alone could write; {} if there is none."""
    try:
        # Without O_NONBLOCK, a named pipe would keep its reader waiting.
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
                return {}
            read = json.loads(file.read(_JSON_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return read if isinstance(read, dict) else {}


def write_private(folder: str | os.PathLike[str], name: str, text: str) -> None:
    """Write a file that only its owner may read; a reader finds the old or the new one, whole."""
    path = os.path.join(folder, name)
    unfinished = f"{path}.{os.getpid()}.new"
    with contextlib.suppress(FileNotFoundError):  # of a process with this id that was killed
        os.unlink(unfinished)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with open(os.open(unfinished, flags, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(unfinished, path)


def open_log(folder: str | os.PathLike[str]) -> BinaryIO:
    """Open the log, to be written to at its end."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    return os.fdopen(os.open(os.path.join(folder, LOG), flags, 0o600), "ab")


def is_still_there(folder: str | os.PathLike[str], users_lock: FileLock) -> bool:
    """Return whether this path leads to the folder of this lock: it was not moved, deleted or exchanged.

    Raises:
        OSError: It cannot be told, as the path may no longer be followed, or the disk fails.
    """
    try:
        found = os.stat(os.path.join(folder, USERS_LOCK))
    except (FileNotFoundError, NotADirectoryError):
        return False
    return os.path.samestat(found, os.fstat(users_lock.descriptor))


def supervisor_is_gone(folder: str | os.PathLike[str]) -> bool:
    """Return whether this folder had a supervisor and now has none; nothing is created to find that out."""
    try:
        lock = FileLock(os.path.join(folder, SUPERVISOR_LOCK), create=False)
    except FileNotFoundError:
        return True
    try:
        if gone := lock.take():
            lock.release()
        return gone
    finally:
        lock.close()


def end_of_log(folder: str | os.PathLike[str], *, since: int = 0, hide: str = "") -> str:
    """Return the last lines that server and supervisor wrote from a position on, without the password.

    Args:
        folder: The server's folder.
        since: The position in the log, in bytes.
        hide: The password, if it is known.
    """
    try:
        with open(os.open(os.path.join(folder, LOG), os.O_RDONLY | os.O_NOFOLLOW), "rb") as log:
            log.seek(max(since, os.path.getsize(log.fileno()) - 65_536))
            text = log.read().decode(errors="replace")
    except OSError as error:
        return str(error)
    return "\n".join((text.replace(hide, "***") if hide else text).splitlines()[-15:])
