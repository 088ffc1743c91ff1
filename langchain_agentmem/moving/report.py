"""What a move has done so far, and in the end: the report that its caller gets."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Any

_NAMED = 20


@dataclass(slots=True)
class MoveReport:
    """The result of `move_memory`, and with `on_progress`, how far it is.

    The kinds that are counted are `session`, `list` (of messages, of a session that is one), `threads` (a
    user's record), `memory`, `pointer` (to a memory that says the same), `events` (of a thread), `item` (of
    the LangGraph store), `queue` (of tasks) and `failed` (a task that was set aside).

    Attributes:
        phase: What is going on: `moving`, `verifying` or `done`.
        passes: How often the source was gone through, this run.
        resumed: Whether an earlier run of this move had begun it.
        keys: About how many keys the source has, of whatever program.
        found: How many there are at the source, by kind, as the last pass found them.
        brought: How many were written to the target, by kind; one that changed at the source counts again.
        deleted: How many were deleted at the target, because they no longer are at the source.
        joined: How many were joined with what the target had: records of threads, events, queues of tasks.
        kept: How many were left as they are at the target, because they are newer there.
        changed: How many the last pass wrote or deleted.
        pending: How many have changed at the source since they were brought, as the verification found.
        verified: How many are equal on both sides.
        differing: How many are not as they were brought, or are missing at the target. The next run brings
            them once more, except what is newer at the target.
        names: What differs, a sentence each, of the first 20.
        at_target: How many there are at the target, by kind.
        unreadable: A sentence for each thing that could not be moved.
        clock_difference_seconds: By how much the target's clock is ahead: what expires does so earlier by it.
    """

    phase: str = "moving"
    passes: int = 0
    resumed: bool = False
    keys: int = 0
    found: Counter[str] = field(default_factory=Counter)
    brought: Counter[str] = field(default_factory=Counter)
    deleted: int = 0
    joined: int = 0
    kept: int = 0
    changed: int = 0
    pending: int = 0
    verified: int = 0
    differing: int = 0
    names: list[str] = field(default_factory=list)
    at_target: Counter[str] = field(default_factory=Counter)
    unreadable: list[str] = field(default_factory=list)
    clock_difference_seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Return whether everything was moved, and nothing differs."""
        return not self.differing and not self.unreadable

    def differs(self, sentence: str) -> None:
        """Note something that differs."""
        self.differing += 1
        if len(self.names) < _NAMED:
            self.names.append(sentence)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        counts = {"found": self.found, "brought": self.brought, "at_target": self.at_target}
        plain = {name: dict(one) for name, one in counts.items()}
        others = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in counts}
        return {"ok": self.ok, **others, **plain}
