"""LangChain messages as JSON objects, and back, equal.

Two layouts share the rules: "turn" objects of the session Hash (`role`, `content`, `ts`, and whatever
else the message carries) and `{type, data}` entries of a list (the layout of LangChain.js). Members
equal to a class's defaults are left out of turns, since the constructor restores them; a message
that is more than role and text is decoded again before it is accepted, so that one that would come
back different is refused instead of stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    BaseMessageChunk,
    ChatMessage,
    ChatMessageChunk,
    FunctionMessage,
    FunctionMessageChunk,
    HumanMessage,
    HumanMessageChunk,
    RemoveMessage,
    SystemMessage,
    SystemMessageChunk,
    ToolMessage,
    ToolMessageChunk,
    message_chunk_to_message,
)

from langchain_agentmem.core import json
from langchain_agentmem.core.plain_messages import Make, maker
from langchain_agentmem.errors import InvalidInputError, MessageNotStorableError

CLASSES: dict[str, type[BaseMessage]] = {
    "human": HumanMessage,
    "ai": AIMessage,
    "system": SystemMessage,
    "tool": ToolMessage,
    "function": FunctionMessage,
    "chat": ChatMessage,
    "remove": RemoveMessage,
    "HumanMessageChunk": HumanMessageChunk,
    "AIMessageChunk": AIMessageChunk,
    "SystemMessageChunk": SystemMessageChunk,
    "ToolMessageChunk": ToolMessageChunk,
    "FunctionMessageChunk": FunctionMessageChunk,
    "ChatMessageChunk": ChatMessageChunk,
}
_ROLE = {
    "human": "user",
    "ai": "assistant",
    "system": "system",
    "tool": "tool",
    "function": "function",
    "remove": "remove",
    "HumanMessageChunk": "user",
    "AIMessageChunk": "assistant",
    "SystemMessageChunk": "system",
    "ToolMessageChunk": "tool",
    "FunctionMessageChunk": "function",
}
_TYPE = {"user": "human", "assistant": "ai", "system": "system", "tool": "tool", "function": "function"}
_TYPE |= {"remove": "remove", "human": "human", "ai": "ai"}  # the last two as other programs write them
ROLES = ("user", "assistant", "system")  # what a plain message can be, from a role and a text alone
_PLAIN_MAKERS: dict[str, Make] = {role: maker(CLASSES[_TYPE[role]]) for role in ROLES}
_PLAIN: dict[type[BaseMessage], tuple[str, dict[str, Any]]] = {  # the role, and what else a plain one has
    HumanMessage: ("user", vars(HumanMessage(content=""))),
    AIMessage: ("assistant", vars(AIMessage(content=""))),
    SystemMessage: ("system", vars(SystemMessage(content=""))),
}
_ENTRY_FIRST = {"ai": ("tool_calls", "invalid_tool_calls"), "tool": ("tool_call_id", "name")}
_NOT_OF_THE_MESSAGE = ("role", "ts", "type", "extra", "unanswered")
_MARK = b',"unanswered":true}'
_DEFAULTS: dict[str, Any] = {
    "additional_kwargs": {},
    "response_metadata": {},
    "name": None,
    "id": None,
    "tool_calls": [],
    "invalid_tool_calls": [],
    "usage_metadata": None,
    "artifact": None,
    "status": "success",
    "tool_call_chunks": [],
    "chunk_position": None,
}


def message_of(role: str, content: str) -> BaseMessage:
    """Return a message of a role and a text; LangChain's names for the roles are understood too.

    Raises:
        InvalidInputError: There is no such role of a plain message, or the content is no text.
    """
    if not isinstance(content, str):
        raise InvalidInputError(f"content must be a string, not {type(content).__name__}.")
    if not isinstance(role, str) or role not in _TYPE or _TYPE[role] not in ("human", "ai", "system"):
        raise InvalidInputError(
            f"role must be one of {', '.join(ROLES)}, not {role!r}; "
            "append() takes whole messages of every other kind."
        )
    return CLASSES[_TYPE[role]](content=content)


def role_of(message: BaseMessage) -> str:
    """Return the role that a message is stored with."""
    return message.role if isinstance(message, ChatMessage) else _ROLE[message.type]


def speaker_of(message: BaseMessage) -> str | None:
    """Return who says a message, `user` or `assistant`; `None` for others: a tool's output is no talk."""
    role = _ROLE.get(message.type)
    return role if role in ("user", "assistant") else None


def checked_messages(messages: Any) -> list[BaseMessage]:
    """Return messages, if that is what they are.

    Raises:
        InvalidInputError: It is no sequence of LangChain messages.
    """
    if isinstance(messages, BaseMessage) or not isinstance(messages, Sequence):
        raise InvalidInputError(f"messages must be a list of messages, not {type(messages).__name__}.")
    for message in messages:
        if not isinstance(message, BaseMessage):
            raise InvalidInputError(f"A message must be a LangChain message, not {type(message).__name__}.")
    return list(messages)


def encode_turn(message: BaseMessage, ts: float) -> bytes:
    """Return the turn object of a message: one line of JSON that begins with its role.

    Raises:
        MessageNotStorableError: It would not come back equal.
    """
    members, extra = vars(message), message.__pydantic_extra__
    role, defaults = _PLAIN.get(type(message), ("", {}))
    turn: dict[str, Any]
    if members == {**defaults, "content": message.content} and type(message.content) is str and not extra:
        turn = {"role": role, "content": message.content, "ts": ts}
        return json.dumps(turn) if message.content.isascii() else _checked(message, turn, decode_turn)
    members = {
        name: value
        for name, value in members.items()
        if name not in ("content", "type") and not (name in _DEFAULTS and value == _DEFAULTS[name])
    }
    turn = {
        "role": members.pop("role") if "role" in members else _ROLE.get(message.type),
        "content": message.content,
        "ts": ts,
    }
    if _TYPE.get(turn["role"]) != message.type:
        turn["type"] = message.type
    turn |= members
    if extra:
        turn["extra"] = extra
    return _checked(message, turn, decode_turn)


def decode_turn(turn: dict[str, Any]) -> BaseMessage:
    """Return the message of a turn object.

    Raises:
        ValueError, TypeError, KeyError: It is not one.
    """
    role = turn["role"]
    if len(turn) == 3 and "ts" in turn:
        content = turn["content"]
        if type(content) is str and role in _PLAIN_MAKERS:
            return _PLAIN_MAKERS[role](content)
        return CLASSES[_TYPE[role]](content=content)
    members = {name: value for name, value in turn.items() if name not in _NOT_OF_THE_MESSAGE}
    kind = turn.get("type") or _TYPE[role]
    if kind in ("chat", "ChatMessageChunk"):
        members["role"] = role
    return CLASSES[kind](**members, **turn.get("extra", {}))


def decode_plain_turns(stored: bytes) -> list[BaseMessage] | None:
    """Return the messages of a list of turn objects if each is a role, a text and a time; `None` otherwise.

    Most windows are, and take a third of the time so.
    """
    messages: list[BaseMessage] = []
    try:
        turns = orjson.loads(stored)
        if not isinstance(turns, list):
            return None
        for turn in turns:
            content = turn["content"]
            if len(turn) != 3 or "ts" not in turn or type(content) is not str:
                return None
            messages.append(_PLAIN_MAKERS[turn["role"]](content))
    except (ValueError, TypeError, LookupError):
        return None
    return messages


def encode_entry(message: BaseMessage) -> bytes:
    """Return the list entry of a message, byte for byte as LangChain.js writes it where it can hold no more.

    JavaScript cannot read chunks, and knows a `chat` message as `generic`: a chunk is stored as the
    whole message, and `generic` comes back as `chat`.

    Raises:
        MessageNotStorableError: It would not come back equal, or JavaScript could not read it.
    """
    if isinstance(message, BaseMessageChunk):
        message = message_chunk_to_message(message)
    kind = message.type
    if kind == "remove":
        raise MessageNotStorableError("A RemoveMessage cannot be stored in a list: JavaScript knows none.")
    members = {name: value for name, value in vars(message).items() if name != "type"}
    data = {"content": members.pop("content")}
    for name in _ENTRY_FIRST.get(kind, ()):
        if (value := members.pop(name)) is not None:
            data[name] = value
    data["additional_kwargs"] = members.pop("additional_kwargs")
    data["response_metadata"] = members.pop("response_metadata")
    data |= {k: v for k, v in members.items() if not (k in _DEFAULTS and v == _DEFAULTS[k])}
    data |= message.__pydantic_extra__ or {}
    return _checked(message, {"type": "generic" if kind == "chat" else kind, "data": data}, decode_entry)


def decode_entry(entry: dict[str, Any]) -> BaseMessage:
    """Return the message of a list entry.

    Raises:
        ValueError, TypeError, KeyError: It is not one.
    """
    kind = entry["type"]
    return CLASSES["chat" if kind == "generic" else kind](**entry["data"])


def mark_unanswered(stored: bytes) -> bytes:
    """Return a stored message, of either layout, as one of an exchange without an answer."""
    return stored if stored.endswith(_MARK) else stored[:-1] + _MARK


def is_unanswered(stored: dict[str, Any]) -> bool:
    """Return whether a turn object or a list entry is of an exchange without an answer."""
    return stored.get("unanswered") is True


def _checked(message: BaseMessage, encoded: dict[str, Any], decode: Any) -> bytes:
    """Return the JSON of an encoded message, if it decodes to an equal one."""
    name = type(message).__name__
    if CLASSES.get(message.type) is not type(message):
        raise MessageNotStorableError(
            f"{type(message).__module__}.{name} is no message class of langchain-core; "
            "only those come back as what they were."
        )
    try:
        text = json.dumps(encoded)
    except (TypeError, ValueError) as error:
        raise MessageNotStorableError(f"This {name} cannot be stored as JSON: {error}.") from error
    try:
        back = decode(json.loads(text))
    except (TypeError, ValueError, KeyError) as error:
        raise MessageNotStorableError(f"This {name} would not come back from JSON: {error}.") from error
    if back != message:
        changed = [key for key, value in vars(message).items() if getattr(back, key, None) != value]
        changed = changed or sorted(message.__pydantic_extra__ or ())
        raise MessageNotStorableError(
            f"This {name} would not come back equal from JSON: see {', '.join(changed)}. Tuples, dates and "
            "other Python objects are not JSON; convert them first."
        )
    return text
