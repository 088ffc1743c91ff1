"""Where a process's CPU goes, by folder: looked at each millisecond of it; and what collecting garbage takes."""

from __future__ import annotations

import gc
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import langchain_agentmem

_EVERY_SECONDS = 0.001
_OURS = str(Path(langchain_agentmem.__file__).parent)
_BENCHMARK = str(Path(__file__).parents[1])
_STANDARD = str(Path(os.__file__).parent)
_FEWEST = 0.005  # of the samples: folders with fewer are shown together


@dataclass
class Sampled:
    """What was seen.

    Attributes:
        collecting_seconds: What the garbage collector took.
        shares: What part of the samples each folder has, the largest first, without the garbage collector.
    """

    collecting_seconds: float = 0.0
    shares: dict[str, float] = field(default_factory=dict)


@contextmanager
def sampled(by_folder: bool) -> Iterator[Sampled]:
    """Time the garbage collector; and, if asked for, sample the main thread. Sampling costs a few per cent."""
    found, seen, began = Sampled(), Counter[str](), 0.0

    def collect(phase: str, about: dict[str, Any]) -> None:
        nonlocal began
        if phase == "start":
            began = time.process_time()
        else:
            found.collecting_seconds += time.process_time() - began

    def look(number: int, frame: FrameType | None) -> None:
        if frame is not None:
            seen[_folder(frame.f_code.co_filename)] += 1

    gc.callbacks.append(collect)
    before = signal.signal(signal.SIGPROF, look) if by_folder else None
    signal.setitimer(signal.ITIMER_PROF, *((_EVERY_SECONDS,) * 2 if by_folder else (0, 0)))
    try:
        yield found
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        if by_folder:
            signal.signal(signal.SIGPROF, before)
        gc.callbacks.remove(collect)
    shares = {name: count / seen.total() for name, count in seen.most_common()}
    rest = sum(part for part in shares.values() if part < _FEWEST)
    found.shares = {name: part for name, part in shares.items() if part >= _FEWEST}
    if rest:
        found.shares["other"] = rest


def _folder(file: str) -> str:
    """Return what a file of Python code belongs to."""
    for root, name in ((_OURS, "langchain_agentmem"), (_BENCHMARK, "")):
        if file.startswith(root):
            folder = os.path.relpath(os.path.dirname(file), root)
            return "the benchmark itself" if not name else f"{name}/{folder}".removesuffix("/.")
    if "site-packages" in file:
        return file.partition("site-packages/")[2].partition("/")[0]
    if file.startswith(_STANDARD):
        return os.path.relpath(file, _STANDARD).partition("/")[0].removesuffix(".py")
    return "dataclasses" if file == "<string>" else file.strip("<>").removeprefix("frozen ")
