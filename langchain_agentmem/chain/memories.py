"""The long-term memory of an exchange: the recall before the chain, and the memories stored after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from langchain_agentmem.chain.failures import Failures
from langchain_agentmem.chain.ids import Ids
from langchain_agentmem.chain.noteworthy import occasion
from langchain_agentmem.chain.options import ChainMemory, KindOf, NotRemembered, TurnOptions
from langchain_agentmem.core.checks import validate_id
from langchain_agentmem.core.embed import Embed
from langchain_agentmem.core.messages import speaker_of
from langchain_agentmem.core.operations import Op
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.longterm.drafts import CONTEXT_MESSAGES, context_of
from langchain_agentmem.longterm.pinned import pinned_op
from langchain_agentmem.longterm.types import MemoryRecord, RememberResult

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings
    from langchain_core.messages import BaseMessage


def kind_of(text: str, remember: KindOf) -> str | None:
    """Return the kind that what the user said is remembered as; `None` if it is not.

    Args:
        text: What the user said.
        remember: The kind, `None` for nothing, or a function that chooses one of them.

    Raises:
        InvalidInputError: What was chosen is not a kind.
    """
    kind = remember(text) if callable(remember) else remember
    if isinstance(kind, list | tuple):
        raise InvalidInputError(
            f"remember= returned a {type(kind).__name__}, and not a kind. If it is an extractor, its "
            "parameter has to be called exchange, or annotated as Exchange."
        )
    return None if kind is None else validate_id("kind", kind)


def _nothing(_: str) -> None:
    return None


class ExchangeMemories:
    """The memories of one exchange: prepared and recalled before the chain, remembered after it.

    Args:
        memory: The memory they are in.
        options: What is recalled and remembered.
        ids: Whose they are.
        text: What the user said.
        failures: Where to note what is passed over.
    """

    def __init__(
        self, memory: ChainMemory, options: TurnOptions, ids: Ids, text: str, failures: Failures
    ) -> None:
        self._memory = memory
        self._options = options
        self._ids = ids
        self.text = text
        self._failures = failures
        self._kind: str | None = None  # as which the text is remembered
        self._vector: list[Sequence[float]] = []
        self._searchable = False
        self._recalled: list[MemoryRecord] = []
        self._chose_nothing = False

    def prepare(self, *, kept: bool) -> Op[None]:
        """Decide what is remembered, and embed it and what is searched for, each text once.

        Args:
            kept: Whether the text will be in the session, at least.

        Raises:
            Exception: What the embeddings raised, unless `on_error` is `continue`.
        """
        if unusable := self._unusable():
            where = "is in the session, but " if kept else "is "
            self._failures.note(
                "memory", f"{unusable} {where}neither looked up nor remembered in long-term memory"
            )
        if unusable or not self.text:
            return
        with self._failures.passing_over("remember"):
            self._kind = kind_of(self.text, self._options.kind_of)
            self._chose_nothing = self._kind is None
        self._searchable = self._options.recall is not None
        looks = self._searchable or self._options.pinned or self._options.extracts_inline
        embeddings = self._memory.long_term.embeddings
        if (looks or self._kind is not None) and embeddings is not None:
            yield from self._embed(embeddings)

    def _embed(self, embeddings: Embeddings) -> Op[None]:
        with self._failures.tolerating("recall"):
            (vector,) = yield Embed(embeddings, [self.text], "query")
            self._vector.append(self._memory.long_term.check_embedding(vector))
        if not self._vector:
            self._searchable, self._kind = False, None

    def decline(self) -> None:
        """Remember nothing of the text, as if the function that chooses had said so."""
        if self._options.kind_of is not None:
            self._options = replace(self._options, remember=_nothing)
            self._kind, self._chose_nothing = None, True

    @property
    def recalls(self) -> bool:
        """Return whether there is something to search for."""
        return self._searchable

    @property
    def remembers(self) -> bool:
        """Return whether there is something to remember."""
        return self._kind is not None

    @property
    def not_remembered(self) -> NotRemembered:
        """Return why nothing has been remembered, given that nothing has."""
        if self._options.remember is None:
            return "off"
        if self._unusable() or not self.text:
            return "unusable"
        return (occasion(self.text) or "declined") if self._chose_nothing else "failed"

    @property
    def searchable(self) -> bool:
        """Return whether memories can be looked for by the text: it is there, and not too long."""
        return bool(self.text) and not self._unusable()

    @property
    def vector(self) -> Sequence[float] | None:
        """Return the text's vector, once it has been embedded."""
        return self._vector[0] if self._vector else None

    @property
    def recalled(self) -> list[MemoryRecord]:
        """Return what was recalled."""
        return self._recalled

    def recall(self) -> Op[list[MemoryRecord]]:
        """Find the memories that answer what the user said. One round trip."""
        self._recalled = yield from self._recall_op()
        return self._recalled

    def _recall_op(self) -> Op[list[MemoryRecord]]:
        return self._memory.long_term.recall_op(
            self.text,
            user=self._ids.user,
            namespace=self._ids.namespace,
            embedding=self.vector,
            **(self._options.recall or {}),
        )

    def recall_pinned(self) -> Op[list[MemoryRecord]]:
        """Find the memories of the kinds that are always given; of many, those nearest to what was said.

        One round trip; one more if there is no vector to look for them by.
        """
        return pinned_op(
            self._memory.long_term,
            self._options.pinned,
            user=self._ids.user,
            namespace=self._ids.namespace,
            text=self.text,
            embedding=self.vector,
        )

    def remember(self, history: Sequence[BaseMessage]) -> Op[list[RememberResult]]:
        """Store what is to be remembered. One round trip.

        Args:
            history: What was said before it. The last messages of the user and the model are its context.
        """
        assert self._kind is not None
        talk = (message.text for message in reversed(history) if speaker_of(message))
        said = list(islice(filter(None, talk), CONTEXT_MESSAGES))
        result = yield from self._memory.long_term.remember_op(
            self.text,
            user=self._ids.user,
            namespace=self._ids.namespace,
            kind=self._kind,
            source_thread=self._ids.thread_id,
            embedding=self.vector,
            context=context_of(said[::-1]).encode(errors="replace").decode(),  # lone surrogates
            known=self._recalled,
        )
        return [result]

    def _unusable(self) -> str:
        """Return why the text cannot be looked up or remembered; empty if it can."""
        limit = self._memory.settings.max_text_bytes
        try:
            fits = len(self.text.encode()) <= limit
        except UnicodeEncodeError:
            return "a text with a lone surrogate, which is not Unicode,"
        return "" if fits else f"a text of over {limit} bytes (the setting max_text_bytes)"
