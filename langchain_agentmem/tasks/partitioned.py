"""The queues of tasks in partitions, behind the interface of `TaskQueue`.

A queue is in the partition of its user, and so are its signal and the two streams. No server can wait for
the streams of several slots at once, so they are polled: a worker asks for the newest signal of each, which
changes nothing, and takes signals only where there is one that it does not know. What is idle costs one such
question per partition and poll, on each node side by side.

Ids of signals and of tasks that are set aside begin with the hash tag of their partition, as streams of two
partitions may have the same: `p17:1715990400123-0`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from langchain_agentmem.core.checks import not_negative, positive, validate_id
from langchain_agentmem.core.lazy import cached_property
from langchain_agentmem.core.operations import Command, Op, T, gather, ok, reads, text
from langchain_agentmem.core.partitions import tags
from langchain_agentmem.core.removal import Removed
from langchain_agentmem.errors import InvalidInputError, StoreError
from langchain_agentmem.tasks.entries import FailedTask
from langchain_agentmem.tasks.pause import Pause
from langchain_agentmem.tasks.queue import TaskCounts, TaskQueue, checked_id, several
from langchain_agentmem.tasks.task import Signal

logger = logging.getLogger("langchain_agentmem")

POLL_SECONDS = 0.25
"""How often a worker looks for signals while it waits for some."""

_LAST_SEQUENCE = 2**64 - 1


@dataclass(slots=True)
class _Reader:
    """What is known of a worker's reading.

    Attributes:
        seen: The newest signal of each partition, by its tag, when the worker had taken all that was there.
        joined: Where it has taken signals.
        turn: With which partition to begin.
        out_of_reach: The partitions that could not be read the last time.
    """

    seen: dict[str, str] = field(default_factory=dict)
    joined: set[str] = field(default_factory=set)
    turn: int = 0
    out_of_reach: set[str] = field(default_factory=set)


class PartitionedTaskQueue(TaskQueue):
    """The queues of all partitions as one. What is about one queue is done as in `TaskQueue`.

    What is about all partitions is one round trip per step for all of them. Partitions that cannot be
    reached, as when a node of a cluster is down, do not keep a worker from the others: it asks for their
    signals again only when it looks for what dead workers had in hand.
    """

    @cached_property
    def _parts(self) -> dict[str, TaskQueue]:
        return {
            tag: TaskQueue(keys)
            for tag, keys in zip(tags(self.keys.partitions), self.keys.every(), strict=True)
        }

    @cached_property
    def _newest(self) -> dict[str, Command]:
        """Return what asks for the newest signal of each partition."""
        return {
            tag: reads("XREVRANGE", part.keys.tasks_stream, "+", "-", "COUNT", 1)
            for tag, part in self._parts.items()
        }

    @cached_property
    def _readers(self) -> dict[tuple[str, str], _Reader]:
        return {}

    # Of one queue, or one user.

    def entry_id(self, signal_id: str) -> str:
        """Return the id that a signal has in its partition's stream; empty for none."""
        return self._split(signal_id)[1] if signal_id else ""

    def forget_op(self, user: str, *, dry_run: bool = False) -> Op[Removed]:
        """Delete all tasks of a user, or count them, as `TaskQueue.forget_op`: all in one partition."""
        return TaskQueue(self.keys.of(user)).forget_op(user, dry_run=dry_run)

    # Of the signals.

    def create_group_op(self, group: str) -> Op[None]:
        """See whether the partitions can be read, and look anew at all of them. One round trip.

        The group is created in each partition when there is a signal in it.

        Raises:
            StoreError: None can be read.
        """
        validate_id("group", group)
        for (of_group, _), reader in list(self._readers.items()):
            if of_group == group:
                reader.seen.clear()
                reader.out_of_reach.clear()
        _all_but_all_failed((yield [*self._newest.values()]))

    def next_op(
        self, group: str, consumer: str, count: int = 1, block_ms: int | None = None
    ) -> Op[list[Signal]]:
        """Give a worker signals that nobody of its group has been given, of each partition in turn.

        One round trip per 0.25 seconds of `block_ms`, and one more if there are any signals.

        Raises:
            StoreError: No partition can be read; or, if it does not wait and there is no signal, any cannot.
        """
        reader = self._reader(group, consumer)
        left = 0.0 if block_ms is None else positive("block_ms", block_ms) / 1000
        while True:
            errors: list[StoreError] = []
            skipped = () if block_ms is None else reader.out_of_reach
            found = yield from self._poll(group, consumer, reader, positive("count", count), skipped, errors)
            if errors and not found and block_ms is None:
                raise errors[0]
            if found or left <= 0:
                return found
            yield Pause(min(left, POLL_SECONDS))
            left -= POLL_SECONDS
            if left <= 0:
                return []

    def _poll(
        self,
        group: str,
        consumer: str,
        reader: _Reader,
        count: int,
        skipped: Collection[str],
        errors: list[StoreError],
    ) -> Op[list[Signal]]:
        new: dict[str, str] = {}
        for tag, entry in (yield from self._filled(reader, skipped, errors)).items():
            if entry is None:
                reader.seen.pop(tag, None)
            elif reader.seen.get(tag) != entry:
                new[tag] = entry
        found: list[Signal] = []
        chosen, each = self._in_turn(reader, list(new), count)
        reader.joined.update(chosen)
        reading = {tag: self._parts[tag].given_op(group, consumer, each) for tag in chosen}
        for tag, given in (yield from _side_by_side(reading, errors)).items():
            if given.entries < each:  # what came since then is another one that is the newest
                reader.seen[tag] = new[tag]
            found += _named(tag, given.signals)
        return found

    def _filled(
        self, reader: _Reader, skipped: Collection[str], errors: list[StoreError]
    ) -> Op[dict[str, str | None]]:
        """Return the newest signal of each partition that can be read; `None` if it has none.

        Args:
            reader: Where it is noted which cannot.
            skipped: Which are not asked, unless these are all.
            errors: Where it is put why some cannot be read.

        Raises:
            StoreError: None can be read.
        """
        asked = [tag for tag in self._newest if tag not in skipped] or [*self._newest]
        newest = dict(zip(asked, (yield [self._newest[tag] for tag in asked]), strict=True))
        failed = {tag: reply for tag, reply in newest.items() if isinstance(reply, StoreError)}
        if failed and len(failed) < len(newest) and not reader.out_of_reach:
            error = next(iter(failed.values()))
            logger.warning("Tasks of some partitions cannot be read, those of others can: %s", error)
        reader.out_of_reach = (reader.out_of_reach - newest.keys()) | failed.keys()
        errors += failed.values()
        _all_but_all_failed([*newest.values()])
        return {
            tag: text(reply[0][0]) if reply else None for tag, reply in newest.items() if tag not in failed
        }

    def claim_op(self, group: str, consumer: str, min_idle_ms: int, count: int = 1) -> Op[list[Signal]]:
        """Give a worker signals that another one, which may be dead, has had in hand for too long.

        One round trip, one more if there are any signals, and those of `Signals.claim_op` if there are such.
        """
        reader = self._reader(group, consumer)
        not_negative("min_idle_ms", min_idle_ms)
        errors: list[StoreError] = []
        newest = yield from self._filled(reader, (), errors)
        filled = [tag for tag, entry in newest.items() if entry is not None]
        asked = [
            reads("XPENDING", self._parts[tag].keys.tasks_stream, group, "IDLE", min_idle_ms, "-", "+", 1)
            for tag in filled
        ]
        idle: list[str] = []
        for tag, reply in zip(filled, (yield asked) if asked else (), strict=True):
            if isinstance(reply, StoreError):  # the group is not there yet, or not any more
                reader.seen.pop(tag, None)
            elif reply:
                idle.append(tag)
        chosen, each = self._in_turn(reader, idle, positive("count", count))
        reader.joined.update(chosen)
        claiming = {tag: self._parts[tag].claim_op(group, consumer, min_idle_ms, each) for tag in chosen}
        claimed = yield from _side_by_side(claiming, errors)
        return [signal for tag, signals in claimed.items() for signal in _named(tag, signals)]

    def _keep(self, group: str, consumer: str, signal_ids: Sequence[str], idle_ms: int) -> Op[list[str]]:
        """Set how long signals have been idle; return those in hand, and those of which that is not known."""
        keeping = {
            tag: self._parts[tag]._keep(group, consumer, ids, idle_ms)
            for tag, ids in self._by_part(signal_ids).items()
        }
        errors: list[StoreError] = []
        kept = yield from _side_by_side(keeping, errors)
        if errors and (idle_ms or not kept):
            raise errors[0]
        return [
            one
            for one in signal_ids
            if (found := self._split(one))[0] not in kept or found[1] in kept[found[0]]
        ]

    def leave_op(self, group: str, consumer: str) -> Op[bool]:
        """Delete a worker from its group, unless it has signals in hand; return whether it is gone.

        One round trip, for the partitions where it has taken signals.
        """
        reader = self._reader(group, consumer)
        leaving = [self._parts[tag].leave_op(group, consumer) for tag in reader.joined]
        gone = all(map(ok, (yield from gather(leaving))))
        if gone:
            self._readers.pop((group, consumer), None)
        return gone

    # Of the tasks that are set aside.

    def failed_op(self, limit: int = 100, cursor: str = "") -> Op[list[FailedTask]]:
        """Return tasks that are set aside, oldest first. Two round trips, or more if they lie unevenly."""
        positive("limit", limit)
        after = self._order(cursor) if cursor else None
        holding = yield from self._holding()
        each = -(-limit // max(len(holding), 1))
        found: list[FailedTask] = []
        cursors = {tag: "" if after is None else self._cursor_in(tag, after) for tag in holding}
        while cursors:
            pages = yield from gather([self._parts[tag].failed_op(each, one) for tag, one in cursors.items()])
            read = {tag: page for tag, page in zip(cursors, map(ok, pages), strict=True) if page}
            found += [replace(one, id=f"{tag}:{one.id}") for tag, page in read.items() for one in page]
            found.sort(key=lambda one: self._order(one.id))
            del found[limit:]
            last = self._order(found[-1].id) if len(found) == limit else None
            cursors = {
                tag: page[-1].id
                for tag, page in read.items()
                if last is None or self._order(f"{tag}:{page[-1].id}") < last
            }
        return found

    def replay_op(self, ids: Iterable[str] | None = None) -> Op[int]:
        """Put tasks that were set aside back into their queues, as `TaskQueue.replay_op`."""
        return (yield from self._each_failed(ids, lambda part, own: part.replay_op(own)))

    def drop_failed_op(self, ids: Iterable[str] | None = None) -> Op[int]:
        """Delete tasks that were set aside; return how many there were. Two round trips."""
        return (yield from self._each_failed(ids, lambda part, own: part.drop_failed_op(own)))

    def _each_failed(
        self, ids: Iterable[str] | None, act: Callable[[TaskQueue, list[str] | None], Op[int]]
    ) -> Op[int]:
        """Do something with tasks that are set aside, in each partition where some are or are named."""
        asked: dict[str, list[str] | None] = {}
        if ids is None:
            asked.update(dict.fromkeys((yield from self._holding())))
        else:
            asked.update(self._by_part(several(ids)))
        counts = yield from gather([act(self._parts[tag], own) for tag, own in asked.items()])
        return sum(map(ok, counts))

    def _holding(self) -> Op[list[str]]:
        """Return the partitions in which tasks are set aside."""
        lengths = yield [reads("XLEN", part.keys.tasks_failed) for part in self._parts.values()]
        return [tag for tag, length in zip(self._parts, lengths, strict=True) if ok(length)]

    def waiting_op(self) -> Op[TaskCounts]:
        """Return how many queues are not empty, and how many tasks are set aside. One round trip."""
        counts = [
            ok(one) for one in (yield from gather([part.waiting_op() for part in self._parts.values()]))
        ]
        return TaskCounts(sum(one.queues for one in counts), sum(one.failed for one in counts))

    # Ids and partitions.

    def _reader(self, group: str, consumer: str) -> _Reader:
        of = validate_id("group", group), validate_id("consumer", consumer)
        return self._readers.setdefault(of, _Reader())

    def _in_turn(self, reader: _Reader, among: Sequence[str], count: int) -> tuple[list[str], int]:
        """Return some of these partitions, and how many signals each may give. All have their turn."""
        places = self._place_of
        chosen = sorted(among, key=lambda tag: (places[tag] - reader.turn) % len(places))[:count]
        if chosen:
            reader.turn = places[chosen[-1]] + 1
        return chosen, count // max(len(chosen), 1)

    def _split(self, named_id: str) -> tuple[str, str]:
        """Return the partition, and the id in it."""
        tag, _, entry_id = named_id.partition(":") if isinstance(named_id, str) else ("", "", "")
        if tag not in self._parts:
            raise InvalidInputError(
                "id must be that of a task that is set aside, such as "
                f"{next(iter(self._parts))}:1715990400123-0, not {named_id!r}."
            )
        return tag, entry_id

    def _by_part(self, named_ids: Iterable[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for tag, entry_id in map(self._split, named_ids):
            found.setdefault(tag, []).append(entry_id)
        return found

    def _order(self, named_id: str) -> tuple[int, int, int]:
        """Return what tasks that are set aside are sorted by: their time, then their partition."""
        tag, entry_id = self._split(named_id)
        milliseconds, sequence = checked_id(entry_id).partition("-")[::2]
        return int(milliseconds), int(sequence or 0), self._place_of[tag]

    @cached_property
    def _place_of(self) -> dict[str, int]:
        return {tag: at for at, tag in enumerate(self._parts)}

    def _cursor_in(self, tag: str, after: tuple[int, int, int]) -> str:
        """Return the cursor in a partition behind which is what comes after a place in the order of all."""
        milliseconds, sequence, place = after
        if self._place_of[tag] <= place:
            return f"{milliseconds}-{sequence}"
        if sequence:
            return f"{milliseconds}-{sequence - 1}"
        return f"{milliseconds - 1}-{_LAST_SEQUENCE}" if milliseconds else ""


def _named(tag: str, signals: Iterable[Signal]) -> Iterator[Signal]:
    return (signal._replace(id=f"{tag}:{signal.id}") for signal in signals)


def _all_but_all_failed(replies: list[Any]) -> list[Any]:
    """Return replies, or raise the first if all are errors."""
    if all(isinstance(one, Exception) for one in replies):
        ok(replies[0])
    return replies


def _side_by_side(ops: dict[str, Op[T]], errors: list[StoreError]) -> Op[dict[str, T]]:
    """Run an operation per partition; return the results of those that succeed, and note why others do not.

    Raises:
        Exception: What is no failure of the store.
    """
    found: dict[str, T] = {}
    for tag, result in zip(ops, (yield from gather(ops.values())), strict=True):
        if isinstance(result, StoreError):
            errors.append(result)
        else:
            found[tag] = ok(result)
    return found
