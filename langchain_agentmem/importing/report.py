"""The report of an import."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class RefusedLine:
    """A line that could not be imported.

    Attributes:
        line: Its number, from 1.
        error: Why.
    """

    line: int
    error: str


@dataclass(frozen=True, slots=True)
class TrimmedSession:
    """A session that does not hold all the messages it was given.

    Attributes:
        thread: The thread.
        kept: How many messages its window holds.
        messages: How many it was given.
    """

    thread: str
    kept: int
    messages: int


@dataclass(slots=True)
class ImportReport:
    """The outcome of an import, by its lines.

    Attributes:
        lines: How many were read, blank ones too.
        new_messages: Messages that were stored.
        duplicate_messages: Messages that an import had stored before.
        new_memories: Memories that were stored.
        duplicate_memories: Memories that were there, or nearly the same ones; they were left as they are.
        refused: The lines that could not be imported, in order.
        windows: The sessions whose window does not hold all their messages; known when the import ends.
    """

    lines: int = 0
    new_messages: int = 0
    duplicate_messages: int = 0
    new_memories: int = 0
    duplicate_memories: int = 0
    refused: list[RefusedLine] = field(default_factory=list)
    windows: list[TrimmedSession] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as `agentmem import --json` prints it."""
        return {
            "messages": {"new": self.new_messages, "known": self.duplicate_messages},
            "memories": {"new": self.new_memories, "known": self.duplicate_memories},
            "windows": [asdict(window) for window in self.windows],
            "bad_lines": [asdict(refused) for refused in self.refused],
        }
