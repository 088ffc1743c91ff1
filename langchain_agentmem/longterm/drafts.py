"""Checks of memories that are to be stored: all of them, before any is."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any, TypedDict

from typing_extensions import Required, Unpack

from langchain_agentmem.core import checks, json
from langchain_agentmem.core.checks import Ttl
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.longterm.config import BaseLongTermMemoryConfig
from langchain_agentmem.longterm.types import Draft, WriteBatch


def encode_metadata(metadata: Any) -> bytes | None:
    """Return metadata as JSON text; `None` if there is none.

    Raises:
        InvalidInputError: It is not a dict, or JSON cannot bring it back equal.
    """
    if metadata is None:
        return None
    if not isinstance(metadata, dict):
        raise InvalidInputError(f"metadata must be a dict, not {type(metadata).__name__}.")
    try:
        encoded = json.dumps(metadata)
        equal = json.loads(encoded) == metadata
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInputError(f"metadata cannot be stored as JSON: {error}") from error
    if not equal:
        raise InvalidInputError(
            "metadata would not come back equal from JSON: use dicts with string keys, lists, strings, "
            "finite numbers, booleans and None."
        )
    return encoded if metadata else None


class About(TypedDict, total=False):
    """The values that memories stored together share: the parameters of `remember` besides the text."""

    user: Required[str]
    namespace: str
    kind: str
    source_thread: str
    ttl_seconds: Ttl


class Drafting:
    """Makes drafts of memories by the rules of one `LongTermMemory`.

    Attributes:
        new_id: What names a memory for which no id was given.
    """

    def __init__(self, config: BaseLongTermMemoryConfig) -> None:
        self.new_id: Callable[[], str] = lambda: uuid.uuid4().hex
        self._config = config

    def draft(
        self,
        text: str,
        *,
        user: str,
        namespace: str = "default",
        kind: str = "episodic",
        source_thread: str = "",
        ttl_seconds: Ttl = ...,
        metadata: dict[str, Any] | None = None,
        id: str | None = None,
        document_id: str | None = None,
    ) -> Draft:
        """Return a memory to be stored, checked.

        Args:
            text: The memory.
            user: Whose it is.
            namespace: The part of the user's memories it belongs to.
            kind: Its kind.
            source_thread: The thread it was learnt in; empty for none.
            ttl_seconds: Its TTL in seconds; `...` for the kind's default, `None` for no expiry.
            metadata: Whatever JSON can bring back equal.
            id: Its id, if it replaces what has that id; otherwise it gets a new one.
            document_id: The id a vector store gave it.

        Raises:
            InvalidInputError: Something about it cannot be stored.
        """
        default_ttl = self._config.ttl_by_kind.get(checks.validate_id("kind", kind))
        return Draft(
            id=self.new_id() if id is None else checks.validate_id("id", id),
            text=checks.bounded_text("text", text, self._config.max_text_bytes),
            user=checks.validate_id("user", user),
            namespace=checks.validate_id("namespace", namespace),
            kind=kind,
            source_thread=source_thread
            if source_thread == ""
            else checks.validate_id("source_thread", source_thread),
            ttl_seconds=checks.ttl("ttl_seconds", checks.given(ttl_seconds, default_ttl)),
            metadata=encode_metadata(metadata),
            document_id=document_id,
            replaces=id is not None,
        )

    def batches(
        self,
        texts: Sequence[str],
        *,
        embeddings: Sequence[Sequence[float]] | None,
        metadatas: Sequence[dict[str, Any] | None] | None,
        ids: Sequence[str | None] | None,
        document_ids: Sequence[str | None] | None = None,
        batch_size: int,
        **about: Unpack[About],
    ) -> list[WriteBatch]:
        """Return many memories to be stored, all checked, in batches of one round trip each.

        Args:
            texts: The memories.
            embeddings: One vector per text, if they are there.
            metadatas: One dict, or `None`, per text.
            ids: One id, or `None`, per text.
            document_ids: One id of a vector store, or `None`, per text.
            batch_size: How many memories a batch has.
            **about: What the memories have in common.

        Raises:
            InvalidInputError: Something about one cannot be stored, or the lists differ in length.
        """
        if isinstance(texts, str):
            raise InvalidInputError("texts must be a list of strings, not a string.")
        count = len(texts)
        for name, given in (("embeddings", embeddings), ("metadatas", metadatas), ("ids", ids)):
            if given is not None and len(given) != count:
                raise InvalidInputError(f"{count} texts, but {len(given)} {name}.")
        drafts = [
            self.draft(text, metadata=metadata, id=memory_id, document_id=document_id, **about)
            for text, metadata, memory_id, document_id in zip(
                texts,
                metadatas or [None] * count,
                ids or [None] * count,
                document_ids or [None] * count,
                strict=True,
            )
        ]
        step = checks.positive("batch_size", batch_size)
        return [
            WriteBatch(drafts[at : at + step], None if embeddings is None else embeddings[at : at + step])
            for at in range(0, count, step)
        ]
