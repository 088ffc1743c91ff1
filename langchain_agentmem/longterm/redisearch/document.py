"""Memories as they are stored: the one place that knows the members of a document.

`user`, `namespace`, `kind` and `source_thread` are stored as the index holds them (`keys.tag`), with
the originals beside them in `exact` where the two differ. `metadata` is JSON *text* in both storages:
as part of a JSON document it would come back changed, because the server rounds about a third of all
floats when it parses them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

from langchain_agentmem.core import json
from langchain_agentmem.core.keys import tag
from langchain_agentmem.core.operations import Argument
from langchain_agentmem.longterm.types import Draft, MemoryRecord, Storage, UnreadableDocument

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

REDIS_TYPES: dict[Storage, str] = {"json": "ReJSON-RL", "hash": "hash"}
FIELDS = (
    "text",
    "user",
    "namespace",
    "kind",
    "source_thread",
    "created_ts",
    "hit_count",
    "metadata",
    "exact",
    "document_id",
)
_INDEXED = 7  # the first so many of them are index fields too
_SCOPED = ("user", "namespace", "kind", "source_thread")
_DIGEST = re.compile("#[0-9a-f]{64}")

# What `RETURN` names, so that a search brings everything but the embedding.
SEARCH_FIELDS: dict[Storage, tuple[str, ...]] = {
    "hash": FIELDS,
    "json": (
        *FIELDS[:_INDEXED],
        *(part for name in FIELDS[_INDEXED:] for part in (f"$.{name}", "AS", name)),
    ),
}


def encode(draft: Draft, embedding: NDArray[np.floating[Any]], storage: Storage) -> tuple[Argument, ...]:
    """The document but for `created_ts`, which the server writes: JSON text, or fields and values."""
    scoped = {name: getattr(draft, name) for name in _SCOPED}
    tags = {name: tag(value) if value else "" for name, value in scoped.items()}
    exact = {name: value for name, value in scoped.items() if tags[name] != value}
    document: dict[str, Any] = {"id": draft.id, **tags, "text": draft.text, "hit_count": 0}
    if draft.document_id is not None:
        document["document_id"] = draft.document_id
    if draft.metadata is not None:
        document["metadata"] = draft.metadata.decode()
    if storage == "json":
        if exact:
            document["exact"] = exact
        document["embedding"] = embedding
        return (orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY),)
    if exact:
        document["exact"] = orjson.dumps(exact)
    document["embedding"] = embedding.tobytes()
    return tuple(part for item in document.items() for part in item)


def decode(
    memory_id: str,
    fields: Mapping[bytes, bytes],
    *,
    distance: float | None = None,
    ttl_seconds: int | None = None,
) -> MemoryRecord:
    """The memory in these fields of a document.

    Raises:
        UnreadableDocument: A member is missing, or is not what it has to be.
    """
    try:
        tags = [fields[b"user"], fields[b"namespace"], fields[b"kind"], fields[b"source_thread"]]
        user, namespace, kind, source_thread = _originals(tags, fields.get(b"exact"))
        metadata = json.loads(fields[b"metadata"]) if b"metadata" in fields else {}
        if not isinstance(metadata, dict):
            raise UnreadableDocument("its metadata is no JSON object")
        document_id = fields.get(b"document_id")
        return MemoryRecord(
            id=memory_id,
            text=fields[b"text"].decode(),
            user=user,
            namespace=namespace,
            kind=kind,
            source_thread=source_thread,
            # 12 digits are what a search returns of a number, so `get` gives no more.
            created_ts=float(b"%.12g" % float(fields[b"created_ts"])),
            hit_count=int(fields[b"hit_count"]),
            metadata=metadata,
            distance=distance,
            score=None if distance is None else 1 - distance / 2,
            ttl_seconds=ttl_seconds,
            document_id=None if document_id is None else document_id.decode(),
        )
    except KeyError as error:
        raise UnreadableDocument(f"it has no {error.args[0].decode()!r}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise UnreadableDocument(str(error)) from error


def _originals(tags: list[bytes], exact: bytes | None) -> list[str]:
    originals = [stored.decode() for stored in tags]
    if "#" not in "".join(originals):  # no plain tag has one
        return originals
    known = _exact(exact)
    for at, (name, stored) in enumerate(zip(_SCOPED, originals, strict=True)):
        if stored.startswith("#"):
            original = known.get(name)
            if not isinstance(original, str) or tag(original) != stored:
                raise UnreadableDocument(f"its {name} does not fit the digest it is indexed by")
            originals[at] = original
    return originals


def raw_scope(fields: Mapping[bytes, bytes]) -> tuple[dict[str, tuple[str, str]], dict[str, str]]:
    """What of a document's scope stands there as other programs write it, and not as the index wants it.

    Returns:
        For each such member its value and its tag; and all values of the scope that are digests then, by
        member.

    Raises:
        UnreadableDocument: A value is no text.
    """
    known = _exact(fields.get(b"exact"))
    changed: dict[str, tuple[str, str]] = {}
    exact: dict[str, str] = {}
    for name in _SCOPED:
        try:
            value = fields.get(name.encode(), b"").decode()
        except UnicodeDecodeError as error:
            raise UnreadableDocument(f"its {name} is no text") from error
        if _DIGEST.fullmatch(value):  # ours, or damaged
            exact |= {name: known[name]} if name in known else {}
        elif value and tag(value) != value:
            changed[name] = (value, tag(value))
            exact[name] = value
    return changed, exact


def _exact(stored: bytes | None) -> dict[str, Any]:
    try:
        known = {} if stored is None else orjson.loads(stored)
    except ValueError as error:
        raise UnreadableDocument(f"its exact values are no JSON: {error}") from error
    return known if isinstance(known, dict) else {}


def fields_of_json(text: bytes) -> dict[bytes, bytes]:
    """The fields in the answer to `JSON.GET key $.text $.user …`, as a search would bring them.

    Raises:
        UnreadableDocument: A member is of a type that no memory has.
    """
    fields: dict[bytes, bytes] = {}
    for path, found in orjson.loads(text).items():
        if found:
            value = found[0]
            encoded = value.encode() if isinstance(value, str) else orjson.dumps(value)
            fields[path.removeprefix("$.").encode()] = encoded
    return fields
