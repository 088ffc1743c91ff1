"""JSON that loses nothing: what comes back is what went in, or an error before it goes in.

orjson writes; the standard library reads, because orjson turns whole numbers above 64 bits into
floats and refuses lone surrogates (which models do emit). What orjson cannot write, the standard
library does, with escapes. Two kinds of values that are no JSON but stand in LangChain messages are
carried in tagged objects: a `Document` (the artifact of a retriever tool) and `bytes`.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import orjson

_TAG = "__agentmem__"


def dumps(value: Any) -> bytes:
    """Return compact JSON on one line, without checking that it reads back equal.

    Raises:
        TypeError, ValueError: JSON cannot carry the value.
    """
    try:
        return orjson.dumps(value, default=_tagged)
    except TypeError:
        text = json.dumps(value, default=_tagged, separators=(",", ":"), allow_nan=False)
        return text.encode("ascii")


def loads(text: bytes | str) -> Any:
    """Return the value of what `dumps` wrote, or of any other JSON.

    Raises:
        ValueError: The text is no JSON, or no UTF-8.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    return json.loads(text, object_hook=_untagged if _TAG in text else None)


def _tagged(value: Any) -> dict[str, Any]:
    if isinstance(value, bytes):
        return {_TAG: "bytes", "base64": base64.b64encode(value).decode("ascii")}
    # Anything else is worth the import only if somebody uses it, so `Document` is known by its name.
    if (type(value).__module__, type(value).__name__) == ("langchain_core.documents.base", "Document"):
        return {_TAG: "document", "document": value.model_dump()}
    raise TypeError(f"{type(value).__module__}.{type(value).__qualname__} is not JSON")


def _untagged(value: dict[str, Any]) -> Any:
    match value.get(_TAG):
        case "bytes":
            return base64.b64decode(value["base64"])
        case "document":
            from langchain_core.documents import Document

            return Document(**value["document"])
    return value
