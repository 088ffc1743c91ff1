"""Whose turn it is: the thread, the user and the namespace that a call names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from langchain_agentmem.core.checks import validate_id
from langchain_agentmem.errors import InvalidInputError


class Ids(NamedTuple):
    """The thread, user and namespace of a turn."""

    thread_id: str
    user: str
    namespace: str


_LANGGRAPHS = ("_", "checkpoint_")  # how names begin that LangGraph adds to a config
_THREAD, _USER, _NAMESPACE = ("session_id", "thread_id"), ("user_id",), ("namespace",)


def named_ids(
    configurable: Mapping[str, Any] | None,
    context: Any = None,
    *,
    call: str,
    thread_name: str = "session_id",
    default_thread: str | None = None,
    default_user: str | None = None,
) -> Ids:
    """Return the ids that a call names: `session_id` or `thread_id`, `user_id`, and perhaps `namespace`.

    What the context names goes before what `configurable` names; `None` counts as not named.

    Args:
        configurable: The member of that name of the call's config.
        context: The context of a graph's run: a mapping, a dataclass or any other object with attributes.
        call: What to do about a missing id, for the error: how the call looks with ids.
        thread_name: How the error calls a missing thread.
        default_thread: The thread of a call that names none; `None` to refuse the call.
        default_user: The user of a call that names none; `None` to refuse the call.

    Raises:
        InvalidInputError: An id is missing, or not valid.
    """
    places = [place for place in (context, configurable) if place is not None]
    return Ids(
        thread_id=_named(places, _THREAD, thread_name, default_thread, call),
        user=_named(places, _USER, "user_id", default_user, call),
        namespace=_named(places, _NAMESPACE, "namespace", "default", call),
    )


def _named(places: list[Any], names: tuple[str, ...], called: str, default: str | None, call: str) -> str:
    for place in places:
        for name in names:
            if (value := _member(place, name)) is not None:
                return validate_id(name, value)
    if default is not None:
        return default
    others = ", ".join(name for place in places for name in _others(place))
    raise InvalidInputError(f"The call names no {called}{f', only {others}' if others else ''}: {call}")


def _member(place: Any, name: str) -> Any:
    return place.get(name) if isinstance(place, Mapping) else getattr(place, name, None)


def _others(place: Any) -> list[str]:
    """Return what the caller named; never a value, which may be a secret."""
    members = place if isinstance(place, Mapping) else getattr(place, "__dict__", {})
    named = [str(name) for name, value in members.items() if value is not None]
    return [name for name in named if not name.startswith(_LANGGRAPHS)]
