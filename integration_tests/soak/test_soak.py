"""The soak test for a few seconds each: what held, holds."""

from __future__ import annotations

import secrets
from random import Random

import pytest
from rich.console import Console

from integration_tests.soak.__main__ import TRIALS, main, table
from integration_tests.soak.changing_clusters import LAG
from integration_tests.soak.trial import Clock, Figures, Ledger
from langchain_agentmem.errors import StoreError

SECONDS = {"cut connections": 3.0, "killed servers": 3.0, "cancelled tasks": 1.0, "full servers": 1.0}
SECONDS["killed servers, synced every second"] = 3.0
"""The others make one round."""
MAY_BE_NONE = {"unknown", "refused", LAG}


@pytest.mark.parametrize("name", TRIALS)
def test_it_holds(name: str) -> None:
    seed = secrets.randbelow(1_000_000)
    trial, _ = TRIALS[name]
    figures = trial(Clock(SECONDS.get(name, 0.1)), Random(f"{seed} {name}"))
    Console(width=130).print(f"seed {seed}", table({name: figures}))
    if figures.skipped:
        pytest.skip(figures.skipped)
    assert figures.held, (
        f"{figures.broken}; again: python -m integration_tests.soak --seed {seed} --only '{name}'"
    )
    done = {name: count for name, count in figures.counts.items() if name not in MAY_BE_NONE}
    assert all(done.values()), done


def test_what_is_lost_doubled_strange_or_in_disorder_is_counted() -> None:
    ledger = Ledger()
    for _ in range(3):
        with ledger.sending("t", "a"):
            pass
    with ledger.sending("t", "a"):
        raise StoreError("unknown")
    held = {"lost": 0, "doubled": 0, "strangers": 0, "disordered": 0}
    for stored, broken in (
        (["a:1", "a:2", "a:3"], {}),
        (["a:1", "a:2", "a:3", "a:4"], {}),
        (["a:1", "a:3"], {"lost": 1}),
        (["a:1", "a:2", "a:2", "a:3"], {"doubled": 1}),
        (["a:1", "b:1", "a:2", "a:3"], {"strangers": 1}),
        (["a:2", "a:1", "a:3"], {"disordered": 1}),
    ):
        figures = ledger.compare(lambda place: stored)  # noqa: B023
        assert figures.broken == held | broken
        assert figures.held is not bool(broken)
    assert figures.counts["attempts"] == 4


def test_the_command_prints_the_figures_and_the_seed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seconds", "0.5", "--seed", "7", "--only", "cancelled tasks"]) == 0
    said = capsys.readouterr().out
    assert "--seed 7" in said
    assert "mixed 0" in said


def test_a_trial_that_fails_ends_the_command_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TRIALS, "many streams", (lambda clock, random: Figures({}, {"lost": 1}), 1))
    assert main(["--seconds", "1", "--only", "many streams"]) == 1
