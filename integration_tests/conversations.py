"""Whole conversations, which a chain, the chat and the page each have with the real model.

In `tests/data/conversations.json`, each line names who says what; the words that must be among what is recalled, in
the order of their first mention (`[]`: nothing is recalled); and whether the text becomes a memory. Some name the
`answer` that the memory gives without a model, on the day on which all of it was said.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from langchain_agentmem import speech_acts

Line: TypeAlias = dict[str, Any]

DATA = Path(__file__).parents[1] / "tests/data/conversations.json"
CONVERSATIONS: dict[str, list[Line]] = json.loads(DATA.read_text("utf-8"))

each_conversation = pytest.mark.parametrize("lines", CONVERSATIONS.values(), ids=[*CONVERSATIONS])


def mistakes(line: Line, recalled: list[str], *, stored: bool, asked: set[str]) -> list[str]:
    """What is wrong with what a line recalled and became, so that a test tells all of a conversation at once.

    Args:
        line: The line.
        recalled: The texts that it recalled, in their order, perhaps behind something else.
        stored: Whether it has become a memory.
        asked: What the conversation only asks, which is never recalled.
    """
    found = _misplaced(line, "\n".join(recalled))
    found += [f"recalled the question {text!r}" for text in recalled if text.endswith(tuple(asked))]
    if stored != line["stored"]:
        found.append("stored" if stored else "not stored")
    return [f"{line['say']} -> {mistake}" for mistake in found]


def ill_said(line: Line, answer: str) -> list[str]:
    """What is wrong with an answer that the memory gives without a model."""
    asks = not line["stored"] and {"asks"} in speech_acts(line["say"])
    found = _misplaced(line, answer) if line.get("recalled") else []
    if not answer:
        found.append("no answer")
    if ("don't know" in answer) != (asks and line["recalled"] == []):  # to a question, and to nothing else
        found.append(answer)
    if "answer" in line and re.sub("yesterday", "today", answer) != line["answer"]:  # it may be midnight
        found.append(answer)
    return [f"{line['say']} -> {mistake}" for mistake in found]


def questions(lines: list[Line]) -> set[str]:
    """What a conversation says that is no statement."""
    return {line["say"] for line in lines if not line["stored"]}


def _misplaced(line: Line, given: str) -> list[str]:
    words = line.get("recalled")
    at = [given.find(word) for word in words or ()]
    if words == [] and given:
        return [f"recalled {given!r}, and not nothing"]
    if min(at, default=0) < 0 or at != sorted(at):
        return [f"not {words} in this order in {given!r}"]
    return []
