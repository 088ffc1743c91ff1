"""The search index in operation: found, made, made again, and never of another shape than wanted."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from langchain_agentmem.core.keys import filling, never_written
from langchain_agentmem.core.operations import Command, Op, T, asks, call, ok, reads, writes
from langchain_agentmem.errors import (
    EmbeddingError,
    IndexMismatchError,
    IndexMissingError,
    StoreError,
    StoreTimeoutError,
)
from langchain_agentmem.longterm.knowledge import KnownIndex
from langchain_agentmem.longterm.redisearch.schema import IndexSettings, IndexState

_EXISTS = re.compile("index already exists", re.IGNORECASE)
_PAUSE_SECONDS = 0.02
_FLAG_SECONDS = 60
_MAX_REPEATS = 3
_MAX_PAUSES = 1500  # 30 s
_MAX_PAUSES_OF_A_REBUILD = 30_000  # 10 min


def pause(index_name: str) -> Command:
    """A command that answers after 20 ms: the server does the waiting, so that operations stay pure."""
    return writes("BLPOP", never_written(index_name), _PAUSE_SECONDS)


class IndexFillingError(IndexMissingError):
    """The index is there, but does not hold every memory yet. Seen only inside: it is waited for."""


class MemoryIndex(KnownIndex):
    """An index by its settings, and what is known about it so far. No I/O of its own.

    What is known may be out of date, as when the server was flushed: an operation that finds the index
    missing has it looked at again, and so does one with vectors of another length.

    Attributes:
        settings: What the index has to look like.
        dimensions: The length of the vectors it had when this object used it; `None` before.
    """

    def __init__(self, settings: IndexSettings) -> None:
        super().__init__(settings)
        self.settings = settings
        self.dimensions: int | None = None

    def fits(self, dimensions: int) -> None:
        """Refuse a vector of another length than the index had when this object used it.

        Raises:
            EmbeddingError: The lengths differ. Nothing is said while the index is not known.
        """
        if self._knowledge.checked and self.dimensions not in (None, dimensions):
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
        known = self._knowledge
        if not known.checked or dimensions not in (None, known.dimensions):
            yield from self.ensure(dimensions)
        self.dimensions = known.dimensions
        if dimensions is not None:
            self.fits(dimensions)
        for _ in range(_MAX_REPEATS):
            try:
                return (yield from operation())
            except IndexMissingError:
                yield from self.ensure(dimensions or self.dimensions)
            except StoreError as error:
                if "blob size" in str(error):  # somebody has made it anew for vectors of another length
                    yield from self.ensure(dimensions)
                raise
        return (yield from operation())

    def ensure(self, dimensions: int | None, max_pauses: int = _MAX_PAUSES) -> Op[None]:
        """Make sure that the index is there, has the right shape, and holds every document.

        Raises:
            IndexMismatchError: It has another shape.
            IndexMissingError: It is missing, and `dimensions` is `None`.
            StoreTimeoutError: Indexing what is there already took more than 30 s, or so many pauses.
        """
        state, flagged = yield from self._look()
        if state is None:
            if dimensions is None:
                raise IndexMissingError(f"There is no search index {self.settings.name!r}.")
            state, flagged = yield from self._create(dimensions)
        try:
            state.check(self.settings, dimensions)
        except IndexMismatchError:
            self._knowledge.checked = False
            raise
        for _ in range(max_pauses):
            if not state.indexing:
                break
            state, flagged = yield from self._wait()
        else:
            raise StoreTimeoutError(f"The index {self.settings.name!r} is still being filled; try again.")
        if flagged:
            yield from call(writes("DEL", filling(self.settings.name)))
        self.dimensions = self._knowledge.dimensions = state.dimensions
        self._knowledge.checked = True

    def check_place(self) -> Op[None]:
        """Make sure that the index, if there is one, is over the documents these settings name.

        Raises:
            IndexMismatchError: It is over other ones.
        """
        state, _ = yield from self._look()
        if state is not None:
            state.check_place(self.settings)

    def rebuild(self, dimensions: int) -> Op[IndexState]:
        """Make the index anew over the documents that are there; others wait until it holds them.

        Raises:
            StoreTimeoutError: The server takes more than ten minutes; it goes on.
        """
        self._forget()
        _, dropped, made = yield [
            self._flag(),
            Command(("FT.DROPINDEX", self.settings.name)),
            self.settings.create(dimensions),
        ]
        if not isinstance(dropped, IndexMissingError):
            ok(dropped)
        self._made(made)
        yield from self.ensure(dimensions, _MAX_PAUSES_OF_A_REBUILD)
        return (yield from self.info())

    def info(self) -> Op[IndexState]:
        """The index on the server. One round trip; `IndexMissingError` if there is none."""
        return IndexState.read((yield from call(asks("FT.INFO", self.settings.name))))

    def drop(self) -> Op[None]:
        """Remove the index, if it is there; documents stay. One round trip."""
        (reply,) = yield [Command(("FT.DROPINDEX", self.settings.name))]
        if not isinstance(reply, IndexMissingError):
            ok(reply)
        self._forget()
        self.dimensions = None

    def _forget(self) -> None:
        """Know that there is no index of this name, whatever its settings were."""
        for settings, knowledge in list(self._known.items()):
            if isinstance(settings, IndexSettings) and settings.name == self.settings.name:
                knowledge.checked = False

    def _look(self) -> Op[tuple[IndexState | None, bool]]:
        """The index, or `None`, and whether somebody says that it is being filled."""
        reply, flagged = yield [
            asks("FT.INFO", self.settings.name),
            reads("EXISTS", filling(self.settings.name)),
        ]
        if isinstance(reply, IndexMissingError):
            self._forget()
            return None, bool(ok(flagged))
        return IndexState.read(ok(reply)), bool(ok(flagged))

    def _create(self, dimensions: int) -> Op[tuple[IndexState, bool]]:
        """Make the index; until it holds what is there already, others wait for it."""
        _, made, reply = yield [
            self._flag(),
            self.settings.create(dimensions),
            asks("FT.INFO", self.settings.name),
        ]
        self._made(made)
        return IndexState.read(ok(reply)), True

    @staticmethod
    def _made(reply: Any) -> None:
        if not (isinstance(reply, StoreError) and _EXISTS.search(str(reply))):
            ok(reply)  # if it exists, somebody else was faster; it is checked like any other

    def _wait(self) -> Op[tuple[IndexState, bool]]:
        _, _, reply = yield [self._flag(), pause(self.settings.name), asks("FT.INFO", self.settings.name)]
        return IndexState.read(ok(reply)), True

    def _flag(self) -> Command:
        # Should its maker die, whoever comes next sees whether the index is full, and takes the flag away.
        return writes("SET", filling(self.settings.name), 1, "EX", _FLAG_SECONDS)
