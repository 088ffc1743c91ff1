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
class MergedLine:
    """A line whose text did not become a memory of its own, because another one says the same.

    Attributes:
        line: Its number, from 1.
        text: Its text.
        into_line: The earlier line of the import that says the same; `None` if none does.
        id: The memory that holds it.
        into_text: The text of that memory.
    """

    line: int
    text: str
    into_line: int | None
    id: str
    into_text: str


@dataclass(frozen=True, slots=True)
class TrimmedSession:
    """A session that does not hold all the messages it was given.

    Attributes:
        thread: The thread.
        kept: How many messages it holds at most: its window, and with a summariser those that wait for it.
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
        duplicate_messages: Messages that were there: an import stored them before, or they were exported
            from there.
        new_memories: Memories that were stored.
        duplicate_memories: Lines that were there, or say the same as a memory or an earlier line.
        superseded_memories: Lines left out because something has replaced them, which could not be kept.
        merged: Those of the duplicates whose wording is not stored, or that repeat an earlier line, in
            order: into what each was merged.
        refused: The lines that could not be imported, in order.
        windows: The sessions that do not hold all their messages; known when the import ends.
    """

    lines: int = 0
    new_messages: int = 0
    duplicate_messages: int = 0
    new_memories: int = 0
    duplicate_memories: int = 0
    superseded_memories: int = 0
    merged: list[MergedLine] = field(default_factory=list)
    refused: list[RefusedLine] = field(default_factory=list)
    windows: list[TrimmedSession] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as `agentmem import --json` prints it."""
        return {
            "messages": {"new": self.new_messages, "known": self.duplicate_messages},
            "memories": {"new": self.new_memories, "known": self.duplicate_memories},
            "superseded": self.superseded_memories,
            "merged": [asdict(merged) for merged in self.merged],
            "windows": [asdict(window) for window in self.windows],
            "bad_lines": [asdict(refused) for refused in self.refused],
        }
