"""A test of a method and its async twin, written once: for the twin."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Protocol, TypeVar

import pytest

T = TypeVar("T")

Call = Callable[[], Coroutine[Any, Any, Any]]
"""A call that is yet to be made, as one of several that have the same outcome."""


class Both(Protocol):
    """Give an object whose `a…` methods run themselves, or their sync twins: `await both(memory).aget(…)`."""

    def __call__(self, thing: T) -> T: ...


class _SyncTwins:
    """Run `get` where `aget` is called."""

    def __init__(self, thing: Any) -> None:
        self._thing = thing

    def __getattr__(self, name: str) -> Any:
        assert name.startswith("a"), f"{name} has no sync twin"
        method = getattr(self._thing, name[1:])

        async def run(*args: Any, **kwargs: Any) -> Any:
            return method(*args, **kwargs)

        async def each(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            for item in method(*args, **kwargs):
                yield item

        return each if inspect.isasyncgenfunction(getattr(self._thing, name)) else run


BOTH: dict[str, Both] = {"sync": _SyncTwins, "async": lambda thing: thing}  # type: ignore[dict-item]


@pytest.fixture(params=BOTH.values(), ids=list(BOTH))
def both(request: pytest.FixtureRequest) -> Both:
    """Run a test that is written for the async methods with these, and with their sync twins."""
    function: Both = request.param
    return function
