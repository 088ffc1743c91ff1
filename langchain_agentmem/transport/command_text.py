"""Writes commands as lines for redis-cli, commands as people read them, and replies in a few words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate, takewhile
from typing import Any

from langchain_agentmem.core.operations import Argument
from langchain_agentmem.core.scripts import BY_DIGEST, name_of

_BARE = re.compile(r"[A-Za-z0-9_@:.,/+*=${}-]+")
_ESCAPES = {
    '"': '\\"',
    "\\": "\\\\",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\a": "\\a",
    "\b": "\\b",
}
_NUMBERS = re.compile(r"\[\s*-?\d[\d.eE+-]*(?:\s*,\s*-?\d[\d.eE+-]*){7,}\s*\]")  # an embedding in JSON
_NO_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")
_LONGEST_ARGUMENT = 100
_SHORTEST_ARGUMENT = 8
_LONGEST_LINE = 300
_LONGEST_ERROR = 200
_LONGEST_VALUE = 40
_COUNTED = {
    "HGETALL": "field",
    "XRANGE": "entry",
    "XREVRANGE": "entry",
    "FT.SEARCH": "result",
    "SEARCH.QUERY": "result",
}


def data(argument: Any) -> bytes:
    """Return the bytes of an argument, as they are sent. Never raises: what cannot be sent can be shown."""
    return argument if isinstance(argument, bytes) else str(argument).encode("utf-8", "surrogatepass")


def line(args: Sequence[Argument]) -> str:
    """Return the line that redis-cli splits into exactly these arguments."""
    return " ".join(_word(data(argument).decode("utf-8", "surrogateescape")) for argument in args)


def _word(value: str) -> str:
    """Return an argument as redis-cli reads it; its bytes that are no UTF-8 are surrogates in it."""
    return value if _BARE.fullmatch(value) else f'"{"".join(map(_escaped, value))}"'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))


def short_line(args: Sequence[Argument], vector_bytes: int) -> str:
    """Return a command for people, of about 300 characters at most.

    A vector is `<384 floats>`, a script `<its name.lua>`, and what is long is cut, which `…` tells.

    Args:
        args: The command.
        vector_bytes: How many bytes a number of a vector has.
    """
    name = script(args)
    words, room = list[str](), _LONGEST_LINE
    for at, argument in enumerate(args):
        if room < _SHORTEST_ARGUMENT:
            return " ".join([*words, "…"])
        is_digest = at == 1 and name is not None
        words.append(f"<{name}.lua>" if is_digest else _short_word(argument, vector_bytes, room))
        room -= len(words[-1]) + 1
    return " ".join(words)


def _short_word(argument: Argument, vector_bytes: int, room: int) -> str:
    value = data(argument).decode("utf-8", "surrogateescape")
    if isinstance(argument, bytes) and _is_vector(argument, value, vector_bytes):
        return f"<{len(argument) // vector_bytes} floats>"
    value = _NUMBERS.sub(lambda found: f"<{found[0].count(',') + 1} floats>", value)
    most = min(room, _LONGEST_ARGUMENT)
    if len(value) <= most and len(word := _word(value)) <= most:
        return word
    ends = accumulate(len(_escaped(character)) for character in value)
    shown = sum(1 for _ in takewhile(lambda end: end < most, ends))
    return f'"{"".join(map(_escaped, value[:shown]))}…"'


def _is_vector(argument: bytes, value: str, vector_bytes: int) -> bool:
    """Return whether bytes are a vector: a whole count of numbers, and no text."""
    return not len(argument) % vector_bytes and _NO_TEXT.search(value) is not None


def script(args: Sequence[Argument]) -> str | None:
    """Return the name of the script that a command calls, without `.lua`; `None` if it calls none."""
    return name_of(str(args[1])) if args[0] in BY_DIGEST else None


def reply_text(name: str, reply: Any) -> str:
    """Return a reply in a few words, such as `OK`, `3 fields` or `2 results`.

    Args:
        name: The command's name.
        reply: The reply; an exception if the server refused the command.
    """
    match reply:
        case Exception():
            said = str(reply)
            cut = said if len(said) <= _LONGEST_ERROR else said[: _LONGEST_ERROR - 1] + "…"
            return f"{type(reply).__name__}: {cut}"
        case None:
            return "nil"
        case bytes():
            value = reply.decode("utf-8", "surrogateescape")
            is_shown = len(value) <= _LONGEST_VALUE and value.isprintable()
            return value if is_shown else _counting(len(reply), "byte")
        case list() | tuple() | dict() | set():
            return _counted(name, reply)
    return str(reply)


def _counted(name: str, reply: Any) -> str:
    count = len(reply)
    if name == "HGETALL" and not isinstance(reply, dict):
        count //= 2
    elif name == "FT.SEARCH":
        # RESP3 names the parts; RESP2 has the total first, and then each key with its fields.
        if isinstance(reply, dict):
            total, rows = reply.get(b"total_results"), reply.get(b"results")
            count = len(rows) if isinstance(rows, list) else 0
        else:
            total, count = next(iter(reply), 0), sum(isinstance(one, bytes) for one in reply)
        if total and not count:
            return f"{total} counted"
    return _counting(count, _COUNTED.get(name, "item"))


def _counting(count: int, what: str) -> str:
    return f"{count} {what if count == 1 else what.replace('entry', 'entrie') + 's'}"
