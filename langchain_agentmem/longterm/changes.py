"""The changes of memories that `apply` makes, and what became of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from langchain_agentmem.core.checks import Ttl
from langchain_agentmem.longterm.types import Refusal, RememberResult, Scope

KIND = "semantic"  # of what is added, unless it says otherwise

Outcome: TypeAlias = Literal["stored", "merged", "updated", "deleted", "refused"]


@dataclass(frozen=True, slots=True)
class Add:
    """A new memory, which is stored unless it is a duplicate.

    Attributes:
        text: The memory.
        kind: Its kind.
        metadata: Whatever JSON can bring back equal.
        ttl_seconds: Its TTL in seconds instead of its kind's default; `None` for no expiry.
    """

    text: str
    kind: str = KIND
    metadata: dict[str, Any] | None = None
    ttl_seconds: Ttl = ...


@dataclass(frozen=True, slots=True)
class Update:
    """A new text for a memory, in place: the old text is not kept.

    Attributes:
        id: The memory.
        text: Its new text.
        if_text: The text that it has to have now; one that has the new text already is fine, too. `None` for
            any.
    """

    id: str
    text: str
    if_text: str | None = None


@dataclass(frozen=True, slots=True)
class Supersede:
    """A memory of the same kind in place of one that is kept, linked and dated, and no longer recalled.

    Attributes:
        id: The memory that is out of date. If it is gone, or was superseded before, the text is only stored
            (as `semantic`, if it is gone).
        text: What is true now.
    """

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Delete:
    """The deletion of a memory.

    Attributes:
        id: The memory.
    """

    id: str


Change: TypeAlias = Add | Update | Supersede | Delete


@dataclass(frozen=True, slots=True)
class ChangeResult:
    """The fate of a change.

    Attributes:
        outcome: `stored`; `merged` into a memory that says the same, which was counted as seen again;
            `updated`; `deleted`; or `refused`, and then nothing was written for it.
        id: The memory that holds the text now, or that was deleted; of what was refused, the one it named.
        replaced: The id of the memory that this one supersedes now; `None` if it supersedes none.
        reason: Why it was refused: the memory is `missing`, `foreign` (of another user or namespace),
            `superseded`, or `unreadable` (no memory), or its text is not `if_text` (`text_changed`).
    """

    outcome: Outcome
    id: str
    replaced: str | None = None
    reason: Refusal | None = None

    @classmethod
    def of(cls, result: RememberResult) -> ChangeResult:
        """Return the fate of what was remembered."""
        return cls("merged" if result.deduped else "stored", result.id, result.replaced)


@dataclass(frozen=True, slots=True)
class CheckedChanges:
    """Changes, checked.

    Attributes:
        changes: The changes, in their order.
        scope: Whose memories, in which namespace; of any kind.
        source_thread: The thread that new memories were learnt in; empty for none.
        said_at: When they were said, in epoch seconds; `None` for now.
    """

    changes: tuple[Change, ...]
    scope: Scope
    source_thread: str
    said_at: float | None = None

    @property
    def texts(self) -> list[str]:
        """Return what has to be embedded: the text of every change that has one, in their order."""
        return [change.text for change in self.changes if not isinstance(change, Delete)]

    @property
    def ids(self) -> list[str]:
        """Return the ids that they name, each once."""
        return list(dict.fromkeys(change.id for change in self.changes if not isinstance(change, Add)))
