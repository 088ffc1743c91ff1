"""Operations without a server: the batches they yield, and how `gather` merges them."""

from __future__ import annotations

from typing import Any

import pytest

from langchain_agentmem.core.operations import (
    Batch,
    Op,
    call,
    gather,
    late,
    ok,
    once_checked,
    pairs,
    reads,
    writes,
)
from langchain_agentmem.errors import InvalidInputError, StoreError


def drive(op: Op[Any]) -> tuple[list[Batch], Any]:
    """Answer each command with its own last argument; the batches, and the result."""
    batches: list[Batch] = []
    try:
        batch = next(op)
        while True:
            batches.append(batch)
            batch = op.send([command.args[-1] for command in batch])
    except StopIteration as stop:
        return batches, stop.value


def steps(name: str, count: int) -> Op[str]:
    seen = []
    for step in range(count):
        seen += yield [writes("ECHO", f"{name}{step}a"), writes("ECHO", f"{name}{step}b")]
    return " ".join(seen)


def failing(error: Exception) -> Op[None]:
    yield [writes("ECHO", "x")]
    raise error


def test_operations_run_together_cost_as_many_round_trips_as_the_longest() -> None:
    batches, results = drive(gather([steps("a", 1), steps("b", 3), steps("c", 2)]))
    assert [len(batch) for batch in batches] == [6, 4, 2]
    assert results == ["a0a a0b", "b0a b0b b1a b1b b2a b2b", "c0a c0b c1a c1b"]


def test_one_operations_failure_does_not_stop_the_others() -> None:
    error = StoreError("no")
    _, results = drive(gather([failing(error), steps("a", 2)]))
    assert results == [error, "a0a a0b a1a a1b"]


@pytest.mark.parametrize("error", [ZeroDivisionError(), InvalidInputError("no")])
def test_a_failure_of_any_kind_is_its_operations_result(error: Exception) -> None:
    _, results = drive(gather([failing(error), steps("a", 2)]))
    assert results == [error, "a0a a0b a1a a1b"]
    with pytest.raises(type(error)):
        ok(results[0])


def test_what_ends_the_program_is_nobodys_result() -> None:
    def interrupted() -> Op[None]:
        yield [writes("ECHO", "x")]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        drive(gather([interrupted(), steps("a", 1)]))


def test_an_operation_that_cannot_be_made_fails_alone() -> None:
    def refuse() -> Op[None]:
        raise InvalidInputError("empty")

    _, (first, second) = drive(gather([late(refuse), steps("a", 1)]))
    assert isinstance(first, InvalidInputError)
    assert second == "a0a a0b"


def test_nothing_gathered_costs_nothing() -> None:
    assert drive(gather([])) == ([], [])


def test_a_reply_that_is_an_error_is_raised() -> None:
    op = call(reads("GET", "a"))
    next(op)
    with pytest.raises(StoreError, match="no"):
        op.send([StoreError("no")])
    assert ok(b"x") == b"x"


def test_maps_read_the_same_from_either_protocol() -> None:
    assert list(pairs({b"a": 1, b"b": 2})) == list(pairs([b"a", 1, b"b", 2])) == [(b"a", 1), (b"b", 2)]


def only_read(name: str) -> Op[Any]:
    first = yield [reads("GET", name)]
    second = yield [writes("SET", name, "b")]
    return first + second


def checking(*expected: Any) -> Any:
    def check(replies: list[Any]) -> None:
        if replies != list(expected):
            raise StoreError("no")

    return check


def test_what_is_checked_first_goes_along_with_a_read_and_ahead_of_a_write() -> None:
    asked = [reads("GET", "number")]
    batches, result = drive(once_checked(only_read("a"), asked, checking("number")))
    assert [[one.args[0] for one in batch] for batch in batches] == [["GET", "GET"], ["SET"]]
    assert result == ["a", "b"]
    batches, result = drive(once_checked(steps("a", 2), asked, checking("number")))
    assert [len(batch) for batch in batches] == [1, 2, 2]
    assert result == "a0a a0b a1a a1b"


@pytest.mark.parametrize("op", [steps("a", 1), only_read("a")])
def test_nothing_is_written_if_what_is_checked_first_is_wrong(op: Op[Any]) -> None:
    checked = once_checked(op, [reads("GET", "number")], checking("another"))
    sent = next(checked)
    with pytest.raises(StoreError, match="no"):
        checked.send(["number", *("x" for _ in sent[1:])])  # type: ignore[index]
    assert all(command.read_only for command in sent)  # type: ignore[union-attr]
    with pytest.raises(StopIteration):
        next(op)


def test_a_checked_operation_raises_what_it_raises() -> None:
    with pytest.raises(StoreError, match="mine"):
        drive(once_checked(failing(StoreError("mine")), [reads("GET", "n")], checking("n")))
