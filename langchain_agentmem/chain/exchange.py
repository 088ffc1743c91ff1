"""One exchange in progress: what it reads, what it hands to the chain, what it writes."""

from __future__ import annotations

import time
from collections.abc import Sized
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config
from langchain_core.runnables.utils import AddableDict

from langchain_agentmem.chain.failures import Failures, said
from langchain_agentmem.chain.ids import named_ids
from langchain_agentmem.chain.messages import answer_messages, input_messages, is_interrupted, text_of
from langchain_agentmem.chain.options import ChainMemory, RecalledMemories, WrapOptions
from langchain_agentmem.chain.turn import Turn, same_store
from langchain_agentmem.core.operations import Op
from langchain_agentmem.errors import (
    EmbeddingError,
    InvalidInputError,
    StoreError,
    WrongOwnerError,
)
from langchain_agentmem.events.callbacks import EventLogHandler
from langchain_agentmem.working.summaries import with_summary

if TYPE_CHECKING:
    from langchain_core.callbacks import Callbacks
    from langchain_core.messages import BaseMessage

    from langchain_agentmem.events.background import EventBuffer


class ExchangeHandler(EventLogHandler):
    """The event handler of an exchange, by which a chain that runs inside it knows the exchange."""

    def __init__(self, exchange: ChainExchange, events: EventBuffer) -> None:
        super().__init__(exchange.memory.events, exchange.thread_id, user=exchange.user, sink=events)
        self.exchange = exchange

    def _put(self, action: str, name: str, detail: Any, *args: Any, **options: Any) -> None:
        super()._put(action, name, self.exchange.without_lists(detail), *args, **options)


class ChainExchange:
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
        self._ids = named_ids(
            configurable,
            call='call the chain with config={"configurable": {"session_id": "…", "user_id": "…"}}.',
            default_thread=memory.session_id,
            default_user=None if options.knows_users else "default",
        )
        self._refuse_inside_itself(self._config.get("callbacks"))
        self._inputs = value if isinstance(value, dict) else {options.input_key: value}
        asked = input_messages(self._inputs, options.input_key)
        checks_owner = options.check_owner and configurable.get("user_id") is not None
        turn_options = options.turn(check_owner=checks_owner)
        self.turn = Turn(memory, turn_options, self._ids, text_of(asked), asked)
        self._under_way = True
        self.streamed: Any = None
        self._history: list[BaseMessage] = self.turn.context.history  # as the chain is given it
        self._memories = RecalledMemories()  # likewise
        self._answer: list[bytes] = []
        self._interrupted = False
        self._unstorable: Exception | None = None
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

    @property
    def failures(self) -> Failures:
        """Return what was passed over."""
        return self.turn.failures

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
        return self.turn.read()

    def chain_inputs(self) -> dict[str, Any]:
        """Return the caller's input with the history and the memories."""
        self._times.append(time.perf_counter())
        self._history = with_summary(self.turn.context.summary, self.turn.context.history)
        inputs = {**self._inputs, self._options.history_key: self._history}
        if self._options.memories_key is not None:
            context = self.turn.context
            self._memories = RecalledMemories([*context.pinned, *context.memories])
            inputs[self._options.memories_key] = self._memories
        return inputs

    def chain_config(self) -> RunnableConfig:
        """Return the caller's config with the event handler.

        The exchange does not keep it: each would hold the other, with all that was read, for the collector.
        """
        handler = ExchangeHandler(self, self.turn.events)
        return {**self._config, "callbacks": _added(self._config.get("callbacks"), handler)}

    def without_lists(self, value: Any) -> Any:
        """Return a dict of the chain's with the number of messages and memories it was given, in their place.

        The session has the messages, and the event `recall` the memories; each runnable that passes them on
        would tell them again. Any other value is returned as it is.
        """
        if type(value) not in (dict, AddableDict):
            return value
        shown: dict[str, Any] = dict(value)
        history, memories = self._history, self._memories
        if shown.get(self._options.history_key) is history:
            shown[self._options.history_key] = _count(history, "message", "messages")
        if self._options.memories_key and shown.get(self._options.memories_key) is memories:
            shown[self._options.memories_key] = _count(memories, "memory", "memories")
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
            What failed, for `delivering` to raise; `None` if nothing did, or `on_error` is `continue`.
        """
        answered = not self._interrupted and self._unstorable is None
        question = self.turn.question
        messages = self._kept() if not answered else [*(question or ()), *self._answer]
        return self.turn.write(
            messages if question is not None else [], answered=answered, unstorable=self._unstorable
        )

    def abandon(self, error: BaseException) -> Op[None]:
        """Keep what the user said to a chain that gave no answer, and record the events.

        One round trip; one more if the session has not been read. Nothing is done if it cannot be, or if
        the call itself was refused.
        """
        self._under_way = False
        began = len(self._times) > 1
        refused = isinstance(error, InvalidInputError) and not isinstance(error, EmbeddingError)
        if (refused and not began) or (
            isinstance(error, StoreError | WrongOwnerError) and not self.turn.was_read
        ):
            return
        self.turn.note("turn_error", said(error))
        yield from self.turn.keep(self._kept())

    def _kept(self) -> list[bytes]:
        """Return what is stored of an exchange without an answer, as it is stored."""
        if self._options.on_abandon == "drop":
            return []
        kept = [*(self.turn.question or ())]
        if self._options.on_abandon == "keep_partial" and self.streamed is not None and kept:
            try:
                kept += self._encoded_answer(self.streamed)
            except Exception as error:  # noqa: BLE001 - half an answer may be anything; the question is kept
                self.failures.note("append", error)
        return self.turn.unanswered(kept)

    def _encoded_answer(self, output: Any) -> list[bytes]:
        key, asked = self._options.output_key, self.turn.asked
        return self.turn.encoded(answer_messages(output, key, self._history, asked))

    def report(self) -> None:
        """Tell `on_exchange` what the exchange did."""
        began, read, answered = self._times
        if self._options.on_exchange is None:
            return
        with self.failures.passing_over("on_exchange"):
            self._options.on_exchange(
                self.turn.report(
                    read_seconds=read - began,
                    chain_seconds=answered - read,
                    write_seconds=time.perf_counter() - answered,
                )
            )

    def delivering(self) -> AbstractContextManager[None]:
        """Give the answer to the caller with whatever error the write ends with."""
        return self.turn.delivering(self._output, "chain", "exchange")


def _added(callbacks: Callbacks, handler: ExchangeHandler) -> Callbacks:
    """Return a config's callbacks and the handler, as LangChain would merge them."""
    if callbacks is None or isinstance(callbacks, list):
        return [*(callbacks or ()), handler]
    merged = callbacks.copy()
    merged.add_handler(handler, inherit=True)
    return merged


def _count(items: Sized, one: str, many: str) -> str:
    return f"{len(items)} {one if len(items) == 1 else many}"
