"""Items as they are stored: their value is JSON text, so that the server changes nothing of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from math import isfinite
from typing import Any, NamedTuple

import orjson

from langchain_agentmem.core.checks import utf8
from langchain_agentmem.core.keys import path_digest
from langchain_agentmem.errors import InvalidInputError, StoreError

Namespace = tuple[str, ...]
BARE = "bare"  # the tag of an item without vectors
_LONG_NUMBER = re.compile(r"\d{18}")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class StoredItem(NamedTuple):
    """Holds an item as it is stored.

    Attributes:
        created_us: When it was created, in epoch microseconds by the server's clock; `updated_us` likewise.
        ttl_ms: After how many milliseconds without a read or write it expires; 0 for never.
        user: Whose it is; empty if that is not known.
    """

    namespace: Namespace
    key: str
    value: dict[str, Any]
    created_us: int
    updated_us: int
    ttl_ms: int
    user: str

    @property
    def created_at(self) -> datetime:
        """Return when it was created."""
        return _EPOCH + timedelta(microseconds=self.created_us)

    @property
    def updated_at(self) -> datetime:
        """Return when it was last put."""
        return _EPOCH + timedelta(microseconds=self.updated_us)


def decode(text: bytes) -> StoredItem:
    """Return the item in its text, `[created, updated, ttl, user, item]`.

    Raises:
        StoreError: It is none.
    """
    try:
        created, updated, ttl, user, item = orjson.loads(text)
        namespace, key, value = _loads(item)
        return StoredItem(
            tuple(namespace), key, value, created, updated, ttl, bytes.fromhex(user).decode("utf-8")
        )
    except (ValueError, TypeError, RecursionError) as error:
        raise StoreError(f"An item of the store cannot be read: {error}") from error


def _loads(item: str) -> Any:
    """Return the value of JSON: by orjson, unless it has what orjson reads otherwise."""
    if _LONG_NUMBER.search(item) is None:  # beyond 64 bits, it makes floats of whole numbers
        try:
            return orjson.loads(item)
        except ValueError:  # lone surrogates, deep nesting
            pass
    return json.loads(item)


def encode(namespace: Namespace, key: str, value: Mapping[str, Any]) -> bytes:
    """Return an item as a JSON string of its JSON text.

    Raises:
        InvalidInputError: The value is no JSON object.
    """
    if not isinstance(value, Mapping):
        raise InvalidInputError(f"The value must be a dict, not {type(value).__name__}.")
    text = _dumps([list(namespace), key, dict(value)], key)
    _check(value, key)
    return orjson.dumps(text)


def _dumps(item: list[Any], key: str) -> str:
    try:
        try:
            return orjson.dumps(item).decode()
        except TypeError:  # whole numbers above 64 bits, lone surrogates, deep nesting
            text = json.dumps(item, separators=(",", ":"))
            json.loads(text)  # what is nested too deeply could be stored, and not be read
            return text
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInputError(f"The value of {key!r} is no JSON: {error}") from error


def _check(value: Any, key: str) -> None:
    """Refuse what the encoder takes and would give back changed. Of a value that it has taken: no circles."""
    rest: list[tuple[str, Any]] = [("", value)]
    while rest:
        where, one = rest.pop()
        if one is None or isinstance(one, str | int):
            continue
        if isinstance(one, Mapping):
            for name, member in one.items():
                if not isinstance(name, str):
                    raise InvalidInputError(
                        f"The value of {key!r} has the name {name!r}{where and f' in {where[1:]}'}, "
                        "which is no string."
                    )
                rest.append((f"{where}.{name}", member))
        elif isinstance(one, list | tuple):
            rest += [(f"{where}[{at}]", member) for at, member in enumerate(one)]
        elif not (isinstance(one, float) and isfinite(one)):
            shown = one if isinstance(one, float) else f"a {type(one).__name__}"
            raise InvalidInputError(f"The value of {key!r} has {shown} at {where[1:]}, which is no JSON.")


def namespace_text(namespace: Namespace) -> str:
    """Return a namespace as it stands in the records, a JSON array."""
    return orjson.dumps(list(namespace)).decode()


def namespace_of(text: bytes) -> Namespace:
    """Return the namespace in a record."""
    return tuple(orjson.loads(text))


def hexadecimal(user: str | None) -> str:
    """Return a user as an item holds it, so that scripts can read it whatever its characters are."""
    return (user or "").encode().hex()


def check_place(namespace: Sequence[str], key: str) -> None:
    """Refuse labels and keys that are no Unicode, as UTF-8 cannot hold them.

    Raises:
        InvalidInputError: One is not.
    """
    for label in namespace:
        utf8("A label of the namespace", label)
    utf8("key", key)


def indexed(namespace: Namespace, value: Mapping[str, Any], vectors: Sequence[Any]) -> bytes:
    """Return what the index reads of an item, as members of its document with a comma before each.

    Args:
        namespace: Its namespace.
        value: Its value.
        vectors: Its vectors, as arrays.
    """
    tags = [within(namespace[:depth]) for depth in range(1, len(namespace) + 1)]
    tags += [tag for name, member in value.items() if (tag := equal(name, member)) is not None]
    members = {"tags": tags} if vectors else {"tags": [*tags, BARE]}
    if vectors:
        members["embedding"] = list(vectors)
    return b"," + orjson.dumps(members, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]


def within(prefix: Namespace) -> str:
    """Return the tag of what is in a namespace that begins with these labels."""
    return f"n{path_digest(prefix)}"


def equal(name: str, value: Any) -> str | None:
    """Return the tag of items whose member has this value; `None` if there is none for it.

    Values that Python says are equal have the same tag: 1, 1.0 and `True`.
    """
    if isinstance(value, str):
        return f"e{path_digest([name, 'text', value])}"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int | float):
        return f"e{path_digest([name, 'number', _number(value)])}"
    return None  # None equals a member that is not there, which has no tag


def _number(value: float) -> str:
    if isinstance(value, int):
        return hex(value)  # decimal digits of long numbers take long, and Python refuses them from 4,300 on
    return float.__repr__(value)
