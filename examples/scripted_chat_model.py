"""Answer from a script in place of a chat model, so that examples with agents run without a key.

In your code, use a real one: `init_chat_model("openai:gpt-5-mini")` from `langchain.chat_models`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import PrivateAttr


class ScriptedChatModel(BaseChatModel):
    """Gives one answer after the other: a text, calls of tools, or an exception, which it raises."""

    _answers: list[Any] = PrivateAttr()
    _requests: list[list[BaseMessage]] = PrivateAttr(default_factory=list)

    def __init__(self, *answers: str | AIMessage | Exception) -> None:
        super().__init__()
        self._answers = list(answers)

    @property
    def told(self) -> str:
        """Return the system message of the last request; empty if it had none."""
        first = self._requests[-1][0]
        return first.text if first.type == "system" else ""

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        """Take any tools; the script says which are called."""
        return self

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        self._requests.append(messages)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        message = AIMessage(answer) if isinstance(answer, str) else answer
        words = sum(len(one.text.split()) for one in messages)
        message.usage_metadata = {"input_tokens": words, "output_tokens": 5, "total_tokens": words + 5}
        return ChatResult(generations=[ChatGeneration(message=message)])


def calls(tool: str, **args: Any) -> AIMessage:
    """Return an answer that calls a tool."""
    return AIMessage("", tool_calls=[{"name": tool, "args": args, "id": f"call-{tool}"}])
