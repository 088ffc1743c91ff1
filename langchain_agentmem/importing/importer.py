"""An import: the same lines are stored once, however often, and whatever ends a run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeAlias

from langchain_agentmem.core.operations import Effect, Op
from langchain_agentmem.errors import InvalidInputError, WrongKeyTypeError
from langchain_agentmem.importing.lines import ImportOptions, Line, MemoryLine, RawLine, parse
from langchain_agentmem.importing.memories import ImportedMemories
from langchain_agentmem.importing.report import ImportReport, RefusedLine
from langchain_agentmem.importing.sessions import ImportedSessions
from langchain_agentmem.longterm.long_term_memory import BaseLongTermMemory
from langchain_agentmem.working.working_memory import WorkingMemory

OnBatch: TypeAlias = Callable[[ImportReport], None]
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class _Pause(Effect):
    """Lets other tasks run: batches in which nothing is to be stored have no round trip."""

    group = "pause"

    def merge(self, others: Sequence[_Pause]) -> tuple[Effect, Callable[[Any], list[Any]]]:
        """Return a single pause for all of them."""
        return self, lambda _: [None] * (1 + len(others))

    def run(self) -> None:
        """Do nothing: threads run anyway."""

    async def arun(self) -> None:
        """Let other tasks run."""
        await asyncio.sleep(0)


class Importer:
    """An import of lines, a batch at a time, in their order; a refused line does not stop the others.

    Args:
        working: Where messages and notes are stored.
        long_term: Where memories are stored.
        options: Options that override what lines say.
        plain: Whether each line that is no dict is the text of a memory, rather than JSON.
    """

    def __init__(
        self,
        working: WorkingMemory,
        long_term: BaseLongTermMemory,
        options: ImportOptions,
        *,
        plain: bool = False,
    ) -> None:
        self._report, self._plain, self._options = ImportReport(), plain, options
        self._sessions = ImportedSessions(working, options, self._report)
        self._memories = ImportedMemories(long_term, options, self._report)

    def run_op(self, lines: Iterable[RawLine], batch_size: int, on_batch: OnBatch | None) -> Op[ImportReport]:
        """Store all lines; report the progress after each batch.

        Args:
            lines: The lines, as bytes, texts or dicts; read as they are stored.
            batch_size: How many lines are stored together.
            on_batch: Called with the report so far.

        Raises:
            InvalidInputError: The lines are a single one.
            StoreError: The server failed; what was stored stays, and a second run goes on from there.
        """
        if isinstance(lines, bytes | str | dict):
            raise InvalidInputError(
                f"lines must be lines, such as an open file or a list, not one {type(lines).__name__}."
            )
        numbered = enumerate(_without_mark(lines), 1)
        while batch := list(islice(numbered, batch_size)):
            yield from self._store(batch)
            yield _Pause()
            self._report.lines += len(batch)
            if on_batch is not None:
                on_batch(self._report)
        self._report.windows = self._sessions.trimmed()
        return self._report

    def _store(self, batch: list[tuple[int, RawLine]]) -> Op[None]:
        refused: list[RefusedLine] = []
        lines: list[tuple[int, Line]] = []
        for number, raw in batch:
            try:
                line = parse(raw, plain=self._plain)
                if line is not None:
                    self._options.thread(line)  # which may be too long with its prefix
            except InvalidInputError as error:
                refused.append(RefusedLine(number, str(error)))
            else:
                lines += [] if line is None else [(number, line)]
        yield from self._sessions.look_op(line for _, line in lines if not isinstance(line, MemoryLine))
        for number, line in lines:
            try:
                if isinstance(line, MemoryLine):
                    self._memories.take(number, line)
                else:
                    self._sessions.take(line)
            except (InvalidInputError, WrongKeyTypeError) as error:
                refused.append(RefusedLine(number, str(error)))
        self._report.refused += sorted(refused, key=lambda one: one.line)
        yield from self._sessions.store_op()
        yield from self._memories.store_op()


def _without_mark(lines: Iterable[RawLine]) -> Iterator[RawLine]:
    """Yield the lines; a byte order mark at the beginning of a file is none of the first."""
    for at, line in enumerate(lines):
        yield line.removeprefix(_BYTE_ORDER_MARK) if at == 0 and isinstance(line, bytes) else line
