"""How many connections a process has to a server at most, and how others wait while all are in use."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Sequence
from typing import Generic, TypeVar

from langchain_agentmem.errors import StoreTimeoutError

MAX_CONNECTIONS = 100
"""Of one URL in one process: for all its threads together, and again for each event loop."""

HOW_TO_RAISE = (
    "max_connections raises the limit: as an option of the URL (?max_connections=200) or of your pool."
)


class Turns:
    """Lets so many threads at once have connections; the others wait for their turn, for a limited time.

    A context manager that any number of threads may enter. redis-py's own pool refuses at once when all of
    its connections are in use, so that a burst of threads would fail where waiting a millisecond is enough.

    Args:
        limit: How many threads at once.
        wait_seconds: How long a thread waits for its turn.
        where: What the connections lead to, for the error; it holds no secret.
    """

    def __init__(self, limit: int, wait_seconds: float, where: str) -> None:
        self._limit = limit
        self._wait_seconds = wait_seconds
        self._where = where
        self._free = threading.Semaphore(limit)

    def __enter__(self) -> None:
        """Wait for a turn.

        Raises:
            StoreTimeoutError: None came in time; nothing was sent.
        """
        if self._free.acquire(blocking=False) or self._free.acquire(timeout=self._wait_seconds):
            return
        raise _all_in_use(self._limit, self._wait_seconds, self._where)

    def __exit__(self, *_: object) -> None:
        self._free.release()


def _all_in_use(limit: int, seconds: float, where: str) -> StoreTimeoutError:
    said = f"All {limit} connections to {where} stayed in use for {seconds:g} s."
    return StoreTimeoutError(
        f"{said} {HOW_TO_RAISE}",
        plain=f"{said} Put ?max_connections= with a larger number at the end of the URL.",
    )


W = TypeVar("W")


class NodeTurns(Generic[W]):
    """Decides whose turn it is to send to some nodes of a cluster. No I/O, and not thread-safe.

    Turns come in the order in which they were asked for, all nodes of a batch at once: else those that need a
    single node would overtake the others again and again. Only who waits for a node that has three quarters
    of all turns is passed over, so that a node which is silent leaves the rest to the others. Of three turns
    or fewer, one node may have all.

    Args:
        limit: How many batches are sent at once.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._most = limit - limit // 4
        self._count = 0
        self._by_node: Counter[str] = Counter()
        self._waiting: dict[W, Sequence[str]] = {}

    def take(self, nodes: Sequence[str]) -> bool:
        """Take a turn, if one is free now, and return whether it was."""
        if self._count >= self._limit or any(self._by_node[node] >= self._most for node in nodes):
            return False
        self._count += 1
        self._by_node.update(nodes)
        return True

    def wait(self, nodes: Sequence[str], waiter: W) -> None:
        """Wait for a turn, which `give` takes for the waiter."""
        self._waiting[waiter] = nodes

    def leave(self, waiter: W) -> bool:
        """Wait no longer; return whether the turn had not come yet."""
        return self._waiting.pop(waiter, None) is not None

    def give(self, nodes: Sequence[str]) -> list[W]:
        """Give a turn back, and return the waiters whose turn it is now."""
        self._count -= 1
        self._by_node.subtract(nodes)
        next_ones = []
        for waiter, needed in self._waiting.items():
            if self._count >= self._limit:
                break
            if self.take(needed):
                next_ones.append(waiter)
        for waiter in next_ones:
            del self._waiting[waiter]
        return next_ones


class ThreadTurns:
    """Gives threads their turns at the nodes of a cluster; who waits too long has an error.

    Args:
        limit: How many batches are sent at once.
        wait_seconds: How long a thread waits for its turn.
        where: What the connections lead to, for the error; it holds no secret.
    """

    def __init__(self, limit: int, wait_seconds: float, where: str) -> None:
        self._limit, self._wait_seconds, self._where = limit, wait_seconds, where
        self._turns: NodeTurns[threading.Event] = NodeTurns(limit)
        self._lock = threading.Lock()

    def take(self, nodes: Sequence[str]) -> None:
        """Wait for a turn.

        Raises:
            StoreTimeoutError: None came in time; nothing was sent.
        """
        with self._lock:
            if self._turns.take(nodes):
                return
            turn = threading.Event()
            self._turns.wait(nodes, turn)
        try:
            came = turn.wait(self._wait_seconds) or not self._leave(turn)
        except BaseException:  # such as Ctrl-C
            if not self._leave(turn):
                self.give(nodes)
            raise
        if not came:
            raise _all_in_use(self._limit, self._wait_seconds, self._where)

    def give(self, nodes: Sequence[str]) -> None:
        """Give a turn back."""
        with self._lock:
            for turn in self._turns.give(nodes):
                turn.set()

    def _leave(self, turn: threading.Event) -> bool:
        """Wait no longer; return whether the turn had not come yet."""
        with self._lock:
            return self._turns.leave(turn)


class TaskTurns:
    """Async version of `ThreadTurns`, for one event loop. Tasks wait for as long as it takes."""

    def __init__(self, limit: int) -> None:
        self._turns: NodeTurns[asyncio.Future[None]] = NodeTurns(limit)

    async def take(self, nodes: Sequence[str]) -> None:
        """Wait for a turn."""
        if self._turns.take(nodes):
            return
        turn = asyncio.get_running_loop().create_future()
        self._turns.wait(nodes, turn)
        try:
            await turn
        except BaseException:
            if not self._turns.leave(turn):
                self.give(nodes)
            raise

    def give(self, nodes: Sequence[str]) -> None:
        """Give a turn back."""
        for turn in self._turns.give(nodes):
            if not turn.done():  # else its task was cancelled, and gives it back
                turn.set_result(None)
