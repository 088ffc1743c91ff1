"""Scripts that search: run here by Lua 5.1, as Redis would, with redis.call led back into the emulator."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lupa import lua51

from integration_tests.upstash.emulator.resp import ReplyError, Status, strings

_PRELUDE = (Path(__file__).parent / "prelude.lua").read_bytes()

Call = Callable[[list[bytes]], Any]


def run_script(source: bytes, keys: list[bytes], argv: list[bytes], call: Call) -> Any:
    """The reply of a script; each run has a Lua of its own.

    Raises:
        ReplyError: The script failed, or returned an error.
    """
    script = _Script(call)
    lua = script.lua
    native = lua.table_from(
        {
            b"call": script.call,
            b"sha1hex": lambda text: hashlib.sha1(_text(text)).hexdigest().encode(),
            b"encode": lambda value: script.to_json(value),
            b"decode": lambda text: script.from_json(json.loads(text)),
            b"null": script.null,
        }
    )
    went_well, result = lua.eval(b"function(prelude, ...) return loadstring(prelude, '@prelude')(...) end")(
        _PRELUDE, source, lua.table_from(keys), lua.table_from(argv), native
    )
    reply = script.to_reply(result)
    if not went_well and not isinstance(reply, ReplyError):
        raise ReplyError(
            "ERR " + (reply.decode("utf-8", "replace") if isinstance(reply, bytes) else str(reply))
        )
    if isinstance(reply, ReplyError):
        raise reply
    return reply


def _text(value: Any) -> bytes:
    """A Lua string or number as an argument, in the notation of Redis."""
    if isinstance(value, bytes):
        return value
    return b"%d" % value if isinstance(value, int) or value.is_integer() else b"%.17g" % value


class _Script:
    """Converts between Python and one Lua state."""

    def __init__(self, call: Call) -> None:
        self.lua = lua51.LuaRuntime(
            encoding=None, unpack_returned_tuples=True, register_eval=False, register_builtins=False
        )
        self.null = self.lua.eval(b"newproxy()")
        self._call = call

    def call(self, arguments: Any) -> Any:
        values = [arguments[number] for number in range(1, arguments[b"n"] + 1)]
        if not values or not all(
            isinstance(v, bytes | int | float) and not isinstance(v, bool) for v in values
        ):
            message = "ERR Lua redis lib command arguments must be strings or integers"
            return self.from_reply(ReplyError(message))
        try:
            return self.from_reply(self._call([_text(value) for value in values]))
        except ReplyError as error:
            return self.from_reply(error)

    def from_reply(self, reply: Any) -> Any:
        """A reply as Lua sees it: nil is false, statuses and errors are tables."""
        if reply is None:
            return False
        if isinstance(reply, ReplyError):
            return self.lua.table_from({b"err": str(reply).encode()})
        if isinstance(reply, Status):
            return self.lua.table_from({b"ok": bytes(reply)})
        if isinstance(reply, list):
            return self.lua.table_from([self.from_reply(item) for item in reply])
        return strings([reply])[0] if isinstance(reply, str) else reply

    def to_reply(self, value: Any) -> Any:
        """A Lua value as a reply: true is 1, false is nil, numbers lose their fraction, arrays end at a nil."""
        if isinstance(value, bool):
            return 1 if value else None
        if isinstance(value, int | float):
            return int(value)
        if lua51.lua_type(value) != "table":
            return value if isinstance(value, bytes) else None
        if isinstance(value[b"err"], bytes):
            return ReplyError(value[b"err"].decode("utf-8", "replace"))
        if isinstance(value[b"ok"], bytes):
            return Status(value[b"ok"])
        items: list[Any] = []
        while (item := value[len(items) + 1]) is not None:
            items.append(self.to_reply(item))
        return items

    def from_json(self, value: Any) -> Any:
        if isinstance(value, dict):
            return self.lua.table_from({key.encode(): self.from_json(item) for key, item in value.items()})
        if isinstance(value, list):
            return self.lua.table_from([self.from_json(item) for item in value])
        if value is None:
            return self.null
        return value.encode() if isinstance(value, str) else value

    def to_json(self, value: Any) -> bytes:
        return json.dumps(self.plain(value), ensure_ascii=False, separators=(",", ":")).encode()

    def plain(self, value: Any) -> Any:
        """A Lua value for JSON; an empty table is an object, as in Redis."""
        kind = lua51.lua_type(value)
        if kind == "userdata":
            return None
        if kind == "table":
            if value[1] is not None:
                return [self.plain(value[number]) for number in range(1, len(value) + 1)]
            return {_text(key).decode(): self.plain(item) for key, item in value.items()}
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
