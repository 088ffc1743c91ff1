"""Asking a function of the user's, which may be sync or async, from sync and from async code.

It is asked outside of any run of LangChain's around it, whose stream would show what a model says to it.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any

from langchain_core.runnables.config import var_child_runnable_config


def is_async(function: Any) -> bool:
    """Return whether calling it returns something to be awaited, as far as can be told without a call."""
    called = function if inspect.isroutine(function) else getattr(function, "__call__", None)  # noqa: B004
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called)


def ask(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function, and return what it returns; an async one runs in an event loop of its own."""
    with _outside_of_runs():
        told = function(*args)
        return _awaited(told) if inspect.isawaitable(told) else told


async def aask(function: Callable[..., Any], *args: Any) -> Any:
    """Await a function, or its attribute `acall` if it has one; a sync one runs in a thread."""
    with _outside_of_runs():
        acall = getattr(function, "acall", None)
        if acall is not None:
            told = acall(*args)
        elif is_async(function):
            told = function(*args)
        else:
            told = await asyncio.to_thread(_without_stop, function, *args)
        return await told if inspect.isawaitable(told) else told


def _without_stop(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function; tell of a `StopIteration` by another error, for no future takes it, and would hang."""
    try:
        return function(*args)
    except StopIteration as error:
        raise RuntimeError("it raised StopIteration") from error


@contextmanager
def _outside_of_runs() -> Iterator[None]:
    token = var_child_runnable_config.set(None)
    try:
        yield
    finally:
        var_child_runnable_config.reset(token)


def _awaited(awaitable: Awaitable[Any]) -> Any:
    """Return what an awaitable gives, in an event loop of its own; in a thread, if one runs in this one."""

    async def wait() -> Any:
        return await awaitable

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(wait())
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(copy_context().run, asyncio.run, wait()).result()
