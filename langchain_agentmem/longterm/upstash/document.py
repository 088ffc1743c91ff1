"""Memories as they are stored on Upstash: the one place that knows their keys and members.

The data model is the one of Upstash's own "Agent Memory with Redis Search": the key is
`memory:<userId>:<id>`, the JSON document `{"text", "userId", "kind", "createdAt"}` with `createdAt` in
epoch milliseconds. What else a memory carries stands in further members, only if there is something:
`sourceThread`, `context`, `metadata` (JSON text), `hitCount` and `updatedAt`; `same`, the digest it stands
for if its id does not say so. One that was superseded has `supersededBy` and `supersededAt`, and its text and
context as `past` and `pastContext`, where no search finds them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from langchain_agentmem.core import json
from langchain_agentmem.core.operations import text
from langchain_agentmem.longterm.types import Draft, MemoryRecord, UnreadableDocument, report_unreadable

NAMESPACE = "default"  # the one there is: the data model has none


def memory_id(user: str, name: str) -> str:
    """Return the id of a user's memory: a name is the digest of what it says, if it has one."""
    return f"{user}:{name}"


def encode(draft: Draft, created_ts: float) -> bytes:
    """Return the document. Its time is the writer's, as the data model's other writers have it.

    Args:
        draft: The memory.
        created_ts: The time, in epoch seconds, unless the memory is restored with one.
    """
    restored = draft.restored
    # Now is cut, not rounded: nothing is stored in the future.
    created = int(created_ts * 1000) if restored.created_ts is None else round(restored.created_ts * 1000)
    document: dict[str, Any] = {
        "text": draft.text,
        "userId": draft.user,
        "kind": draft.kind,
        "createdAt": created,
    }
    if restored.hit_count:
        document["hitCount"] = restored.hit_count
    if restored.updated_ts is not None:
        document["updatedAt"] = round(restored.updated_ts * 1000)
    if draft.source_thread:
        document["sourceThread"] = draft.source_thread
    if draft.context:
        document["context"] = draft.context
    if draft.metadata is not None:
        document["metadata"] = draft.metadata.decode()
    return orjson.dumps(document)


def decode(memory_id: str, document: Any, *, score: float | None = None) -> MemoryRecord:
    """Return the memory in a document, this package's or any other's.

    Args:
        memory_id: The id in its key.
        document: The parsed JSON.
        score: What a search scored it.

    Raises:
        UnreadableDocument: A member is missing, or is not what it has to be.
    """
    if not isinstance(document, dict):
        raise UnreadableDocument("it is no JSON object")
    if not memory_id.startswith(f"{_string(document, 'userId')}:"):
        raise UnreadableDocument("its key does not name its userId")  # nor could it be forgotten
    seen = document.get("hitCount", 0)
    if isinstance(seen, bool) or not isinstance(seen, int):
        raise UnreadableDocument("its 'hitCount' is no whole number")
    superseded = "supersededBy" in document
    return MemoryRecord(
        id=memory_id,
        text=_string(document, "past" if superseded else "text"),
        user=_string(document, "userId"),
        namespace=NAMESPACE,
        kind=_string(document, "kind"),
        source_thread=_string(document, "sourceThread", ""),
        created_ts=_seconds(document, "createdAt"),
        hit_count=seen,
        metadata=_metadata(document.get("metadata", {})),
        score=score,
        context=_string(document, "pastContext" if superseded else "context", ""),
        updated_ts=_seconds(document, "updatedAt") if "updatedAt" in document else None,
        superseded_by=_string(document, "supersededBy") if superseded else None,
        superseded_ts=_seconds(document, "supersededAt") if superseded else None,
    )


def _string(document: dict[str, Any], name: str, default: str | None = None) -> str:
    value = document.get(name, default)
    if not isinstance(value, str):
        raise UnreadableDocument(f"its {name!r} is {'missing' if value is None else 'no text'}")
    return value


def _seconds(document: dict[str, Any], name: str) -> float:
    value = document.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnreadableDocument(f"its {name!r} is no number")
    return value / 1000


def _metadata(stored: Any) -> dict[str, Any]:
    try:
        metadata = json.loads(stored) if isinstance(stored, str) else stored
    except ValueError as error:
        raise UnreadableDocument(f"its metadata is no JSON: {error}") from error
    if not isinstance(metadata, dict):
        raise UnreadableDocument("its metadata is no JSON object")
    return metadata


def document_of(reply: Any) -> Any:
    """Return the document in the reply to `JSON.GET key $`.

    Raises:
        UnreadableDocument: It is no JSON.
    """
    try:
        (document,) = orjson.loads(reply)
    except (ValueError, TypeError) as error:
        raise UnreadableDocument(f"it cannot be read: {error}") from error
    return document


def records(rows: list[Any], prefix: str) -> Iterator[MemoryRecord]:
    """Yield the memories in the rows of a query; rows that hold none are reported, and left out.

    Args:
        rows: `[key, score, [["$", document]]]` each.
        prefix: What stands before the id in a key.
    """
    for key, score, content in rows:
        if not content:
            continue  # gone while the query ran
        try:
            if not text(key).startswith(prefix):
                raise UnreadableDocument(f"its key does not begin with {prefix!r}")
            (document,) = [value for name, value in content if text(name) == "$"]
            yield decode(text(key)[len(prefix) :], orjson.loads(document), score=float(text(score)))
        except UnreadableDocument as error:
            report_unreadable(key, error)
        except (ValueError, TypeError) as error:
            report_unreadable(key, UnreadableDocument(str(error)))
