"""What a recall's searches return of a memory: read as far as ranking needs it, and the winners as records.

All members are read by one JSON path, in one array: reading each by its own path takes several times as long.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from types import NoneType
from typing import Any

import orjson
from typing_extensions import Unpack

from langchain_agentmem.core.operations import text
from langchain_agentmem.longterm.hits import Candidate
from langchain_agentmem.longterm.redisearch.document import (
    MEMBERS,
    REQUIRED,
    decode,
    distance_in,
    encoded,
    rounded,
)
from langchain_agentmem.longterm.types import MemoryRecord, Ranked, Storage

RECALL_FIELDS: dict[Storage, tuple[str, ...]] = {
    "hash": MEMBERS,
    "json": (f"$[{','.join(map(repr, MEMBERS))}]", "AS", "members"),
}
RECALL_DIALECT: dict[Storage, int] = {"hash": 2, "json": 3}  # 3 returns every value that a path leads to

_TEXT, _CREATED, _CONTEXT = map(MEMBERS.index, ("text", "created_ts", "context"))
# The types of the members of what this version writes, where no name is stored as a digest.
_MAYBE_TEXT, _NUMBER = (str, NoneType), (float, int)
_PLAIN = frozenset(
    product(
        *([(str,)] * 5),
        *(_NUMBER, (int,), (str,)),
        *(_MAYBE_TEXT, (NoneType,), _MAYBE_TEXT, (*_NUMBER, NoneType)),
    )
)


def candidates(rows: Mapping[bytes, Mapping[bytes, bytes]], storage: Storage) -> list[Candidate]:
    """Read the rows of searches for `RECALL_FIELDS`, by their keys, as far as ranking needs them."""
    if storage == "hash":
        return [_of_fields(key, fields) for key, fields in rows.items()]
    # The server leaves out the whole array if its first value is an empty array.
    arrays = [fields.get(b"members", b"[]") for fields in rows.values()]
    found = []
    all_values = orjson.loads(b"[%b]" % b",".join(arrays))  # one call for all takes half as long
    for (key, fields), values in zip(rows.items(), all_values, strict=True):
        near = _similarity(fields)
        if len(values) == len(MEMBERS):
            said, before, created = values[_TEXT], values[_CONTEXT], values[_CREATED]
            found.append(Candidate(key, str(said), str(before or ""), near, _number(created), values))
        else:
            # The first version wrote the first members always, and of the others those that had a value.
            created = _number(values[_CREATED]) if len(values) >= REQUIRED else 0.0
            found.append(Candidate(key, str(values[_TEXT]) if values else "", "", near, created, values))
    return found


def _of_fields(key: bytes, fields: Mapping[bytes, bytes]) -> Candidate:
    said, before = (text(fields.get(name, b"")) for name in (b"text", b"context"))
    return Candidate(key, said, before, _similarity(fields), _number(fields.get(b"created_ts")), fields)


def _similarity(fields: Mapping[bytes, bytes]) -> float | None:
    distance = distance_in(fields)
    return None if distance is None else 1 - distance


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0


def record(memory_id: str, found: Candidate, **ranked: Unpack[Ranked]) -> MemoryRecord | None:
    """Return the memory that a search has found; `None` if its members have to be read again, one by one.

    Args:
        memory_id: The id in its key.
        found: What `candidates` made of it.
        **ranked: Its rank.

    Raises:
        UnreadableDocument: It is no memory.
    """
    values = found.members
    if not isinstance(values, list):
        return decode(memory_id, values, **ranked)
    if tuple(map(type, values)) in _PLAIN:
        said, user, namespace, kind, thread, created, hits, context, metadata, _, name, updated = values
        if metadata is None and "#" not in user + namespace + kind + thread:
            return MemoryRecord(
                *(memory_id, said, user, namespace, kind, thread, rounded(created), hits),
                context=context,
                document_id=name,
                updated_ts=None if updated is None else rounded(updated),
                **ranked,
            )
    if len(values) not in (REQUIRED, len(MEMBERS)) or not isinstance(values[4], str):
        return None  # some are missing, and it is not known which
    members = zip(MEMBERS, values, strict=False)
    return decode(
        memory_id, {name.encode(): encoded(value) for name, value in members if value is not None}, **ranked
    )
