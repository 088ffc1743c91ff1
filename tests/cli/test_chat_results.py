"""What is shown of an exchange in a chat."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from typing import Any

import pytest

from langchain_agentmem import Event, ExchangeReport, MemoryRecord, NearMemory, RememberResult
from langchain_agentmem.cli.chat.results import Result
from langchain_agentmem.cli.console import Screen

NEAR = NearMemory("m0", "I live in Lisbon.", 0.25)
REPORT = ExchangeReport(
    thread_id="t1",
    user="ada",
    namespace="default",
    text="I live in Porto.",
    recalled=[],
    remembered=RememberResult("m1", False),
    not_remembered=None,
    turn_count=2,
    read_seconds=0.002,
    chain_seconds=1.24,
    write_seconds=0.001,
)
SAME = MemoryRecord("m1", "I live in Porto.", "ada", "default", "episodic", hit_count=2)


def shown(
    monkeypatch: pytest.MonkeyPatch, *, explained: bool = False, same: MemoryRecord | None = None, **of: Any
) -> list[str]:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    model = of.pop("model", None)
    events = [Event("1-1", "recall", "", 0.0), Event("1-2", "remember", "", 0.0)]
    result = Result(replace(REPORT, **of), events, same, model, None)
    (result.explain if explained else result.show)(Screen())
    return sys.stdout.getvalue().splitlines()  # type: ignore[attr-defined]


def test_a_line_says_what_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch) == ["changed    +1 memory · 0 recalled · 2 events · 3 ms"]
    assert shown(monkeypatch, model="x:y") == [
        "changed    +1 memory · 0 recalled · 2 events · 3 ms · model 1,240 ms"
    ]
    assert shown(monkeypatch, remembered=RememberResult("m1", True), same=SAME) == [
        "changed    the same as “I live in Porto.” · 0 recalled · 2 events · 3 ms"
    ]
    assert shown(monkeypatch, remembered=RememberResult("m1", False, near=NEAR))[1:] == [
        "near       “I live in Lisbon.” · /replace if it is out of date"
    ]


@pytest.mark.parametrize(
    ("reason", "said", "explained"),
    [
        ("question", "a question", "nothing to remember: a question"),
        ("small_talk", "small talk", "nothing to remember: small talk"),
        ("off", "--kind skip", "--kind skip"),
        ("unusable", "too long: 16 bytes", "too long: 16 bytes"),
        ("failed", "it failed", "it failed"),
    ],
)
def test_why_nothing_was_remembered_is_told(
    monkeypatch: pytest.MonkeyPatch, reason: str, said: str, explained: str
) -> None:
    of: dict[str, Any] = {"remembered": None, "not_remembered": reason}
    assert shown(monkeypatch, **of) == [f"changed    not remembered ({said}) · 0 recalled · 2 events · 3 ms"]
    assert f"memory     not remembered ({explained})" in shown(monkeypatch, explained=True, **of)


def test_all_of_it_is_there_to_be_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    of: dict[str, Any] = {"remembered": RememberResult("m1", False, near=NEAR), "recalled": [SAME]}
    lines = shown(monkeypatch, explained=True, **of)
    assert lines[0] == "recalled   1 memory"
    assert lines[1].endswith("I live in Porto.")
    assert lines[2].startswith(
        "memory     stored as new memory (near, not merged: 0.250  “I live in Lisbon.”"
    )
    assert lines[3:] == [
        "events     recall · remember",
        "time       2 ms to embed and recall, 1,240 ms to answer, 1 ms to write",
    ]
    deduped: dict[str, Any] = {"remembered": RememberResult("m1", True), "same": SAME}
    assert "memory     says the same as “I live in Porto.” (duplicates 2)" in shown(
        monkeypatch, explained=True, **deduped
    )
