"""What is made of failures."""

from __future__ import annotations

import logging

import pytest

from langchain_agentmem.errors import (
    ConfigurationError,
    ExtractionError,
    InvalidInputError,
    StoreTimeoutError,
    SummaryError,
)
from langchain_agentmem.worker.failures import Outage, backoff, told
from langchain_agentmem.worker.metrics import Tally


def test_pauses_grow_and_are_bounded() -> None:
    for failures, about in ((1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (10**6, 300)):
        assert 0.75 * about <= backoff(failures) <= 1.25 * about
    assert backoff(20, most=30.0) <= 37.5
    assert len({backoff(3) for _ in range(10)}) > 1


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ExtractionError("x", reason="unknown_id"), "unknown_id"),
        (SummaryError("x"), "summary"),
        (StoreTimeoutError("x"), "store"),
        (ConfigurationError("x"), "configuration"),
        (InvalidInputError("x"), "invalid"),
        (KeyError("x"), "error"),
    ],
)
def test_a_failure_has_a_reason(error: Exception, reason: str) -> None:
    assert told(error)[0] == reason


def test_what_is_said_of_a_failure_is_a_short_line_without_secrets() -> None:
    said = told(ValueError("password=hunter2-hunter2\n" + "x " * 1000))[1]
    assert "hunter2" not in said
    assert "\n" not in said
    assert len(said) <= 501


def test_an_outage_is_two_lines_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "langchain_agentmem")
    outage = Outage()
    outage.ends()
    for _ in range(3):
        outage.begins(StoreTimeoutError("no answer"))
    outage.ends()
    outage.ends()
    assert [record.message for record in caplog.records] == [
        "The store fails, and the worker keeps trying: no answer",
        "The store answers again, and the worker goes on.",
    ]


def test_metrics_are_a_copy_that_json_takes() -> None:
    tally = Tally()
    before = tally.metrics()
    tally.changes.update(["stored"])
    tally.failures["store"] += 1
    assert (before.changes, before.failures) == ({}, {})
    told = tally.metrics().as_dict()
    assert (told["changes"], told["failures"], told["waiting"]) == ({"stored": 1}, {"store": 1}, None)
