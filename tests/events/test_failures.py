"""What an error tells beside its message, and which exceptions are none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from langgraph.errors import GraphBubbleUp, GraphDrained, GraphInterrupt, GraphRecursionError, ParentCommand
from langgraph.types import Command, Interrupt

from langchain_agentmem.events.failures import bubble_of, frames_of


def raised(run: Any) -> BaseException:
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - whatever it raises
        run()
    return caught.value


def deep(levels: int) -> None:
    if not levels:
        raise ValueError("no")
    deep(levels - 1)


def test_the_last_frames_are_told_innermost_first_without_folders_and_values() -> None:
    frames = json.loads(frames_of(raised(lambda: deep(50))))
    assert len(frames) == 5
    line = deep.__code__.co_firstlineno
    assert frames == [f"test_failures.py:{line + 2} deep", *[f"test_failures.py:{line + 3} deep"] * 4]


def test_an_error_that_was_not_raised_has_no_frames() -> None:
    assert frames_of(ValueError()) == ""


@pytest.mark.parametrize("folder", ["/srv/app/", "C:\\app\\", ""])
def test_a_frame_is_short_and_keeps_its_line(folder: str) -> None:
    name = f"{folder}auth_token.py"
    frame = json.loads(frames_of(raised(lambda: exec(compile("\n1 / 0", name, "exec")))))[0]
    assert frame == "auth_token.py:2 <module>"
    long = compile("1 / 0", f"{folder}{'x' * 5000}.py", "exec")
    assert len(frames_of(raised(lambda: exec(long)))) < 500


def test_an_interrupt_tells_what_it_asks() -> None:
    one, other = Interrupt(value={"ask": 1}, id="a"), Interrupt(value="b", id="b")
    assert bubble_of(GraphInterrupt((one,))) == ("interrupt", {"ask": 1}, [one])
    assert bubble_of(GraphInterrupt((one, other))) == ("interrupt", [{"ask": 1}, "b"], [one, other])
    empty = GraphInterrupt()
    assert bubble_of(empty) == ("interrupt", None, [empty])


def test_what_goes_on_in_another_graph_ends() -> None:
    command: Command[Any] = Command(goto="x", graph=Command.PARENT)
    over = ParentCommand(command)
    assert bubble_of(over) == ("end", command, [over])
    drained = GraphDrained("shutdown")
    assert bubble_of(drained) == ("interrupt", "Graph drained: shutdown", [drained])


def test_errors_stay_errors() -> None:
    class GraphInterrupt(Exception):  # noqa: N818 - the name is another's
        """Has the name alone."""

    class Own(GraphBubbleUp):
        """Is one by its parent."""

    assert bubble_of(GraphInterrupt()) is None
    assert bubble_of(GraphRecursionError("too deep")) is None
    assert bubble_of(ValueError()) is None
    assert bubble_of(Own("paused")) is not None
