"""What is done with a command: refused, searched, run as a script here, or forwarded to the Redis."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from integration_tests.upstash.emulator.lua import run_script
from integration_tests.upstash.emulator.resp import Connection, ReplyError, strings
from integration_tests.upstash.emulator.search import Search

_BLOCKING = "BLPOP BRPOP BLMOVE BLMPOP BRPOPLPUSH BZPOPMIN BZPOPMAX BZMPOP WAIT WAITAOF".split()
_SUBSCRIPTIONS = "SUBSCRIBE PSUBSCRIBE SSUBSCRIBE UNSUBSCRIBE PUNSUBSCRIBE SUNSUBSCRIBE MONITOR".split()
_TRANSACTIONS = "MULTI EXEC DISCARD WATCH UNWATCH".split()
_STATE = "AUTH HELLO SELECT QUIT RESET CLIENT SYNC PSYNC REPLICAOF SLAVEOF SHUTDOWN DEBUG".split()
_REFUSED = frozenset([*_BLOCKING, *_SUBSCRIPTIONS, *_TRANSACTIONS, *_STATE])
_COMPATIBILITY = "https://upstash.com/docs/redis/overall/rediscompatibility"

Command = list[bytes]


def _check(command: Command) -> str:
    """The command's name; an error if Upstash has no such command over REST."""
    if not command:
        raise ReplyError("ERR empty command")
    name = command[0].decode("utf-8", "replace").upper()
    if name in _REFUSED or name.startswith("FT."):
        raise ReplyError(f"ERR Command is not available: '{name}'. See {_COMPATIBILITY} for details")
    if name in ("XREAD", "XREADGROUP"):
        words = [word.upper() for word in command]
        # A stream may itself be called "block".
        if b"BLOCK" in words[: words.index(b"STREAMS") if b"STREAMS" in words else None]:
            raise ReplyError(
                f"ERR {name} with BLOCK is not available over REST. See {_COMPATIBILITY} for details"
            )
    return name


class Executor:
    """Runs one request at a time; call it from any thread."""

    def __init__(self, redis_url: str) -> None:
        self._connection = Connection(redis_url)
        self.search = Search(self._connection, redis_url)
        # The scripts that are run here, by digest; the Redis knows all others.
        self._scripts: dict[bytes, bytes] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        with self._lock:
            self.search.close()
            self._connection.close()

    def clear(self) -> None:
        with self._request():
            self.search.clear()
            self._scripts.clear()
            self._connection.call("SCRIPT", "FLUSH")

    @contextmanager
    def _request(self) -> Iterator[None]:
        with self._lock:
            yield
            self.search.note_changes()

    def pipeline(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """Replies, or the ReplyErrors in their places."""
        with self._request():
            return [self._outcome(strings(command)) for command in commands]

    def transaction(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """All or nothing, but for commands that fail when run.

        Raises:
            ReplyError: The batch was discarded as a whole.
        """
        batch = [strings(command) for command in commands]
        for command in batch:
            _check(command)
        with self._request():
            if any(self._is_emulated(command) for command in batch):
                return [self._outcome(command, atomically=True) for command in batch]
            *queued, replies = self._connection.pipeline([["MULTI"], *batch, ["EXEC"]])
            if isinstance(replies, ReplyError):
                raise next((reply for reply in queued if isinstance(reply, ReplyError)), replies)
            return list(replies)

    def _outcome(self, command: Command, atomically: bool = False) -> Any:
        try:
            return self._execute(command, atomically)
        except ReplyError as error:
            return error

    def _is_emulated(self, command: Command) -> bool:
        name = _check(command)
        if name == "EVAL" and len(command) > 1:
            return _searches(command[1])
        if name == "EVALSHA" and len(command) > 1:
            return command[1].lower() in self._scripts
        return name.startswith("SEARCH.") or name == "SCRIPT"

    def _execute(self, command: Command, atomically: bool) -> Any:
        name = _check(command)
        if not self._is_emulated(command):
            return self._connection.call(*command)
        if name.startswith("SEARCH."):
            return self.search.execute(name, command[1:], atomically)
        if name == "SCRIPT":
            return self._script(command)
        # Loaded there too, the Redis checks its syntax and answers SCRIPT EXISTS.
        digest = self._script([b"SCRIPT", b"LOAD", command[1]]) if name == "EVAL" else command[1].lower()
        return self._run(self._scripts[digest], command[2:])

    def _script(self, command: Command) -> Any:
        reply = self._connection.call(*command)
        subcommand = command[1].upper() if len(command) > 1 else b""
        if subcommand == b"FLUSH":
            self._scripts.clear()
        elif subcommand == b"LOAD" and _searches(command[2]):
            self._scripts[hashlib.sha1(command[2]).hexdigest().encode()] = command[2]
        return reply

    def _run(self, source: bytes, arguments: Command) -> Any:
        try:
            count = int(arguments[0])
        except (IndexError, ValueError) as error:
            raise ReplyError("ERR value is not an integer or out of range") from error
        if not 0 <= count <= len(arguments) - 1:
            raise ReplyError("ERR Number of keys can't be greater than number of args")
        keys, argv = arguments[1 : count + 1], arguments[count + 1 :]
        return run_script(source, keys, argv, self._call_of_script)

    def _call_of_script(self, command: Command) -> Any:
        if command[0].upper() in (b"EVAL", b"EVALSHA", b"SCRIPT"):
            raise ReplyError("ERR This Redis command is not allowed from script")
        return self._execute(command, atomically=True)


def _searches(source: bytes) -> bool:
    return b"SEARCH." in source or b"FT." in source
