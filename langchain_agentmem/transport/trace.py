"""Traces what a piece of code sends, by a context variable.

So a trace sees the task or thread that began it and those started from it, and no others of the same memory.
Where nobody traces, an operation runs as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from time import perf_counter, time
from typing import Any

from langchain_agentmem.core.embed import Embed
from langchain_agentmem.core.keys import Tier, glob, index_keys
from langchain_agentmem.core.operations import Argument, Batch, Command, Effect, Op, Step, T
from langchain_agentmem.transport import command_text

_SEARCHES = ("FT.", "SEARCH.")


@dataclass(frozen=True, repr=False)
class TracedCommand:
    """A command as it was sent, and what was answered.

    Attributes:
        args: Its name and arguments, as they were sent.
        tier: Which tier it reads or writes: `working`, `long_term`, `events`, the LangGraph `store`, or
            `tasks` for the background; `None` for none of them.
        reply: The reply in a few words: `OK`, `9 fields`, `2 results`, or the error's name and message.
        failed: Whether it was refused, or not answered.
    """

    args: tuple[Argument, ...]
    tier: Tier | None
    reply: str
    failed: bool
    _vector_bytes: int = 4

    @property
    def name(self) -> str:
        """Return the command's name, such as `FT.SEARCH` or `EVALSHA`."""
        return str(self.args[0])

    @property
    def script(self) -> str | None:
        """Return the name of the script it calls, without `.lua`; `None` if it calls none."""
        return command_text.script(self.args)

    @property
    def text(self) -> str:
        """Return the whole command as one line for redis-cli, quoted as it reads it."""
        return command_text.line(self.args)

    @property
    def short(self) -> str:
        """Return the command for people, of about 300 characters at most.

        A vector is `<384 floats>`, a script `<its name.lua>`, and what is long is cut, which `…` tells.
        """
        return command_text.short_line(self.args, self._vector_bytes)

    def __repr__(self) -> str:
        return f"TracedCommand({self.short!r})"


@dataclass(frozen=True)
class RoundTrip:
    """Commands that were sent together, and how long their replies took.

    Attributes:
        commands: The commands, in order. What was sent again is there once.
        seconds: From sending them to having all replies, sending again included.
        started_ts: When they were sent, in epoch seconds.
        failed: Whether one of them was refused or not answered.
    """

    commands: list[TracedCommand]
    seconds: float
    started_ts: float
    failed: bool


@dataclass(frozen=True)
class TracedEmbedding:
    """Texts that were embedded in one call of the model.

    Attributes:
        texts: The texts.
        vectors: One vector per text; none if the model failed.
        seconds: How long it took, waiting for the model included.
        started_ts: When it began, in epoch seconds.
    """

    texts: list[str]
    vectors: Sequence[Sequence[float]] = field(repr=False)
    seconds: float
    started_ts: float


@dataclass
class Trace:
    """Tells what a memory did while it was traced, as it was done; made by `AgentMemory.trace`.

    Attributes:
        round_trips: What was sent, in the order of the replies.
        embeddings: What was embedded, in the order of the results.
    """

    round_trips: list[RoundTrip] = field(default_factory=list)
    embeddings: list[TracedEmbedding] = field(default_factory=list)

    @property
    def redis_seconds(self) -> float:
        """Return the seconds of all round trips together, also of those that were on their way at once."""
        return sum(one.seconds for one in self.round_trips)

    @property
    def embedding_seconds(self) -> float:
        """Return the seconds of all embeddings together."""
        return sum(one.seconds for one in self.embeddings)

    def __str__(self) -> str:
        """Return a line per round trip, and below it one per command, with its tier and its reply."""
        lines = []
        for number, trip in enumerate(self.round_trips, 1):
            lines.append(f"round trip {number}: {trip.seconds * 1000:.1f} ms")
            lines += [
                f"  {command.tier or '-':9}  {command.short}  -> {command.reply}" for command in trip.commands
            ]
        return "\n".join([*lines, f"embedding: {self.embedding_seconds * 1000:.1f} ms"])


class _Recorder:
    """Fills a trace with what runs on a transport, until it ends."""

    def __init__(self, transport: object, tiers: Mapping[str, Tier], vector_bytes: int) -> None:
        self.trace = Trace()
        self.transport: object | None = transport
        self._tiers = tiers
        self._vector_bytes = vector_bytes

    def note(self, step: Step, answer: Any, seconds: float, started_ts: float) -> None:
        """Note a step that has ended; `answer` is `None` if it failed."""
        if self.transport is None:  # what was begun inside the block has ended after it
            return
        if isinstance(step, Embed):
            embedding = TracedEmbedding(step.texts, [] if answer is None else answer, seconds, started_ts)
            self.trace.embeddings.append(embedding)
        elif not isinstance(step, Effect):
            commands = self._commands(step, answer)
            failed = any(command.failed for command in commands)
            self.trace.round_trips.append(RoundTrip(commands, seconds, started_ts, failed))

    def _commands(self, batch: Batch, replies: Sequence[Any] | None) -> list[TracedCommand]:
        return [
            TracedCommand(
                command.args,
                self._tier(command),
                "no answer"
                if replies is None
                else command_text.reply_text(str(command.args[0]), replies[place]),
                replies is None or isinstance(replies[place], Exception),
                self._vector_bytes,
            )
            for place, command in enumerate(batch)
        ]

    def _tier(self, command: Command) -> Tier | None:
        """Return whose the command's first key is, or its index, or the keys that it scans for."""
        name = str(command.args[0])
        if name.startswith(_SEARCHES):  # an index is of whose keys begin with its name
            return self._tiers.get(index_keys(command_text.data(command.args[1]).decode()), "long_term")
        if name == "SCAN":
            return next((tier for prefix, tier in self._tiers.items() if glob(prefix) in command.args), None)
        if not command.keys:
            return None
        key = command_text.data(command.keys[0]).decode("utf-8", "surrogateescape")
        found = max((prefix for prefix in self._tiers if key.startswith(prefix)), key=len, default=None)
        return None if found is None else self._tiers[found]


_recorders: ContextVar[tuple[_Recorder, ...]] = ContextVar("agentmem_recorders", default=())


@contextmanager
def tracing(
    transport: object, tiers: Mapping[str, Tier] | None = None, *, vector_bytes: int = 4
) -> Iterator[Trace]:
    """Trace what runs on a transport inside the block, in this task or thread and those started in it.

    Args:
        transport: Whose operations are traced.
        tiers: The tier of each prefix of keys, as from `tier_prefixes`.
        vector_bytes: How many bytes a number of a vector has.
    """
    recorder = _Recorder(transport, tiers or {}, vector_bytes)
    # Those that ended in another context are still here.
    _recorders.set((*(one for one in _recorders.get() if one.transport is not None), recorder))
    try:
        yield recorder.trace
    finally:
        # Not by a token: a generator with such a block in it may be closed in another context.
        recorder.transport = None
        _recorders.set(tuple(one for one in _recorders.get() if one is not recorder))


def traced(op: Op[T], transport: object) -> Op[T]:
    """Return the operation; where somebody traces the transport, such that its steps are noted."""
    recorders = _recorders.get()
    if not recorders:
        return op
    own = [one for one in recorders if one.transport is transport]
    return _recorded(op, own) if own else op


def _recorded(op: Op[T], recorders: Sequence[_Recorder]) -> Op[T]:
    """Run an operation, and note each of its steps, failed ones included."""
    try:
        step = next(op)
        while True:
            answer, failed, started_ts, began = None, None, time(), perf_counter()
            try:
                answer = yield step
            except Exception as error:  # noqa: BLE001 - raised where it was asked for
                failed = error
            finally:  # a driver closes an operation whose batch was not answered
                seconds = perf_counter() - began
                for recorder in recorders:
                    recorder.note(step, answer, seconds, started_ts)
            step = op.send(answer) if failed is None else op.throw(failed)
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        op.close()
