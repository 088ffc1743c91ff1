"""What every driver does, sync and async: runs an operation batch by batch, and sends again what may be."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from tenacity import AsyncRetrying, Retrying

from langchain_agentmem.core.operations import Batch, Effect, Op, Step, T
from langchain_agentmem.errors import AgentMemoryError, StoreError
from langchain_agentmem.transport.retries import PACE, InFlightBatch, Retryable

# What reading a reply raises that is of another type or shape than the command's.
_MISFITS = (TypeError, ValueError, LookupError, AttributeError, OverflowError)


def _read(op: Op[Any], replies: list[Any]) -> Step:
    """Hand the replies to the operation, and return its next step."""
    try:
        return op.send(replies)
    except AgentMemoryError:
        raise
    except _MISFITS as error:
        raise StoreError(
            "The server's answer does not fit the command. Is it a Redis, and nothing else between?"
        ) from error


class Driver(ABC):
    """Runs operations. A subclass says how a batch is sent once. Thread-safe."""

    def run(self, op: Op[T]) -> T:
        """Run the operation to its end and return its result."""
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
                    step = _read(op, self._exchange(step))
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            op.close()

    def _exchange(self, batch: Batch) -> list[Any]:
        sending = InFlightBatch(batch)
        try:
            try:
                self._attempt(sending)
            except Retryable:
                Retrying(**PACE)(self._attempt, sending)
        except Retryable as signal:
            return sending.give_up(signal.cause)
        return sending.replies

    @abstractmethod
    def _attempt(self, sending: InFlightBatch) -> None:
        """Send what is left; raise `Retryable` if it may be sent again, or the error if it may not."""

    @abstractmethod
    def close(self) -> None:
        """Close the client."""


class AsyncDriver(ABC):
    """Async version of `Driver`, for one event loop."""

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
                    step = _read(op, await self._exchange(step))
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            op.close()

    async def _exchange(self, batch: Batch) -> list[Any]:
        sending = InFlightBatch(batch)
        try:
            try:
                await self._attempt(sending)
            except Retryable:
                await AsyncRetrying(**PACE)(self._attempt, sending)
        except Retryable as signal:
            return sending.give_up(signal.cause)
        return sending.replies

    @abstractmethod
    async def _attempt(self, sending: InFlightBatch) -> None:
        """Async version of `Driver._attempt`."""

    @abstractmethod
    async def aclose(self) -> None:
        """Close the client."""
