"""Extractors: what they are given, what they return, and asking one from an operation.

Any function from an `Exchange` to changes is an extractor. Nothing here knows how a model is asked, or what
becomes of the changes.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from langchain_core.messages import BaseMessage

from langchain_agentmem.asking import aask, ask, is_async
from langchain_agentmem.core.checks import epoch_seconds, validate_id
from langchain_agentmem.core.operations import Effect
from langchain_agentmem.core.redaction import shorten
from langchain_agentmem.errors import AgentMemoryError, ExtractionError, InvalidInputError
from langchain_agentmem.longterm.changes import Add, Change, Delete, Supersede, Update
from langchain_agentmem.longterm.types import MemoryRecord

TRY_AGAIN = "Nothing was changed; it can be tried again."

_LONGEST_REASON = 300  # characters of what a foreign error says


@dataclass(frozen=True, slots=True)
class Exchange:
    """An exchange, as an extractor is given it: a question with its answer, and what surrounds them.

    Attributes:
        user: Who speaks.
        messages: The exchange's messages, oldest first.
        times: When each was said, in epoch seconds.
        memories: The memories that were recalled for it, best first, with their ids and dates.
        history: What was said before it, oldest first.
        namespace: In which namespace the memories are.
        thread_id: The session it was said in; empty if in none.

    Raises:
        InvalidInputError: There is no time for each message, or a value is not usable.
    """

    user: str
    messages: Sequence[BaseMessage]
    times: Sequence[float]
    memories: Sequence[MemoryRecord] = ()
    history: Sequence[BaseMessage] = ()
    namespace: str = "default"
    thread_id: str = ""

    @property
    def said_at(self) -> float:
        """Return when its last message was said, in epoch seconds."""
        return max(self.times, default=0.0)

    def __post_init__(self) -> None:
        validate_id("user", self.user)
        validate_id("namespace", self.namespace)
        if len(self.times) != len(self.messages):
            raise InvalidInputError(
                f"An exchange needs a time for each message: it has {len(self.messages)} messages and "
                f"{len(self.times)} times."
            )
        for time in self.times:
            epoch_seconds("times", time)


class Extractor(Protocol):
    """A function from an exchange to the changes it gives rise to, sync or async.

    It returns none if there is nothing to remember. A sync one is run in a thread where code is async, so
    that it does not block; if it has an `acall`, that is awaited instead. An async one runs in an event loop
    of its own where code is sync.
    """

    def __call__(self, exchange: Exchange, /) -> Sequence[Change] | Awaitable[Sequence[Change]]:
        """Return the changes, in the order in which they are to be made."""


def is_extractor(given: Any) -> bool:
    """Return whether what was given is an extractor, rather than a function of the user's words.

    It is one if it is async or has an `acall`, or if its first parameter is annotated as `Exchange` or called
    `exchange`.
    """
    if not callable(given) or isinstance(given, type):
        return False
    if is_async(given) or callable(getattr(given, "acall", None)):
        return True
    try:
        first = next(iter(inspect.signature(given).parameters.values()), None)
    except (TypeError, ValueError):  # some builtins have no signature
        return False
    if first is None:
        return False
    annotated = first.annotation
    name = annotated.strip("\"'").rpartition(".")[2] if isinstance(annotated, str) else annotated
    return first.name == "exchange" or name in (Exchange, Exchange.__name__)


class Extract(Effect):
    """The effect of asking an extractor; the result is its changes, checked.

    Whatever the extractor raises becomes an `ExtractionError`, with what it was as the `__cause__`; errors of
    this package are raised as they are.

    Args:
        extractor: The extractor.
        exchange: What it is given.
    """

    __slots__ = ("exchange", "extractor")

    def __init__(self, extractor: Extractor, exchange: Exchange) -> None:
        self.extractor = extractor
        self.exchange = exchange

    @property
    def group(self) -> Hashable:
        """Return this: each exchange is extracted from by itself."""
        return id(self)

    def merge(self, others: Sequence[Extract]) -> tuple[Extract, Callable[[list[Change]], list[Any]]]:
        """Return this: no two are of the same group."""
        return self, lambda changes: [changes]

    def run(self) -> list[Change]:
        """Ask the extractor.

        Raises:
            ExtractionError: It failed, or returned something that is no changes.
        """
        try:
            found = ask(self.extractor, self.exchange)
        except AgentMemoryError:
            raise
        except Exception as error:
            raise failed("extractor", error) from error
        return _checked(found)

    async def arun(self) -> list[Change]:
        """Async version of `run`."""
        try:
            found = await aask(self.extractor, self.exchange)
        except AgentMemoryError:
            raise
        except Exception as error:
            raise failed("extractor", error) from error
        return _checked(found)


def failed(what: str, error: Exception) -> ExtractionError:
    """Return the error for what an extractor or a model raised.

    Args:
        what: What raised it: `extractor` or `model`.
        error: What it raised.
    """
    said = shorten(" ".join(str(error).split()), _LONGEST_REASON).rstrip(".")
    kind = type(error).__name__
    return ExtractionError(
        f"The {what} raised {kind}{f': {said}' if said else ''}. {TRY_AGAIN}",
        reason="failed",
    )


def _checked(found: Any) -> list[Change]:
    """Return what an extractor returned as a list, or raise `ExtractionError`."""
    is_list = isinstance(found, Sequence) and not isinstance(found, str | bytes | bytearray)
    changes = list(found) if is_list else [found]
    strange = [one for one in changes if not isinstance(one, Add | Update | Supersede | Delete)]
    if strange or not is_list:
        raise ExtractionError(
            "An extractor must return a list of Add, Update, Supersede and Delete, empty if there is nothing "
            f"to remember; this one returned {type([*strange, found][0]).__name__}.",
            reason="malformed",
        )
    return changes
