"""End what runs when the system, or Ctrl-C, says so."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

INTERRUPTED = 130  # 128 + SIGINT: what a shell reports of a program that it ends
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def on_signals(stop: Callable[[], object]) -> Iterator[None]:
    """Call `stop` when the process is told to end. Where loops take no signals, Ctrl-C interrupts as ever."""
    import asyncio  # here, as command lines load this module before anything else

    loop, taken = asyncio.get_running_loop(), []
    with suppress(NotImplementedError, RuntimeError, ValueError):  # Windows; another thread
        for number in _SIGNALS:
            loop.add_signal_handler(number, stop)
            taken.append(number)
    try:
        yield
    finally:
        for number in taken:
            loop.remove_signal_handler(number)
