"""An extractor that asks a chat model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from langchain_agentmem.core.checks import not_negative
from langchain_agentmem.errors import ConfigurationError, ExtractionError, InvalidInputError
from langchain_agentmem.extraction.answer import AnswerReader, answer_schema, malformed
from langchain_agentmem.extraction.extractor import Exchange, failed
from langchain_agentmem.extraction.known import PROFILE
from langchain_agentmem.extraction.prompt import INSTRUCTIONS, request, says_something
from langchain_agentmem.longterm.changes import Change

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage
    from langchain_core.runnables import Runnable
    from pydantic import BaseModel

    from langchain_agentmem.longterm.types import MemoryRecord

# What clients raise that parse an answer themselves, before it can be read here. What they say quotes it.
_UNREADABLE = ("JSONDecodeError", "LengthFinishReasonError", "OutputParserException", "ValidationError")


class ModelExtractor:
    """Asks a chat model what to remember of an exchange; made by `model_extractor`.

    Call it with an `Exchange`, or await `acall`: each asks the model once, or not at all if the user says
    nothing.
    """

    def __init__(
        self, model: Runnable[Any, Any], instructions: str, schema: type[BaseModel] | None, known: int
    ) -> None:
        self._model = structured(model, answer_schema(schema))
        self._instructions = instructions
        self._schema = schema
        self._known = known
        self._details = "" if schema is None else json.dumps(schema.model_json_schema(), ensure_ascii=False)

    def __call__(self, exchange: Exchange, /) -> list[Change]:
        """Return the changes that an exchange gives rise to, in the order in which it says them.

        Raises:
            ExtractionError: The model failed or declined, or its answer cannot be read.
        """
        if not says_something(exchange):
            return []
        reader, messages = self._prepared(exchange)
        try:
            answer = self._model.invoke(messages)
        except Exception as error:
            raise raised(error) from error
        return reader.changes(answer)

    async def acall(self, exchange: Exchange, /) -> list[Change]:
        """Async version of calling it."""
        if not says_something(exchange):
            return []
        reader, messages = self._prepared(exchange)
        try:
            answer = await self._model.ainvoke(messages)
        except Exception as error:
            raise raised(error) from error
        return reader.changes(answer)

    def _prepared(self, exchange: Exchange) -> tuple[AnswerReader, list[BaseMessage]]:
        known = _shown(exchange.memories, self._known)
        messages = request(exchange, known, instructions=self._instructions, details=self._details)
        return AnswerReader(known, self._schema, exchange.said_at), messages


def model_extractor(
    model: BaseChatModel | Runnable[Any, Any],
    *,
    instructions: str | None = None,
    schema: type[BaseModel] | None = None,
    known: int = 10,
) -> ModelExtractor:
    """Return an extractor that asks a chat model what to remember of an exchange.

    The model returns durable facts, one sentence each, in the user's language, with dates written out. It can
    add memories, and supersede those that it is shown; it cannot delete any. It is asked for structured
    output if it has that, else for JSON in text.

    Args:
        model: The chat model. Give it a time-out of its own. One whose structured output is of no use is
            asked for JSON in text if it is given as `model | StrOutputParser()`.
        instructions: What is worth remembering, and how it is written; `None` for the shipped ones, which are
            `extraction.prompt.INSTRUCTIONS`. The form of the answer, and that what is said is data, is added.
        schema: A pydantic model of what else is told of each new fact; it becomes the memory's `metadata`.
        known: How many of the recalled memories the model is shown at most, best first, besides those of the
            kind `profile`, which it always is; 0 for no memories at all.

    Raises:
        ConfigurationError: It is no chat model.
        InvalidInputError: Another argument is not usable.
    """
    check_model(model)
    if instructions is None:
        instructions = INSTRUCTIONS
    elif not isinstance(instructions, str) or not instructions.strip():
        raise InvalidInputError("instructions must be a text that says what is worth remembering.")
    if schema is not None and not callable(getattr(schema, "model_json_schema", None)):
        raise InvalidInputError(f"schema must be a pydantic model class, not {type(schema).__name__}.")
    return ModelExtractor(model, instructions, schema, not_negative("known", known))


def _shown(memories: Sequence[MemoryRecord], most: int) -> list[MemoryRecord]:
    """Return the memories that a model is shown: so many of the first, and all of the profile."""
    live = [record for record in memories if record.superseded_by is None]
    others = [record.id for record in live if record.kind != PROFILE][:most]
    return [record for record in live if most and (record.kind == PROFILE or record.id in others)]


def check_model(given: Any) -> None:
    """Refuse what is no chat model.

    Raises:
        ConfigurationError: It is none.
    """
    if isinstance(given, type) or not callable(getattr(given, "ainvoke", None)):
        raise ConfigurationError(
            'model must be a LangChain chat model, such as init_chat_model("openai:gpt-5-mini"), not '
            f"{f'the class {given.__name__}' if isinstance(given, type) else type(given).__name__}."
        )


def raised(error: Exception) -> ExtractionError:
    """Return the error for what a model raised."""
    kind = type(error).__name__
    return malformed(f"a form that fails with {kind}") if kind in _UNREADABLE else failed("model", error)


def structured(model: Any, schema: type[BaseModel]) -> Any:
    """Return the model with structured output; as it is if it has none."""
    try:
        return model.with_structured_output(schema, include_raw=True)
    except (NotImplementedError, AttributeError):
        return model
