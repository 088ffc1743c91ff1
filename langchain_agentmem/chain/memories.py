"""The long-term memory of an exchange: the recall before the chain, and the memories stored after it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_agentmem.chain.failures import Failures
from langchain_agentmem.chain.options import ChainMemory, NotRemembered, Remember, WrapOptions
from langchain_agentmem.core.checks import validate_id
from langchain_agentmem.core.embed import Embed
from langchain_agentmem.core.operations import Op, gather, late, ok
from langchain_agentmem.longterm.drafts import CONTEXT_MESSAGES, context_of
from langchain_agentmem.longterm.types import MemoryRecord, RememberResult

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings
    from langchain_core.messages import BaseMessage

_SPEAKERS = ("human", "HumanMessageChunk", "ai", "AIMessageChunk")  # no tools, whose output is no talk


class Ids(NamedTuple):
    """The thread, user and namespace of an exchange."""

    thread_id: str
    user: str
    namespace: str


class NewMemory(NamedTuple):
    """Something to be remembered."""

    text: str
    kind: str
    metadata: dict[str, Any] | None = None


def memories_of(text: str, remember: Remember) -> Op[list[NewMemory]]:
    """Return what is to be remembered of what the user said: any number of memories.

    An operation, so that it can wait for an effect; it sends nothing today.

    Args:
        text: What the user said.
        remember: The kind, `None` for nothing, or a function that chooses one of them.

    Raises:
        InvalidInputError: What was chosen is not a kind.
    """
    yield from ()
    kind = remember(text) if callable(remember) else remember
    return [] if kind is None else [NewMemory(text, validate_id("kind", kind))]


class ExchangeMemories:
    """The memories of one exchange: prepared and recalled before the chain, remembered after it.

    Args:
        memory: The memory they are in.
        options: How the chain is wrapped.
        ids: Whose they are.
        text: What the user said.
        failures: Where to note what is passed over.
    """

    def __init__(
        self, memory: ChainMemory, options: WrapOptions, ids: Ids, text: str, failures: Failures
    ) -> None:
        self._memory = memory
        self._options = options
        self._ids = ids
        self._text = text
        self._failures = failures
        self._new: list[NewMemory] = []
        self._vectors: dict[str, Sequence[float]] = {}
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
        if unusable or not self._text:
            return
        with self._failures.passing_over("remember"):
            self._new = yield from memories_of(self._text, self._options.remember)
            self._chose_nothing = not self._new
        self._searchable = self._options.memories_key is not None
        texts = dict.fromkeys([self._text] * self._searchable + [new.text for new in self._new])
        embeddings = self._memory.long_term.embeddings
        if texts and embeddings is not None:
            yield from self._embed(embeddings, list(texts))

    def _embed(self, embeddings: Embeddings, texts: Sequence[str]) -> Op[None]:
        with self._failures.tolerating("recall"):
            vectors = yield Embed(embeddings, texts, "query")
            checked = map(self._memory.long_term.check_embedding, vectors)
            self._vectors = dict(zip(texts, checked, strict=True))
        if not self._vectors:
            self._searchable, self._new = False, []

    @property
    def recalls(self) -> bool:
        """Return whether there is something to search for."""
        return self._searchable

    @property
    def remembers(self) -> bool:
        """Return whether there is something to remember."""
        return bool(self._new)

    @property
    def not_remembered(self) -> NotRemembered:
        """Return why nothing has been remembered, given that nothing has."""
        if self._options.remember is None:
            return "off"
        if self._unusable() or not self._text:
            return "unusable"
        return "not_noteworthy" if self._chose_nothing else "failed"

    def recall(self) -> Op[list[MemoryRecord]]:
        """Find the memories that answer what the user said. One round trip."""
        self._recalled = yield from self._recall_op()
        return self._recalled

    def _recall_op(self) -> Op[list[MemoryRecord]]:
        return self._memory.long_term.recall_op(
            self._text,
            user=self._ids.user,
            namespace=self._ids.namespace,
            embedding=self._vectors.get(self._text),
            **self._options.recall,
        )

    def remember(self, history: Sequence[BaseMessage]) -> Op[list[RememberResult]]:
        """Store what is to be remembered. One round trip, whatever the number.

        Args:
            history: What was said before it. The last messages of the user and the model are its context.
        """
        talk = (message.text for message in reversed(history) if message.type in _SPEAKERS)
        said = list(islice(filter(None, talk), CONTEXT_MESSAGES))
        context = context_of(said[::-1]).encode(errors="replace").decode()  # lone surrogates
        results = yield from gather([late(partial(self._remember, new, context)) for new in self._new])
        return [ok(result) for result in results]

    def _remember(self, new: NewMemory, context: str) -> Op[RememberResult]:
        return self._memory.long_term.remember_op(
            new.text,
            user=self._ids.user,
            namespace=self._ids.namespace,
            kind=new.kind,
            source_thread=self._ids.thread_id,
            metadata=new.metadata,
            embedding=self._vectors.get(new.text),
            context=context,
            known=self._recalled,
        )

    def _unusable(self) -> str:
        """Return why the text cannot be looked up or remembered; empty if it can."""
        limit = self._memory.settings.max_text_bytes
        try:
            fits = len(self._text.encode()) <= limit
        except UnicodeEncodeError:
            return "a text with a lone surrogate, which is not Unicode,"
        return "" if fits else f"a text of over {limit} bytes (the setting max_text_bytes)"
