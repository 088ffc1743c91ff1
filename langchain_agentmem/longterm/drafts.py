"""Checks of memories that are to be stored: all of them, before any is."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, TypedDict

from typing_extensions import Required, Unpack

from langchain_agentmem.core import checks, json
from langchain_agentmem.core.checks import Ttl
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.longterm.changes import KIND, Add, Change, CheckedChanges, Delete, Supersede, Update
from langchain_agentmem.longterm.config import BaseLongTermMemoryConfig
from langchain_agentmem.longterm.digest import digest
from langchain_agentmem.longterm.types import Draft, Scope, UpdateDraft, WriteBatch

MAX_CHANGES = 100  # of one call: they are one script, and others wait for it
CONTEXT_MESSAGES = 2  # before a memory; with one, R@5 is .05 lower (docs/recall-quality.md)


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
    deduplicate: bool


class Drafting:
    """Makes drafts of memories by the rules of one `LongTermMemory`."""

    def __init__(self, config: BaseLongTermMemoryConfig) -> None:
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
        replaces: str | None = None,
        context: str = "",
        deduplicate: bool = True,
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
            id: Its id, if it is stored in place of what has that id; otherwise it gets one.
            document_id: The id a vector store gave it.
            replaces: The id of the memory it supersedes.
            context: What was said before it, one message per line; of more than the limit, the end.
            deduplicate: Whether it is left out if it is a duplicate.

        Raises:
            InvalidInputError: Something about it cannot be stored.
        """
        default_ttl = self._config.ttl_by_kind.get(checks.validate_id("kind", kind))
        checks.bounded_text("text", text, self._config.max_text_bytes)
        scope = Scope(checks.validate_id("user", user), checks.validate_id("namespace", namespace), kind)
        same = digest(self._config.dedup, scope, text)
        if id is not None and id == replaces:
            raise InvalidInputError(
                "A memory cannot replace itself: with id=, it takes the place of what is there."
            )
        return Draft(
            id=_new_id(same if deduplicate else None) if id is None else checks.validate_id("id", id),
            text=text,
            user=user,
            namespace=namespace,
            kind=kind,
            source_thread=source_thread
            if source_thread == ""
            else checks.validate_id("source_thread", source_thread),
            ttl_seconds=checks.ttl("ttl_seconds", checks.given(ttl_seconds, default_ttl)),
            metadata=encode_metadata(metadata),
            document_id=document_id,
            digest=same,
            by_nearness=deduplicate and id is None and self._config.dedup == "near",
            overwrites=id is not None or not deduplicate,
            replaces=None if replaces is None else checks.validate_id("replaces", replaces),
            context=self._context(context),
        )

    def update(
        self,
        memory_id: str,
        *,
        text: str | None,
        user: str | None,
        metadata: dict[str, Any] | None,
        ttl_seconds: Ttl,
    ) -> UpdateDraft:
        """Return a change of a memory, checked.

        Args:
            memory_id: Its id.
            text: The text it gets; `None` to leave it.
            user: Whose it has to be; `None` for anybody's.
            metadata: The metadata it gets; `None` to leave it.
            ttl_seconds: The TTL it gets; `None` for no expiry, `...` to leave it.

        Raises:
            InvalidInputError: Something is not usable, or nothing would change.
        """
        if text is None and metadata is None and ttl_seconds is ...:
            raise InvalidInputError("Nothing to update: give text, metadata or ttl_seconds.")
        return UpdateDraft(
            id=checks.validate_id("id", memory_id),
            user=None if user is None else checks.validate_id("user", user),
            text=None if text is None else checks.bounded_text("text", text, self._config.max_text_bytes),
            metadata=None if metadata is None else encode_metadata(metadata) or b"{}",
            ttl_seconds=ttl_seconds if ttl_seconds is ... else checks.ttl("ttl_seconds", ttl_seconds),
        )

    def changes(
        self,
        changes: Iterable[Change],
        *,
        user: str,
        namespace: str,
        source_thread: str,
        said_at: float | None = None,
    ) -> CheckedChanges:
        """Return changes, checked.

        Args:
            changes: The changes.
            user: Whose memories they are about.
            namespace: In which namespace.
            source_thread: The thread that new memories were learnt in; empty for none.
            said_at: When they were said, in epoch seconds; `None` for now.

        Raises:
            InvalidInputError: One of them is none, or names or says something that cannot be; or there are
                more than 100.
        """
        if not isinstance(changes, Iterable):
            raise InvalidInputError(f"changes must be a list of changes, not {type(changes).__name__}.")
        scope = Scope(checks.validate_id("user", user), checks.validate_id("namespace", namespace), None)
        if source_thread != "":
            checks.validate_id("source_thread", source_thread)
        if said_at is not None:
            checks.epoch_seconds("said_at", said_at)
        checked = CheckedChanges(tuple(changes), scope, source_thread, said_at)
        if len(checked.changes) > MAX_CHANGES:
            raise InvalidInputError(
                f"{len(checked.changes)} changes; {MAX_CHANGES} at most are one atomic step. Call apply() "
                "again for the rest."
            )
        for at, change in enumerate(checked.changes):
            try:
                self._check_change(checked, change)
            except InvalidInputError as error:
                raise InvalidInputError(f"changes[{at}]: {error}") from error
        return checked

    def _check_change(self, checked: CheckedChanges, change: Change) -> None:
        if not isinstance(change, Add | Update | Supersede | Delete):
            raise InvalidInputError(
                f"{type(change).__name__} is no change: use Add, Update, Supersede or Delete."
            )
        if not isinstance(change, Add):
            checks.validate_id("id", change.id)
        if isinstance(change, Add | Supersede):
            self.changed_draft(checked, change, KIND)
        elif isinstance(change, Update):
            self.changed_update(checked, change)

    def changed_draft(self, checked: CheckedChanges, change: Add | Supersede, kind: str) -> Draft:
        """Return the memory that a change stores.

        Args:
            checked: The changes it is one of.
            change: The change.
            kind: The kind of what it supersedes; what is added has its own.
        """
        about: About = {
            "user": str(checked.scope.user),
            "namespace": str(checked.scope.namespace),
            "source_thread": checked.source_thread,
            "kind": kind,
        }
        if isinstance(change, Supersede):
            draft = self.draft(change.text, replaces=change.id, **about)
        else:
            about |= {"kind": change.kind, "ttl_seconds": change.ttl_seconds}
            draft = self.draft(change.text, metadata=change.metadata, **about)
        if checked.said_at is None:
            return draft
        return replace(draft, restored=replace(draft.restored, created_ts=checked.said_at))

    def changed_update(self, checked: CheckedChanges, change: Update) -> UpdateDraft:
        """Return the update that a change is."""
        update = self.update(
            change.id, text=change.text, user=checked.scope.user, metadata=None, ttl_seconds=...
        )
        if change.text is None:
            raise InvalidInputError("text must be a string, not None.")
        if change.if_text is not None:
            checks.utf8("if_text", change.if_text)
        return replace(update, if_text=change.if_text)

    def digest(self, scope: Scope, text: str) -> str | None:
        """Return what all texts have in common that say the same in a scope; `None` without such a rule."""
        return digest(self._config.dedup, scope, text)

    def _context(self, context: str) -> str:
        """Return a context, cut to what a text may have: its end, which is nearest to the memory."""
        encoded = checks.utf8("context", context)
        limit = self._config.max_text_bytes
        return context if len(encoded) <= limit else encoded[-limit:].decode(errors="ignore")

    def batches(
        self,
        texts: Sequence[str],
        *,
        embeddings: Sequence[Sequence[float]] | None,
        metadatas: Sequence[dict[str, Any] | None] | None,
        ids: Sequence[str | None] | None,
        document_ids: Sequence[str | None] | None = None,
        contexts: Sequence[str] | None = None,
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
            contexts: What was said before each; with a thread, the two texts before it if not given.
            batch_size: How many memories a batch has.
            **about: What the memories have in common.

        Raises:
            InvalidInputError: Something about one cannot be stored, or the lists differ in length.
        """
        if isinstance(texts, str):
            raise InvalidInputError("texts must be a list of strings, not a string.")
        count = len(texts)
        for name, given in (
            ("embeddings", embeddings),
            ("metadatas", metadatas),
            ("ids", ids),
            ("contexts", contexts),
        ):
            if given is not None and len(given) != count:
                raise InvalidInputError(f"{count} texts, but {len(given)} {name}.")
        if contexts is None:
            contexts = contexts_of(texts) if about.get("source_thread") else [""] * count
        drafts = [
            self.draft(
                text, metadata=metadata, id=memory_id, document_id=document_id, context=context, **about
            )
            for text, metadata, memory_id, document_id, context in zip(
                texts,
                metadatas or [None] * count,
                ids or [None] * count,
                document_ids or [None] * count,
                contexts,
                strict=True,
            )
        ]
        step = checks.positive("batch_size", batch_size)
        return [
            WriteBatch(drafts[at : at + step], None if embeddings is None else embeddings[at : at + step])
            for at in range(0, count, step)
        ]


def _new_id(same: str | None) -> str:
    return uuid.uuid4().hex if same is None else same


def contexts_of(texts: Sequence[str]) -> list[str]:
    """Return what was said before each of the texts, which follow one another: the two before it."""
    return [context_of(texts[max(0, at - CONTEXT_MESSAGES) : at]) for at in range(len(texts))]


def context_of(said: Sequence[str]) -> str:
    """Return the context of what was said after these texts: a line for each, without line breaks in it."""
    return "\n".join(" ".join(str(one).split()) for one in said[-CONTEXT_MESSAGES:])
