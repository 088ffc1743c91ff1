"""What a worker has done so far: counted as it works, shown as `WorkerMetrics`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from langchain_agentmem.core.operations import Op, T
from langchain_agentmem.extraction.extractor import Extract
from langchain_agentmem.longterm.consolidation import Judge
from langchain_agentmem.working.summaries import Summarise


@dataclass(frozen=True, slots=True)
class WorkerMetrics:
    """Holds what a worker has done since it was made.

    Attributes:
        signals: How many signals it was given: each says that there is work for a thread, user and namespace.
        claimed: How many of them it took over from a worker that ended or died.
        exchanges: How many exchanges were extracted from and taken off.
        changes: How many changes of memories were made, by outcome: `stored`, `merged`, `updated`, `deleted`,
            `refused`.
        folded_messages: How many messages were folded into summaries.
        consolidated: How many memories were merged or superseded by consolidation.
        unreadable_messages: How many messages were left out because they could not be read.
        stale: How often another worker had done the same meanwhile, or the user was forgotten; nothing was
            written then.
        failures: How many attempts failed, by reason: that of an `ExtractionError`, else `summary`, `store`,
            `invalid`, `configuration` or `error`.
        set_aside: How many tasks were set aside after their last attempt.
        model_calls: How often the extractor, the summariser and the consolidator were asked.
        model_seconds: How long they took.
        waiting: How many threads, with user and namespace, have work that waits; `None` if not known yet.
        failed: How many tasks are set aside in all; `None` if not known yet.
    """

    signals: int = 0
    claimed: int = 0
    exchanges: int = 0
    changes: Mapping[str, int] = field(default_factory=dict)
    folded_messages: int = 0
    consolidated: int = 0
    unreadable_messages: int = 0
    stale: int = 0
    failures: Mapping[str, int] = field(default_factory=dict)
    set_aside: int = 0
    model_calls: int = 0
    model_seconds: float = 0.0
    waiting: int | None = None
    failed: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return them as JSON has them."""
        return asdict(self)


@dataclass(slots=True)
class Tally:
    """Counts what `WorkerMetrics` tells, on the worker's event loop."""

    signals: int = 0
    claimed: int = 0
    exchanges: int = 0
    changes: Counter[str] = field(default_factory=Counter)
    folded_messages: int = 0
    consolidated: int = 0
    unreadable_messages: int = 0
    stale: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    set_aside: int = 0
    model_calls: int = 0
    model_seconds: float = 0.0
    waiting: int | None = None
    failed: int | None = None

    def metrics(self) -> WorkerMetrics:
        """Return what was counted so far."""
        values = {name: getattr(self, name) for name in self.__slots__}
        counters = {"changes": dict(self.changes), "failures": dict(self.failures)}
        return WorkerMetrics(**(values | counters | {"model_seconds": round(self.model_seconds, 3)}))

    def timed(self, op: Op[T]) -> Op[T]:
        """Run an operation, and count how often it asks a model, and how long that takes."""
        try:
            step = next(op)
            while True:
                began = time.perf_counter()
                try:
                    answer = yield step
                except Exception as error:  # noqa: BLE001 - raised in the operation
                    self._count(step, began)
                    step = op.throw(error)
                else:
                    self._count(step, began)
                    step = op.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            op.close()

    def _count(self, step: Any, began: float) -> None:
        if isinstance(step, Extract | Summarise | Judge):
            self.model_calls += 1
            self.model_seconds += time.perf_counter() - began
