"""The sample memories of a new demo, what a newcomer may say next, and the way back to them.

Distances are measured with all-MiniLM-L6-v2: "Which theme should my editor use?" is 0.36 from the
first one (and 0.87 from "My favorite color is teal."), "I like the dark theme in my editor." 0.13, "My
favorite color is teal." 0.80; and no sample is within 0.70 of another.
"""

from __future__ import annotations

from typing import Any

from langchain_agentmem import AgentMemory, Forgotten
from langchain_agentmem.errors import AgentMemoryError

USER = "alice"
NAMESPACE = "default"

SAMPLES: dict[str, tuple[str, ...]] = {
    "semantic": (
        "I use a dark theme in my editor.",
        "I write Python at work, and Rust for fun.",
        "Our services run on Kubernetes in Frankfurt, and we deploy them on Tuesdays.",
        "My time zone is Lisbon, and I take no meetings before ten.",
        "I am allergic to peanuts.",
    ),
    "episodic": (
        "Yesterday I moved the staging Redis from 7.4 to 8.2.",
        "On Monday the nightly import failed because the disk was full.",
        "Last week Noor and I rewrote the retry logic of the payment client.",
    ),
}

_COLOR = (
    ("Tell it something new", "My favorite color is teal."),
    ("Say the same in other words", "Teal is my favorite color, by the way."),
    ("Change your mind", "Actually, my favorite color is orange now."),
)
_ASKED = ("Ask about it", "What is my favorite color?")
_LATER = ("Ask in a new thread", "Which color do I like best?")

WALKS: dict[str, tuple[tuple[str, str], ...]] = {
    "samples": (("Ask what it knows", "Which theme should my editor use?"), *_COLOR, _ASKED, _LATER),
    "empty": (_COLOR[0], _ASKED, *_COLOR[1:], ("Ask again", "Which color is my favorite now?"), _LATER),
}
"""What to say, in order, to see everything: with the samples, and where nothing is known. Each with what it
shows; the last one is said in a new thread."""


class ResetRefusedError(AgentMemoryError):
    """The store is one that the demo must not remove anything from."""


class Samples:
    """Fills an empty store with the samples, and resets a user's part of it.

    Args:
        memory: The store.
        may_reset: Whether a user's memories, conversations and events may be removed.
    """

    user = USER

    def __init__(self, memory: AgentMemory, *, may_reset: bool) -> None:
        self._memory = memory
        self.may_reset = may_reset

    async def open(self, *, reset: bool) -> str:
        """Make the store ready: an empty one gets the samples, another one stays as it is.

        Args:
            reset: Whether everything of the samples' user is removed first.

        Returns:
            What was done, for a person.
        """
        if reset:
            await self._memory.aforget_user(USER)
            await self._fill()
            return f"everything of {USER} was removed, and the sample memories are back"
        await self._memory.long_term.acreate_index()
        info = await self._memory.long_term.aindex_info()
        if info["documents"] or await self._memory.working.arecent_sessions(1):
            return "opened as it was"
        await self._fill()
        return "filled with sample memories"

    async def would_reset(self, user: str) -> dict[str, Any]:
        """Return what a reset would remove from a user, in numbers."""
        return self._counted(await self._memory.aforget_user(user, dry_run=True))

    async def reset(self, user: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Remove everything of a user; the samples' own user gets the samples again.

        Returns:
            What was removed, as lines of an export without the events, and in numbers; `unreadable` is how
            many of it cannot be restored, because they cannot be read.

        Raises:
            ResetRefusedError: The demo was not told that it may.
        """
        if not self.may_reset:
            raise ResetRefusedError(
                "This store is not the demo's own, so nothing of it is removed here. "
                "Start the demo with --allow-reset to change that."
            )
        unreadable: list[AgentMemoryError] = []
        export = self._memory.aexport_user(
            user, tiers=["sessions", "memories"], on_unreadable=unreadable.append
        )
        lines = [line async for line in export]
        gone = await self._memory.aforget_user(user)
        if user == USER:
            await self._fill()
        return lines, {**self._counted(gone), "unreadable": len(unreadable)}

    async def _fill(self) -> None:
        """Store the samples; those that are there already are not counted as seen again."""
        lines = [{"text": text, "kind": kind} for kind, texts in SAMPLES.items() for text in texts]
        await self._memory.aimport_lines(lines, user=USER, namespace=NAMESPACE)

    @staticmethod
    def _counted(gone: Forgotten) -> dict[str, Any]:
        return {
            "threads": len(gone.threads),
            "memories": gone.memories,
            "events": gone.events,
            "items": gone.items,
        }
