"""The configuration of a private Redis, in the words of redis.conf."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from langchain_agentmem.errors import ConfigurationError

_OPTION_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")

# Whoever changes one of these could no longer reach the server, or would open it to others.
_FIXED = {
    "aclfile",
    "appenddirname",
    "bind",
    "daemonize",
    "dir",
    "include",
    "logfile",
    "pidfile",
    "port",
    "requirepass",
    "supervised",
    "tls-port",
    "unixsocket",
    "unixsocketperm",
    "user",
}


def check_options(options: Mapping[str, str]) -> None:
    """Refuse what would break the configuration file apart; the server judges the rest."""
    for name, value in options.items():
        if not isinstance(name, str) or not _OPTION_NAME.fullmatch(name):
            raise ConfigurationError(f"options: {name!r} is no name of a redis.conf directive")
        if name.lower() in _FIXED:
            raise ConfigurationError(f"options: {name!r} is set by EmbeddedRedis itself")
        if not isinstance(value, str) or re.search(r"[\r\n\0]", value):
            raise ConfigurationError(
                f"options: the value of {name!r} must be one line of text, not {value!r}"
            )


def supervisor_syncs(options: Mapping[str, str]) -> bool:
    """Whether the supervisor syncs the append-only file: unless an option says when the server does."""
    return "appendfsync" not in map(str.lower, options)


def render_config(
    folder: Path,
    socket_path: str,
    password: str,
    *,
    durable: bool,
    modules: Sequence[Path],
    options: Mapping[str, str],
) -> str:
    """A whole configuration, in ASCII; any first part of it asks for the password, or does not listen."""
    lines = [
        f"requirepass {_quote(password)}",
        "port 0",
        "unixsocketperm 700",
        f"dir {_quote(str(folder))}",
        "daemonize no",
        'logfile ""',  # stdout: so its words and the loader's are in one place, also when it cannot start
        'save ""',
        f"appendonly {'yes' if durable else 'no'}",
        # The kernel has each write before its answer; the supervisor syncs. See `embedded_sync`.
        "appendfsync no",
        "maxmemory-policy noeviction",
    ]
    lines += [f"loadmodule {_quote(str(module))}" for module in modules]
    # A directive's value may be several arguments, so it is not quoted; the last line for a directive counts.
    lines += [f"{name} {value or _quote('')}" for name, value in options.items()]
    lines.append(f"unixsocket {_quote(socket_path)}")
    return "\n".join(lines) + "\n"


def _quote(text: str) -> str:
    def escape(byte: int) -> str:
        plain = 0x20 <= byte < 0x7F and byte not in b'"\\'
        return chr(byte) if plain else f"\\x{byte:02x}"

    return f'"{"".join(map(escape, os.fsencode(text)))}"'
