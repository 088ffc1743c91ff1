"""Refusals by `wrap`, before a model is called, of chains and options that no exchange can work with."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from langchain_core.language_models import BaseLanguageModel
from langchain_core.runnables import (
    Runnable,
    RunnableAssign,
    RunnableBranch,
    RunnableParallel,
    RunnableSequence,
    RunnableWithFallbacks,
)
from langchain_core.runnables.base import RunnableBindingBase, RunnableEachBase

from langchain_agentmem.errors import InvalidInputError

_USE_OF_AGENTS = (
    "wrap() is for chains; an agent keeps its own messages, and would ignore the history and the memories. "
    "Give an agent the middleware instead: create_agent(model, middleware=[memory.middleware()]), as in "
    "docs/how-to/agents.md; or wrap a function that calls the graph."
)


def refuse_equal_keys(keys: Mapping[str, str]) -> None:
    """Refuse two parameters that name the same member of the chain's input.

    Raises:
        InvalidInputError: Two do.
    """
    given: dict[str, str] = {}
    for name, key in keys.items():
        if key in given:
            raise InvalidInputError(
                f"{given[key]} and {name} are both {key!r}: one would overwrite the other in the chain's "
                "input. Give them different names."
            )
        given[key] = name


def refuse_callback(name: str, callback: Any) -> None:
    """Refuse what cannot be called, or would have to be awaited.

    Raises:
        InvalidInputError: It is one of these.
    """
    if not callable(callback):
        raise InvalidInputError(f"{name} must be callable, not {type(callback).__name__}.")
    called = getattr(callback, "__call__", None)  # noqa: B004 - of an object, it is what may be async
    if inspect.iscoroutinefunction(callback) or inspect.iscoroutinefunction(called):
        raise InvalidInputError(f"{name} must be a plain function: what is async would never be awaited.")


def refuse_agent(runnable: Runnable[Any, Any], keys: Mapping[str, str]) -> None:
    """Refuse a graph whose state does not have what an exchange hands to it, and which would ignore it.

    Raises:
        InvalidInputError: It is one, as every agent is.
    """
    for graph in filter(_is_graph, _first_of(runnable)):
        channels = getattr(graph, "channels", None)
        if isinstance(channels, Mapping):
            missing = [name for name in keys if keys[name] not in channels]
            if missing:
                raise InvalidInputError(
                    f"The graph's state has no {keys[missing[0]]!r} ({missing[0]}). {_USE_OF_AGENTS}"
                )
        elif keys["input_key"] == "messages":
            raise InvalidInputError(_USE_OF_AGENTS)


def refuse_model(runnable: Runnable[Any, Any]) -> None:
    """Refuse a model without a prompt: it takes no dict, and so neither history nor memories.

    Raises:
        InvalidInputError: It is one.
    """
    if any(isinstance(one, BaseLanguageModel) for one in _first_of(runnable)):
        raise InvalidInputError(
            "wrap() gives the chain a dict with the history and the memories, which a model does not take: "
            "put a prompt before it, as in wrap(prompt | model)."
        )


def refuse_stream_mode(runnable: Runnable[Any, Any], given: Mapping[str, Any], *, streams: bool) -> None:
    """Refuse a way to stream a graph whose parts are no answer when they are put together.

    Args:
        runnable: The chain.
        given: The keyword arguments of the call.
        streams: Whether the call streams, so that the graph's own mode applies.

    Raises:
        InvalidInputError: It is one.
    """
    mode = given.get("stream_mode")
    for one in _first_of(runnable):
        if mode is None and isinstance(one, RunnableBindingBase):
            mode = one.kwargs.get("stream_mode")
        if mode is None and streams and _is_graph(one):
            mode = getattr(one, "stream_mode", None)
    if mode not in (None, "values"):
        raise InvalidInputError(
            f"An answer cannot be put together from stream_mode={mode!r}: pass "
            'stream_mode="values", whose last part is the whole answer.'
        )


def every_part(runnable: Runnable[Any, Any]) -> Iterator[Runnable[Any, Any]]:
    """Yield the runnable, and whatever runs as part of it: with its config, and so in the same session.

    (What is bound with `with_config` is no exception: the config of the call goes before it.) What a
    function calls cannot be seen.
    """
    yield runnable
    for part in _parts(runnable):
        yield from every_part(part)


def _parts(runnable: Any) -> list[Runnable[Any, Any]]:
    if isinstance(runnable, RunnableSequence):
        return runnable.steps
    if isinstance(runnable, RunnableParallel):
        return list(runnable.steps__.values())
    if isinstance(runnable, RunnableWithFallbacks):
        return [runnable.runnable, *runnable.fallbacks]
    if isinstance(runnable, RunnableBranch):
        return [*(part for branch in runnable.branches for part in branch), runnable.default]
    if isinstance(runnable, RunnableAssign):
        return [runnable.mapper]
    if isinstance(runnable, RunnableBindingBase | RunnableEachBase):
        return [runnable.bound]
    inner = getattr(runnable, "runnable", None)  # of another memory's chain
    return [inner] if isinstance(inner, Runnable) else []


def _first_of(runnable: Any) -> Iterator[Any]:
    """Yield the runnable, and what inside it gets its input as it is."""
    yield runnable
    if isinstance(runnable, RunnableBindingBase):
        yield from _first_of(runnable.bound)
    elif isinstance(runnable, RunnableSequence):
        yield from _first_of(runnable.first)
    elif isinstance(runnable, RunnableWithFallbacks):
        for one in (runnable.runnable, *runnable.fallbacks):
            yield from _first_of(one)


def _is_graph(runnable: Any) -> bool:
    """Return whether it is a compiled graph of LangGraph, which need not be installed."""
    return any(
        base.__name__ in ("Pregel", "PregelProtocol") and base.__module__.split(".")[0] == "langgraph"
        for base in type(runnable).__mro__
    )
