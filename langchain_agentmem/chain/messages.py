"""The messages in a chain's input and output: what an exchange stores of them, and what is no answer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    BaseMessageChunk,
    HumanMessage,
    convert_to_messages,
    message_chunk_to_message,
)
from pydantic import BaseModel

from langchain_agentmem.errors import InvalidInputError

_OUTPUT_KEYS = ("output", "answer", "text", "messages")
_INTERRUPT = "__interrupt__"  # where LangGraph says that a graph waits for somebody


def input_messages(inputs: dict[str, Any], key: str) -> list[BaseMessage]:
    """Return the messages under a key of a chain's input.

    Raises:
        InvalidInputError: There is no such key, or what stands there is no message.
    """
    if key not in inputs:
        raise InvalidInputError(
            f"The chain's input has no {key!r}, only {', '.join(map(repr, inputs)) or 'nothing'}; "
            "name the right one with wrap(…, input_key=…)."
        )
    value = inputs[key]
    if isinstance(value, list | tuple) and not value:
        return []
    if isinstance(value, tuple) and len(value) == 2 and all(isinstance(part, str) for part in value):
        value = [value]  # LangChain's short form of a message: ("human", "Hi")
    if isinstance(value, list | tuple) and any(isinstance(item, BaseMessage | tuple) for item in value):
        try:
            return _messages(convert_to_messages(value), HumanMessage)
        except (ValueError, TypeError, NotImplementedError) as error:
            raise InvalidInputError(
                "The chain's input must be a text, a message, or a list of messages; this list holds "
                f"something else: {error}"
            ) from error
    return _messages(value, HumanMessage)


def is_interrupted(output: Any) -> bool:
    """Return whether a graph stopped to ask somebody, so that there is no answer yet."""
    return isinstance(output, dict) and bool(output.get(_INTERRUPT))


def answer_messages(
    output: Any, key: str | None, history: Sequence[BaseMessage], asked: Sequence[BaseMessage]
) -> list[BaseMessage]:
    """Return the messages of a chain's output, without the history and input that a graph's state repeats.

    Args:
        output: The output: a text, messages, a model, or a dict of one of them.
        key: The member that holds the answer; `None` for the first of the usual ones.
        history: The messages that the chain was given as history.
        asked: The messages of its input.

    Raises:
        InvalidInputError: The output is no answer.
    """
    if isinstance(output, dict):
        found = [name for name in ((key,) if key else _OUTPUT_KEYS) if name in output]
        output = output[found[0]] if found else output
    answered = _messages(output, AIMessage)
    for repeated in ([*history, *asked], asked) if asked else ():
        if len(answered) >= len(repeated) and all(map(_says_the_same, answered, repeated)):
            return answered[len(repeated) :]
    return answered


def _says_the_same(one: BaseMessage, other: BaseMessage) -> bool:
    return one.type == other.type and one.content == other.content


def text_of(messages: Sequence[BaseMessage]) -> str:
    """Return what the user said last."""
    human = [message for message in messages if isinstance(message, HumanMessage)]
    return str(human[-1].text).strip() if human else ""


def _messages(value: Any, plain: type[HumanMessage | AIMessage]) -> list[BaseMessage]:
    """Return the messages in an input or an output; what is no message becomes the text of one."""
    if value is None:
        return []
    if isinstance(value, BaseMessageChunk):
        return [message_chunk_to_message(value)]
    if isinstance(value, BaseMessage):
        return [value]
    if isinstance(value, list | tuple) and value and all(isinstance(item, BaseMessage) for item in value):
        return [message for item in value for message in _messages(item, plain)]
    if isinstance(value, str):
        return [plain(content=value)]
    if isinstance(value, BaseModel):
        return [plain(content=value.model_dump_json())]
    return [plain(content=json.dumps(value, ensure_ascii=False, default=_as_text))]


def _as_text(value: Any) -> str:
    if isinstance(value, Iterator | AsyncIterator | Awaitable):
        raise InvalidInputError(
            f"A {type(value).__name__} cannot be stored without consuming it. Return a text, a message, a "
            "list of messages, or a dict of one of them; make a RunnableGenerator, or a RunnableLambda, of "
            "the function itself that yields an answer."
        )
    if isinstance(value, BaseMessage):
        raise InvalidInputError(
            "This holds messages deep inside: name the member where the answer's stand with "
            'wrap(…, output_key=…), and stream a graph with stream_mode="values".'
        )
    return str(value)
