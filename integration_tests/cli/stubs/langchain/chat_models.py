"""A provider whose model fails, or takes long, when it is asked to, and takes the first of memories for outdated."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult


class Model(GenericFakeChatModel):
    def _generate(self, messages: list[BaseMessage], *args: Any, **options: Any) -> ChatResult:
        said = str(messages[-1].content)
        if "<memories>" in said:
            told = "nothing" if "fail" in said else '{"same": [], "contradicting": [["m1", "m2"]]}'
            return ChatResult(generations=[ChatGeneration(message=AIMessage(told))])
        return super()._generate(messages, *args, **options)

    def _stream(
        self, messages: list[BaseMessage], *args: Any, **options: Any
    ) -> Iterator[ChatGenerationChunk]:
        said = str(messages[-1].content)
        if "fail" in said:
            raise RuntimeError("Incorrect API key provided: sk-abcdefghijklmnop1234")
        for number, chunk in enumerate(super()._stream(messages, *args, **options)):
            yield chunk
            if "slow" in said and number == 2:
                threading.Event().wait()


def init_chat_model(name: str, **options: Any) -> Model:
    if name != "stub:model":
        raise ValueError(f"Unable to infer model provider for model={name!r}")
    return Model(messages=iter(AIMessage(f"answer {n} of the model, in parts") for n in range(99)))
