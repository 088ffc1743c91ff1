"""Runs operations batch by batch, and decides what of a batch is sent again, and for how long.

Sent again are commands that certainly did not run (the connection was never made, the server was still
loading, the script was not in its cache), and commands that only read. A write whose answer was lost is
never sent again: it may have run.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

from redis.exceptions import NoScriptError, ReadOnlyError
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_delay,
    wait_random_exponential,
)

from langchain_agentmem.core.operations import Batch, Command, Effect, Op, Step, T
from langchain_agentmem.core.scripts import is_by_digest, with_source
from langchain_agentmem.errors import (
    AgentMemoryError,
    StoreConnectionError,
    StoreError,
    StoreLoadingError,
    StoreTimeoutError,
)

# What reading a reply raises that is of another type or structure than the command's.
_MISFITS = (TypeError, ValueError, LookupError, AttributeError, OverflowError)


class Retryable(Exception):  # noqa: N818 - a signal between a driver and its retries, never seen outside
    """Signals that something in the batch certainly did not run, or only reads, and may be sent again."""

    def __init__(self, cause: StoreError) -> None:
        super().__init__(str(cause))
        self.cause = cause


def given_up(seconds: float) -> Callable[[RetryCallState], bool]:
    """Return what says whether to give up: after this time, but never because of a missing script.

    The next attempt sends that.
    """
    is_over = stop_after_delay(seconds)

    def give_up(state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome is not None else None
        return is_over(state) and not (isinstance(error, Retryable) and _lacks_script(error.cause))

    return give_up


def _lacks_script(answer: Any) -> bool:
    """Return whether the server refused to call a script by its digest, because it does not have it."""
    return isinstance(answer, StoreError) and isinstance(answer.__cause__, NoScriptError)


# How a driver paces its further attempts. Two seconds are enough for a supervisor to bring a killed
# server back, and short enough for a server that is gone to be an error "within seconds".
PACE: dict[str, Any] = {
    "retry": retry_if_exception_type(Retryable),
    "wait": wait_random_exponential(multiplier=0.02, max=0.4),
    "stop": given_up(2.0),
    "reraise": True,
}


class InFlightBatch:
    """Keeps account of a batch that is being sent: the replies so far, and what is left to send.

    Attributes:
        replies: One per command, in order; `None` for those without one yet.
        left: The commands still to be sent, by their place in the batch.
        failure: Why they have to be sent again.
    """

    __slots__ = ("failure", "left", "replies")

    def __init__(self, batch: Batch) -> None:
        self.replies: list[Any] = [None] * len(batch)
        self.left: dict[int, Command] = dict(enumerate(batch))
        self.failure: StoreError | None = None

    def settle(self, answers: Sequence[Any]) -> None:
        """Take the answers to what was left.

        Raises:
            Retryable: Some of it must be sent again.
        """
        refused = self._take(list(self.left), answers)
        if refused is not None:
            raise self.retryable(refused)

    def unsent(self, error: AgentMemoryError) -> Exception:
        """Return what to raise when there was no connection: do not retry authentication errors or timeouts.

        The first will not pass by itself, and what took its whole time to fail would take it again.
        """
        passes = isinstance(error, StoreConnectionError | StoreLoadingError)
        if isinstance(error, StoreError) and passes and not isinstance(error, StoreTimeoutError):
            return self.retryable(error)
        return error

    def lost(self, answers: Sequence[Any], error: StoreError) -> Exception:
        """Return what to raise when the connection broke after these answers."""
        only_reads = all(command.read_only for command in islice(self.left.values(), len(answers), None))
        # redis-py breaks a connection made by sentinels when a write is refused there; the server has
        # then become a replica, and so refused the writes behind that one too.
        demoted = isinstance(getattr(error.__cause__, "__context__", None), ReadOnlyError)
        if isinstance(error, StoreTimeoutError) or not (only_reads or demoted):
            return error
        self._take(list(self.left), answers)
        return self.retryable(error)

    def retryable(self, cause: StoreError) -> Retryable:
        """Return what to raise so that what is left is sent again."""
        self.failure = cause
        return Retryable(cause)

    def result(self) -> list[Any]:
        """Return the replies, if nothing is left."""
        return self.replies

    def give_up(self) -> list[Any]:
        """Return the replies, with the failure for what never ran; raise it if nothing did."""
        assert self.failure is not None, "nothing has failed"
        if len(self.left) == len(self.replies):
            raise self.failure
        for index in self.left:
            self.replies[index] = self.failure
        return self.replies

    def _take(self, places: Iterable[int], answers: Iterable[Any]) -> StoreError | None:
        """Keep what was answered, and return why some of it has to be sent again, if any has.

        Reads that stand behind a command which did not run are sent again with it, so that a batch
        that writes and then reads reads what it wrote.

        Args:
            places: Places in the batch, of commands that were sent in this order.
            answers: What was answered to them, or to the first of them.
        """
        refused: StoreError | None = None
        for place, answer in zip(places, answers, strict=False):
            self.replies[place] = answer
            if isinstance(answer, StoreError) and self._did_not_run(place, answer):
                refused = answer
            elif refused is None or not self.left[place].read_only:
                del self.left[place]
        return refused

    def _did_not_run(self, place: int, answer: StoreError) -> bool:
        """Return whether an answer tells that the command did not run, and so is sent again."""
        command = self.left[place]
        if _lacks_script(answer) and is_by_digest(command):
            self.left[place] = with_source(command)
            return True
        return isinstance(answer, StoreLoadingError)


class Driver(ABC):
    """Runs operations. A subclass says how a batch is sent once. Thread-safe."""

    _pace = PACE

    def run(self, op: Op[T]) -> T:
        """Run the operation to its end, and return its result."""
        try:
            step = next(op)
            while True:
                if isinstance(step, Effect):
                    try:
                        done = step.run()
                    except Exception as error:  # noqa: BLE001 - raised where it was asked for
                        step = op.throw(error)
                    else:
                        step = op.send(done)
                else:
                    step = _resume(op, self._exchange(step))
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            op.close()

    def _exchange(self, batch: Batch) -> list[Any]:
        """Send a batch, some of it again if it may be, and return the replies."""
        in_flight = self._begin(batch)
        try:
            try:
                self._attempt(in_flight)
            except Retryable:
                Retrying(**self._pace)(self._attempt_again, in_flight)
        except Retryable:
            return in_flight.give_up()
        return in_flight.result()

    def _begin(self, batch: Batch) -> InFlightBatch:
        """Return what keeps account of a batch."""
        return InFlightBatch(batch)

    @abstractmethod
    def _attempt(self, in_flight: InFlightBatch) -> None:
        """Send what is left; raise `Retryable` if it may be sent again, or the error if it may not."""

    def _attempt_again(self, in_flight: InFlightBatch) -> None:
        """Send what is left, as `_attempt`, after an attempt that failed."""
        self._attempt(in_flight)

    @abstractmethod
    def close(self) -> None:
        """Close the client."""


class AsyncDriver(ABC):
    """Async version of `Driver`, for one event loop."""

    _pace = PACE

    async def run(self, op: Op[T]) -> T:
        """Async version of `Driver.run`."""
        try:
            step = next(op)
            while True:
                if isinstance(step, Effect):
                    try:
                        done = await step.arun()
                    except Exception as error:  # noqa: BLE001 - raised where it was asked for
                        step = op.throw(error)
                    else:
                        step = op.send(done)
                else:
                    step = _resume(op, await self._exchange(step))
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            op.close()

    async def _exchange(self, batch: Batch) -> list[Any]:
        """Async version of `Driver._exchange`."""
        in_flight = self._begin(batch)
        try:
            try:
                await self._attempt(in_flight)
            except Retryable:
                await AsyncRetrying(**self._pace)(self._attempt_again, in_flight)
        except Retryable:
            return in_flight.give_up()
        return in_flight.result()

    def _begin(self, batch: Batch) -> InFlightBatch:
        """Return what keeps account of a batch."""
        return InFlightBatch(batch)

    @abstractmethod
    async def _attempt(self, in_flight: InFlightBatch) -> None:
        """Async version of `Driver._attempt`."""

    async def _attempt_again(self, in_flight: InFlightBatch) -> None:
        """Async version of `Driver._attempt_again`."""
        await self._attempt(in_flight)

    @abstractmethod
    async def aclose(self) -> None:
        """Close the client."""


def _resume(op: Op[Any], replies: list[Any]) -> Step:
    """Hand the replies to the operation, and return its next step.

    Raises:
        StoreError: A reply was not of the type that the command has.
    """
    try:
        return op.send(replies)
    except AgentMemoryError:
        raise
    except _MISFITS as error:
        raise StoreError(
            "The server's answer does not fit the command. Is it a Redis, and nothing else between?"
        ) from error
