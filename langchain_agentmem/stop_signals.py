"""End what runs when the system, or Ctrl-C, says so."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def on_signals(stop: Callable[[], object]) -> Iterator[None]:
    """Call `stop` when the process is told to end. Where loops take no signals, Ctrl-C interrupts as ever."""
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
