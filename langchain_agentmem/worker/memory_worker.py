"""`MemoryWorker`: does in the background what turns have left to it."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from math import isfinite
from typing import TYPE_CHECKING, Any

from langchain_agentmem.core.checks import positive, validate_id
from langchain_agentmem.errors import ConfigurationError, InvalidInputError
from langchain_agentmem.stop_signals import INTERRUPTED, on_signals
from langchain_agentmem.worker.attending import ShiftOptions
from langchain_agentmem.worker.consolidating import Consolidating
from langchain_agentmem.worker.metrics import Tally, WorkerMetrics
from langchain_agentmem.worker.operations import Work
from langchain_agentmem.worker.shift import Shift

if TYPE_CHECKING:
    from langchain_agentmem.agent_memory import AgentMemory
    from langchain_agentmem.extraction.extractor import Extractor
    from langchain_agentmem.longterm.consolidation import Consolidator
    from langchain_agentmem.working.summaries import Summariser
    from langchain_agentmem.working.working_memory import WorkingMemory


class MemoryWorker:
    """Extracts memories and folds summaries in the background, as turns have asked for it.

    Any number of workers share the work: a consumer group gives each signal to one of them, and what a worker
    that died had in hand goes to the others. A task is taken off its queue in the same atomic step that
    writes what it gave rise to, so it is done once, whatever is killed. One that fails is tried again after
    1, 2, 4 … seconds (5 minutes at most), and set aside after its last attempt.

    Args:
        memory: The memory. It is not closed.
        extractor: Who says what to remember of an exchange: a function, sync or async, from an `Exchange` to
            changes, such as `model_extractor(model)`.
        summarise: Who folds what leaves a session's window into its summary; if not given, the memory's own.
        group: The consumer group. Workers of one group share the work.
        name: The worker's name, which no other one of the group may have; if not given, one of its own.
        concurrency: How many threads' work is done at once, and so how often the model is asked at once.
        debounce_seconds: For how long a thread has to be quiet before its exchanges are extracted from,
            several at once. After ten times as long they are in any case.
        max_attempts: After how many failures a task is set aside: 10 take about nine minutes.
        claim_idle_seconds: After how long without a sign of life a worker is taken for dead.
        consolidate: Whether a user's memories are consolidated (`long_term.consolidate`) once this worker has
            changed some and nothing came for a minute; or who judges then what is near each other, such as
            `model_consolidator(model)`.
        on_progress: Called on the worker's event loop with the metrics, whenever they change; what it raises
            ends the run.

    Raises:
        ConfigurationError: There is neither an extractor nor a summariser, or one is not usable.
        InvalidInputError: Another argument is not usable.
    """

    def __init__(
        self,
        memory: AgentMemory,
        *,
        extractor: Extractor | None = None,
        summarise: Summariser | None = None,
        group: str = "agentmem",
        name: str | None = None,
        concurrency: int = 8,
        debounce_seconds: float = 5.0,
        max_attempts: int = 10,
        claim_idle_seconds: float = 120.0,
        consolidate: Consolidator | bool = False,
        on_progress: Callable[[WorkerMetrics], None] | None = None,
    ) -> None:
        if extractor is not None and not callable(extractor):
            raise ConfigurationError(
                "extractor must be a function from an Exchange to changes, such as model_extractor(model), "
                f"not {type(extractor).__name__}."
            )
        working = _folding(memory, summarise)
        if extractor is None and working is None:
            raise ConfigurationError(
                "There is nothing for a worker to do: give it extractor=, or summarise=, or both."
            )
        self.name = validate_id("name", _own_name() if name is None else name)
        self._memory = memory
        self._options = ShiftOptions(
            group=validate_id("group", group),
            name=self.name,
            concurrency=positive("concurrency", concurrency),
            debounce_seconds=_seconds("debounce_seconds", debounce_seconds),
            max_attempts=positive("max_attempts", max_attempts),
            claim_idle_seconds=_seconds("claim_idle_seconds", claim_idle_seconds, above=0.0),
        )
        self._work = Work(memory, group, extractor, working)
        self._on_progress = on_progress
        self._tally = Tally()
        if not (isinstance(consolidate, bool) or callable(consolidate)):
            raise ConfigurationError(
                "consolidate must be True, False, or a function that judges memories, such as "
                f"model_consolidator(model), not {type(consolidate).__name__}."
            )
        judge = None if isinstance(consolidate, bool) else consolidate
        self._consolidating = Consolidating(memory, judge, self._tally) if consolidate else None
        self._stopping = threading.Event()
        self._shift: Shift | None = None
        self._lock = threading.Lock()

    @property
    def metrics(self) -> WorkerMetrics:
        """Return what this worker has done since it was made. From any thread."""
        return self._tally.metrics()

    def run(self, *, once: bool = False) -> WorkerMetrics:
        """Work until `stop` is called, on an event loop of its own.

        In the main thread, SIGTERM and SIGINT (Ctrl-C) are `stop` meanwhile, and a second one ends the
        process at once, with exit code 130: whatever is in hand then is done by another worker.

        Args:
            once: Whether to end when everything is done that is there, also what dead workers have left.
                Threads need not be quiet then, and each task is tried once; one that is to be tried later
                stays.

        Returns:
            The metrics.

        Raises:
            ConfigurationError: An event loop runs in this thread, the memory has only an async client, or the
                worker runs already.
            StoreError: The server refuses the work, or, with `once`, cannot be reached. Else the worker waits
                until it can.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            raise ConfigurationError("An event loop runs in this thread: await arun() there.")
        if self._memory.transport.async_only:
            raise ConfigurationError("The memory has only an async client: await arun() on its event loop.")
        return asyncio.run(self._run_alone(once))

    async def arun(self, *, once: bool = False) -> WorkerMetrics:
        """Async version of `run`, on the running event loop. It takes no signals of the system."""
        with self._lock:
            if self._shift is not None:
                raise ConfigurationError("This worker runs already; make another one.")
            shift = self._shift = Shift(
                self._memory,
                self._work,
                self._options,
                self._tally,
                self._on_progress,
                self._consolidating,
                once=once,
            )
            if self._stopping.is_set():
                shift.stop()
        try:
            await shift.run()
            return self.metrics
        finally:
            with self._lock:
                self._shift = None
                self._stopping.clear()
            await self._memory.events.sink.asettle()

    def stop(self) -> None:
        """Let the worker finish what is in hand, give back what it holds, and end. From any thread.

        It returns at once. If the worker does not run yet, its next run ends at once.
        """
        with self._lock:
            self._stopping.set()
            if self._shift is not None:
                self._shift.stop_soon()

    async def _run_alone(self, once: bool) -> WorkerMetrics:
        loop = asyncio.get_running_loop()
        # For models and embeddings that are sync, while the signs of life of a sync client need threads, too.
        loop.set_default_executor(ThreadPoolExecutor(2 * self._options.concurrency + 4, "agentmem-worker"))
        in_main_thread = threading.current_thread() is threading.main_thread()
        with on_signals(self._on_signal) if in_main_thread else nullcontext():
            return await self.arun(once=once)

    def _on_signal(self) -> None:
        if self._stopping.is_set():
            os._exit(INTERRUPTED)  # a thread that a model keeps waiting would hold up any other end
        self.stop()

    def __repr__(self) -> str:
        return f"MemoryWorker(name={self.name!r}, group={self._options.group!r})"


def _folding(memory: AgentMemory, summarise: Summariser | None) -> WorkingMemory | None:
    """Return the memory's conversations, with this summariser if one is given; `None` if there is none."""
    if summarise is None:
        return None if memory.working.config.summarise is None else memory.working
    from langchain_agentmem.working.working_memory import WorkingMemory

    config = replace(memory.working.config, summarise=summarise)
    return WorkingMemory(transport=memory.transport, **vars(config))


def _own_name() -> str:
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


def _seconds(name: str, value: Any, above: float | None = None) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value < 0:
        raise InvalidInputError(f"{name} must be a number of seconds, not {value!r}.")
    if above is not None and value <= above:
        raise InvalidInputError(f"{name} must be above {above:g}, not {value!r}.")
    return float(value)
