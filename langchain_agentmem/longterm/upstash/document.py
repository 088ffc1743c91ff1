"""Memories as they are stored on Upstash: the one place that knows their keys and members.

The data model is the one of Upstash's own "Agent Memory with Redis Search": the key is
`memory:<userId>:<id>`, the JSON document `{"text", "userId", "kind", "createdAt"}` with `createdAt` in
epoch milliseconds. What else a memory carries stands in further members, only if there is something:
`sourceThread`, `metadata` (JSON text) and `hitCount`.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator
from typing import Any

import orjson

from langchain_agentmem.core import json
from langchain_agentmem.core.operations import text
from langchain_agentmem.longterm.types import Draft, MemoryRecord, UnreadableDocument, report_unreadable

NAMESPACE = "default"  # the one there is: the data model has none
_ID_DIGITS = 32


def normalized(memory: str) -> str:
    """Return a text without what makes no difference to its meaning.

    Upper and lower case, accents written apart, runs of white space, and full stops at the end. Not
    more: 10⁵ is another number than 105.
    """
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", memory).casefold())
    collapsed = " ".join(folded.split())
    return collapsed.rstrip(". ") or collapsed


def memory_id(draft: Draft) -> str:
    """Return the id of a memory: the same text of the same user and kind always has the same."""
    what = orjson.dumps([draft.user, draft.kind, normalized(draft.text)])
    return f"{draft.user}:{hashlib.sha256(what).hexdigest()[:_ID_DIGITS]}"


def encode(draft: Draft, created_ts: float) -> bytes:
    """Return the document. Its time is the writer's, as the data model's other writers have it."""
    document: dict[str, Any] = {
        "text": draft.text,
        "userId": draft.user,
        "kind": draft.kind,
        "createdAt": int(created_ts * 1000),
    }
    if draft.source_thread:
        document["sourceThread"] = draft.source_thread
    if draft.metadata is not None:
        document["metadata"] = draft.metadata.decode()
    return orjson.dumps(document)


def decode(
    memory_id: str, document: Any, *, score: float | None = None, ttl_seconds: int | None = None
) -> MemoryRecord:
    """Return the memory in a document, this package's or any other's.

    Args:
        memory_id: The id in its key.
        document: The parsed JSON.
        score: What a search scored it.
        ttl_seconds: The TTL it has left.

    Raises:
        UnreadableDocument: A member is missing, or is not what it has to be.
    """
    if not isinstance(document, dict):
        raise UnreadableDocument("it is no JSON object")
    if not memory_id.startswith(f"{_string(document, 'userId')}:"):
        raise UnreadableDocument("its key does not name its userId")  # nor could it be forgotten
    created, seen = document.get("createdAt"), document.get("hitCount", 0)
    if isinstance(created, bool) or not isinstance(created, int | float):
        raise UnreadableDocument("its 'createdAt' is no number")
    if isinstance(seen, bool) or not isinstance(seen, int):
        raise UnreadableDocument("its 'hitCount' is no whole number")
    return MemoryRecord(
        id=memory_id,
        text=_string(document, "text"),
        user=_string(document, "userId"),
        namespace=NAMESPACE,
        kind=_string(document, "kind"),
        source_thread=_string({"sourceThread": "", **document}, "sourceThread"),
        created_ts=created / 1000,
        hit_count=seen,
        metadata=_metadata(document.get("metadata", {})),
        score=score,
        ttl_seconds=ttl_seconds,
    )


def _string(document: dict[str, Any], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str):
        raise UnreadableDocument(f"its {name!r} is {'missing' if value is None else 'no text'}")
    return value


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


def records(rows: list[Any], prefix: str, *, less: float = 0.0) -> Iterator[MemoryRecord]:
    """Yield the memories in the rows of a query; rows that hold none are reported, and left out.

    Args:
        rows: `[key, score, [["$", document]]]` each.
        prefix: What stands before the id in a key.
        less: What is taken off each score.
    """
    for key, score, content in rows:
        if not content:
            continue  # gone while the query ran
        try:
            if not text(key).startswith(prefix):
                raise UnreadableDocument(f"its key does not begin with {prefix!r}")
            (document,) = [value for name, value in content if text(name) == "$"]
            yield decode(text(key)[len(prefix) :], orjson.loads(document), score=float(text(score)) - less)
        except UnreadableDocument as error:
            report_unreadable(key, error)
        except (ValueError, TypeError) as error:
            report_unreadable(key, UnreadableDocument(str(error)))
