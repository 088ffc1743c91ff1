"""Which options `wrap` takes, and what is handed on of them."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from langchain_agentmem.chain.options import RecalledMemories
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.longterm.types import MemoryRecord
from tests.chain.fake_memory import wrapping


async def later(_: Any) -> None: ...


class Later:
    async def __call__(self, _: Any) -> None: ...


@pytest.mark.parametrize(
    ("remember", "said"),
    [
        ("", "remember"),
        ("\ud800", "remember"),
        (5, "remember must be an extractor, a kind, .* not int"),
        (b"episodic", "remember must be an extractor, a kind, .* not bytes"),
    ],
)
def test_what_is_no_kind_is_refused(remember: Any, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        wrapping(remember=remember)


@pytest.mark.parametrize("remember", ["semantic", None, lambda text: None, print])
def test_a_kind_nothing_and_a_choice_are_not(remember: Any) -> None:
    assert wrapping(remember=remember).remember is remember


@pytest.mark.parametrize("callback", [later, partial(later), Later()], ids=["function", "partial", "object"])
def test_a_callback_that_would_have_to_be_awaited_is_refused(callback: Any) -> None:
    with pytest.raises(InvalidInputError, match="on_exchange must be a plain function"):
        wrapping(on_exchange=callback)
    assert wrapping(remember=callback).turn(check_owner=True).extracts  # which is awaited


def test_a_report_that_cannot_be_called_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="on_exchange must be callable, not int"):
        wrapping(on_exchange=5)


@pytest.mark.parametrize("on_abandon", ["keep", "", None])
def test_another_way_to_abandon_is_refused(on_abandon: Any) -> None:
    with pytest.raises(InvalidInputError, match="keep_input, keep_partial, drop"):
        wrapping(on_abandon=on_abandon)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"input_key": "chat_history"}, "input_key and history_key"),
        ({"history_key": "memories"}, "history_key and memories_key"),
        ({"memories_key": "input"}, "input_key and memories_key"),
        ({"input_key": "x", "history_key": "x", "memories_key": None}, "input_key and history_key"),
    ],
    ids=str,
)
def test_two_keys_of_one_name_are_refused(options: Any, named: str) -> None:
    with pytest.raises(InvalidInputError, match=f"{named} are both"):
        wrapping(**options)


def test_the_keys_are_those_that_are_used() -> None:
    keys = {"input_key": "input", "history_key": "chat_history"}
    assert wrapping().keys == {**keys, "memories_key": "memories"}
    assert wrapping(memories_key=None).keys == keys


@pytest.mark.parametrize(
    ("options", "knows"),
    [
        ({}, True),
        ({"memories_key": None}, True),
        ({"remember": None}, True),
        ({"memories_key": None, "remember": None}, False),
    ],
    ids=str,
)
def test_a_user_is_needed_for_what_is_recalled_or_remembered(options: Any, knows: bool) -> None:
    assert wrapping(**options).knows_users is knows


def test_memories_read_well_in_a_prompt() -> None:
    days = {"a": 1795132800.0, "b": 1795132799.9, "c": 0.0, "d": float("nan"), "e": 1e300}
    records = [MemoryRecord(name, f"fact {name}", "u", "n", "k", created_ts=ts) for name, ts in days.items()]
    assert f"{RecalledMemories(records)}" == (
        "- 2026-11-20: fact a\n- 2026-11-19: fact b\n- fact c\n- fact d\n- fact e"
    )
    assert str(RecalledMemories()) == ""
