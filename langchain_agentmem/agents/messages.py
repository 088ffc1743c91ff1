"""The messages in an agent's state: the new ones, those of a turn, and those that a model would refuse."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolCall, ToolMessage

from langchain_agentmem.agents.turn_state import LiveTurn, TurnState
from langchain_agentmem.longterm.same_fact import canonical_text

_ANSWERS = ("ai", "AIMessageChunk", "tool", "function")
_REMEMBER = ("remember", "update")  # the tools, and what they answer once it is done
_REMEMBERED = re.compile(r"(Remembered|It is known already|Updated|It says that already): \[")
_ADDED = ("additional_kwargs", "response_metadata")  # what a provider adds to a message
_NO_RESULT = "The turn ended before this call had a result. It is not known whether it was carried out."


class NewMessages(NamedTuple):
    """The messages that a turn begins with.

    Attributes:
        earlier: Those before the last answer among them, such as the conversation so far or examples.
        asked: What the user says now.
    """

    earlier: list[BaseMessage]
    asked: list[BaseMessage]


def new_messages(messages: Sequence[BaseMessage], before: TurnState | None) -> NewMessages:
    """Return what of a state's messages is not stored yet, when a turn begins.

    What a turn that was left had answered by then is no part of it: only its question is kept. System
    messages are the program's, and a summary is LangChain's; neither is stored.

    Args:
        messages: The messages of the state.
        before: The turn before it in this state.
    """
    known = set() if before is None else {*before.asked, before.last} - {""}
    at = max((n for n, message in enumerate(messages) if message.id in known), default=-1)
    new = [message for message in messages[at + 1 :] if is_said(message)]
    answers = max((n for n, message in enumerate(new) if message.type in _ANSWERS), default=-1) + 1
    follows = before is None or (before.closed and at >= 0)
    return NewMessages(new[:answers] if follows else [], new[answers:])


def newest_question(messages: Sequence[BaseMessage]) -> list[HumanMessage]:
    """Return the last message of the user's, if there is one."""
    return [one for one in messages if isinstance(one, HumanMessage) and is_said(one)][-1:]


def is_summary(message: BaseMessage) -> bool:
    """Return whether this is what LangChain's summarisation put in the place of what it removed."""
    return message.additional_kwargs.get("lc_source") == "summarization"


def seen_with_summary(messages: Sequence[BaseMessage], live: LiveTurn | None) -> list[BaseMessage]:
    """Return what was seen in a turn, if a summary was made in it that has taken the place of some of that.

    Args:
        messages: The messages of the state.
        live: The turn; `None` if it did not begin in this process.
    """
    if live is None or not any(is_summary(one) and one.id not in live.summaries for one in messages):
        return []
    return [one for one in live.made if one.id]


def is_said(message: BaseMessage) -> bool:
    """Return whether a message is a part of the conversation."""
    return not isinstance(message, SystemMessage) and not is_summary(message)


def unknown(earlier: Sequence[BaseMessage], history: Sequence[BaseMessage]) -> tuple[list[BaseMessage], bool]:
    """Return the messages that come after what is stored, and whether any of them is stored.

    A message is known by its id, or as the last one that is stored, by what it says: programs that keep the
    conversation themselves may pass it whole, and without ids.

    Args:
        earlier: What came before what the user says now, oldest first.
        history: The window of the session.
    """
    ids = {message.id for message in history} - {None}
    last = _said(history[-1]) if history else None
    known = [n for n, message in enumerate(earlier) if message.id in ids or _said(message) == last]
    return list(earlier[max(known, default=-1) + 1 :]), bool(known)


def _said(message: BaseMessage) -> tuple[str, object]:
    return message.type, message.content


def after_history(history: Sequence[BaseMessage], messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """Return a conversation and what follows it; system messages at the beginning stay there."""
    first = next((n for n, one in enumerate(messages) if not isinstance(one, SystemMessage)), len(messages))
    kept = loadable(history)
    for message in kept:
        message.id = message.id or str(uuid.uuid4())
    return [*messages[:first], *kept, *messages[first:]]


def loadable(history: Sequence[BaseMessage]) -> list[BaseMessage]:
    """Return what of a window can be shown to any model.

    Each tool call stands with all its results, each result with its call, and what the user said comes first,
    if the user said anything in it.
    """
    first = next((n for n, message in enumerate(history) if isinstance(message, HumanMessage)), 0)
    kept: list[BaseMessage] = []
    at = first
    while at < len(history):
        message, results = history[at], _results(history, at + 1)
        at += 1 + len(results)
        if isinstance(message, ToolMessage):
            continue
        calls = _calls(message)
        if calls and (calls - {result.tool_call_id for result in results} or not kept):
            continue
        kept += [message, *(one for one in results if one.tool_call_id in calls | _invalid_calls(message))]
    return kept


def without_open_calls(messages: Sequence[BaseMessage]) -> list[BaseMessage] | None:
    """Return the messages with a result for each tool call that has none; `None` if none is missing.

    A call stays open if its turn was left, or a tool failed. A turn that begins after it will not make it.
    """
    mended: list[BaseMessage] = []
    at = 0
    while at < len(messages):
        message, results = messages[at], _results(messages, at + 1)
        at += 1 + len(results)
        given = {result.tool_call_id for result in results}
        calls = message.tool_calls if isinstance(message, AIMessage) else []
        missing = [call for call in calls if call["id"] and call["id"] not in given]
        mended += [message, *results, *map(_without_result, missing)]
    return mended if len(mended) > len(messages) else None


def _without_result(call: ToolCall) -> ToolMessage:
    return ToolMessage(
        _NO_RESULT,
        name=call["name"],
        tool_call_id=call["id"],
        status="error",
        id=str(uuid.uuid4()),
    )


def of_turn(messages: Sequence[BaseMessage], turn: TurnState) -> list[BaseMessage]:
    """Return what of a state's messages came after what the user said in this turn.

    Another middleware may have removed that, and kept what came before it.
    """
    known: Collection[str] = turn.asked or [turn.last]
    at = max((n for n, message in enumerate(messages) if message.id in known), default=-1)
    before = set(turn.before) if at < 0 else ()
    return [message for message in messages[at + 1 :] if is_said(message) and message.id not in before]


def not_stored(messages: Sequence[BaseMessage], window: Sequence[BaseMessage]) -> list[BaseMessage]:
    """Return the messages that do not stand in a window with the same id, saying the same.

    The result of a call that stands there is not among them either: it would be without its call, which has a
    result there.
    """
    there = {message.id: _said(message) for message in window if message.id}
    left: list[BaseMessage] = []
    stored: set[str | None] = set()  # the calls
    for message in messages:
        if message.id in there and there[message.id] == _said(message):
            stored |= _calls(message)
        elif not (isinstance(message, ToolMessage) and message.tool_call_id in stored):
            stored -= _calls(message)
            left.append(message)
    return left


def storable(message: BaseMessage, encode: Callable[[BaseMessage], bytes]) -> tuple[bytes, list[str]]:
    """Return a message as it is stored, and what of it had to be left out, because it is no JSON.

    That is its artifact, or members of what a provider adds; the rest of a message is never left out.

    Args:
        message: The message.
        encode: What encodes it, and raises if it would not come back equal.

    Raises:
        Exception: What `encode` raises of the rest.
    """
    try:
        return encode(message), []
    except Exception:  # noqa: BLE001 - such as what an artifact of any kind raises when it is compared
        added = {name: getattr(message, name) for name in _ADDED}
        kept: dict[str, Any] = {name: {} for name in _ADDED}
        if isinstance(message, ToolMessage):
            kept["artifact"] = None
        bare = message.model_copy(update=kept)
        encode(bare)
    left_out: list[str] = []
    for name, members in added.items():
        for key, value in members.items():
            one = {**kept, name: {**kept[name], key: value}}
            if _is_encoded(bare.model_copy(update=one), encode):
                kept = one
            else:
                left_out.append(f"{name}[{key!r}]")
    if isinstance(message, ToolMessage) and message.artifact is not None:
        one = {**kept, "artifact": message.artifact}
        if _is_encoded(bare.model_copy(update=one), encode):
            kept = one
        else:
            left_out.append("artifact")
    return encode(bare.model_copy(update=kept)), left_out


def _is_encoded(message: BaseMessage, encode: Callable[[BaseMessage], bytes]) -> bool:
    try:
        encode(message)
    except Exception:  # noqa: BLE001 - as above
        return False
    return True


def is_remembered(text: str, made: Sequence[BaseMessage]) -> bool:
    """Return whether the model remembered what this text says, by a tool of `AgentMemory.tools`."""
    done = {
        message.tool_call_id
        for message in made
        if isinstance(message, ToolMessage) and _REMEMBERED.match(message.text)
    }
    calls = [call for message in made if isinstance(message, AIMessage) for call in message.tool_calls]
    told = [call["args"].get("text") for call in calls if call["name"] in _REMEMBER and call["id"] in done]
    return any(isinstance(one, str) and canonical_text(one) == canonical_text(text) for one in told)


def in_order_of_calls(messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """Return the messages with the results of tools that ran at once in the order of their calls."""
    ordered: list[BaseMessage] = []
    while len(ordered) < len(messages):
        message, results = messages[len(ordered)], _results(messages, len(ordered) + 1)
        calls = message.tool_calls if isinstance(message, AIMessage) else []
        at = {call["id"]: n for n, call in enumerate(calls)}
        ordered += [message, *sorted(results, key=lambda result: at.get(result.tool_call_id, len(at)))]
    return ordered


def _results(messages: Sequence[BaseMessage], at: int) -> list[ToolMessage]:
    """Return the results of tools that stand there in a row."""
    found: list[ToolMessage] = []
    for message in messages[at:]:
        if not isinstance(message, ToolMessage):
            break
        found.append(message)
    return found


def _calls(message: BaseMessage) -> set[str | None]:
    return {call["id"] for call in message.tool_calls} if isinstance(message, AIMessage) else set()


def _invalid_calls(message: BaseMessage) -> set[str | None]:
    return {call["id"] for call in message.invalid_tool_calls} if isinstance(message, AIMessage) else set()
