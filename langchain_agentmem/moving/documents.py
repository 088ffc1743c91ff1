"""Memories as JSON documents and as Hashes: the one written as the other, with vectors bit for bit.

Both are read into members: texts, numbers, what is stated exactly, and the vector as an array. A member that
this package does not know is a text in a Hash, and stays what it is in JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from langchain_agentmem.core.operations import Argument, pairs
from langchain_agentmem.errors import StoreError
from langchain_agentmem.longterm.redisearch.document import MEMBERS, REQUIRED
from langchain_agentmem.longterm.types import Storage, VectorType

_NUMBERS = ("created_ts", "hit_count", "updated_ts", "superseded_ts")
_VECTOR = "embedding"


def read(stored: Any, storage: Storage, vector_type: VectorType) -> dict[str, Any]:
    """Return the members of a memory; those without a value are left out.

    Args:
        stored: JSON text, or the reply to HGETALL.
        storage: `json` or `hash`.
        vector_type: Of what numbers the vector in a Hash is.

    Raises:
        StoreError: It is no memory.
    """
    try:
        return _read_json(stored) if storage == "json" else _read_hash(stored, vector_type)
    except (ValueError, TypeError, AttributeError) as error:
        raise StoreError(f"A memory cannot be read: {error}") from error


def _read_json(stored: bytes) -> dict[str, Any]:
    import numpy as np

    document = orjson.loads(stored)
    if isinstance(document, list):  # by a path that begins with $
        (document,) = document
    found = {name: value for name, value in document.items() if value is not None and value != ""}
    if _VECTOR in found:
        found[_VECTOR] = np.asarray(found[_VECTOR], np.float64)
    for name in _NUMBERS:
        if name in found:
            found[name] = float(found[name])
    return found


def _read_hash(stored: Any, vector_type: VectorType) -> dict[str, Any]:
    import numpy as np

    found: dict[str, Any] = {}
    for raw, value in pairs(stored):
        name = raw.decode()
        if name == _VECTOR:
            found[name] = np.frombuffer(value, vector_type).astype(np.float64)
        elif name in _NUMBERS:
            found[name] = float(value)
        elif name == "exact":
            found[name] = orjson.loads(value)
        elif value:
            found[name] = value.decode()
    return found


def write(members: Mapping[str, Any], storage: Storage, vector_type: VectorType) -> tuple[Argument, ...]:
    """Return a memory as `bring_document` takes it: JSON text, or fields, each followed by its value.

    Args:
        members: As from `read`.
        storage: `json` or `hash`.
        vector_type: Of what numbers the vector is to be.
    """
    document = {name: _number(name, value) for name, value in members.items()}
    document.setdefault("source_thread", "")
    if _VECTOR in document:
        document[_VECTOR] = document[_VECTOR].astype(vector_type)
    if storage == "json":
        missing = {name: None for name in MEMBERS[REQUIRED:] if name not in document}
        if "superseded_by" in document:
            missing.pop("context", None)
        elif "context" in missing:
            missing["context"] = ""  # type: ignore[assignment]
        return (orjson.dumps(document | missing, option=orjson.OPT_SERIALIZE_NUMPY),)
    fields = {name: _field(name, value) for name, value in document.items()}
    return tuple(part for item in fields.items() for part in item)


def same(one: Mapping[str, Any], other: Mapping[str, Any], vector_type: VectorType) -> bool:
    """Return whether two memories, as from `read`, have the same members, and vectors of the same numbers.

    Args:
        one: A memory.
        other: Another one.
        vector_type: Of what numbers their vectors are compared.
    """
    if one.keys() != other.keys():
        return False
    for name, value in one.items():
        if name == _VECTOR:
            if value.astype(vector_type).tobytes() != other[name].astype(vector_type).tobytes():
                return False
        elif value != other[name]:
            return False
    return True


def owner(user: bytes | None, exact: bytes | None) -> str | None:
    """Return whose a memory is, or `None` if it does not say so.

    Args:
        user: Its member `user`: of a Hash as it is, of a JSON document in a JSON array.
        exact: Its member `exact`, likewise.
    """
    try:
        name, stated = _text(user), _object(exact)
    except ValueError:
        return None
    if name is not None and name.startswith("#") and isinstance(stated.get("user"), str):
        return str(stated["user"])
    return name


def owner_of(kind: str, about: Sequence[bytes | None] | None) -> str | None:
    """Return whose a memory is, given what `take` tells of one of this Redis type."""
    if not about:
        return None
    user, exact = about
    if kind == "hash":
        return owner(user, exact)
    try:
        parts = [None if not one else (orjson.loads(one) or [None])[0] for one in (user, exact)]
    except ValueError:
        return None
    name, stated = parts
    if not isinstance(name, str):
        return None
    return owner(name.encode(), orjson.dumps(stated))


def _text(value: bytes | None) -> str | None:
    return value.decode() if value else None


def _object(value: bytes | None) -> dict[str, Any]:
    found = orjson.loads(value) if value else None
    return found if isinstance(found, dict) else {}


def _number(name: str, value: Any) -> Any:
    return int(value) if name == "hit_count" else value


def _field(name: str, value: Any) -> Argument:
    if name == _VECTOR:
        return bytes(value.tobytes())
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return repr(value)
    return orjson.dumps(value)
