"""What may be sent again, and for how long.

Repeated are: commands that surely did not run (the connection was never made, the server was still
loading, the script was not in its cache), and commands that only read. A write whose answer got lost
is never repeated: it may have happened.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from redis.exceptions import NoScriptError, ReadOnlyError
from tenacity import RetryCallState, retry_if_exception_type, stop_after_delay, wait_random_exponential

from langchain_agentmem.core.operations import Batch, Command
from langchain_agentmem.core.scripts import with_source
from langchain_agentmem.errors import StoreConnectionError, StoreError, StoreLoadingError, StoreTimeoutError


class Retryable(Exception):  # noqa: N818 - a signal between a driver and its retries, never seen outside
    """Something in the batch surely did not run, or only reads, and may be sent again."""

    def __init__(self, cause: StoreError) -> None:
        super().__init__(str(cause))
        self.cause = cause


_IN_TIME, _AT_MOST = stop_after_delay(2.0), stop_after_delay(6.0)


def _give_up(state: RetryCallState) -> bool:
    """Whether it is time to give up; not for want of a script's source, which the next attempt sends."""
    error = state.outcome.exception() if state.outcome is not None else None
    unknown_script = isinstance(error, Retryable) and isinstance(error.cause.__cause__, NoScriptError)
    return _AT_MOST(state) if unknown_script else _IN_TIME(state)


# How a driver paces its further attempts. Two seconds are enough for a supervisor to bring a killed
# server back, and short enough for a server that is gone to be an error "within seconds".
PACE: dict[str, Any] = {
    "retry": retry_if_exception_type(Retryable),
    "wait": wait_random_exponential(multiplier=0.02, max=0.4),
    "stop": _give_up,
    "reraise": True,
}


class InFlightBatch:
    """A batch on its way: the replies so far, and the commands still to be sent."""

    __slots__ = ("left", "replies")

    def __init__(self, batch: Batch) -> None:
        self.replies: list[Any] = [None] * len(batch)
        self.left: dict[int, Command] = dict(enumerate(batch))

    def settle(self, answers: Sequence[Any]) -> None:
        """Take the answers to what was left; raise `Retryable` if some of it must be sent again."""
        refused = self._take(answers)
        if refused is not None:
            raise Retryable(refused)

    def unsent(self, error: StoreError) -> Exception:
        """What to raise when there was no connection to send anything on.

        A refusal of the credentials will not pass by itself, and what took its whole time to fail
        would take it again.
        """
        passes = isinstance(error, StoreConnectionError | StoreLoadingError)
        return Retryable(error) if passes and not isinstance(error, StoreTimeoutError) else error

    def lost(self, answers: Sequence[Any], error: StoreError) -> Exception:
        """What to raise when the connection broke after these answers."""
        only_reads = all(command.read_only for command in islice(self.left.values(), len(answers), None))
        # redis-py breaks a connection made by sentinels when a write is refused there; the server has
        # then become a replica, and so refused the writes behind that one too.
        demoted = isinstance(getattr(error.__cause__, "__context__", None), ReadOnlyError)
        if isinstance(error, StoreTimeoutError) or not (only_reads or demoted):
            return error
        self._take(answers)
        return Retryable(error)

    def give_up(self, cause: StoreError) -> list[Any]:
        """The replies, with `cause` for what never ran; raise it if nothing did."""
        if len(self.left) == len(self.replies):
            raise cause
        for index in self.left:
            self.replies[index] = cause
        return self.replies

    def _take(self, answers: Sequence[Any]) -> StoreError | None:
        """Keep what was answered; why some of it has to be sent again.

        Reads that stand behind a command which did not run are sent again with it, so that a batch
        that writes and then reads reads what it wrote.
        """
        refused: StoreError | None = None
        for (index, command), answer in zip(list(self.left.items()), answers, strict=False):
            self.replies[index] = answer
            if isinstance(answer, StoreLoadingError):
                refused = answer
            elif isinstance(answer, StoreError) and isinstance(answer.__cause__, NoScriptError):
                refused = answer
                self.left[index] = with_source(command)
            elif refused is not None and command.read_only:
                continue
            else:
                del self.left[index]
        return refused
