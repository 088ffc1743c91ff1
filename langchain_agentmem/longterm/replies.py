"""Reading what searches answer."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, TypeAlias

from langchain_agentmem.core.operations import pairs, text
from langchain_agentmem.longterm.documents import UnreadableDocument, decode
from langchain_agentmem.longterm.record import MemoryRecord

logger = logging.getLogger("langchain_agentmem.longterm")

Row: TypeAlias = tuple[bytes, dict[bytes, bytes] | None]


def rows(reply: Any) -> list[Row]:
    """The rows of an `FT.SEARCH`, from either protocol; the fields of an expired document are `None`."""
    if isinstance(reply, dict):
        return [(row[b"id"], _fields(row.get(b"extra_attributes"))) for row in reply[b"results"]]
    return [(reply[at], _fields(reply[at + 1])) for at in range(1, len(reply), 2)]


def row_keys(reply: Any) -> list[bytes]:
    """The keys in the answer of an `FT.SEARCH … NOCONTENT`."""
    if isinstance(reply, dict):
        return [row[b"id"] for row in reply[b"results"]]
    return list(reply[1:])


def _fields(reply: Any) -> dict[bytes, bytes] | None:
    return None if reply is None else dict(pairs(reply))


def memory_id(key: bytes, prefix: str) -> str:
    """The id in a memory's key."""
    return text(key)[len(prefix) :]


def records(found: list[Row], prefix: str) -> Iterator[MemoryRecord]:
    """The memories in rows of a search; rows that hold none are reported, and left out."""
    for key, fields in found:
        if fields is None:
            continue
        distance = fields.get(b"distance")
        try:
            yield decode(
                memory_id(key, prefix),
                fields,
                # Rounding takes the distance of equal vectors a little below zero at times.
                distance=None if distance is None else max(float(distance), 0.0),
            )
        except UnreadableDocument as error:
            report(key, error)


def report(key: bytes | str, error: Exception) -> None:
    """Say that a stored document was left out because it is no memory."""
    logger.warning("Left out the document at %r, which is no memory: %s", text(key), error)
