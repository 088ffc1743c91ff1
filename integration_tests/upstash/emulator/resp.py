"""A Redis connection that keeps what redis-py drops: statuses as such, and the whole text of errors."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

import redis


class Status(bytes):
    """A simple string, such as the OK of a SET; not the same as a value "OK"."""


class ReplyError(Exception):
    """An error reply, with its code: "ERR …", "WRONGTYPE …"."""


def strings(command: Sequence[Any]) -> list[bytes]:
    """The arguments as Redis gets them; lone surrogates become U+FFFD, as in Go's JSON."""
    return [
        argument
        if isinstance(argument, bytes)
        else str(argument).encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
        for argument in command
    ]


class Connection:
    """One socket to a Redis, RESP2; not for several threads at once."""

    def __init__(self, url: str) -> None:
        with redis.Redis.from_url(url, protocol=2) as client:
            options = client.connection_pool.connection_kwargs
            self.database = int(options.get("db") or 0)
            self._socket = _connect(options)
        self._file = self._socket.makefile("rb")
        if options.get("password"):
            self.call("AUTH", *filter(None, [options.get("username"), options["password"]]))
        self.call("SELECT", self.database)

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def call(self, *command: Any) -> Any:
        """The reply of one command.

        Raises:
            ReplyError: Redis said so.
        """
        (reply,) = self.pipeline([command])
        if isinstance(reply, ReplyError):
            raise reply
        return reply

    def pipeline(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """The replies; errors are among them, not raised."""
        self.send(commands)
        return [self.read() for _ in commands]

    def send(self, commands: Sequence[Sequence[Any]]) -> None:
        parts = []
        for command in commands:
            arguments = strings(command)
            parts.append(b"*%d\r\n" % len(arguments))
            parts += [b"$%d\r\n%s\r\n" % (len(argument), argument) for argument in arguments]
        self._socket.sendall(b"".join(parts))

    def read(self) -> Any:
        line = self._file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the Redis behind the emulator has closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return Status(rest)
        if kind == b"-":
            return ReplyError(rest.decode("utf-8", "replace"))
        if kind == b":":
            return int(rest)
        if rest == b"-1":
            return None
        if kind == b"$":
            return self._file.read(int(rest) + 2)[:-2]
        return [self.read() for _ in range(int(rest))]


def _connect(options: dict[str, Any]) -> socket.socket:
    if "path" in options:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(options["path"])
        return connection
    return socket.create_connection((options.get("host", "127.0.0.1"), options.get("port", 6379)))
