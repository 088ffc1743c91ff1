"""The search index in operation: found, made, made again, and never of another shape than wanted."""

from __future__ import annotations

import re
from collections.abc import Callable

from langchain_agentmem.core.keys import never_written
from langchain_agentmem.core.operations import Command, Op, T, call, ok
from langchain_agentmem.errors import EmbeddingError, IndexMissingError, StoreError, StoreTimeoutError
from langchain_agentmem.longterm.schema import IndexSettings, IndexState

_EXISTS = re.compile("index already exists", re.IGNORECASE)
_PAUSE_SECONDS = 0.02
_MAX_PAUSES = 1500  # 30 s


def pause(index_name: str) -> Command:
    """A command that answers after 20 ms: the server does the waiting, so that operations stay pure."""
    return ("BLPOP", never_written(index_name), _PAUSE_SECONDS)


class MemoryIndex:
    """An index by its settings, and what is known about it so far. No I/O of its own.

    Attributes:
        settings: What the index has to look like.
        dimensions: The length of its vectors, once known.
        searches_in_scripts: Whether the server allows `FT.SEARCH` inside a script, as far as known.
    """

    def __init__(self, settings: IndexSettings) -> None:
        self.settings = settings
        self.dimensions: int | None = None
        self.searches_in_scripts = True
        self._checked = False

    def fits(self, dimensions: int) -> None:
        """Refuse a vector of another length than the index has.

        Raises:
            EmbeddingError: The lengths differ. Nothing is said while the index is not known.
        """
        if self._checked and self.dimensions not in (None, dimensions):
            raise EmbeddingError(
                f"The embedding has {dimensions} numbers, and the index {self.settings.name!r} "
                f"takes {self.dimensions}."
            )

    def using(self, dimensions: int | None, operation: Callable[[], Op[T]]) -> Op[T]:
        """Run an operation that needs the index: look at it first, once, and make it if it is missing.

        If it went missing since then, it is made again and the operation repeated, which must
        therefore have done nothing when it raises `IndexMissingError`.

        Raises:
            IndexMismatchError: The index has another shape.
            IndexMissingError: It is missing, and no vector length is known to make it with.
            EmbeddingError: The vector has another length than the index.
        """
        if not self._checked:
            yield from self.ensure(dimensions)
        if dimensions is not None:
            self.fits(dimensions)
        try:
            return (yield from operation())
        except IndexMissingError:
            yield from self.ensure(dimensions or self.dimensions)
        return (yield from operation())

    def ensure(self, dimensions: int | None) -> Op[None]:
        """Make sure that the index is there, has the right shape, and holds every document.

        Raises:
            IndexMismatchError: It has another shape.
            IndexMissingError: It is missing, and `dimensions` is `None`.
            StoreTimeoutError: Indexing what is there already took more than 30 s.
        """
        try:
            state = yield from self.info()
        except IndexMissingError:
            if dimensions is None:
                raise
            yield from self._create(dimensions)
            state = yield from self.info()
        state.check(self.settings, dimensions)
        for _ in range(_MAX_PAUSES):
            if not state.indexing:
                break
            yield from call(pause(self.settings.name))
            state = yield from self.info()
        else:
            raise StoreTimeoutError(f"The index {self.settings.name!r} is still being filled; try again.")
        self.dimensions = state.dimensions
        self._checked = True

    def info(self) -> Op[IndexState]:
        """The index on the server. One round trip; `IndexMissingError` if there is none."""
        return IndexState.read((yield from call(("FT.INFO", self.settings.name))))

    def drop(self) -> Op[None]:
        """Remove the index, if it is there; documents stay. One round trip."""
        (reply,) = yield [("FT.DROPINDEX", self.settings.name)]
        if not isinstance(reply, IndexMissingError):
            ok(reply)
        self._checked, self.dimensions = False, None

    def _create(self, dimensions: int) -> Op[None]:
        (reply,) = yield [self.settings.create(dimensions)]
        if isinstance(reply, StoreError) and _EXISTS.search(str(reply)):
            return  # somebody else was faster; it is checked like any other
        ok(reply)
