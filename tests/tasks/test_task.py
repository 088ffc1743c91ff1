"""A task's bytes: whatever it says comes back equal, and they change only where they have to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_agentmem.errors import InvalidInputError, StoreError
from langchain_agentmem.tasks.task import Place, Queued, Task, changed, decode, encode
from tests.strategies import scopes

any_text = st.text(st.characters())  # lone surrogates too, as models emit them
times = st.floats(allow_nan=False, allow_infinity=False)
tasks = st.builds(
    Task,
    id=scopes,
    ts=times,
    messages=st.lists(st.binary(), max_size=4).map(tuple),
    history=st.lists(st.tuples(any_text, any_text), max_size=3).map(tuple),
    attempts=st.integers(0, 2**40),
    not_before=times,
)


@given(tasks)
def test_a_task_comes_back_equal(task: Task) -> None:
    assert decode(encode(task)) == task


@given(tasks, st.integers(0, 99), times)
def test_what_changes_with_an_attempt_is_its_first_bytes(task: Task, attempts: int, later: float) -> None:
    stored = encode(task)
    replaced, header = changed(Queued(task, stored), attempts=attempts, not_before=later)
    found = decode(header + stored[replaced:])
    assert (found.attempts, found.not_before) == (attempts, later)
    assert (found.id, found.ts, found.messages, found.history) == (
        task.id,
        task.ts,
        task.messages,
        task.history,
    )


@given(st.one_of(st.binary(), st.binary().map(lambda some: b'{"id": "a"}\n' + some)))
def test_what_is_no_task_is_refused(stored: bytes) -> None:
    with pytest.raises(StoreError, match="queue of tasks"):
        decode(stored)


@pytest.mark.parametrize("cut", [1, 5])
def test_a_task_that_was_cut_off_is_refused(cut: int) -> None:
    stored = encode(Task("a", 1.0, messages=(b"some", b"more")))
    with pytest.raises(StoreError, match="another length"):
        decode(stored[:-cut])


@pytest.mark.parametrize(
    "task",
    [
        Task("", 1.0),
        Task("a", float("nan")),
        Task("a", 1.0, attempts=-1),
        Task("a", 1.0, not_before=float("inf")),
        Task("a", 1.0, messages=("text",)),  # type: ignore[arg-type]
        Task("a", 1.0, history=(("user", 1),)),  # type: ignore[arg-type]
    ],
)
def test_a_task_that_could_not_come_back_is_not_written(task: Task) -> None:
    with pytest.raises(InvalidInputError):
        encode(task)


@pytest.mark.parametrize(
    "place",
    [
        Place("guess", "t", "u", "n"),  # type: ignore[arg-type]
        Place("extract", "", "u", "n"),
        Place("extract", "t", "", "n"),
        Place("fold", "t", "u", "\ud800"),
    ],
)
def test_a_place_has_valid_ids(place: Place) -> None:
    with pytest.raises(InvalidInputError):
        place.checked()
