"""Makes messages of a text alone without pydantic's validation, most of the time of reading a window.

How a message is laid out in memory is the affair of pydantic and LangChain. So it is copied from a message
that the constructor has made, and compared with another; if they differ in anything, the constructor is used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from langchain_core.messages import BaseMessage
from pydantic import BaseModel

Make: TypeAlias = Callable[[str], BaseMessage]

# Where pydantic keeps what a model holds; all are copied.
_SLOTS = ("__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")
_CONSTANTS = (str, bool, int, float, type(None))


def maker(cls: type[BaseMessage]) -> Make:
    """Return what makes a message of this class of its text: by layout, or if that differs, as usual."""

    def construct(content: str) -> BaseMessage:
        return cls(content=content)

    lay_out = _by_layout(cls, construct(""))
    return lay_out if _same(lay_out("some text"), construct("some text")) else construct


def _by_layout(cls: type[BaseMessage], model: BaseMessage) -> Make:
    members, fields_set = vars(model), model.__pydantic_fields_set__
    own = [(name, type(value)) for name, value in members.items() if type(value) in (list, dict)]
    new, set_slot = cls.__new__, object.__setattr__  # messages have a __setattr__ of their own

    def lay_out(content: str) -> BaseMessage:
        message = new(cls)
        values = members.copy()
        values["content"] = content
        for name, kind in own:
            values[name] = kind()
        set_slot(message, "__dict__", values)
        set_slot(message, "__pydantic_fields_set__", fields_set.copy())
        set_slot(message, "__pydantic_extra__", {})
        set_slot(message, "__pydantic_private__", None)
        return message

    return lay_out


def _same(message: BaseMessage, constructed: BaseMessage) -> bool:
    """Return whether nothing tells the two apart, and the first shares nothing that can be changed."""
    values = vars(constructed).values()
    return (
        tuple(BaseModel.__slots__) == _SLOTS
        and all(getattr(message, slot) == getattr(constructed, slot) for slot in _SLOTS)
        and list(vars(message)) == list(vars(constructed))  # the order in which they are shown
        and all(isinstance(value, _CONSTANTS) or value in ([], {}) for value in values)
    )
