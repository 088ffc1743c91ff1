"""What was said before an exchange, as a task carries it: a few texts, shortened."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from langchain_agentmem.core.messages import speaker_of
from langchain_agentmem.core.redaction import shorten

MAX_MESSAGES = 4
"""How many messages before an exchange a task carries."""

MAX_CHARACTERS = 2_000
"""How much of each."""


def before(messages: Sequence[BaseMessage]) -> tuple[tuple[str, str], ...]:
    """Return the last messages of the user and the model as roles and texts, oldest first."""
    talk = (
        (speaker, text)
        for message in reversed(messages)
        if (speaker := speaker_of(message)) and (text := message.text.strip())
    )
    last = [(role, shorten(text, MAX_CHARACTERS)) for role, text in islice(talk, MAX_MESSAGES)]
    return tuple(reversed(last))


def as_messages(told: Sequence[tuple[str, str]]) -> list[BaseMessage]:
    """Return the messages of such roles and texts."""
    return [HumanMessage(text) if role == "user" else AIMessage(text) for role, text in told]
