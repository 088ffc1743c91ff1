"""What the page may ask for: every member checked before anything is done with it."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, get_args, get_type_hints

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo

from langchain_agentmem.core.checks import scope, utf8
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.longterm.redisearch.memory import LongTermMemory

NEAREST = 8  # memories shown for a query, recalled or not
KINDS = ("episodic", "semantic")
SKIP = "skip"
_MAX_STREAM_NUMBER = 2**64 - 1


@cache
def modes() -> tuple[str, ...]:
    """How `recall` can rank, as its signature says."""
    # A name that is imported for type checkers only, and does not matter here.
    hints = get_type_hints(LongTermMemory.recall, localns={"FilterExpression": Any})
    return get_args(hints["mode"])


def _scope(value: str, info: ValidationInfo) -> str:
    return scope(info.field_name or "value", value)


def _mode(value: str) -> str:
    if value not in modes():
        raise ValueError(f"must be one of {', '.join(modes())}")
    return value


def _text(value: str, info: ValidationInfo) -> str:
    utf8(info.field_name or "text", value)
    return value


def _words(value: str, info: ValidationInfo) -> str:
    if not _text(value, info).strip():
        raise ValueError("is empty")
    return value


Scope = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(_scope)]
Words = Annotated[str, Field(min_length=1), AfterValidator(_words)]
Text = Annotated[str, AfterValidator(_text)]
Threshold = Annotated[float, Field(ge=0, le=2)]
Mode = Annotated[str, AfterValidator(_mode)]


class Asked(BaseModel):
    """Anything that is asked."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class OfUser(Asked):
    """Who asks; for a new thread and for a user's threads, that is all."""

    user: Scope


class StateAsked(OfUser):
    """Everything there is about a thread and its user."""

    thread: Scope
    namespace: Scope = "default"
    threshold: Threshold | None = None
    query: Text = ""
    mode: Mode = "vector"


class TurnAsked(OfUser):
    """Something that is said."""

    thread: Scope
    text: Words
    namespace: Scope = "default"
    kind: Scope = "episodic"
    threshold: Threshold | None = None
    mode: Mode = "vector"


class RecallAsked(OfUser):
    """A query, without a turn."""

    query: Words
    namespace: Scope = "default"
    threshold: Threshold | None = None
    mode: Mode = "vector"
    exclude: Annotated[list[Scope], Field(max_length=20)] = []


class DropAsked(OfUser):
    """A memory to be deleted."""

    id: Scope


class WorkingAsked(OfUser):
    """A goal, or a scratchpad, to be set."""

    thread: Scope
    goal: Text | None = None
    scratchpad: Text | None = None


class EventsAsked(OfUser):
    """A thread to be followed, and by whom."""

    thread: Scope


class NothingAsked(Asked):
    """No parameters."""


def read(model: type[Asked], given: bytes | dict[str, str]) -> Any:
    """What was asked.

    Raises:
        InvalidInputError: Names every member that is not usable.
    """
    try:
        if isinstance(given, bytes):
            return model.model_validate_json(given or b"{}")
        return model.model_validate(given)
    except ValidationError as error:
        said = "; ".join(
            f"{'.'.join(map(str, item['loc'])) or 'the body'}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors(include_input=False, include_url=False, include_context=False)
        )
        raise InvalidInputError(said[:1000]) from error


def event_id(value: str) -> str:
    """The id behind which events are wanted, or an empty string.

    Raises:
        InvalidInputError: No stream has such an id.
    """
    numbers = value.split("-")
    usable = len(numbers) <= 2 and all(
        number.isascii() and number.isdigit() and len(number) <= 20 and int(number) <= _MAX_STREAM_NUMBER
        for number in numbers
    )
    if value and not usable:
        raise InvalidInputError("Last-Event-ID must be an event's id, such as 1715990400123-0.")
    return value
