"""Memories as they are stored: the one place that knows the members of a document, the vector among them.

`user`, `namespace`, `kind` and `source_thread` are stored as the index holds them (`keys.tag`), with
the originals beside them in `exact` where the two differ. `metadata` is JSON *text* in both storages:
as part of a JSON document it would come back changed, because the server rounds about a third of all
floats when it parses them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import isfinite, sqrt
from typing import TYPE_CHECKING, Any

import orjson
from typing_extensions import Unpack

from langchain_agentmem.core import json
from langchain_agentmem.core.keys import tag
from langchain_agentmem.core.operations import Argument, text
from langchain_agentmem.errors import EmbeddingError
from langchain_agentmem.longterm.types import (
    Draft,
    MemoryRecord,
    Ranked,
    Restored,
    Scope,
    Storage,
    UnreadableDocument,
    VectorType,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# How far from 0 a server's distance of two equal vectors may be. Measured, of 3 to 1536 numbers:
# up to 2.4e-7 and 5.6e-4. Thresholds are compared with this much to spare.
TOLERANCE: dict[VectorType, float] = {"float32": 1e-6, "float16": 1e-3}
_SAFE = 1e-20  # a sum of squares from here to its inverse loses no digits of a float32, and is finite

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
    "context",
    "updated_ts",
    "past",  # the text of one that is superseded, and its context
    "past_context",
    "superseded_by",
    "superseded_ts",
    "same",  # the digest of what it says, if that is not its id, and then those of what it said before
)
_INDEXED = ("text", "user", "namespace", "kind", "created_ts")  # in any index that is used
_RETURNED = FIELDS[:-1]
_SCOPED = ("user", "namespace", "kind", "source_thread")
_DIGEST = re.compile("#[0-9a-f]{64}")

# What a recall reads. All of it is there in what this version writes, and the first seven in any memory.
MEMBERS = ("text", "user", "namespace", "kind", "source_thread", "created_ts", "hit_count",
           "context", "metadata", "exact", "document_id", "updated_ts")  # fmt: skip
REQUIRED = 7

# What `RETURN` names, so that a search returns everything except the embedding.
SEARCH_FIELDS: dict[Storage, tuple[str, ...]] = {
    "hash": _RETURNED,
    "json": (
        *_INDEXED,
        *(part for name in _RETURNED if name not in _INDEXED for part in (f"$.{name}", "AS", name)),
    ),
}


def encode(draft: Draft, embedding: NDArray[np.floating[Any]], storage: Storage) -> tuple[Argument, ...]:
    """Return the document except `created_ts`, which the server writes; if it is restored, it comes first.

    Args:
        draft: The memory.
        embedding: Its vector, of length one, in the index's number format.
        storage: `json` for one argument, JSON text; `hash` for fields, each followed by its value.
    """
    user, namespace, kind = draft.scope.tags()
    restored = draft.restored
    document: dict[str, Any] = {} if restored.created_ts is None else {"created_ts": restored.created_ts}
    document |= {
        "id": draft.id,
        "user": user,
        "namespace": namespace,
        "kind": kind,
        "source_thread": tag(draft.source_thread) if draft.source_thread else "",
        "text": draft.text,
        "hit_count": restored.hit_count,
    }
    exact = {name: original for name in _SCOPED if (original := getattr(draft, name)) != document[name]}
    if draft.document_id is not None:
        document["document_id"] = draft.document_id
    if draft.metadata is not None:
        document["metadata"] = draft.metadata.decode()
    if draft.context:
        document["context"] = draft.context
    if draft.digest is not None and draft.digest != draft.id:
        document["same"] = draft.digest
    if restored.updated_ts is not None:
        document["updated_ts"] = restored.updated_ts
    if storage == "json":
        document = {**document, **dict.fromkeys(MEMBERS[REQUIRED:]), "context": "", **document}
        if exact:
            document["exact"] = exact
        document["embedding"] = embedding
        _supersede(document, restored)
        return (orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY),)
    if exact:
        document["exact"] = orjson.dumps(exact)
    document["embedding"] = embedding.tobytes()
    _supersede(document, restored)
    return tuple(part for item in document.items() for part in item)


def _supersede(document: dict[str, Any], restored: Restored) -> None:
    """Give a document of a memory that is superseded the members that `put.lua` does."""
    if restored.superseded_by is not None:
        del document["embedding"]
        document["past"], context = document.pop("text"), document.pop("context", "")
        if context:
            document["past_context"] = context
        document["superseded_by"] = restored.superseded_by
        document["superseded_ts"] = restored.superseded_ts or 0


def changes(
    storage: Storage,
    *,
    text: str | None,
    embedding: NDArray[np.floating[Any]] | None,
    metadata: bytes | None,
) -> tuple[Argument, ...]:
    """Return the members that an update changes: names, each followed by its value, or by JSON text of it.

    Args:
        storage: `json` or `hash`.
        text: The new text; `None` to leave it.
        embedding: The new text's vector, of length one, in the index's number format.
        metadata: The new metadata as JSON text; `None` to leave it.
    """
    members: dict[str, Any] = {} if text is None else {"text": text, "embedding": embedding}
    if metadata is not None:
        members["metadata"] = metadata.decode()
    if storage == "json":
        dumped = {
            name: orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY) for name, value in members.items()
        }
        return tuple(part for item in dumped.items() for part in item)
    if embedding is not None:
        members["embedding"] = embedding.tobytes()
    return tuple(part for item in members.items() for part in item)


def id_of(key: bytes, prefix: str) -> str:
    """Return the id in a memory's key."""
    return text(key)[len(prefix) :]


def decode(
    memory_id: str,
    fields: Mapping[bytes, bytes],
    *,
    ttl_seconds: int | None = None,
    **ranked: Unpack[Ranked],
) -> MemoryRecord:
    """Return the memory in a document's fields, as they were stored or as a search returned them.

    Args:
        memory_id: The id in its key.
        fields: The values by the names of `FIELDS`; some may be missing.
        ttl_seconds: The TTL it has left.
        **ranked: Its rank, if it was searched for.

    Raises:
        UnreadableDocument: A member is missing, or is not what it has to be.
    """
    try:
        tags = fields[b"user"], fields[b"namespace"], fields[b"kind"], fields[b"source_thread"]
        user, namespace, kind, source_thread = map(bytes.decode, tags)
        if b"#" in b"".join(tags):  # no plain tag has one
            user, namespace, kind, source_thread = _originals(
                [user, namespace, kind, source_thread], fields.get(b"exact")
            )
        metadata = json.loads(fields[b"metadata"]) if b"metadata" in fields else {}
        if not isinstance(metadata, dict):
            raise UnreadableDocument("its metadata is no JSON object")
        document_id, superseded_by = fields.get(b"document_id"), fields.get(b"superseded_by")
        return MemoryRecord(
            id=memory_id,
            text=fields[b"text" if superseded_by is None else b"past"].decode(),
            user=user,
            namespace=namespace,
            kind=kind,
            source_thread=source_thread,
            created_ts=rounded(float(fields[b"created_ts"])),
            hit_count=int(fields[b"hit_count"]),
            metadata=metadata,
            ttl_seconds=ttl_seconds,
            document_id=None if document_id is None else document_id.decode(),
            context=fields.get(b"context" if superseded_by is None else b"past_context", b"").decode(),
            updated_ts=_time(fields.get(b"updated_ts")),
            superseded_by=None if superseded_by is None else superseded_by.decode(),
            superseded_ts=_time(fields.get(b"superseded_ts")),
            **ranked,
        )
    except KeyError as error:
        raise UnreadableDocument(f"it has no {error.args[0].decode()!r}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise UnreadableDocument(str(error)) from error


def embedding_of(reply: Any, storage: Storage, vector_type: VectorType) -> tuple[float, ...] | None:
    """Return the vector in the reply to a read of the member `embedding`; `None` if there is none.

    Args:
        reply: That of `HGET`, or of `JSON.GET` with a path; `None` if there is no document.
        storage: `json` or `hash`.
        vector_type: The index's number format.
    """
    import numpy as np

    if not isinstance(reply, bytes):
        return None
    if storage == "hash":
        whole = len(reply) % np.dtype(vector_type).itemsize == 0
        return tuple(np.frombuffer(reply, vector_type).tolist()) if whole and reply else None
    (numbers,) = orjson.loads(reply) or [None]
    return tuple(numbers) if isinstance(numbers, list) else None


def rounded(seconds: float) -> float:
    """Return a time with the 12 digits that a search returns of a number, so that `get` gives no more."""
    return float(f"{seconds:.12g}")


def _time(stored: bytes | None) -> float | None:
    return None if stored is None else rounded(float(stored))


def _originals(tags: list[str], exact: bytes | None) -> list[str]:
    stated = _exact(exact)
    originals = list(tags)
    for at, (name, stored) in enumerate(zip(_SCOPED, tags, strict=True)):
        if stored.startswith("#"):
            original = stated.get(name)
            if not isinstance(original, str) or tag(original) != stored:
                raise UnreadableDocument(f"its {name} does not fit the digest it is indexed by")
            originals[at] = original
    return originals


def raw_scope(fields: Mapping[bytes, bytes]) -> tuple[dict[str, tuple[str, str]], dict[str, str]]:
    """Find the scope values that another program wrote as they are, and that the index wants as tags.

    Returns:
        The value and the tag of each such member, by name; and the originals, by name, of all members that
        are digests once those are replaced.

    Raises:
        UnreadableDocument: A value is no text.
    """
    stated = _exact(fields.get(b"exact"))
    changed: dict[str, tuple[str, str]] = {}
    exact: dict[str, str] = {}
    for name in _SCOPED:
        try:
            value = fields.get(name.encode(), b"").decode()
        except UnicodeDecodeError as error:
            raise UnreadableDocument(f"its {name} is no text") from error
        if _DIGEST.fullmatch(value):  # ours, or damaged
            exact |= {name: stated[name]} if name in stated else {}
        elif value and tag(value) != value:
            changed[name] = (value, tag(value))
            exact[name] = value
    return changed, exact


def raw_values(scope: Scope) -> list[str]:
    """Return user, namespace and kind as other programs write them; empty where that is, or seems, a tag."""
    values = zip((scope.user, scope.namespace, scope.kind), scope.tags(), strict=True)
    return ["" if value in (None, tag) or _DIGEST.fullmatch(value) else value for value, tag in values]


def _exact(stored: bytes | None) -> dict[str, Any]:
    try:
        stated = {} if stored is None else orjson.loads(stored)
    except ValueError as error:
        raise UnreadableDocument(f"its exact values are no JSON: {error}") from error
    return stated if isinstance(stated, dict) else {}


def fields_of(reply: object) -> dict[bytes, bytes]:
    """Return the fields in the reply to a read of a whole document, as a search returns them.

    Args:
        reply: That of `HMGET` with `FIELDS`, or of `JSON.GET` with a path for each of them; `None`, and a
            list of `None`, is no document, and has no fields.

    Raises:
        UnreadableDocument: A member is of a type that no memory has.
    """
    if isinstance(reply, list):
        found = zip(FIELDS, reply, strict=True)
        return {name.encode(): value for name, value in found if value is not None}
    fields: dict[bytes, bytes] = {}
    for path, values in orjson.loads(reply).items() if isinstance(reply, bytes) else ():
        if values and values[0] is not None:
            fields[path.removeprefix("$.").encode()] = encoded(values[0])
    return fields


def encoded(value: Any) -> bytes:
    """Return a JSON value as a search by its own path returns it."""
    return value.encode() if isinstance(value, str) else orjson.dumps(value)


def distance_in(fields: Mapping[bytes, bytes]) -> float | None:
    """Return the cosine distance in a row of a search, from 0 to 2; `None` if it is none by vector."""
    if b"distance" not in fields:
        return None
    # Rounding takes the distance of equal, and of opposite, vectors a little beyond at times.
    return min(max(float(fields[b"distance"]), 0.0), 2.0)


class UnitVector(Sequence[float]):
    """Holds an embedding that `vector` has made, so that it is made once, however often it is used.

    Args:
        numbers: The array, of the index's number format.
    """

    __slots__ = ("numbers",)

    def __init__(self, numbers: NDArray[np.floating[Any]]) -> None:
        self.numbers = numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, at: Any) -> Any:
        return self.numbers[at]


def vector(embedding: Sequence[float], vector_type: VectorType) -> NDArray[np.floating[Any]]:
    """Return an embedding scaled to length one: the index compares directions only.

    Unscaled numbers could be beyond what float16 (or the square of a float32) can hold.

    Raises:
        EmbeddingError: It is not a list of numbers, or holds NaN, an infinity, or only zeros.
    """
    import numpy as np

    try:
        given = np.asarray(embedding)
    except ValueError as error:
        raise EmbeddingError("The embedding is not a flat list of numbers.") from error
    if given.ndim != 1 or given.size == 0 or given.dtype.kind not in "fiu":
        raise EmbeddingError(
            f"The embedding must be a flat list of numbers, not {type(embedding).__name__} "
            f"of shape {given.shape} and type {given.dtype}."
        )
    if given.dtype.kind != "f":
        given = given.astype(np.float64)  # the absolute value of the smallest integer is no integer
    with np.errstate(all="ignore"):
        square = float(given.dot(given))
    if _SAFE < square < 1 / _SAFE and given.dtype.itemsize > 2:
        return (given / sqrt(square)).astype(vector_type)
    largest = float(np.abs(given).max())
    if not isfinite(largest):
        raise EmbeddingError(f"The embedding holds {largest} at position {np.abs(given).argmax()}.")
    if largest == 0.0:
        raise EmbeddingError("The embedding is all zeros; it has no direction to compare.")
    numbers = np.divide(given, largest, dtype=np.float64)
    unit: NDArray[np.floating[Any]] = (numbers / sqrt(numbers @ numbers)).astype(vector_type)
    return unit


def cosine_distance(one: NDArray[np.floating[Any]], other: NDArray[np.floating[Any]]) -> float:
    """Return the cosine distance of two embeddings of length one, from 0 to 2."""
    import numpy as np

    return 1 - float(np.dot(one.astype(np.float64), other.astype(np.float64)))
