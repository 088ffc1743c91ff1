"""SEARCH.CREATE read into a definition, and what a document's fields are worth to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from integration_tests.upstash.emulator.resp import ReplyError

_TYPES = ("TEXT", "KEYWORD", "F64", "U64", "I64", "BOOL", "DATE")
# As Upstash's documentation lists them; tantivy stems them all.
LANGUAGES = (
    *("english", "arabic", "danish", "dutch", "finnish", "french", "german", "greek", "hungarian", "italian"),
    *("norwegian", "portuguese", "romanian", "russian", "spanish", "swedish", "tamil", "turkish"),
)
NUMERIC = ("F64", "U64", "I64")


@dataclass(frozen=True)
class Field:
    name: str
    type: str
    fast: bool = False
    no_stem: bool = False
    no_tokenize: bool = False
    source: str | None = None

    def describe(self) -> list[str]:
        flags = [("FAST", self.fast), ("NOSTEM", self.no_stem), ("NOTOKENIZE", self.no_tokenize)]
        source = ["FROM", self.source] if self.source is not None else []
        return [self.name, self.type, *(flag for flag, is_set in flags if is_set), *source]

    def written_in(self, document: Any) -> Any:
        """The field's value in a JSON document, as it stands there; None if missing."""
        for step in (self.source or self.name).split("."):
            document = document.get(step) if isinstance(document, dict) else None
        return document

    def value_in(self, document: Any) -> Any:
        """The field's value in a JSON document as it is indexed; None if missing or of another type."""
        return self.coerced(self.written_in(document))

    def coerced(self, value: Any) -> Any:
        return _COERCE[self.type](value)


def _number(minimum: int, maximum: int) -> Callable[[Any], int | None]:
    def coerce(value: Any) -> int | None:
        is_number = isinstance(value, int) and not isinstance(value, bool)
        return value if is_number and minimum <= value <= maximum else None

    return coerce


def _float(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _microseconds(value: Any) -> int | None:
    """RFC 3339 as microseconds since 1970: dates are compared as integers."""
    if not isinstance(value, str):
        return None
    try:
        date = datetime.fromisoformat(value.replace("Z", "+00:00").replace("z", "+00:00"))
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=timezone.utc)
    since = date - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) else None


_COERCE: dict[str, Callable[[Any], Any]] = {
    "TEXT": _string,
    "KEYWORD": _string,
    "F64": _float,
    "U64": _number(0, 2**64 - 1),
    "I64": _number(-(2**63), 2**63 - 1),
    "BOOL": lambda value: value if isinstance(value, bool) else None,
    "DATE": _microseconds,
}


@dataclass(frozen=True)
class Definition:
    name: str
    prefixes: tuple[str, ...]
    language: str
    fields: tuple[Field, ...]

    def describe(self) -> list[Any]:
        return [
            *("name", self.name, "type", "JSON", "prefixes", list(self.prefixes)),
            *("language", self.language, "schema", [field.describe() for field in self.fields]),
        ]

    def field(self, name: str) -> Field:
        for field in self.fields:
            if field.name == name:
                return field
        raise ReplyError(f"ERR Field '{name}' is not defined in the schema")


class Arguments:
    """A command's arguments, taken one by one."""

    def __init__(self, arguments: list[str]) -> None:
        self._left = list(reversed(arguments))

    def __bool__(self) -> bool:
        return bool(self._left)

    def next(self) -> str:
        if not self._left:
            raise ReplyError("ERR syntax error")
        return self._left.pop()

    def take(self, *words: str) -> str | None:
        """The next argument in upper case, if it is one of these words."""
        if self._left and self._left[-1].upper() in words:
            return self._left.pop().upper()
        return None

    def number(self, kind: Callable[[str], Any] = int) -> Any:
        text = self.next()
        try:
            return kind(text)
        except ValueError as error:
            raise ReplyError(f"ERR value is not a number: '{text}'") from error

    def several(self) -> list[str]:
        """`<count> <word>…`."""
        return [self.next() for _ in range(self.number())]


def parse_create(arguments: Arguments) -> tuple[Definition, set[str]]:
    """The definition, and which of EXISTSOK and SKIPINITIALSCAN were given."""
    name, flags, language = arguments.next(), set(), "english"
    prefixes: list[str] = []
    while not arguments.take("SCHEMA"):
        word = arguments.take("ON", "PREFIX", "LANGUAGE", "EXISTSOK", "SKIPINITIALSCAN")
        if word == "ON":
            if arguments.take("JSON") is None:
                raise ReplyError(f"ERR not emulated: an index on {arguments.next().upper()}; only JSON is")
        elif word == "PREFIX":
            prefixes = arguments.several()
        elif word == "LANGUAGE":
            language = arguments.next().lower()
        elif word:
            flags.add(word)
        else:
            raise ReplyError(f"ERR syntax error near '{arguments.next()}'")
    if language not in LANGUAGES:
        raise ReplyError(f"ERR Unknown language: '{language}'")
    if not prefixes:
        raise ReplyError("ERR syntax error: at least one PREFIX is needed")
    return Definition(name, tuple(prefixes), language, _fields(arguments)), flags


def _fields(arguments: Arguments) -> tuple[Field, ...]:
    fields: dict[str, Field] = {}
    while arguments:
        name, kind = arguments.next(), arguments.next().upper()
        if kind == "FACET":
            raise ReplyError("ERR not emulated: the field type FACET")
        if kind not in _TYPES:
            raise ReplyError(f"ERR Unknown field type: '{kind}'")
        if name in fields:
            raise ReplyError(f"ERR Duplicate field: '{name}'")
        flags, source = set(), None
        while flag := arguments.take("FAST", "NOSTEM", "NOTOKENIZE", "FROM"):
            if flag == "FROM":
                source = arguments.next()
            flags.add(flag)
        fields[name] = Field(name, kind, "FAST" in flags, "NOSTEM" in flags, "NOTOKENIZE" in flags, source)
    if not fields:
        raise ReplyError("ERR syntax error: SCHEMA needs at least one field")
    return tuple(fields.values())
