"""When a driver stops trying."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from redis.exceptions import NoScriptError

from langchain_agentmem.errors import StoreConnectionError, StoreError
from langchain_agentmem.transport.retries import PACE, Retryable


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
        (NoScriptError(), 6.1, True),
    ],
)
def test_an_attempt_that_only_lacked_a_script_is_not_the_last(
    cause: Exception | None, seconds: float, stops: bool
) -> None:
    outcome: Future[Any] = Future()
    outcome.set_exception(Retryable(refusal(cause)))
    assert PACE["stop"](SimpleNamespace(outcome=outcome, seconds_since_start=seconds)) is stops
