"""The queues of tasks, one per kind of work, thread, user and namespace, and the signals that lead to them.

A queue is a list of tasks, oldest first. A stream has one entry per queue that is not empty, its signal, so
no worker ever scans, and of a group of workers one at a time works on a queue: who was given its signal.
Nothing here expires.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from langchain_agentmem.core import scripts
from langchain_agentmem.core.checks import epoch_seconds, positive
from langchain_agentmem.core.operations import (
    Argument,
    Command,
    Op,
    call,
    gather,
    ok,
    reads,
    text,
    writes,
)
from langchain_agentmem.core.removal import Removed
from langchain_agentmem.errors import InvalidInputError, StoreError
from langchain_agentmem.tasks import entries
from langchain_agentmem.tasks.entries import FailedTask
from langchain_agentmem.tasks.signals import Signals
from langchain_agentmem.tasks.task import Place, Queued, Taking, Task, changed, decode, encode


def _script(name: str) -> scripts.Script:
    return scripts.together((str(__package__), "queues"), (str(__package__), name))


_ENQUEUE, _TAKE_OFF, _FAIL = (_script(name) for name in ("enqueue", "take_off", "fail_task"))
_REPLAY, _DROP_QUEUE = (_script(name) for name in ("replay_task", "drop_queue"))
_DROP_FAILED = scripts.load(__package__, "drop_failed")
_PAGE = 1000  # signals of a round trip
_FAILED_PAGE = 20  # they may be large
_MESSAGE_CHARACTERS = 1000
_ENTRY_ID = re.compile(r"[0-9]{1,20}(-[0-9]{1,20})?")


class TaskCounts(NamedTuple):
    """Holds how much there is to do.

    Attributes:
        queues: How many queues are not empty.
        failed: How many tasks are set aside.
    """

    queues: int
    failed: int


class TaskQueue(Signals):
    """Puts tasks into queues, gives them to workers, and takes them off, as operations without I/O.

    All that changes a queue is one atomic script, and whatever it touches is in the partition of the queue's
    user. What is about the streams as a whole (signals, tasks that are set aside) is about those of `keys`
    themselves: `PartitionedTaskQueue` does it in every partition.

    Args:
        keys: The key names; of one partition, or with partitions.
    """

    def enqueue_op(self, place: Place, task: Task) -> Op[Queued]:
        """Put a task at the end of its queue, and signal it, in one atomic step. One round trip.

        One to `fold` takes the place of the one that is there.

        Args:
            place: The queue.
            task: The task.

        Returns:
            The task with its bytes, by which it can be taken off.

        Raises:
            InvalidInputError: An id or a member of the task is not usable; nothing was sent.
            WrongKeyTypeError: A key holds something else; nothing was written.
        """
        keys, stored = self.keys_of(place), encode(task)
        yield from call(_ENQUEUE.call(keys, stored, "1" if place.what == "fold" else "", *place))
        return Queued(task, stored)

    def read_op(self, place: Place, limit: int) -> Op[list[Queued]]:
        """Return the oldest tasks of a queue, oldest first. One round trip.

        What is no task is set aside, so that it does not hold up those behind it. One more round trip then.

        Args:
            place: The queue.
            limit: How many to return at most.
        """
        keys = self.keys_of(place)
        found: list[Queued] = []
        for stored in (yield from call(reads("LRANGE", keys[0], 0, positive("limit", limit) - 1))):
            try:
                found.append(Queued(decode(stored), stored))
            except StoreError as error:
                aside = _set_aside(place, reason="unreadable", message=str(error), attempts=0)
                yield from call(self._fail(place, stored, (0, b""), aside, "", ""))
        return found

    def taking(
        self, place: Place, queued: Iterable[Queued], *, signal_id: str = "", group: str = ""
    ) -> Taking:
        """Return what `take_off_op` and `long_term.apply_op` take tasks off by.

        Args:
            place: The queue.
            queued: The tasks, as they were read.
            signal_id: The signal that the worker was given; empty if it was given none.
            group: The group of workers in which it is acknowledged once the queue is empty; empty for none.

        Raises:
            InvalidInputError: An id of the place is not valid.
        """
        stored = tuple(dict.fromkeys(one.stored for one in queued))
        return Taking(self.keys_of(place), stored, self.entry_id(signal_id), group)

    def take_off_op(self, taking: Taking) -> Op[bool]:
        """Take tasks off their queue, all or none; end its signal if it is empty then. One round trip.

        Returns:
            Whether they were there. If not, somebody else has taken, changed or dropped one, and nothing was
            written.

        Raises:
            WrongKeyTypeError: A key holds something else; nothing was written.
        """
        return (yield from take_off(taking))

    def fail_op(
        self,
        place: Place,
        queued: Queued,
        *,
        reason: str,
        message: str,
        not_before: float,
        set_aside: bool,
        group: str = "",
        signal_id: str = "",
    ) -> Op[bool]:
        """Note in a task that it failed once more, or set it aside, in one atomic step. One round trip.

        Args:
            place: The queue.
            queued: The task, as it was read.
            reason: Why it failed, in one word; kept if it is set aside.
            message: What the error said, of which 1,000 characters are kept; it must hold no secret.
            not_before: When it may be tried again, in epoch seconds.
            set_aside: Whether it leaves its queue.
            group: As for `taking`.
            signal_id: As for `taking`.

        Returns:
            Whether it was there. If not, nothing was written.
        """
        attempts = queued.task.attempts + 1
        if set_aside:
            header = changed(queued, attempts=0, not_before=0.0)  # as it is when it is replayed
            aside = _set_aside(place, reason=reason, message=message, attempts=attempts)
        else:
            header = changed(queued, attempts=attempts, not_before=epoch_seconds("not_before", not_before))
            aside = ()
        return bool((yield from call(self._fail(place, queued.stored, header, aside, group, signal_id))))

    def _fail(
        self,
        place: Place,
        stored: bytes,
        header: tuple[int, bytes],
        aside: Sequence[Argument],
        group: str,
        signal_id: str,
    ) -> Command:
        keys = (*self.keys_of(place), self.keys.of(place.user).tasks_failed)
        return _FAIL.call(keys, group, self.entry_id(signal_id), stored, *header, *aside)

    def failed_op(self, limit: int = 100, cursor: str = "") -> Op[list[FailedTask]]:
        """Return tasks that are set aside, oldest first. One round trip.

        Args:
            limit: How many to return at most.
            cursor: The `id` of the last one of the page before; empty to begin with the oldest.

        Raises:
            InvalidInputError: The cursor is no id, or the limit is not above zero.
        """
        start = f"({checked_id(cursor)}" if cursor else "-"
        page = reads("XRANGE", self.keys.tasks_failed, start, "+", "COUNT", positive("limit", limit))
        return list(entries.failed((yield from call(page))))

    def replay_op(self, ids: Iterable[str] | None = None) -> Op[int]:
        """Put tasks that were set aside back into their queues, as if they had never failed.

        They come before those that are in the queue. Each is an atomic step. Two round trips per 20 tasks.

        Args:
            ids: Which ones, by `FailedTask.id`; `None` for all.

        Returns:
            How many there were.

        Raises:
            InvalidInputError: An id is none.
            WrongKeyTypeError: The key of a queue holds something else; that task stays aside.
        """
        pages = self._newest_failed() if ids is None else self._named_failed(several(ids))
        return (yield from pages)

    def _newest_failed(self) -> Op[int]:
        """Replay all: the newest first, because each goes before those that are in its queue."""
        replayed, end = 0, "+"
        while True:
            command = reads("XREVRANGE", self.keys.tasks_failed, end, "-", "COUNT", _FAILED_PAGE)
            page = yield from call(command)
            replayed += yield from self._replay(page)
            if len(page) < _FAILED_PAGE:
                return replayed
            end = f"({text(page[-1][0])}"

    def _named_failed(self, ids: Iterable[str]) -> Op[int]:
        named = sorted({checked_id(one) for one in ids}, key=_order, reverse=True)
        replayed = 0
        for at in range(0, len(named), _FAILED_PAGE):
            page = [
                reads("XRANGE", self.keys.tasks_failed, one, one) for one in named[at : at + _FAILED_PAGE]
            ]
            replayed += yield from self._replay([entry for reply in (yield page) for entry in ok(reply)])
        return replayed

    def _replay(self, page: Sequence[Any]) -> Op[int]:
        calls = [
            _REPLAY.call(
                (*self.keys_of(one.place), self.keys.tasks_failed),
                *(one.id, *one.place, "1" if one.place.what == "fold" else ""),
            )
            for one in entries.failed(page)
        ]
        return sum([int(ok(reply)) for reply in (yield calls)]) if calls else 0

    def drop_failed_op(self, ids: Iterable[str] | None = None) -> Op[int]:
        """Delete tasks that were set aside; return how many there were. One round trip.

        Args:
            ids: Which ones, by `FailedTask.id`; `None` for all.

        Raises:
            InvalidInputError: An id is none.
        """
        key = self.keys.tasks_failed
        if ids is None:
            return int((yield from call(writes("XTRIM", key, "MAXLEN", 0))))
        named = [checked_id(one) for one in several(ids)]
        return int((yield from call(writes("XDEL", key, *named)))) if named else 0

    def waiting_op(self) -> Op[TaskCounts]:
        """Return how many queues are not empty, and how many tasks are set aside. One round trip."""
        keys = (self.keys.tasks_stream, self.keys.tasks_failed)
        queues, aside = yield [reads("XLEN", key) for key in keys]
        return TaskCounts(int(ok(queues)), int(ok(aside)))

    def forget_op(self, user: str, *, dry_run: bool = False) -> Op[Removed]:
        """Delete all tasks of a user, also those that are set aside, or count them.

        Whoever has one in hand finds it gone. Two round trips per 1,000 queues that are not empty, and at
        the same time one per 20 tasks that are set aside.

        Args:
            user: Whose.
            dry_run: Only count.
        """
        removed = Removed(dry_run)
        for result in (
            yield from gather([self._forget_queues(user, removed), self._forget_failed(user, removed)])
        ):
            ok(result)
        return removed

    def _forget_queues(self, user: str, removed: Removed) -> Op[None]:
        start = "-"
        while True:
            page = yield from call(reads("XRANGE", self.keys.tasks_stream, start, "+", "COUNT", _PAGE))
            own = [one for one in entries.signals(page, []) if one.place.user == user]
            queues = {self.keys_of(one.place): one.id for one in own}
            calls = [removed.call(_DROP_QUEUE, keys, signal_id) for keys, signal_id in queues.items()]
            replies = (yield calls) if calls else ()
            for _, count in removed.answered((keys[0] for keys in queues), replies):
                removed.count += int(count)
            if len(page) < _PAGE:
                return
            start = f"({text(page[-1][0])}"

    def _forget_failed(self, user: str, removed: Removed) -> Op[None]:
        start = b"-"
        while start:
            call_of_page = removed.call(_DROP_FAILED, [self.keys.tasks_failed], user, start, _FAILED_PAGE)
            count, start = yield from call(call_of_page)
            removed.count += int(count)


def take_off(taking: Taking) -> Op[bool]:
    """Take tasks off their queue, as `TaskQueue.take_off_op`."""
    return bool((yield from call(_TAKE_OFF.call(taking.keys, *taking.arguments))))


def are_there(taking: Taking) -> Op[bool]:
    """Return whether tasks stand in their queue. One round trip; none if there are none."""
    asked = [reads("LPOS", taking.keys[0], one) for one in taking.stored]
    replies = (yield asked) if asked else ()
    return all(ok(reply) is not None for reply in replies)


def _set_aside(place: Place, *, reason: str, message: str, attempts: int) -> tuple[Argument, ...]:
    """Return the fields of a task that is set aside, as `fail_task.lua` takes them."""
    told = {"reason": reason, "message": message[:_MESSAGE_CHARACTERS]}
    fields: dict[str, Argument] = {"what": place.what, "thread": place.thread_id, "user": place.user}
    fields |= {"namespace": place.namespace, "attempts": attempts}
    fields |= {name: said.encode("utf-8", "replace") for name, said in told.items()}
    return tuple(part for member in fields.items() for part in member)


def several(ids: Iterable[str]) -> Iterable[str]:
    """Return ids, if they are several and not one text."""
    if isinstance(ids, str):
        raise InvalidInputError("ids must be a list of ids, or None for all, not one text.")
    return ids


def checked_id(entry_id: str) -> str:
    """Return the id of a task that is set aside, if that is what it looks like."""
    if not (isinstance(entry_id, str) and _ENTRY_ID.fullmatch(entry_id)):
        raise InvalidInputError(
            f"id must be that of a task that is set aside, such as 1715990400123-0, not {entry_id!r}."
        )
    return entry_id


def _order(entry_id: str) -> tuple[int, ...]:
    return tuple(map(int, entry_id.split("-")))
