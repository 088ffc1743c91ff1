"""A real chat model that answers from a script, and refuses what a model's API refuses."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, TypeAlias

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.base import LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import tool_call as make_call
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import PrivateAttr

Answer: TypeAlias = str | AIMessage | BaseException
Reply: TypeAlias = Answer | Callable[[list[BaseMessage]], Answer]
"""An answer, what the model raises, or a function from the request to one of them."""


class BadRequestError(Exception):
    """The answer of a model's API to messages that it does not take."""


def calls(*made: tuple[str, dict[str, Any]], text: str = "", first: int = 1) -> AIMessage:
    """A message that calls tools, in parallel if there are several; the ids are c1, c2, … from `first` on."""
    return AIMessage(
        text,
        tool_calls=[
            make_call(name=name, args=args, id=f"c{number}")
            for number, (name, args) in enumerate(made, first)
        ],
    )


def refuse_unpaired(messages: Sequence[BaseMessage]) -> None:
    """Refuse a tool call whose results do not follow it at once, and a result without its call."""
    open_calls: set[str | None] = set()
    for message in messages:
        if isinstance(message, ToolMessage):
            if message.tool_call_id not in open_calls:
                raise BadRequestError(f"a result without its call: {message.tool_call_id}")
            open_calls.discard(message.tool_call_id)
            continue
        if open_calls:
            break
        if isinstance(message, AIMessage):
            open_calls = {call["id"] for call in message.tool_calls}
    if open_calls:
        raise BadRequestError(f"calls without results: {', '.join(map(str, open_calls))}")


class ScriptedModel(BaseChatModel):
    """Answers with one reply of its script after the other; the last one again, if it is a function.

    It counts a token per word, and says so, with its name and why it stopped. In a stream, a chunk holds a
    word, or a part of a tool call; the last one the usage. `ScriptedModel.of("hi", calls(("look", {})), …)`.
    """

    script: list[Any]
    model_name: str = "scripted-1"

    _requests: list[list[BaseMessage]] = PrivateAttr(default_factory=list)
    _tools: list[list[str]] = PrivateAttr(default_factory=list)
    _lock: Any = PrivateAttr(default_factory=threading.Lock)
    _next: int = PrivateAttr(default=0)

    @classmethod
    def of(cls, *script: Reply, **options: Any) -> ScriptedModel:
        return cls(script=list(script), **options)

    @property
    def requests(self) -> list[list[BaseMessage]]:
        """What the model was sent, whole, in the order in which it came."""
        return self._requests

    @property
    def tools_of_requests(self) -> list[list[str]]:
        """The names of the tools that each request offered."""
        return self._tools

    @property
    def _llm_type(self) -> str:
        return "scripted"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.model_name}

    def bind_tools(
        self, tools: Sequence[Any], *, tool_choice: Any = None, **kwargs: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        described = [
            tool.name if isinstance(tool, BaseTool) else convert_to_openai_tool(tool)["function"]["name"]
            for tool in tools
        ]
        return self.bind(tools=described, **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._answer(messages, kwargs))])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for chunk in _chunks(self._answer(messages, kwargs)):
            if run_manager is not None:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in _chunks(self._answer(messages, kwargs)):
            if run_manager is not None:
                await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._answer(messages, kwargs))])

    def _answer(self, messages: list[BaseMessage], options: dict[str, Any]) -> AIMessage:
        with self._lock:
            self._requests.append(list(messages))
            self._tools.append(list(options.get("tools", ())))
            at = self._next
            self._next += 1
        refuse_unpaired(messages)
        last = len(self.script) - 1
        assert at <= last or callable(self.script[last]), f"the script has no reply {at + 1}"
        reply = self.script[min(at, last)]
        if callable(reply) and not isinstance(reply, BaseException):
            reply = reply(list(messages))
        if isinstance(reply, BaseException):
            raise reply
        message = AIMessage(reply) if isinstance(reply, str) else reply.model_copy(deep=True)
        message.usage_metadata = _usage(messages, message)
        message.response_metadata = {
            "model_name": self.model_name,
            "finish_reason": "tool_calls" if message.tool_calls else "stop",
        }
        return message


def _words(message: BaseMessage) -> int:
    return len(message.text.split())


def _usage(messages: Sequence[BaseMessage], answer: AIMessage) -> UsageMetadata:
    given, made = sum(map(_words, messages)), _words(answer) + len(answer.tool_calls)
    return UsageMetadata(
        input_tokens=given,
        output_tokens=made,
        total_tokens=given + made,
        input_token_details={"cache_read": given // 2},
        output_token_details={"reasoning": made // 2},
    )


def _chunks(message: AIMessage) -> Iterator[ChatGenerationChunk]:
    words = message.text.split(" ") if message.text else []
    for number, word in enumerate(words):
        text = word if number == len(words) - 1 else f"{word} "
        yield ChatGenerationChunk(message=AIMessageChunk(content=text, id=message.id))
    for index, call in enumerate(message.tool_calls):
        args = json.dumps(call["args"])
        half = len(args) // 2
        for name, part in ((call["name"], args[:half]), (None, args[half:])):
            piece = tool_call_chunk(name=name, args=part, id=call["id"] if name else None, index=index)
            yield ChatGenerationChunk(message=AIMessageChunk(content="", tool_call_chunks=[piece]))
    last = AIMessageChunk(
        content="",
        usage_metadata=message.usage_metadata,
        response_metadata=message.response_metadata,
        chunk_position="last",
    )
    yield ChatGenerationChunk(message=last)
