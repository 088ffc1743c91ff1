"""What an error tells an event: where it was raised; and which of LangGraph's exceptions are no errors."""

from __future__ import annotations

import re
from collections import deque
from types import CodeType
from typing import Any, NamedTuple

from langchain_agentmem.core import json
from langchain_agentmem.events.sanitize import describe

_FRAMES = 5
_NAME_BYTES = 80  # of a file, and of a function
_FOLDER = re.compile(r".*[/\\]", re.DOTALL)


class Bubble(NamedTuple):
    """An exception by which LangGraph leaves a node or a tool, though nothing has failed.

    Attributes:
        how: `interrupt` if the run waits for an answer, `end` if it goes on in a parent graph.
        value: What the interrupt asks, or the command to the parent graph; `None` if there is nothing.
        parts: The objects by which it is recognized in the runs around: LangGraph raises it anew.
    """

    how: str
    value: Any
    parts: list[Any]


def bubble_of(error: BaseException) -> Bubble | None:
    """Return what an exception of LangGraph's control flow says; `None` for an error.

    It is recognized by name: LangGraph need not be installed.
    """
    names = {kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "langgraph.errors"}
    if "GraphBubbleUp" not in names:
        return None
    first = error.args[0] if error.args else None
    if "ParentCommand" in names:
        return Bubble("end", first, [error])
    if "GraphInterrupt" in names:
        interrupts = list(first) if isinstance(first, list | tuple) else []
        values = [one.value for one in interrupts]
        return Bubble("interrupt", values[0] if len(values) == 1 else values or None, interrupts or [error])
    return Bubble("interrupt", str(error) or None, [error])


def frames_of(error: BaseException) -> str:
    """Return the last frames of an error's traceback as a JSON list, the innermost first.

    Each is a file's name without its folders, the line, and the function: `weather.py:12 look_up`. Neither
    source lines nor local values are read. Empty if there is no traceback.
    """
    last: deque[tuple[CodeType, int]] = deque(maxlen=_FRAMES)
    at = error.__traceback__
    while at is not None:
        last.append((at.tb_frame.f_code, at.tb_lineno))
        at = at.tb_next
    shown = [f"{_name(code.co_filename)}:{line} {_name(code.co_name)}" for code, line in reversed(last)]
    return json.dumps(shown).decode() if shown else ""


def _name(path: str) -> str:
    """Return a name, short, without its folders. Redacted alone: before `:12`, `token.py` names a secret."""
    return describe(_FOLDER.sub("", path), _NAME_BYTES)
