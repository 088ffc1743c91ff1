"""The signals that lead workers to queues: a stream, read by a consumer group."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from langchain_agentmem.core import scripts
from langchain_agentmem.core.checks import not_negative, positive, validate_id
from langchain_agentmem.core.keys import Keys
from langchain_agentmem.core.operations import Command, Op, call, ok, reads, text, writes
from langchain_agentmem.errors import StoreError
from langchain_agentmem.tasks import entries
from langchain_agentmem.tasks.task import Place, Signal

_END_SIGNAL = scripts.together((str(__package__), "queues"), (str(__package__), "end_signal"))
_KEEP, _LEAVE = (scripts.load(__package__, name) for name in ("keep_signals", "leave_group"))
_LONG_IDLE_MS = 1000 * 86_400_000  # longer than anybody waits; Redis takes no time before 1970


class Given(NamedTuple):
    """Holds what a worker was given.

    Attributes:
        signals: The signals.
        entries: How many entries of the stream that were; some may have been no signals.
    """

    signals: list[Signal]
    entries: int


class Signals:
    """Gives signals to the workers of a group, as operations without I/O.

    Args:
        keys: The key names.
    """

    def __init__(self, keys: Keys) -> None:
        self.keys = keys

    def keys_of(self, place: Place) -> tuple[str, str, str]:
        """Return the keys of a queue, of its signal, and of the stream of signals.

        Raises:
            InvalidInputError: An id of the place is not valid.
        """
        keys = self.keys.of(place.checked().user)
        queue = keys.tasks_queue(*place)
        return queue, keys.tasks_signal(queue), keys.tasks_stream

    def entry_id(self, signal_id: str) -> str:
        """Return the id that a signal has in its stream, given the one that a worker knows."""
        return signal_id

    def create_group_op(self, group: str) -> Op[None]:
        """Create a group of workers, which is given every signal, if there is none. One round trip."""
        stream = self.keys.tasks_stream
        command = Command(
            ("XGROUP", "CREATE", stream, validate_id("group", group), "0", "MKSTREAM"), (stream,)
        )
        (reply,) = yield [command]
        if not (isinstance(reply, StoreError) and "BUSYGROUP" in str(reply)):
            ok(reply)

    def next_op(
        self, group: str, consumer: str, count: int = 1, block_ms: int | None = None
    ) -> Op[list[Signal]]:
        """Give a worker signals that nobody of its group has been given. One round trip.

        If there is no such group, it is created.

        Args:
            group: The group.
            consumer: The worker.
            count: How many to give at most.
            block_ms: For how many milliseconds to wait for the first, less than the socket's timeout; `None`
                not to wait, as a REST API cannot.
        """
        return (yield from self.given_op(group, consumer, count, block_ms)).signals

    def given_op(self, group: str, consumer: str, count: int = 1, block_ms: int | None = None) -> Op[Given]:
        """Give a worker signals as `next_op` does, and tell how many entries that were."""
        block = () if block_ms is None else ("BLOCK", positive("block_ms", block_ms))
        command = Command(
            (
                *("XREADGROUP", "GROUP", validate_id("group", group), validate_id("consumer", consumer)),
                *("COUNT", positive("count", count), *block, "STREAMS", self.keys.tasks_stream, ">"),
            ),
            (self.keys.tasks_stream,),
        )
        reply = yield from self._in_group(group, command)
        found = list(reply.values()) if isinstance(reply, dict) else [one[1] for one in reply or ()]
        taken = found[0] if found else ()
        return Given((yield from self._signals(group, taken, deliveries=1)), len(taken))

    def claim_op(self, group: str, consumer: str, min_idle_ms: int, count: int = 1) -> Op[list[Signal]]:
        """Give a worker signals that another one, which may be dead, has had in hand for too long.

        One round trip, one more if there are any, and one more per ten times `count` that are in hand.

        Args:
            group: The group.
            consumer: The worker.
            min_idle_ms: For how many milliseconds nobody has kept them.
            count: How many to give at most.
        """
        stream, start = self.keys.tasks_stream, b"0-0"
        validate_id("consumer", consumer)
        not_negative("min_idle_ms", min_idle_ms)
        claimed: list[Signal] = []
        while len(claimed) < positive("count", count):
            rest = count - len(claimed)
            claim = writes("XAUTOCLAIM", stream, group, consumer, min_idle_ms, start, "COUNT", rest)
            start, found, *_ = yield from self._in_group(group, claim)
            claimed += yield from self._signals(group, found)
            if start == b"0-0":
                break
        asked = [reads("XPENDING", stream, group, one.id, one.id, 1) for one in claimed]
        replies = (yield asked) if asked else ()
        return [
            one._replace(deliveries=int(ok(reply)[0][3])) if ok(reply) else one
            for one, reply in zip(claimed, replies, strict=True)
        ]

    def keep_op(self, group: str, consumer: str, signal_ids: Sequence[str]) -> Op[list[str]]:
        """Say that a worker is still at work; return the signals it has in hand still. One round trip.

        Args:
            group: The group.
            consumer: The worker.
            signal_ids: Its signals; with none, nothing is sent.
        """
        return (yield from self._keep(group, consumer, signal_ids, 0))

    def release_op(self, group: str, consumer: str, signal_ids: Sequence[str]) -> Op[list[str]]:
        """Let other workers claim signals at once; return those that it had in hand. One round trip.

        Args:
            group: The group.
            consumer: The worker.
            signal_ids: Its signals; with none, nothing is sent.
        """
        return (yield from self._keep(group, consumer, signal_ids, _LONG_IDLE_MS))

    def _keep(self, group: str, consumer: str, signal_ids: Sequence[str], idle_ms: int) -> Op[list[str]]:
        if not signal_ids:
            return []
        stream = self.keys.tasks_stream
        reply = yield from self._in_group(group, _KEEP.call([stream], group, consumer, idle_ms, *signal_ids))
        return [text(one) for one in reply]

    def done_op(self, group: str, signal: Signal) -> Op[bool]:
        """End a signal whose queue was found empty. One round trip.

        Returns:
            Whether it is. If not, a task has come meanwhile, and the signal stays in the worker's hand.
        """
        keys = self.keys_of(signal.place)
        return bool(
            (yield from call(_END_SIGNAL.call(keys, validate_id("group", group), self.entry_id(signal.id))))
        )

    def leave_op(self, group: str, consumer: str) -> Op[bool]:
        """Delete a worker from its group, unless it has signals in hand; return whether it is gone.

        One round trip. Those it has in hand would be lost with it; others claim them.
        """
        leave = _LEAVE.call([self.keys.tasks_stream], group, consumer)
        return bool((yield from self._in_group(group, leave)))

    def _in_group(self, group: str, command: Command) -> Op[Any]:
        """Send a command of a group, which is created if there is none; return the reply."""
        validate_id("group", group)
        (reply,) = yield [command]
        if isinstance(reply, StoreError) and "NOGROUP" in str(reply):
            yield from self.create_group_op(group)
            (reply,) = yield [command]
        return ok(reply)

    def _signals(self, group: str, found: Iterable[Any], *, deliveries: int = 0) -> Op[list[Signal]]:
        """Return the signals among entries; what is none is acknowledged, so that it is not given again."""
        unreadable: list[str] = []
        read = list(entries.signals(found, unreadable, deliveries=deliveries))
        if unreadable:
            yield from call(writes("XACK", self.keys.tasks_stream, group, *unreadable))
        return read
