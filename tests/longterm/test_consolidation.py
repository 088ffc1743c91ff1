"""What a judgement of a group means: which memories stay, in which order the others go."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_agentmem import Judgement, MemoryRecord
from langchain_agentmem.errors import ExtractionError
from langchain_agentmem.longterm.consolidation import resolved

IDS = "abcdefgh"


def group(ids: str = IDS) -> list[MemoryRecord]:
    return [MemoryRecord(one, one, "alice", "default", "semantic", created_ts=n) for n, one in enumerate(ids)]


def steps(
    same: Sequence[str] = (), contradicting: Sequence[str] = (), **said: float
) -> list[tuple[str, str]]:
    records = group()
    found = resolved(
        Judgement([*map(list, same)], [*map(list, contradicting)]),
        records,
        {one.id: said.get(one.id, one.created_ts) for one in records},
    )
    return [(kept, other) for kept, other, _ in found]


def test_of_those_that_say_the_same_the_oldest_stays() -> None:
    assert steps(same=["cb"]) == [("b", "c")]
    assert steps(same=["cb", "ca", "ff", "g"]) == [("a", "b"), ("a", "c")]


def test_of_those_that_contradict_each_other_the_newest_stays() -> None:
    assert steps(contradicting=["acb"]) == [("c", "a"), ("c", "b")]
    assert steps(contradicting=["ab"], a=9.0) == [("a", "b")]


def test_what_says_the_same_contradicts_as_one() -> None:
    assert steps(same=["ac"], contradicting=["ab"]) == [("a", "c"), ("a", "b")]
    assert steps(same=["ab"], contradicting=["bc", "ac"]) == [("a", "b"), ("c", "a")]


def test_what_supersedes_others_does_so_before_it_is_superseded() -> None:
    assert steps(contradicting=["bc", "ab"]) == [("b", "a"), ("c", "b")]


def test_a_judgement_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(ExtractionError):
        steps(same=["ab"], contradicting=["ab"])


lists = st.lists(st.lists(st.sampled_from(IDS), max_size=4).map("".join), max_size=5)


@given(lists, lists)
def test_each_memory_goes_once_and_never_before_it_is_needed(
    same: list[str], contradicting: list[str]
) -> None:
    try:
        found = steps(same, contradicting)
    except ExtractionError:
        return
    gone: set[str] = set()
    for kept, other in found:
        assert kept not in gone
        assert other not in gone
        assert kept != other
        gone.add(other)
