"""The search index: created, verified, recreated, and waited for until it holds every memory.

An index with another schema than wanted is an error; it is never dropped on its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from langchain_agentmem.core.keys import backfilling, never_written
from langchain_agentmem.core.operations import Command, Op, T, call, ok, reads, writes
from langchain_agentmem.errors import (
    EmbeddingError,
    IndexMismatchError,
    IndexMissingError,
    StoreError,
    StoreTimeoutError,
)
from langchain_agentmem.longterm.redisearch.inexact import LIMITS, InexactIndexError
from langchain_agentmem.longterm.redisearch.schema import CONTEXT, IndexSettings, IndexState
from langchain_agentmem.longterm.search_index import SearchIndex

_EXISTS = re.compile("index already exists", re.IGNORECASE)
_PAUSE_SECONDS = 0.02
_FLAG_SECONDS = 600
_MAX_REPEATS = 3
_MAX_PAUSES = 1500  # 30 s
_MAX_SHORT_PAUSES = 6
_MAX_REBUILD_PAUSES = 30_000  # 10 min


def pause(index_name: str) -> Command:
    """Return a command that answers after 20 ms, or at the server's next tick if nothing else wakes it.

    The server does the waiting, so that operations stay pure.
    """
    return writes("BLPOP", never_written(index_name), _PAUSE_SECONDS)


class IndexBackfillingError(IndexMissingError):
    """The index is there, but does not hold every memory yet. Seen only inside: it is waited for."""


class MemoryIndex(SearchIndex):
    """The index of some settings. No I/O of its own.

    What is known about it may be out of date, as when the server was flushed: an operation that finds the
    index missing has it verified again, and so does one with vectors of another length.

    Attributes:
        settings: What the index has to look like.
        dimensions: The length of the vectors it had when this object used it; `None` before.
        on_missing: Called before it is created: it may have been lost, and more with it.
    """

    __slots__ = ("dimensions", "on_missing", "settings")

    def __init__(self, settings: IndexSettings, on_missing: Callable[[], object] | None = None) -> None:
        super().__init__(settings)
        self.settings = settings
        self.dimensions: int | None = None
        self.on_missing = on_missing

    def fits(self, dimensions: int) -> None:
        """Refuse a vector of another length than the index had when this object used it.

        Raises:
            EmbeddingError: The lengths differ. Nothing is said while the index is not known.
        """
        if self.knowledge.exists and self.dimensions not in (None, dimensions):
            raise EmbeddingError(
                f"The embedding has {dimensions} numbers, and the index {self.settings.name!r} "
                f"takes {self.dimensions}."
            )

    def using(
        self, dimensions: int | None, operation: Callable[[], Op[T]], *, backfilled: bool = True
    ) -> Op[T]:
        """Run an operation that needs the index: verify it first, once, and create it if it is missing.

        If it went missing since then, it is created again and the operation repeated, which must
        therefore have done nothing when it raises `IndexMissingError`.

        Args:
            dimensions: The length of the vector it is used with; `None` if there is none.
            operation: Makes the operation, each time it is run.
            backfilled: Whether it has to hold every document; otherwise it only has to be there.

        Raises:
            IndexMismatchError: The index has another schema, or cannot answer exactly.
            IndexMissingError: It is missing, and no vector length is known to create it with.
            EmbeddingError: The vector has another length than the index.
        """
        knowledge = self.knowledge
        usable = knowledge.checked if backfilled else knowledge.exists
        if not usable or dimensions not in (None, knowledge.dimensions):
            yield from self.ensure(dimensions, waits=backfilled)
        self.dimensions = knowledge.dimensions
        if dimensions not in (None, self.dimensions):
            self.fits(dimensions)
        for _ in range(_MAX_REPEATS):
            try:
                return (yield from operation())
            except IndexMissingError:
                yield from self.ensure(dimensions or self.dimensions)
            except InexactIndexError:
                yield from self.ensure(dimensions or self.dimensions)  # somebody may have recreated it
                if not knowledge.exact:
                    raise
            except StoreError as error:
                if "blob size" in str(error):  # somebody has recreated it for vectors of another length
                    yield from self.ensure(dimensions)
                raise
        return (yield from operation())

    def ensure(
        self, dimensions: int | None, max_pauses: int = _MAX_PAUSES, *, waits: bool = True
    ) -> Op[None]:
        """Create the index if it is missing, verify its schema, and wait until it holds every document.

        Args:
            dimensions: The length of its vectors; `None` if it is not known.
            max_pauses: For how many pauses of 20 ms it is waited for.
            waits: Whether it is waited for if it was there; one that is created now is for 0.1 s at most, as
                one over little is ready then.

        Raises:
            IndexMismatchError: It has another schema.
            IndexMissingError: It is missing, and `dimensions` is `None`.
            StoreTimeoutError: Indexing what is there already took more than 30 s, or so many pauses.
        """
        state, flagged = yield from self._look()
        if not waits:
            max_pauses = min(max_pauses, _MAX_SHORT_PAUSES) if state is None else 0
        if state is None:
            if dimensions is None:
                raise IndexMissingError(f"There is no search index {self.settings.name!r}.")
            state, flagged = yield from self._create(dimensions)
        try:
            state.check(self.settings, dimensions)
        except IndexMismatchError:
            self.knowledge.exists = self.knowledge.checked = False
            raise
        self.dimensions = self.knowledge.dimensions = state.dimensions
        self.knowledge.contexts = CONTEXT in state.schema
        self.knowledge.exact = state.is_exact
        self.knowledge.exists = True
        for pauses in range(max_pauses):
            if not state.indexing:
                break
            state, flagged = yield from self._look_again(after_pause=pauses > 0)
        if state.indexing and not waits:
            return  # whoever searches first waits for it
        if state.indexing:
            raise StoreTimeoutError(f"The index {self.settings.name!r} is still being backfilled; try again.")
        if flagged:
            yield from call(writes("DEL", backfilling(self.settings.name)))
        self.knowledge.checked = True

    def check_place(self) -> Op[None]:
        """Verify that the index, if there is one, is over the documents these settings name.

        Raises:
            IndexMismatchError: It is over other ones.
        """
        state, _ = yield from self._look()
        if state is not None:
            state.check_place(self.settings)

    def recreate(self, dimensions: int) -> Op[None]:
        """Have the index recreated over the documents that are there. One round trip."""
        self._forget()
        _, dropped, created = yield [
            self._flag(),
            writes("FT.DROPINDEX", self.settings.name),
            self.settings.create(dimensions),
        ]
        if not isinstance(dropped, IndexMissingError):
            ok(dropped)
        self._check_created(created)

    def rebuilt(self, dimensions: int) -> Op[IndexState]:
        """Return the state of the recreated index once it holds every document; others wait for that, too.

        Raises:
            StoreTimeoutError: The server takes more than ten minutes; it goes on.
        """
        yield from self.ensure(dimensions, _MAX_REBUILD_PAUSES)
        return (yield from self.info())

    def info(self) -> Op[IndexState]:
        """Return the state of the index on the server. One round trip.

        Raises:
            IndexMissingError: There is none.
        """
        return IndexState.read((yield from call(reads("FT.INFO", self.settings.name))))

    def describe(self) -> Op[dict[str, Any]]:
        """Return what the server says about the index. One round trip.

        Raises:
            IndexMissingError: There is none.
        """
        state = yield from self.info()
        mismatch = state.mismatch(self.settings, None)
        limits = None if mismatch or state.is_exact else LIMITS
        return {"name": self.settings.name, **asdict(state), "mismatch": mismatch, "limits": limits}

    def drop(self) -> Op[None]:
        """Remove the index, if it is there; documents stay. One round trip."""
        (reply,) = yield [writes("FT.DROPINDEX", self.settings.name)]
        if not isinstance(reply, IndexMissingError):
            ok(reply)
        self._forget()
        self.dimensions = None

    def _forget(self) -> None:
        """Note that there is no index of this name, whatever its settings were."""
        for settings, knowledge in list(self._known.items()):
            if isinstance(settings, IndexSettings) and settings.name == self.settings.name:
                knowledge.exists = knowledge.checked = False

    def _look(self) -> Op[tuple[IndexState | None, bool]]:
        """Return the index, or `None`, and whether somebody says that it is being backfilled."""
        reply, flagged = yield [
            reads("FT.INFO", self.settings.name),
            reads("EXISTS", backfilling(self.settings.name)),
        ]
        if isinstance(reply, IndexMissingError):
            self._forget()
            return None, bool(ok(flagged))
        return IndexState.read(ok(reply)), bool(ok(flagged))

    def _create(self, dimensions: int) -> Op[tuple[IndexState, bool]]:
        """Create the index; until it holds what is there already, others wait for it."""
        if self.on_missing is not None:
            self.on_missing()
        _, created, reply = yield [
            self._flag(),
            self.settings.create(dimensions),
            reads("FT.INFO", self.settings.name),
        ]
        self._check_created(created)
        return IndexState.read(ok(reply)), True

    @staticmethod
    def _check_created(reply: Any) -> None:
        if not (isinstance(reply, StoreError) and _EXISTS.search(str(reply))):
            ok(reply)  # if it exists, somebody else was faster; it is verified like any other

    def _look_again(self, *, after_pause: bool) -> Op[tuple[IndexState, bool]]:
        # Without a pause at first: an index over nothing is ready at once, and the server's next tick may be
        # 100 ms away.
        pauses = [pause(self.settings.name)] if after_pause else []
        *_, reply = yield [self._flag(), *pauses, reads("FT.INFO", self.settings.name)]
        return IndexState.read(ok(reply)), True

    def _flag(self) -> Command:
        # Should its maker die, whoever comes next sees whether the index is complete, and removes it.
        return writes("SET", backfilling(self.settings.name), 1, "EX", _FLAG_SECONDS)
