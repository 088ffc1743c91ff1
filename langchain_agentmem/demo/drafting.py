"""The id of a turn's memory, chosen before the turn: so that its key can be noted before it is written."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from langchain_agentmem.longterm.documents import Draft
from langchain_agentmem.longterm.drafts import Drafting

_next: ContextVar[str | None] = ContextVar("agentmem_demo_next_id", default=None)


class ChosenIds(Drafting):
    """Drafts as before, but the next memory without an id has the one that this task chose."""

    def __init__(self, like: Drafting) -> None:
        super().__init__(like.max_text_bytes, like.ttl_by_kind)

    @property
    def next(self) -> str | None:
        """The id of the next memory that is drafted without one, by this task or those it starts."""
        return _next.get()

    @next.setter
    def next(self, id: str) -> None:
        _next.set(id)

    def draft(self, text: str, *, id: str | None = None, **about: Any) -> Draft:
        """A memory to be stored, checked."""
        return super().draft(text, id=self.next if id is None else id, **about)
