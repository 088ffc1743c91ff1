"""Pausing inside an operation, where the server cannot wait for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_agentmem.core.operations import Effect


@dataclass(frozen=True, slots=True)
class Pause(Effect):
    """Waits for some seconds. Of several side by side, the longest is waited for."""

    seconds: float

    @property
    def group(self) -> Hashable:
        """Return what all pauses have in common."""
        return "pause"

    def merge(self, others: Sequence[Pause]) -> tuple[Effect, Callable[[Any], list[Any]]]:
        """Return the longest of these."""
        return max((self, *others), key=lambda one: one.seconds), lambda result: [result] * (len(others) + 1)

    def run(self) -> None:
        """Wait."""
        time.sleep(self.seconds)

    async def arun(self) -> None:
        """Async version of `run`."""
        await asyncio.sleep(self.seconds)
