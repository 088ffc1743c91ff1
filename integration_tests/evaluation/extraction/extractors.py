"""What is measured: a model that is named, a script of answers, and what a chain does without one."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult, LLMResult
from pydantic import PrivateAttr

from integration_tests.evaluation.extraction.dialogues import Dialogue
from langchain_agentmem import Add, Exchange, Extractor, Supersede, model_extractor, noteworthy
from langchain_agentmem.errors import ExtractionError
from langchain_agentmem.extraction.extractor import Extract
from langchain_agentmem.extraction.prompt import handle


@dataclass(frozen=True)
class Extracted:
    """A sentence that was extracted, and the id of the memory that it supersedes."""

    text: str
    replaces: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a dialogue.

    Attributes:
        extracted: What was extracted.
        failure: Why nothing could be: the reason of the error, a colon, and what it says.
        seconds: How long it took.
        answer: What the model answered, if that could be noted.
    """

    extracted: list[Extracted] = field(default_factory=list)
    failure: str | None = None
    seconds: float = 0.0
    answer: str | None = None

    @property
    def reason(self) -> str | None:
        """The reason of the failure: `malformed`, `failed`, …."""
        return None if self.failure is None else self.failure.partition(":")[0]

    def to_dict(self) -> dict[str, Any]:
        """The form that is saved: the answer, or why there is none."""
        if self.answer is None or self.reason in ("failed", "refused"):
            return {"failure": self.failure, "seconds": round(self.seconds, 3)}
        return {"answer": self.answer, "seconds": round(self.seconds, 3)}


class Script(BaseChatModel):
    """Gives each dialogue the answer that stands in the script."""

    _answers: dict[str, str] = PrivateAttr()

    def __init__(self, answers: Mapping[str, str], dialogues: Sequence[Dialogue]) -> None:
        super().__init__()
        self._answers = {
            one.exchange.messages[0].text: answers[one.id] for one in dialogues if one.id in answers
        }

    @classmethod
    def expected(cls, dialogues: Sequence[Dialogue]) -> Script:
        """A script of the facts that are expected; as text, within a fence."""
        return cls({one.id: f"```json\n{_expected(one)}\n```" for one in dialogues}, dialogues)

    @property
    def _llm_type(self) -> str:
        return "script"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        answer = AIMessage(self._answers[_said_in(messages)])
        return ChatResult(generations=[ChatGeneration(message=answer)])


class Answers(BaseCallbackHandler):
    """Notes what a model answers, by what the user said first; given to the model as one of its callbacks."""

    def __init__(self) -> None:
        self.given: dict[str, str] = {}
        self._said: dict[UUID, str] = {}

    def on_chat_model_start(
        self, serialized: Any, messages: list[list[BaseMessage]], *, run_id: UUID, **kwargs: Any
    ) -> None:
        self._said[run_id] = _said_in(messages[0])

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        (generation,) = response.generations[0]
        assert isinstance(generation, ChatGeneration)
        calls = getattr(generation.message, "tool_calls", ())
        written = json.dumps(calls[0]["args"], ensure_ascii=False) if calls else generation.message.text
        self.given[self._said.pop(run_id)] = written


def _said_in(messages: Sequence[BaseMessage]) -> str:
    """What the user says first in the exchange of a request."""
    lines = messages[-1].text.partition("<exchange>")[2].splitlines()
    return str(json.loads(next(line for line in lines if line.startswith("{")))["text"])


def _expected(dialogue: Dialogue) -> str:
    facts = [
        {
            "text": fact.texts[0],
            "kind": "semantic",
            "replaces": None if fact.replaces is None else handle(fact.replaces + 1),
        }
        for fact in dialogue.facts
    ]
    return json.dumps({"facts": facts}, ensure_ascii=False)


def as_said(exchange: Exchange) -> list[Add]:
    """What `wrap` remembers by default: the user's words, if they state something."""
    said = [message.text for message in exchange.messages if message.type == "human"]
    return [Add(text) for text in said if noteworthy(text)]


def ask(
    extractor: Extractor,
    dialogues: Sequence[Dialogue],
    *,
    at_once: int = 1,
    answers: Mapping[str, str] | None = None,
    done: Callable[[Dialogue, Outcome], None] = lambda dialogue, outcome: None,
) -> dict[str, Outcome]:
    """What an extractor makes of each dialogue, by its id.

    Args:
        extractor: What is asked.
        dialogues: About what.
        at_once: How many requests are made at once.
        answers: Where `Answers` notes what the extractor's model answers.
        done: Called after each.
    """

    async def one(dialogue: Dialogue, slots: asyncio.Semaphore) -> Outcome:
        async with slots:
            begin = time.perf_counter()
            try:
                changes, failure = await Extract(extractor, dialogue.exchange).arun(), None
            except ExtractionError as error:
                changes, failure = [], f"{error.reason}: {error}"
            found = [
                Extracted(change.text, change.id if isinstance(change, Supersede) else None)
                for change in changes
                if isinstance(change, Add | Supersede)
            ]
            answer = (answers or {}).get(dialogue.exchange.messages[0].text)
            outcome = Outcome(found, failure, time.perf_counter() - begin, answer)
            done(dialogue, outcome)
            return outcome

    async def every() -> list[Outcome]:
        slots = asyncio.Semaphore(at_once)
        return await asyncio.gather(*(one(dialogue, slots) for dialogue in dialogues))

    return dict(zip((one.id for one in dialogues), asyncio.run(every()), strict=True))


def read_again(saved: Mapping[str, Any], dialogues: Sequence[Dialogue]) -> dict[str, Outcome]:
    """What is made today of the answers that a run saved, by dialogue; without those that it did not come to."""
    answers = {id: one["answer"] for id, one in saved.items() if "answer" in one}
    answered = [one for one in dialogues if one.id in answers]
    read = ask(model_extractor(Script(answers, answered)), answered)
    none = {id: Outcome(failure=one["failure"]) for id, one in saved.items() if "answer" not in one}
    return {
        one.id: replace((read | none)[one.id], seconds=saved[one.id]["seconds"])
        for one in dialogues
        if one.id in saved
    }
