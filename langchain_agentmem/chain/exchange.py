"""One exchange in progress: what it reads, what it hands to the chain, what it writes."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sized
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config
from langchain_core.runnables.utils import AddableDict

from langchain_agentmem.chain.failures import Failures, said
from langchain_agentmem.chain.memories import ExchangeMemories, Ids
from langchain_agentmem.chain.messages import answer_messages, input_messages, is_interrupted, text_of
from langchain_agentmem.chain.options import ChainMemory, ExchangeReport, RecalledMemories, WrapOptions
from langchain_agentmem.core.checks import Ttl, validate_id
from langchain_agentmem.core.messages import mark_unanswered
from langchain_agentmem.core.operations import Op, gather, late, ok
from langchain_agentmem.errors import (
    AgentMemoryError,
    EmbeddingError,
    ExchangeNotStoredError,
    InvalidInputError,
    StoreError,
    StoreTimeoutError,
    WrongOwnerError,
)
from langchain_agentmem.events.callbacks import EventLogHandler
from langchain_agentmem.longterm.types import MemoryRecord, RememberResult

if TYPE_CHECKING:
    from langchain_core.callbacks import Callbacks

    from langchain_agentmem.events.background import EventBuffer
    from langchain_agentmem.events.event import Entry

logger = logging.getLogger("langchain_agentmem")


class ExchangeHandler(EventLogHandler):
    """The event handler of an exchange, by which a chain that runs inside it knows the exchange."""

    def __init__(self, exchange: Exchange, events: EventBuffer) -> None:
        super().__init__(exchange.memory.events, exchange.thread_id, user=exchange.user, sink=events)
        self.exchange = exchange

    def _put(self, action: str, name: str, detail: Any, *args: Any, **options: Any) -> None:
        super()._put(action, name, self.exchange.without_lists(detail), *args, **options)


class Exchange:
    """An exchange in progress.

    Args:
        memory: The memory it happens in.
        options: How the chain is wrapped.
        value: The chain's input.
        config: The caller's config, with `session_id` and `user_id` under `configurable`.

    Raises:
        InvalidInputError: An id is missing, the input has no message or one that cannot be stored, or an
            exchange of this session is under way around this one.
    """

    def __init__(
        self, memory: ChainMemory, options: WrapOptions, value: Any, config: RunnableConfig | None
    ) -> None:
        self.memory = memory
        self._options = options
        self._config = ensure_config(config)
        configurable = self._config.get("configurable", {})
        self._ids = _ids(memory, options, configurable)
        self._checks_owner = options.check_owner and configurable.get("user_id") is not None
        self._refuse_inside_itself(self._config.get("callbacks"))
        self._inputs = value if isinstance(value, dict) else {options.input_key: value}
        self._asked = input_messages(self._inputs, options.input_key)
        self.failures = Failures(memory, self.thread_id, self.user)
        self._question: list[bytes] | None = None  # as it is stored; `None` if it cannot be
        with self.failures.tolerating("append"):
            self._question = self._encoded(self._asked)
        text = text_of(self._asked)
        self._memories = ExchangeMemories(memory, options, self._ids, text, self.failures)
        self._events = memory.events.buffer()
        self._under_way = True
        self._note("turn_start", text)
        self.streamed: Any = None
        self._was_read = False
        self._history: list[BaseMessage] = []
        self._replaces: list[bytes] = []  # the same words, stored last, that nobody has answered
        self._recalled = RecalledMemories()
        self._answer: list[bytes] = []
        self._interrupted = False
        self._unstorable: Exception | None = None
        self._sent: list[bytes] = []  # what was appended, or may have been
        self._remembered: list[RememberResult] = []
        self._turn_count: int | None = None
        self._unwritten = 0
        self._output: Any = None
        self._times = [time.perf_counter()]

    @property
    def thread_id(self) -> str:
        """Return the session it belongs to."""
        return self._ids.thread_id

    @property
    def user(self) -> str:
        """Return who asks."""
        return self._ids.user

    def _refuse_inside_itself(self, callbacks: Callbacks) -> None:
        handlers = callbacks if isinstance(callbacks, list) else getattr(callbacks, "handlers", ())
        for outer in (handler.exchange for handler in handlers if isinstance(handler, ExchangeHandler)):
            same = outer.thread_id == self.thread_id and same_store(outer.memory, self.memory)
            if outer._under_way and same:
                raise InvalidInputError(
                    f"An exchange of the session {self.thread_id!r} runs inside another one of it, and would "
                    "be stored twice. Wrap only the outer one, or call the inner one with a session of its "
                    "own."
                )

    # Before the chain.

    def read(self) -> Op[None]:
        """Embed the text, then read the session and recall, in one round trip.

        Raises:
            WrongOwnerError: The session is another user's.
        """
        yield from self._memories.prepare(kept=self._question is not None)
        operations: list[Op[Any]] = [late(self._window)]
        if self._memories.recalls:
            operations.append(late(self._memories.recall))
        history, *recalled = yield from gather(operations)
        with self.failures.tolerating("history"):
            ok(history)
        if recalled:
            with self.failures.tolerating("recall"):
                self._recalled.extend(ok(recalled[0]))
            hits = "; ".join(f"{_nearness(hit):.3f} {hit.text}" for hit in self._recalled)
            self._note("recall", hits or "nothing")

    def _window(self) -> Op[None]:
        owner = self.user if self._checks_owner else None
        window = yield from self.memory.working.window_op(self.thread_id, owner)
        self._history, self._replaces = window.before(self._asked)
        self._was_read = True

    def chain_inputs(self) -> dict[str, Any]:
        """Return the caller's input with the history and the memories."""
        self._times.append(time.perf_counter())
        inputs = {**self._inputs, self._options.history_key: self._history}
        if self._options.memories_key is not None:
            inputs[self._options.memories_key] = self._recalled
        return inputs

    def chain_config(self) -> RunnableConfig:
        """Return the caller's config with the event handler.

        The exchange does not keep it: each would hold the other, with all that was read, for the collector.
        """
        handler = ExchangeHandler(self, self._events)
        return {**self._config, "callbacks": _added(self._config.get("callbacks"), handler)}

    def without_lists(self, value: Any) -> Any:
        """Return a dict of the chain's with the number of messages and memories it was given, in their place.

        The session has the messages, and the event `recall` the memories; each runnable that passes them on
        would tell them again. Any other value is returned as it is.
        """
        if type(value) not in (dict, AddableDict):
            return value
        shown: dict[str, Any] = dict(value)
        if shown.get(self._options.history_key) is self._history:
            shown[self._options.history_key] = _count(self._history, "message", "messages")
        if self._options.memories_key and shown.get(self._options.memories_key) is self._recalled:
            shown[self._options.memories_key] = _count(self._recalled, "memory", "memories")
        return shown

    # After the chain has answered.

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
        """Take the chain's answer. Raises nothing: what cannot be stored of it fails in `write`."""
        self._times.append(time.perf_counter())
        self._under_way = False
        self._output = output
        try:
            self._interrupted = is_interrupted(output)
            self._answer = [] if self._interrupted else self._encoded_answer(output)
        except Exception as error:  # noqa: BLE001 - raised in `write`, with the answer
            self._unstorable = error

    def write(self) -> Op[Exception | None]:
        """Append the messages, remember what is to be, record the events: one round trip.

        Of an exchange without an answer to store, the user's messages are appended, marked as unanswered,
        and nothing is remembered.

        Returns:
            What failed, for `delivering` to raise; `None` if nothing did, or `on_error` is `continue`. It
            may be foreign, and a driver would take that for a reply which cannot be read.
        """
        answered = not self._interrupted and self._unstorable is None
        messages = self._kept() if not answered else [*(self._question or ()), *self._answer]
        operations = self._writes(messages if self._question is not None else [], self._drain())
        if answered and self._memories.remembers:
            operations["remember"] = self._memories.remember(self._history)
        results = dict(zip(operations, (yield from gather(operations.values())), strict=True))
        self._lost_events(results["events"])
        appended = results.get("append")
        if isinstance(appended, Exception):
            self._sent = []  # nothing was stored
        else:
            self._turn_count = appended
        try:
            with self.failures.tolerating("append"):
                ok(self._unstorable)
                ok(appended)
            with self.failures.tolerating("remember"):
                self._remembered = ok(results.get("remember")) or []
        except Exception as error:  # noqa: BLE001 - raised by the caller
            return error
        return None

    def take_back(self, error: BaseException) -> Op[None]:
        """Mark the exchange as unanswered, for its caller gets an error: what is said again replaces it.

        One round trip. If it is not known whether the exchange was stored, it is stored now if it was not
        (one more); after a time-out nothing is sent, for the server does not answer.
        """
        unknown = self._turn_count is None
        if not self._sent or (unknown and isinstance(error, StoreTimeoutError)):
            return
        sent, marked = self._sent, [mark_unanswered(message) for message in self._sent]
        if marked == sent and not unknown:
            return
        count = yield from self._append(marked, replaces=sent, only_replacing=True)
        if unknown and count is None:
            yield from self._append(marked)

    def abandon(self, error: BaseException) -> Op[None]:
        """Keep what the user said to a chain that gave no answer, and record the events.

        One round trip; one more if the session has not been read. Nothing is done if it cannot be, or if
        the call itself was refused.
        """
        self._under_way = False
        began = len(self._times) > 1
        refused = isinstance(error, InvalidInputError) and not isinstance(error, EmbeddingError)
        if (refused and not began) or (
            isinstance(error, StoreError | WrongOwnerError) and not self._was_read
        ):
            return
        self._note("turn_error", said(error))
        events, kept = self._drain(), self._kept()
        if kept and not self._was_read:
            yield from self._window()
        operations = self._writes(kept, events)
        results = dict(zip(operations, (yield from gather(operations.values())), strict=True))
        self._lost_events(results["events"])
        ok(results.get("append"))

    def _writes(self, messages: list[bytes], events: list[Entry]) -> dict[str, Op[Any]]:
        """Return the operations that append messages, if there are any, and record events, to be gathered.

        The thread is noted once in its user's record. The append does it, and stands first; the events do
        it if the append cannot be made, and so sends nothing.
        """
        operations: dict[str, Op[Any]] = {}
        noted: Ttl = ...
        if messages:
            try:
                operations["append"] = self._append(messages)
                noted = self.memory.working.noted_ttl_seconds
            except Exception as error:  # noqa: BLE001 - the append's result, raised by who uses it
                operations["append"] = _failing(error)
        operations["events"] = self.memory.events.record_op(events, noted_ttl_seconds=noted)
        return operations

    def _kept(self) -> list[bytes]:
        """Return what is stored of an exchange without an answer, as it is stored."""
        if self._options.on_abandon == "drop":
            return []
        kept = [*(self._question or ())]
        if self._options.on_abandon == "keep_partial" and self.streamed is not None and kept:
            try:
                kept += self._encoded_answer(self.streamed)
            except Exception as error:  # noqa: BLE001 - half an answer may be anything; the question is kept
                self.failures.note("append", error)
        return [mark_unanswered(message) for message in kept]

    def _encoded(self, messages: list[BaseMessage]) -> list[bytes]:
        now = time.time()
        return [self.memory.working.encode(message, now) for message in messages]

    def _encoded_answer(self, output: Any) -> list[bytes]:
        key = self._options.output_key
        return self._encoded(answer_messages(output, key, self._history, self._asked))

    def _append(
        self, messages: list[bytes], *, replaces: list[bytes] | None = None, only_replacing: bool = False
    ) -> Op[int | None]:
        self._sent = messages
        return self.memory.working.write_turns_op(
            self.thread_id,
            messages,
            user=self.user,
            replaces=self._replaces if replaces is None else replaces,
            only_replacing=only_replacing,
            check_owner=self._checks_owner,
        )

    def report(self) -> None:
        """Tell `on_exchange` what the exchange did."""
        began, read, answered = self._times
        if self._options.on_exchange is None:
            return
        with self.failures.passing_over("on_exchange"):
            self._options.on_exchange(
                ExchangeReport(
                    thread_id=self.thread_id,
                    user=self.user,
                    namespace=self._ids.namespace,
                    recalled=list(self._recalled),
                    remembered=self._remembered[0] if self._remembered else None,
                    not_remembered=None if self._remembered else self._memories.not_remembered,
                    turn_count=self._turn_count,
                    failures=self.failures.noted,
                    read_seconds=read - began,
                    chain_seconds=answered - read,
                    write_seconds=time.perf_counter() - answered,
                )
            )

    # What fails.

    @contextmanager
    def delivering(self) -> Iterator[None]:
        """Give the answer to the caller with whatever error the write ends with."""
        try:
            yield
        except AgentMemoryError as error:
            self._lost_events(error)
            error.output = self._output  # the answer is there, and may have cost something
            raise
        except Exception as error:
            self._lost_events(error)
            failed = ExchangeNotStoredError(
                f"The chain has answered (see .output), and the exchange could not be stored: {said(error)}"
            )
            failed.output = self._output
            raise failed from error

    @contextmanager
    def leaving(self) -> Iterator[None]:
        """Pass over what fails while an exchange is cleared up: its own error is the one to raise."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - it would hide why the exchange failed
            self._lost_events(error)
            logger.warning("What was said in thread %r may not be kept: %s", self.thread_id, said(error))

    def _drain(self) -> list[Entry]:
        events = self._events.drain()
        self._unwritten = len(events)
        return events

    def _lost_events(self, outcome: Any) -> None:
        """Count the exchange's events as dropped if the write that carries them failed."""
        if isinstance(outcome, Exception) and self._unwritten:
            self.memory.events.count_dropped(self._unwritten, outcome)
        self._unwritten = 0

    def _note(self, action: str, detail: str) -> None:
        self.memory.events.put(self.thread_id, action, detail, user=self.user, sink=self._events)


def _failing(error: Exception) -> Op[Any]:
    yield from ()
    raise error


def same_store(one: ChainMemory, other: ChainMemory) -> bool:
    """Return whether two memories keep a session in the same place: they share a connection, and its key."""
    return one.transport.known is other.transport.known and one.working.key("t") == other.working.key("t")


def _added(callbacks: Callbacks, handler: ExchangeHandler) -> Callbacks:
    """Return a config's callbacks and the handler, as LangChain would merge them."""
    if callbacks is None or isinstance(callbacks, list):
        return [*(callbacks or ()), handler]
    merged = callbacks.copy()
    merged.add_handler(handler, inherit=True)
    return merged


def _count(items: Sized, one: str, many: str) -> str:
    return f"{len(items)} {one if len(items) == 1 else many}"


def _ids(memory: ChainMemory, options: WrapOptions, given: dict[str, Any]) -> Ids:
    return Ids(
        thread_id=_id(given, "session_id", "thread_id", default=memory.session_id),
        user=_id(given, "user_id", default=None if options.knows_users else "default"),
        namespace=validate_id("namespace", given.get("namespace", "default")),
    )


def _id(configurable: dict[str, Any], *names: str, default: str | None = None) -> str:
    for name in names:
        if configurable.get(name) is not None:
            return validate_id(name, configurable[name])
    if default is not None:
        return default
    others = ", ".join(
        str(name)
        for name, value in configurable.items()
        if value is not None and not str(name).startswith("__")
    )
    raise InvalidInputError(
        f"The config names no {names[0]}{f', only {others}' if others else ''}: call the chain with "
        'config={"configurable": {"session_id": "…", "user_id": "…"}}.'
    )


def _nearness(hit: MemoryRecord) -> float:
    return (hit.score or 0.0) if hit.distance is None else hit.distance
