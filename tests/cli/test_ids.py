"""Ids as a person reads and types them."""

from __future__ import annotations

from unittest.mock import MagicMock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_agentmem.cli.console import CommandError
from langchain_agentmem.cli.ids import chosen_thread, shortened

MADE = "0f343b0931126a20f133d67c2b018a3b"


@pytest.mark.parametrize(
    ("one", "short"),
    [
        (MADE, "0f343b09"),
        (f"ada:{MADE}", "ada:0f343b09"),
        ("01a22872-02a4-7379-a53d-2ec854bf4fdf", "01a22872"),
        ("t-1", "t-1"),
        ("support/2026/eleven/a-long-name", "support/2026/eleven/a-long-name"),
        ("deadbeef", "deadbeef"),
        ("", ""),
    ],
)
def test_only_a_made_id_is_shortened(one: str, short: str) -> None:
    assert shortened([one]) == {one: short}


def test_ids_that_begin_alike_are_shown_as_far_as_they_differ() -> None:
    ids = [MADE, MADE[:10] + "f" * 22, MADE[:10] + "f" * 21 + "0", "b" * 32]
    assert list(shortened(ids).values()) == ["0f343b09311", "0f343b0931" + "f" * 21 + "0",
                                             "0f343b0931" + "f" * 22, "b" * 8]  # fmt: skip
    assert shortened([]) == {}


MADE_IDS = st.integers(0, 2**17).map("{:018b}".format)


@given(st.lists(MADE_IDS | MADE_IDS.map("a:{}".format), max_size=10))
def test_no_two_ids_are_shown_alike_and_each_begins_like_its_own(ids: list[str]) -> None:
    short = shortened(ids)
    assert set(short) == set(ids)
    assert all(one.startswith(shown) for one, shown in short.items())
    for one, shown in short.items():
        assert shown == one or [other for other in short if other.startswith(shown)] == [one]


def threads(*ids: str) -> MagicMock:
    memory = MagicMock()
    memory.working.list_threads.return_value = [*ids]
    return memory


def test_a_thread_is_known_by_how_its_id_begins() -> None:
    memory = threads(MADE, "support-1", "support-2")
    assert chosen_thread(memory, "0f3") == MADE
    assert chosen_thread(memory, "support-1…") == "support-1"
    assert chosen_thread(memory, "zzz") is None
    with pytest.raises(CommandError, match=r"several threads begin with sup:\n  support-1\n  support-2$"):
        chosen_thread(memory, "sup")


def test_a_thread_that_somebody_named_is_not_deleted_for_another() -> None:
    memory = threads("note-10", f"note-1/{MADE}", MADE)
    assert chosen_thread(memory, "note-1", whole=True) is None
    assert chosen_thread(memory, "0f34", whole=True) == MADE


def test_what_is_deleted_is_named_by_four_characters_or_more() -> None:
    memory = threads(MADE, f"ada:{MADE}")
    with pytest.raises(CommandError, match=r"^0f3 is too short .* at least the first 4 characters of the id"):
        chosen_thread(memory, "0f3", whole=True)
    with pytest.raises(CommandError, match="the first 8 characters"):
        chosen_thread(memory, "ada:0", whole=True)
    assert chosen_thread(memory, "ada:0f34", whole=True) == f"ada:{MADE}"
    assert chosen_thread(memory, "xyz", whole=True) is None


def test_of_many_that_begin_alike_the_first_ten_are_named() -> None:
    with pytest.raises(CommandError) as error:
        chosen_thread(threads(*(f"t-{number:02}" for number in range(30))), "t-")
    assert str(error.value).count("\n") == 11
    assert str(error.value).endswith("\n  t-09\n  …")
