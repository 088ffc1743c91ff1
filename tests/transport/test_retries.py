"""What a driver sends again, and when it stops trying."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from redis.exceptions import NoScriptError

from langchain_agentmem.core.operations import writes
from langchain_agentmem.core.scripts import Script
from langchain_agentmem.errors import StoreConnectionError, StoreError
from langchain_agentmem.transport.drivers import PACE, InFlightBatch, Retryable


def refusal(cause: Exception | None) -> StoreError:
    error = StoreError("refused") if cause is not None else StoreConnectionError("gone")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("cause", "seconds", "stops"),
    [
        (None, 1.9, False),
        (None, 2.1, True),
        (NoScriptError(), 2.1, False),  # the server answers at last, and the next attempt brings the source
        (NoScriptError(), 60, False),  # however long it took
    ],
)
def test_an_attempt_that_only_lacked_a_script_is_not_the_last(
    cause: Exception | None, seconds: float, stops: bool
) -> None:
    outcome: Future[Any] = Future()
    outcome.set_exception(Retryable(refusal(cause)))
    assert PACE["stop"](SimpleNamespace(outcome=outcome, seconds_since_start=seconds)) is stops


def test_a_script_is_sent_with_its_source_once() -> None:
    source = "return redis.call('GET', KEYS[1])"
    in_flight = InFlightBatch([Script(source).call(["key"]), writes("SET", "key", "value")])
    refused = refusal(NoScriptError())
    with pytest.raises(Retryable):
        in_flight.settle([refused, b"OK"])
    assert [command.args for command in in_flight.left.values()] == [("EVAL", source, 1, "key")]
    in_flight.settle([refused])
    assert in_flight.replies == [refused, b"OK"]


def test_a_command_that_calls_no_script_is_not_sent_again_for_want_of_one() -> None:
    in_flight = InFlightBatch([writes("SET", "key", "value")])
    refused = refusal(NoScriptError())
    in_flight.settle([refused])
    assert in_flight.replies == [refused]
