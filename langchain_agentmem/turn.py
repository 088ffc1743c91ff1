"""One turn of a wrapped chain: what it reads, what it hands to the chain, what it writes."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    BaseMessageChunk,
    HumanMessage,
    message_chunk_to_message,
)
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config, merge_configs
from pydantic import BaseModel

from langchain_agentmem.core.checks import scope
from langchain_agentmem.core.operations import Op, gather, late, ok
from langchain_agentmem.errors import AgentMemoryError, InvalidInputError
from langchain_agentmem.longterm.record import MemoryRecord, RememberResult

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings

    from langchain_agentmem.agent_memory import AgentMemory

logger = logging.getLogger("langchain_agentmem")

Remember: TypeAlias = str | Callable[[str], str | None] | None
_OUTPUT_KEYS = ("output", "answer", "text", "messages")


class RecalledMemories(list[MemoryRecord]):
    """Recalled memories; as text, one a line, so that `{memories}` in a prompt reads well."""

    def __str__(self) -> str:
        return "\n".join(f"- {record.text}" for record in self)


@dataclass(frozen=True, slots=True)
class WrapOptions:
    """How a chain is wrapped; `AgentMemory.wrap` describes each."""

    input_key: str
    history_key: str
    memories_key: str | None
    output_key: str | None
    remember: Remember
    recall: dict[str, Any]
    on_turn: Callable[[TurnReport], None] | None


@dataclass(frozen=True, slots=True)
class TurnReport:
    """What a turn did, for whoever wants to show it.

    Attributes:
        recalled: What the chain was given, nearest first.
        remembered: What became of the user's text; `None` if it was not to be remembered, or the
            writing failed and `on_error` is `continue`.
        turn_count: How many messages the session ever got; `None` if the writing failed.
        failures: What was passed over: what failed, if `on_error` is `continue`, and a text over the limit.
        read_seconds: Embedding the text, then reading the session and recalling.
        chain_seconds: The chain itself.
        write_seconds: Writing the exchange, the memory and the events.
    """

    thread_id: str
    user: str
    namespace: str
    recalled: list[MemoryRecord]
    remembered: RememberResult | None
    turn_count: int | None
    failures: list[str] = field(default_factory=list)
    read_seconds: float = 0.0
    chain_seconds: float = 0.0
    write_seconds: float = 0.0


class ChainTurn:
    """A turn in progress.

    Args:
        memory: The memory it happens in.
        options: How the chain is wrapped.
        value: The chain's input.
        config: The caller's config, with `session_id` and `user_id` under `configurable`.

    Raises:
        InvalidInputError: An id is missing, or the input has no message.
    """

    def __init__(
        self, memory: AgentMemory, options: WrapOptions, value: Any, config: RunnableConfig | None
    ) -> None:
        from langchain_agentmem.events.handlers import EventLogHandler

        self._memory = memory
        self._options = options
        configurable = ensure_config(config).get("configurable", {})
        self.thread_id = _id(configurable, "session_id", "thread_id", default=memory.session_id)
        knows_users = options.memories_key is not None or options.remember is not None
        self.user = _id(configurable, "user_id", default=None if knows_users else "default")
        self.namespace = scope("namespace", configurable.get("namespace", "default"))
        self._inputs = value if isinstance(value, dict) else {options.input_key: value}
        self._messages = _input_messages(self._inputs, options.input_key)
        self.text = _text(self._messages)
        self._failures: list[str] = []
        self._kind = self._choose_kind()
        self._events = self._memory.events.buffer()
        handler = EventLogHandler(self._memory.events, self.thread_id, user=self.user, sink=self._events)
        self.config = merge_configs(config, {"callbacks": [handler]})
        self._note("turn_start", self.text)
        self.embedding: list[float] | None = None
        self.streamed: Any = None
        self._history: list[BaseMessage] = []
        self._recalled = RecalledMemories()
        self._remembered: RememberResult | None = None
        self._turn_count: int | None = None
        self._unwritten = 0
        self._output: Any = None
        self._times = [time.perf_counter()]

    @property
    def embeddings(self) -> Embeddings | None:
        """What makes a vector of this turn's text; `None` if nothing of the turn is found by one."""
        uses_memories = self._options.memories_key is not None or self._kind is not None
        return self._memory.long_term.embeddings if self._usable_text and uses_memories else None

    @property
    def _usable_text(self) -> bool:
        return 0 < len(self.text.encode("utf-8", "replace")) <= self._memory.settings.max_text_bytes

    def _choose_kind(self) -> str | None:
        if not self._usable_text:
            if self.text:
                limit = self._memory.settings.max_text_bytes
                self._passed_over("memory", f"a text of over {limit} bytes is neither looked up nor kept")
            return None
        remember = self._options.remember
        kind = remember(self.text) if callable(remember) else remember
        return None if kind is None else scope("kind", kind)

    def read(self) -> Op[None]:
        """Read the session, and recall, in one round trip."""
        operations: list[Op[Any]] = [self._memory.working.messages_op(self.thread_id)]
        if self._options.memories_key is not None and self._has_query:
            operations.append(late(self._recall))
        history, *recalled = yield from gather(operations)
        with self.tolerating("history"):
            self._history = ok(history)
        if recalled:
            with self.tolerating("recall"):
                self._recalled.extend(ok(recalled[0]))
            hits = "; ".join(f"{_nearness(hit):.3f} {hit.text}" for hit in self._recalled)
            self._note("recall", hits or "nothing")

    def chain_inputs(self) -> dict[str, Any]:
        """The caller's input with the history and the memories."""
        self._times.append(time.perf_counter())
        inputs = {**self._inputs, self._options.history_key: self._history}
        if self._options.memories_key is not None:
            inputs[self._options.memories_key] = self._recalled
        return inputs

    def take(self, chunk: Any) -> None:
        """Add a streamed chunk to the output."""
        if self.streamed is None:
            self.streamed = chunk
            return
        try:
            self.streamed = self.streamed + chunk
        except TypeError:
            self.streamed = chunk  # what cannot be added up replaces what came before, as in LangChain

    def finish(self, output: Any) -> None:
        """The chain has answered."""
        self._times.append(time.perf_counter())
        self._output = output
        answered = _output_messages(output, self._options.output_key)
        self._messages += _without(answered, self._history, self._messages)

    def write(self) -> Op[None]:
        """Append the exchange, remember the user's text, record the events: one round trip."""
        operations: list[Op[Any]] = [late(self._append), self._memory.events.record_op(self._drain())]
        if self._kind is not None and self._has_query:
            operations.append(late(partial(self._remember, self._kind)))
        appended, recorded, *remembered = yield from gather(operations)
        if isinstance(recorded, AgentMemoryError):
            self._memory.events.count_dropped(self._unwritten, recorded)
        self._unwritten = 0
        with self.tolerating("append"):
            self._turn_count = ok(appended)
        if remembered:
            with self.tolerating("remember"):
                self._remembered = ok(remembered[0])

    @property
    def _has_query(self) -> bool:
        """Whether there is something to search by: the text, or its vector where memories are vectors."""
        return self._usable_text and (self.embedding is not None or self._memory.long_term.embeddings is None)

    def _recall(self) -> Op[list[MemoryRecord]]:
        query: dict[str, Any] = {"embedding": self.embedding} if self.embedding else {"query": self.text}
        return self._memory.long_term.recall_op(
            user=self.user, namespace=self.namespace, **query, **self._options.recall
        )

    def _append(self) -> Op[int]:
        return self._memory.working.append_op(self.thread_id, self._messages, user=self.user)

    def _remember(self, kind: str) -> Op[RememberResult]:
        embedding: dict[str, Any] = {"embedding": self.embedding} if self.embedding else {}
        return self._memory.long_term.remember_op(
            self.text,
            user=self.user,
            namespace=self.namespace,
            kind=kind,
            source_thread=self.thread_id,
            **embedding,
        )

    def write_failure(self, error: BaseException) -> Op[None]:
        """Record the events of a turn whose chain raised; nothing else of it is stored."""
        self._note("turn_error", f"{type(error).__name__}: {error}")
        yield from self._memory.events.record_op(self._drain())

    def report(self) -> None:
        """Tell `on_turn` what the turn did."""
        began, read, answered = self._times
        if self._options.on_turn is not None:
            self._options.on_turn(
                TurnReport(
                    thread_id=self.thread_id,
                    user=self.user,
                    namespace=self.namespace,
                    recalled=list(self._recalled),
                    remembered=self._remembered,
                    turn_count=self._turn_count,
                    failures=self._failures,
                    read_seconds=read - began,
                    chain_seconds=answered - read,
                    write_seconds=time.perf_counter() - answered,
                )
            )

    @contextmanager
    def tolerating(self, what: str) -> Iterator[None]:
        """Pass over a failure if `on_error` is `continue`: log it, count it, show it as an event."""
        try:
            yield
        except Exception as error:
            if self._memory.settings.on_error == "raise":
                raise
            self._memory.failures += 1
            self._passed_over(what, error)

    def _passed_over(self, what: str, reason: object) -> None:
        self._failures.append(f"{what}: {reason}")
        logger.warning("%s failed in thread %r and the chain goes on: %s", what, self.thread_id, reason)
        self._memory.events.put(self.thread_id, "memory_error", self._failures[-1], user=self.user)

    @contextmanager
    def counting_lost_events(self) -> Iterator[None]:
        """Count the turn's events as dropped if the write that carries them never arrives."""
        try:
            yield
        except AgentMemoryError as error:
            self._memory.events.count_dropped(self._unwritten, error)
            error.output = self._output  # the answer is there, and may have cost something
            raise

    def _drain(self) -> list[Any]:
        events = self._events.drain()
        self._unwritten = len(events)
        return events

    def _note(self, action: str, detail: str) -> None:
        self._memory.events.put(self.thread_id, action, detail, user=self.user, sink=self._events)


def _id(configurable: dict[str, Any], *names: str, default: str | None = None) -> str:
    for name in names:
        if configurable.get(name) is not None:
            return scope(name, configurable[name])
    if default is not None:
        return default
    raise InvalidInputError(
        f"The config names no {names[0]}: call the chain with "
        'config={"configurable": {"session_id": "…", "user_id": "…"}}.'
    )


def _input_messages(inputs: dict[str, Any], key: str) -> list[BaseMessage]:
    if key not in inputs:
        raise InvalidInputError(
            f"The chain's input has no {key!r}, only {', '.join(map(repr, inputs)) or 'nothing'}; "
            "name the right one with wrap(…, input_key=…)."
        )
    return _messages(inputs[key], HumanMessage)


def _output_messages(output: Any, key: str | None) -> list[BaseMessage]:
    if isinstance(output, dict):
        found = [name for name in ((key,) if key else _OUTPUT_KEYS) if name in output]
        output = output[found[0]] if found else output
    return _messages(output, AIMessage)


def _without(
    answered: list[BaseMessage], history: list[BaseMessage], asked: list[BaseMessage]
) -> list[BaseMessage]:
    """The answer without the history and the question, which a chain that returns its state repeats."""
    for repeated in ([*history, *asked], asked):
        begins = [(m.type, m.content) for m in answered[: len(repeated)]]
        if begins == [(m.type, m.content) for m in repeated]:
            return answered[len(repeated) :]
    return answered


def _messages(value: Any, plain: type[HumanMessage | AIMessage]) -> list[BaseMessage]:
    """The messages in an input or an output; what is no message becomes the text of one."""
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
    return [plain(content=json.dumps(value, ensure_ascii=False, default=str))]


def _nearness(hit: MemoryRecord) -> float:
    return (hit.score or 0.0) if hit.distance is None else hit.distance


def _text(messages: list[BaseMessage]) -> str:
    """What the user said last."""
    human = [message for message in messages if isinstance(message, HumanMessage)]
    return str(human[-1].text).strip() if human else ""
