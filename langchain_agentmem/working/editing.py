"""What is deleted and what is kept when the messages of a session change. No I/O.

Messages are taken out by their stored bytes, which the server compares, so what others append meanwhile
stays. An entry that cannot be read is never taken out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from langchain_core.messages import BaseMessage, RemoveMessage

from langchain_agentmem.core import json
from langchain_agentmem.core.checks import utf8
from langchain_agentmem.core.messages import checked_messages, decode_entry, decode_turn
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.working.session import UNREADABLE, lines_of

REMOVE_ALL = "__remove_all__"  # as langgraph.graph.message.REMOVE_ALL_MESSAGES has it


class Stored(NamedTuple):
    """A message and its stored bytes."""

    raw: bytes
    message: BaseMessage


class Edit(NamedTuple):
    """A change of a session's messages.

    Attributes:
        gone: The stored bytes of what is taken out, oldest first.
        first: Encoded messages that stand before all others from now on, oldest first. Those among `gone`
            are kept.
        added: Encoded messages to append, oldest first.
        unwanted: The stored bytes of what is taken out of the messages that have left the window and wait to
            be folded into the summary.
        rewrites: Whether the session is written even if nothing of `gone` is there any more.
    """

    gone: list[bytes]
    first: list[bytes]
    added: list[bytes]
    unwanted: Sequence[bytes] = ()
    rewrites: bool = False


def of_hash(recent_turns: bytes | None, *, rewritten: bool = False) -> list[Stored] | None:
    """Return the messages of a session's Hash; `None` if another program laid them out.

    Args:
        recent_turns: The field of that name.
        rewritten: Whether `write_session.lua` has just written it, whatever its lines hold.
    """
    if not recent_turns or recent_turns == b"[]":
        return []
    lines = lines_of(recent_turns) or (recent_turns[3:-2].split(b"\n") if rewritten else None)
    return None if lines is None else _readable([one.removesuffix(b",") for one in lines], decode_turn)


def waiting(lines: Sequence[bytes]) -> list[Stored]:
    """Return the messages that have left the window of a Hash and wait to be folded into the summary."""
    return _readable(lines, decode_turn)


def of_list(entries: Sequence[bytes]) -> list[Stored]:
    """Return the messages of a list's entries, which come newest first."""
    return _readable(entries[::-1], decode_entry)


def _readable(lines: Sequence[bytes], decode: Callable[[Any], BaseMessage]) -> list[Stored]:
    found = []
    for line in lines:
        with suppress(*UNREADABLE):
            found.append(Stored(line, decode(json.loads(line))))
    return found


Encode = Callable[[BaseMessage], bytes]
Plan = Callable[[list[Stored], list[Stored]], Edit]
"""What is changed, given the messages of the window, and those that have left it and wait to be summed up."""


def has_removals(messages: Sequence[BaseMessage]) -> bool:
    """Return whether a `RemoveMessage` is among these."""
    return any(isinstance(message, RemoveMessage) for message in messages)


def removing(messages: Sequence[BaseMessage], encode: Encode) -> Plan:
    """Return how messages are added and removed, one after the other, as a `RemoveMessage` says.

    One with the id of no message removes nothing; one with `REMOVE_ALL` removes all before it.

    Raises:
        MessageNotStorableError: A message would not come back equal.
    """
    steps = [
        (message.id, None if isinstance(message, RemoveMessage) else encode(message)) for message in messages
    ]

    def plan(window: list[Stored], waiting: list[Stored]) -> Edit:
        gone: set[int] = set()
        stored = [*waiting, *window]
        added: list[tuple[str | None, bytes]] = []
        for message_id, encoded in steps:
            if encoded is not None:
                added.append((message_id, encoded))
            else:
                gone |= {at for at, one in enumerate(stored) if message_id in (REMOVE_ALL, one.message.id)}
                added = [] if message_id == REMOVE_ALL else [one for one in added if one[0] != message_id]
        return _without(stored, gone, len(waiting), [encoded for _, encoded in added])

    return plan


def deleting(messages: Sequence[BaseMessage | str]) -> Plan:
    """Return how messages are deleted: by their ids; one without an id by being equal, the newest first.

    Raises:
        InvalidInputError: It is no sequence of messages and ids.
    """
    if isinstance(messages, str | BaseMessage) or not isinstance(messages, Sequence):
        raise InvalidInputError(f"messages must be a list of messages or ids, not {type(messages).__name__}.")
    ids = {utf8("id", one).decode() for one in messages if not isinstance(one, BaseMessage)}
    ids |= {one.id for one in messages if isinstance(one, BaseMessage) and one.id is not None}
    equal = [one for one in messages if isinstance(one, BaseMessage) and one.id is None]

    def plan(window: list[Stored], waiting: list[Stored]) -> Edit:
        stored = [*waiting, *window]
        gone = {at for at, one in enumerate(stored) if one.message.id in ids}
        places = _Places(stored, reversed(range(len(stored))))
        gone |= {at for at in map(places.take, equal) if at is not None}
        return _without(stored, gone, len(waiting), [])

    return plan


def replacing(messages: Sequence[BaseMessage], seen: Sequence[BaseMessage] | None, encode: Encode) -> Plan:
    """Return how all messages are replaced by others, in front of what came after those that were seen.

    A message that is among the new ones too keeps its stored form, with its time. What has left the window
    waits on.

    Raises:
        InvalidInputError: It is no sequence of messages, or one of them is a `RemoveMessage`.
        MessageNotStorableError: A message would not come back equal.
    """
    new = checked_messages(messages)
    known = None if seen is None else checked_messages(seen)
    if has_removals(new):
        raise InvalidInputError("A RemoveMessage cannot be what a message is replaced by: leave it out.")
    encoded = [encode(message) for message in new]

    def plan(stored: list[Stored], _: list[Stored]) -> Edit:
        gone = set(range(len(stored))) if known is None else _seen(stored, known)
        places = _Places(stored, sorted(gone))
        first: list[bytes] = []
        for message, fresh in zip(new, encoded, strict=True):
            same = places.take(message)
            if same is not None:
                first.append(stored[same].raw)
            elif known is None or message not in known:  # else somebody has deleted it since it was seen
                first.append(fresh)
        return Edit(_raw(stored, gone), first, [], rewrites=True)

    return plan


def _seen(stored: list[Stored], seen: list[BaseMessage]) -> set[int]:
    """Return the places of the messages that were seen, and of all before the first of them."""
    ids = {message.id for message in seen} - {None}
    found = {at for at, one in enumerate(stored) if one.message.id in ids}
    places = _Places(stored, range(len(stored)))
    found |= {at for at in map(places.take, seen) if at is not None}
    return found | set(range(min(found, default=0)))


class _Places:
    """Where messages stand that are equal to others. Each place is taken once, in the order given.

    Only messages that look alike are compared, so that long sessions take no time.
    """

    def __init__(self, stored: list[Stored], places: Iterable[int]) -> None:
        self._stored = stored
        self._alike: dict[tuple[str, str | None, str], list[int]] = {}
        for at in places:
            self._alike.setdefault(_look(stored[at].message), []).append(at)

    def take(self, message: BaseMessage) -> int | None:
        """Return the next place of a message that is equal to this one; `None` if there is none."""
        alike = self._alike.get(_look(message), [])
        for at in alike:
            if self._stored[at].message == message:
                alike.remove(at)
                return at
        return None


def _look(message: BaseMessage) -> tuple[str, str | None, str]:
    return message.type, message.id, str(message.content)


def _raw(stored: list[Stored], places: set[int]) -> list[bytes]:
    return [stored[at].raw for at in sorted(places)]


def _without(stored: list[Stored], gone: set[int], waiting: int, added: list[bytes]) -> Edit:
    """Return the edit that takes out what stands at these places, of which the first ones are waiting."""
    of_window, unwanted = ({at for at in gone if (at < waiting) is waits} for waits in (False, True))
    return Edit(_raw(stored, of_window), [], added, _raw(stored, unwanted), rewrites=bool(added))
