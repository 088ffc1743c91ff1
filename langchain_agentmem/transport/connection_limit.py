"""How many connections a process has to a server at most, and how threads wait while all are in use."""

from __future__ import annotations

import threading

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
        said = f"All {self._limit} connections to {self._where} stayed in use for {self._wait_seconds:g} s."
        raise StoreTimeoutError(
            f"{said} {HOW_TO_RAISE}",
            plain=f"{said} Put ?max_connections= with a larger number at the end of the URL.",
        )

    def __exit__(self, *_: object) -> None:
        self._free.release()
