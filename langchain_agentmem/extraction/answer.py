"""A model's answer: the schema it is asked for, and the changes that it means.

Nothing is taken on trust: an answer can add memories, supersede those that were shown, and do nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Literal

from langchain_core.messages import AIMessage, BaseMessage
from pydantic import BaseModel, Field, ValidationError, create_model

from langchain_agentmem.core.checks import utf8
from langchain_agentmem.core.redaction import redact_secrets
from langchain_agentmem.errors import ExtractionError, InvalidInputError
from langchain_agentmem.extraction.extractor import TRY_AGAIN
from langchain_agentmem.extraction.prompt import handle
from langchain_agentmem.longterm.changes import Add, Change, Supersede
from langchain_agentmem.longterm.same_fact import canonical_text
from langchain_agentmem.longterm.types import MemoryRecord

MAX_FACT_CHARACTERS = 2_000  # a sentence is far shorter; a copied document is no fact
MAX_ANSWER_CHARACTERS = 200_000  # in which JSON is looked for
MAX_FACTS = 50  # of an exchange; a longer list is no list of facts
_MAX_TRIES = 200  # to find JSON in a text; each takes as long as what looks like JSON is
_KINDS = ("semantic", "profile")
_STOPPED = ("finish_reason", "stop_reason", "stopReason", "done_reason")  # where providers tell why
_REFUSED = ("refusal", "content_filter", "SAFETY")
# Clients close what is open in an answer that was cut off, so half a fact looks whole.
_CUT_OFF = ("length", "max_tokens", "max_output_tokens", "MAX_TOKENS")


class Fact(BaseModel):
    """A fact that is worth remembering."""

    text: str = Field(description="The fact, as one sentence in the language of the user.")
    kind: Literal["semantic", "profile"] = Field(
        description="profile for what every answer should take into account, else semantic"
    )
    replaces: str | None = Field(description="The handle of the known memory that it replaces, such as m1.")


class Facts(BaseModel):
    """What is worth remembering of the exchange; empty for most exchanges."""

    facts: list[Fact]


def answer_schema(details: type[BaseModel] | None) -> type[BaseModel]:
    """Return the schema of an answer.

    Args:
        details: The schema of what else is told of each fact; `None` for nothing.
    """
    if details is None:
        return Facts
    fact = create_model("Fact", __base__=Fact, __doc__=Fact.__doc__, details=(details, ...))
    return create_model("Facts", __doc__=Facts.__doc__, facts=(list[fact], ...))  # type: ignore[valid-type]


@dataclass(frozen=True, slots=True)
class AnswerReader:
    """Reads answers to one request.

    Attributes:
        known: The memories that the model was shown, in their order.
        details: The schema of what else is told of each fact.
        said_at: When the exchange was said, in epoch seconds.
    """

    known: Sequence[MemoryRecord]
    details: type[BaseModel] | None = None
    said_at: float = inf

    def changes(self, answer: Any) -> list[Change]:
        """Return the changes of an answer.

        A fact that says what a shown memory says already is left out, and so is one that holds, also in its
        details, what looks like a secret. Of several facts that replace the same memory, the first does; the
        others are added, and so is one that would replace what was said since.

        Args:
            answer: A message, or what a model with structured output returns: a dict with the `raw` message
                and what was `parsed` of it.

        Raises:
            ExtractionError: It is a refusal, cannot be read, or replaces a memory that was not shown.
        """
        shown = {handle(place): record for place, record in enumerate(self.known, 1)}
        said = {canonical_text(record.text) for record in self.known}
        replaced: set[str] = set()
        found: list[Change] = []
        for fact in self._facts(answer):
            text, kind, metadata = _text(fact), _kind(fact), self._metadata(fact)
            record = self._replaced(_handle(fact), shown)
            form = canonical_text(text)
            told = form in said if record is None else form == canonical_text(record.text)
            if told or any(redact_secrets(one) != one for one in (text, *_texts(metadata))):
                continue
            said.add(form)
            if record is None or record.id in replaced or record.created_ts > self.said_at:
                found.append(Add(text, kind, metadata))
            else:
                found.append(Supersede(record.id, text))
                replaced.add(record.id)
        return found

    @staticmethod
    def _replaced(named: str | None, shown: Mapping[str, MemoryRecord]) -> MemoryRecord | None:
        if named is None or named in shown:
            return shown.get(named or "")
        raise ExtractionError(
            f"The model would replace a memory that it was not shown. {TRY_AGAIN}", reason="unknown_id"
        )

    def _facts(self, answer: Any) -> list[Mapping[str, Any]]:
        facts = _facts_of(members_of(answer, "facts"))
        if isinstance(facts, str):  # some models write the list into a text
            facts = _facts_of(_json_in(facts, ("facts",)))
        if not isinstance(facts, list):
            raise malformed('no list of "facts"')
        if len(facts) > MAX_FACTS:
            raise malformed(f"more than {MAX_FACTS} facts")
        if not all(isinstance(fact, Mapping) for fact in facts):
            raise malformed("a fact that is no object")
        return facts

    def _metadata(self, fact: Mapping[str, Any]) -> dict[str, Any] | None:
        if self.details is None:
            return None
        try:
            return self.details.model_validate(fact.get("details")).model_dump(mode="json")
        except ValidationError as error:
            raise malformed("details that do not fit the schema") from error


def _facts_of(members: Any) -> Any:
    return members.get("facts") if isinstance(members, Mapping) else members


def _text(fact: Mapping[str, Any]) -> str:
    text = fact.get("text")
    if not isinstance(text, str) or not text.strip():
        raise malformed("a fact without a text")
    try:
        utf8("text", text)
    except InvalidInputError as error:
        raise malformed("a text that is no Unicode") from error
    if len(text) > MAX_FACT_CHARACTERS:
        raise malformed(f"a text of over {MAX_FACT_CHARACTERS} characters")
    return " ".join(text.split())


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for pair in value.items():
            yield from _texts(pair)
    elif isinstance(value, Sequence):
        for one in value:
            yield from _texts(one)


def _kind(fact: Mapping[str, Any]) -> str:
    kind = fact.get("kind")
    return str(kind) if kind in _KINDS else _KINDS[0]  # no fact is lost for a word that a model made up


def _handle(fact: Mapping[str, Any]) -> str | None:
    replaced = fact.get("replaces")
    if replaced is None or (isinstance(replaced, str) and replaced.strip().lower() in ("", "null", "none")):
        return None
    if not isinstance(replaced, str):
        raise malformed("a handle that is no text")
    return replaced.strip().strip("[]")


def members_of(answer: Any, *names: str) -> Any:
    """Return the JSON value of an answer: what was parsed, else the arguments of a call, else its text.

    Args:
        answer: A message, or what a model with structured output returns.
        names: The members that the JSON in a text has one of.

    Raises:
        ExtractionError: It is a refusal, or a text without such JSON.
    """
    message = answer.get("raw") if isinstance(answer, Mapping) and "raw" in answer else answer
    parsed = answer.get("parsed") if isinstance(answer, Mapping) and "raw" in answer else None
    if isinstance(message, BaseMessage) and _is_refusal(message):
        raise ExtractionError(
            f"The model declined to answer. {TRY_AGAIN}",
            reason="refused",
        )
    if isinstance(message, BaseMessage) and any(reason in _CUT_OFF for reason in _why_stopped(message)):
        raise malformed("no end: it was cut off at the limit of tokens")
    if isinstance(parsed, BaseModel):
        return parsed.model_dump()
    if isinstance(parsed, Mapping):
        return parsed
    if isinstance(message, BaseModel) and not isinstance(message, BaseMessage):
        return message.model_dump()
    if isinstance(message, AIMessage) and message.tool_calls:
        return message.tool_calls[0]["args"]
    if isinstance(message, BaseMessage | str):
        return _json_in(message if isinstance(message, str) else message.text, names)
    return message


def _why_stopped(message: BaseMessage) -> list[str]:
    told = message.response_metadata
    incomplete = told.get("incomplete_details")
    named = [told.get(name) for name in _STOPPED]
    named.append(incomplete.get("reason") if isinstance(incomplete, Mapping) else None)
    return [reason for reason in named if isinstance(reason, str)]


def _is_refusal(message: BaseMessage) -> bool:
    blocks = message.content if isinstance(message.content, list) else []
    return (
        bool(message.additional_kwargs.get("refusal"))
        or any(reason in _REFUSED for reason in _why_stopped(message))
        or any(isinstance(block, dict) and block.get("type") == "refusal" for block in blocks)
    )


def _json_in(text: str, names: Sequence[str]) -> Any:
    """Return the last JSON object with such members in a text, else the last list, whatever surrounds it."""
    if len(text) > MAX_ANSWER_CHARACTERS:
        raise malformed(f"more than {MAX_ANSWER_CHARACTERS:,} characters")
    values = list(_values(text))
    whole = [value for value in values if isinstance(value, dict) and not value.keys().isdisjoint(names)]
    lists = [value for value in values if isinstance(value, list)]
    if not (whole or lists):
        raise malformed(f"no JSON with {names[0]}")
    return (whole or lists)[-1]


def _values(text: str) -> Iterator[Any]:
    """Yield each JSON object and list in a text that does not stand inside another one."""
    decoder, at = json.JSONDecoder(), 0
    for _ in range(_MAX_TRIES):
        begin = min((i for i in (text.find("{", at), text.find("[", at)) if i >= 0), default=-1)
        if begin < 0:
            return
        try:
            value, at = decoder.raw_decode(text, begin)
        except RecursionError:
            return
        except ValueError:
            at = begin + 1
        else:
            yield value


def malformed(what: str) -> ExtractionError:
    """Return the error for an answer that cannot be read.

    Args:
        what: What the answer has; no text of its own.
    """
    return ExtractionError(
        f"The model's answer cannot be read: it has {what}. {TRY_AGAIN}", reason="malformed"
    )
