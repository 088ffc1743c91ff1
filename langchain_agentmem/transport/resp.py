"""Packs commands in RESP, the protocol of Redis, whatever the client's own encoding is: text is UTF-8.

redis-py packs too, argument by argument; its async connections do it in Python even with hiredis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from langchain_agentmem.core.operations import Command
from langchain_agentmem.errors import InvalidInputError


def pack(commands: Iterable[Command]) -> bytes:
    """Return the bytes to send for a batch of commands.

    Raises:
        InvalidInputError: An argument is no text, bytes, whole number or float, or a text is no Unicode.
    """
    try:
        return b"".join([pack_command(command.args) for command in commands])
    except (TypeError, UnicodeEncodeError) as error:
        raise InvalidInputError(f"An argument of a command cannot be sent: {error}.") from error


def pack_in_python(args: tuple[Any, ...]) -> bytes:
    """Return the bytes of one command, as hiredis packs it.

    Raises:
        TypeError, UnicodeEncodeError: An argument cannot be sent.
    """
    parts = [b"*%d\r\n" % len(args)]
    for arg in args:
        data = arg if isinstance(arg, bytes) else _text(arg).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)


def _text(arg: Any) -> str:
    if isinstance(arg, str):
        return arg
    if isinstance(arg, bool) or not isinstance(arg, int | float):
        raise TypeError("it must be a text, bytes, a whole number or a float")
    return repr(arg)


pack_command: Callable[[tuple[Any, ...]], bytes]
try:
    from hiredis import pack_command
except ImportError:
    pack_command = pack_in_python
