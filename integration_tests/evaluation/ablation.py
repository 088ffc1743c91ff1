"""What each part of the ranking gives: the same questions with one constant of it changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from unittest.mock import patch

from langchain_agentmem.longterm import gate, parts, ranking, word_counts
from langchain_agentmem.longterm.redisearch import recall

_MODULES: tuple[ModuleType, ...] = (gate, parts, ranking, word_counts, recall)
_ALWAYS = 1e3  # log odds

CHANGES: dict[str, dict[str, float]] = {
    "meaning alone, with the gate": {"_WORD": 0, "_SPEAKER": 0, "_ASKS": 0, "_NOT_OWN": 0},
    "without the question's words": {"_WORD": 0},
    "without the messages around": {"_CONTEXT": 0, "_AFTER": 0},
    "without the messages after": {"_AFTER": 0},
    "without related words": {"_RELATED": 0},
    "without the speaker": {"_SPEAKER": 0, "_GATE_SPEAKER": 0},
    "questions rank as statements": {"_ASKS": 0},
    "what others say ranks as one's own": {"_NOT_OWN": 0, "_GATE_NOT_OWN": 0, "_STRANGER": 1},
    "short questions trust words": {"_FULL_QUESTION": 1},
    "without the gate": {"_GATE_SCOPE": _ALWAYS},
    "without the cutoff": {"_CUTOFF": -_ALWAYS},
    "100 candidates of each search": {"NEAREST": 100, "WORDED": 100},
    "30 candidates of each search": {"NEAREST": 30, "WORDED": 30},
}
"""Changes of constants, by what they do."""


def parsed(text: str) -> dict[str, float]:
    """Return the change in `NAME=VALUE,NAME=VALUE`.

    Raises:
        ValueError: There is no such constant, or that is no number.
    """
    change = {name: float(value) for name, _, value in (part.partition("=") for part in text.split(","))}
    unknown = [name for name in change if not any(hasattr(module, name) for module in _MODULES)]
    if unknown:
        raise ValueError(f"no constant of the ranking: {', '.join(unknown)}")
    return change


@contextmanager
def changed(change: dict[str, float]) -> Iterator[None]:
    """Rank with other constants: each is changed in every module that has it."""
    with ExitStack() as stack:
        for name, value in change.items():
            for module in _MODULES:
                if hasattr(module, name):
                    stack.enter_context(patch.object(module, name, type(getattr(module, name))(value)))
        yield
