"""What each part of the ranking gives: the same questions with one constant of it changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from unittest.mock import patch

from langchain_agentmem.longterm import gate, newest_first, parts, ranking, word_counts
from langchain_agentmem.longterm.redisearch import recall

_MODULES: dict[str, ModuleType] = {
    module.__name__.rpartition(".")[2]: module
    for module in (gate, newest_first, parts, ranking, recall, word_counts)
}
_ALWAYS = 1e3  # log odds

CHANGES: dict[str, dict[str, float]] = {
    "meaning alone, with the gate": {
        **{"parts._WORD": 0, "parts._SPEAKER": 0, "parts._ASKS": 0, "parts._NOT_OWN": 0}
    },
    "without the question's words": {"parts._WORD": 0},
    "without the messages around": {"parts._CONTEXT": 0, "parts._AFTER": 0},
    "without the messages after": {"parts._AFTER": 0},
    "without related words": {"word_counts._RELATED": 0},
    "without the speaker": {"parts._SPEAKER": 0, "gate._GATE_SPEAKER": 0},
    "questions rank as statements": {"parts._ASKS": 0},
    "what others say ranks as one's own": {
        **{"parts._NOT_OWN": 0, "parts._STRANGER": 1, "gate._GATE_NOT_OWN": 0}
    },
    "short questions trust words": {"parts._FULL_QUESTION": 1},
    "without the gate": {"gate._GATE_SCOPE": _ALWAYS},
    "without the cutoff": {"ranking._CUTOFF": -_ALWAYS},
    "50 candidates of each search": {"recall.NEAREST": 50, "recall.WORDED": 50},
    "25 candidates of each search": {"recall.NEAREST": 25, "recall.WORDED": 25},
}
"""Changes of constants, named `module.constant`, by what they do."""


def parsed(text: str) -> dict[str, float]:
    """Return the change in `module.NAME=VALUE,module.NAME=VALUE`.

    Raises:
        ValueError: There is no such constant, or that is no number.
    """
    change = {name: float(value) for name, _, value in (part.partition("=") for part in text.split(","))}
    unknown = [name for name in change if not hasattr(*_place(name))]
    if unknown:
        raise ValueError(f"no constant of the ranking: {', '.join(unknown)}")
    return change


def _place(name: str) -> tuple[ModuleType | None, str]:
    module, _, constant = name.partition(".")
    return _MODULES.get(module), constant


@contextmanager
def changed(change: dict[str, float]) -> Iterator[None]:
    """Rank with other constants."""
    with ExitStack() as stack:
        for name, value in change.items():
            module, constant = _place(name)
            before = getattr(module, constant)
            stack.enter_context(patch.object(module, constant, type(before)(value)))
        yield
