"""A chat model that answers from a script, with structured output or without, and exchanges to ask it about."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import PrivateAttr

from langchain_agentmem import Exchange, Extractor, MemoryRecord
from langchain_agentmem.extraction.extractor import Extract

FRIDAY = datetime(2026, 11, 20, 18, 5, tzinfo=timezone.utc).timestamp()


class TextModel(BaseChatModel):
    """Has no structured output. The last answer is given again and again."""

    _answers: list[Any] = PrivateAttr()
    _requests: list[list[BaseMessage]] = PrivateAttr(default_factory=list)
    _schemas: list[Any] = PrivateAttr(default_factory=list)

    def __init__(self, *answers: str | AIMessage | Exception) -> None:
        super().__init__()
        self._answers = list(answers)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    @property
    def told(self) -> str:
        return self._requests[-1][0].text

    @property
    def data(self) -> str:
        return self._requests[-1][1].text

    @property
    def asked(self) -> int:
        return len(self._requests)

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        self._requests.append(messages)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        message = AIMessage(answer) if isinstance(answer, str) else answer
        return ChatResult(generations=[ChatGeneration(message=message)])


class ToolModel(TextModel):
    """Has structured output, by way of a tool call."""

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        self._schemas.extend(tools)
        return self


def calls(*facts: dict[str, Any], name: str = "Facts") -> AIMessage:
    return AIMessage("", tool_calls=[{"name": name, "args": {"facts": list(facts)}, "id": "c1"}])


def fact(text: str, replaces: str | None = None, kind: str = "semantic", **more: Any) -> dict[str, Any]:
    return {"text": text, "kind": kind, "replaces": replaces, **more}


def memory(id: str, text: str, **more: Any) -> MemoryRecord:
    return MemoryRecord(id, text, "alice", "default", "semantic", created_ts=FRIDAY - 86400 * 30, **more)


def exchange(said: str = "I moved to Porto.", answer: str = "How nice!", **more: Any) -> Exchange:
    messages = [HumanMessage(said), AIMessage(answer)]
    return Exchange("alice", messages, [FRIDAY, FRIDAY + 2], **more)


def extract(extractor: Extractor, asynchronous: bool, about: Exchange | None = None) -> list[Any]:
    """Ask an extractor as an operation does."""
    effect = Extract(extractor, about or exchange())
    return asyncio.run(effect.arun()) if asynchronous else effect.run()
