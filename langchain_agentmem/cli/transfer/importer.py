"""Storing imported lines: the same ones are stored once, however often, and whatever ends a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from langchain_agentmem.cli.transfer.format import Defaults, Line, MemoryLine, NotesLine, Tally
from langchain_agentmem.cli.transfer.memories import ImportedMemories
from langchain_agentmem.cli.transfer.sessions import ImportedSessions, Window
from langchain_agentmem.errors import InvalidInputError, WrongKeyTypeError

if TYPE_CHECKING:
    from langchain_agentmem.agent_memory import AgentMemory


class Importer:
    """Takes lines and stores them a batch at a time, in their order.

    Attributes:
        tally: What became of them so far.
    """

    def __init__(self, memory: AgentMemory, defaults: Defaults) -> None:
        self.tally = Tally()
        self._sessions = ImportedSessions(memory, defaults, self.tally)
        self._memories = ImportedMemories(memory, defaults, self.tally)

    def store(self, batch: Sequence[tuple[int, Line]]) -> None:
        """Store a batch; a line that cannot be stored is tallied, and does not keep the others."""
        for number, line in batch:
            try:
                if isinstance(line, MemoryLine):
                    self._memories.take(line)
                elif isinstance(line, NotesLine):
                    self._sessions.note(line)
                else:
                    self._sessions.take(number, line)
            except (InvalidInputError, WrongKeyTypeError) as error:
                self.tally.bad.append((number, str(error)))
        self._sessions.store()
        self._memories.store()

    def windows(self) -> list[Window]:
        """The sessions of this import that do not hold all their messages."""
        return self._sessions.windows()
