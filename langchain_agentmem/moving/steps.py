"""A move as steps: operations to run on its one or its other side. Run synchronously or asynchronously."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar

from langchain_agentmem.core.operations import Op
from langchain_agentmem.transport.connections import Transport

T = TypeVar("T")


class At(NamedTuple):
    """Holds an operation, and on which side it is to be run; the step's result is the operation's."""

    side: Literal["source", "target"]
    op: Op[Any]


class Told(NamedTuple):
    """Holds nothing: the report has news, which whoever wants to know of them is told now."""


Steps: TypeAlias = "Generator[At | Told, Any, T]"


def at_source(op: Op[T]) -> Steps[T]:
    """Run an operation at the source, and return its result."""
    found: T = yield At("source", op)
    return found


def at_target(op: Op[T]) -> Steps[T]:
    """Run an operation at the target, and return its result."""
    found: T = yield At("target", op)
    return found


def run(steps: Steps[T], source: Transport, target: Transport, told: Callable[[], None]) -> T:
    """Run steps to their end, and return their result."""
    sides = {"source": source, "target": target}
    result: Any = None
    try:
        while True:
            step = _next(steps, result, told)
            result = sides[step.side].run(step.op)
    except StopIteration as stop:
        end: T = stop.value
        return end
    finally:
        steps.close()


async def arun(steps: Steps[T], source: Transport, target: Transport, told: Callable[[], None]) -> T:
    """Async version of `run`."""
    sides = {"source": source, "target": target}
    result: Any = None
    try:
        while True:
            step = _next(steps, result, told)
            result = await sides[step.side].arun(step.op)
    except StopIteration as stop:
        end: T = stop.value
        return end
    finally:
        steps.close()


def _next(steps: Steps[Any], result: Any, told: Callable[[], None]) -> At:
    """Hand a result to the steps, and return the next operation; tell of news before it."""
    step = steps.send(result)
    while isinstance(step, Told):
        told()
        step = steps.send(None)
    return step
