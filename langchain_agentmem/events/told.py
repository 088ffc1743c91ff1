"""What the events of a root run have told so far, so that the chains inside tell it no further time."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.prompt_values import ChatPromptValue

_DEEPEST = 4  # a state, its update, the messages of that, or one level more
_LONG = 40  # characters; a shorter text may well be told again
_MOST = 10_000  # values kept in mind
_MOST_INSIDE = 2000  # a longer list or mapping is not looked into, except at the end of a list


class Count(str):
    """Says how much has been told already, in its place."""

    __slots__ = ()


class Told:
    """Remembers values by identity, messages also by their ids, and long texts by what they say.

    It runs no foreign code, and is meant for one root run: values are kept alive until that ends.
    """

    def __init__(self) -> None:
        self._waiting: list[Any] = []  # looked into only when something asks
        self._seen: dict[Any, Any] = {}

    def add(self, value: Any) -> None:
        """Take note of a value, the messages and the long texts in it."""
        self._waiting.append(value)

    def once(self, key: Any) -> bool:
        """Return whether this object, such as an error, has not been told yet; from now on, it has been."""
        new = id(key) not in self._seen
        self._keep(id(key), key)
        return new

    def untold(self, value: Any) -> Any:
        """Return a value in which what has been told is a `Count`, such as `3 messages`."""
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            self._look(one, 0)
        if id(value) in self._seen and not _is_small(value) and not _is_message(value):
            return Count("")
        return self._untold(value, 0)

    def _keep(self, key: Any, value: Any) -> None:
        if len(self._seen) > _MOST:
            self._seen.clear()
        self._seen[key] = value

    def _look(self, value: Any, depth: int) -> None:
        kind = type(value)
        if kind is str:
            if len(value) >= _LONG:
                self._keep(value, None)
            return
        if _is_small(value):
            return
        if _is_message(value):
            if id(value) not in self._seen:
                self._keep(id(value), value)
                for key in _keys(value):
                    self._keep(key, None)
            return
        self._keep(id(value), value)
        if depth < _DEEPEST:
            for one in _inside(value):
                self._look(one, depth + 1)

    def _untold(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind is str:
            return Count("…" if depth else "") if len(value) >= _LONG and value in self._seen else value
        if _is_message(value):
            return Count("1 message") if self._knows(value) else value
        if kind is ChatPromptValue:
            return _count(len(value.messages))  # what a prompt makes, the model's start tells
        if depth >= _DEEPEST or _is_long(value):
            return value
        if issubclass(kind, dict):
            return {name: self._untold(one, depth + 1) for name, one in list(dict.items(value))}
        if kind is list or kind is tuple:
            return self._untold_list(value, depth)
        if _is_command(value):
            shown = {name: getattr(value, name) for name in ("update", "goto", "resume", "graph")}
            return {name: self._untold(one, depth + 1) for name, one in shown.items() if one}
        return value

    def _untold_list(self, value: Any, depth: int) -> Any:
        items = list(value)
        new = [one for one in items if not (_is_message(one) and self._knows(one))]
        if known := len(items) - len(new):
            return [_count(known), *new] if new else _count(known)
        return [self._untold(one, depth + 1) for one in items]

    def _knows(self, message: BaseMessage) -> bool:
        return id(message) in self._seen or any(key in self._seen for key in _keys(message))


def says_something(value: Any) -> bool:
    """Return whether anything is left of what `untold` returned."""
    kind = type(value)
    if value is None or kind is Count:
        return False
    if _is_long(value):
        return True
    if kind is dict:
        return any(says_something(one) for one in value.values())
    if kind is list or kind is tuple:
        return any(says_something(one) for one in value)
    return kind is not str or bool(value)


def messages_in(value: Any, depth: int = 0) -> list[BaseMessage]:
    """Return the messages in a value: in lists, in mappings, and in a command's update."""
    if _is_message(value):
        return [value]
    if depth >= _DEEPEST:
        return []
    return [message for one in _inside(value) for message in messages_in(one, depth + 1)]


def _inside(value: Any) -> list[Any]:
    kind = type(value)
    if issubclass(kind, dict):
        return [] if _is_long(value) else list(dict.values(value))
    if kind is list or kind is tuple:
        return list(value[-_MOST_INSIDE:])
    if kind is ChatPromptValue:
        return list(value.messages)
    return [value.update] if _is_command(value) else []


def _keys(message: BaseMessage) -> list[tuple[str, str]]:
    found = [(name, vars(message).get(name)) for name in ("id", "tool_call_id")]
    return [(name, key) for name, key in found if type(key) is str and key]


def _is_long(value: Any) -> bool:
    kind = type(value)
    if issubclass(kind, dict):
        return dict.__len__(value) > _MOST_INSIDE
    return (kind is list or kind is tuple) and len(value) > _MOST_INSIDE


def _is_message(value: Any) -> bool:
    return issubclass(type(value), BaseMessage)


def _is_command(value: Any) -> bool:
    """Return whether this is LangGraph's `Command`, which is not imported for that."""
    kind = type(value)
    return kind.__name__ == "Command" and kind.__module__ == "langgraph.types"


def _is_small(value: Any) -> bool:
    return value is None or type(value) in (bool, int, float, str)


def _count(messages: int) -> Count:
    return Count("1 message" if messages == 1 else f"{messages} messages")
