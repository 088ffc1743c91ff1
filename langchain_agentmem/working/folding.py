"""Folding: what has left a session's window goes into its summary. No I/O.

What waits is read, the summariser is asked, and `fold_session.lua` writes its answer if nobody has changed
what it was made of. Until then everything stays where it is, so whatever ends in between, nothing is missing
and nothing is folded twice.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import BaseMessage, ToolMessage

from langchain_agentmem.core import json, scripts
from langchain_agentmem.core.messages import decode_entry, decode_turn
from langchain_agentmem.core.operations import Op, call, ok, reads, text
from langchain_agentmem.working.session import UNREADABLE, counted
from langchain_agentmem.working.summaries import Summarise, Summariser

logger = logging.getLogger("langchain_agentmem")

_fold = scripts.load(__package__, "fold_session")
_FIELDS = ("thread_id", "summary", "folded_count", "waiting_turns")
_MARK_BYTES = 200  # as in write_session.lua and fold_session.lua


@dataclass(frozen=True, slots=True)
class Waiting:
    """Holds what waits to be folded into a session's summary.

    Attributes:
        turns: The stored bytes of the messages, oldest first.
        messages: Those that could be read, with `None` in place of the others.
        summary: The summary so far, as it is stored.
        folded_count: How many messages are in it, as it is stored.
        before: How many messages of a list stand before these.
    """

    turns: list[bytes]
    messages: list[BaseMessage | None]
    summary: bytes = b""
    folded_count: bytes = b""
    before: int = 0


def folded_messages(count: int) -> str:
    """Return what an event tells of so many messages that were folded."""
    return f"{count} {'message' if count == 1 else 'messages'}"


def waiting_in_hash(key: str) -> Op[Waiting]:
    """Return what waits in a session's Hash. One round trip."""
    thread_id, summary, folded, stored = yield from call(reads("HMGET", key, *_FIELDS))
    lines = [] if thread_id is None else waiting_lines(stored)
    return Waiting(lines, [_decoded(key, one, decode_turn) for one in lines], summary or b"", folded or b"")


def waiting_lines(stored: bytes | None) -> list[bytes]:
    """Return the messages of the field `waiting_turns`, as they are stored, oldest first."""
    if not stored or not stored.startswith(b"[ \n"):
        return []
    return [line.removesuffix(b",") for line in stored[3:-2].split(b"\n")]


def waiting_in_list(key: str, list_key: str, window: int, most: int) -> Op[Waiting]:
    """Return what has left the window of a list and is not in the summary.

    One round trip if nothing waits, else two; one more if others have deleted or trimmed the list: it is not
    known then what of it is in the summary, and all of it waits.

    A list without a Hash, which only other programs or a chat history wrote, has no place for a summary, and
    nothing waits in it.

    Args:
        key: The key of the session's Hash.
        list_key: The list.
        window: How many messages are read of it, if not tools' results come first.
        most: How many messages to return at most, the oldest first. A call with more results than that comes
            with all of them.
    """
    described = reads("HMGET", key, *_FIELDS[:-1], "folded_last")
    (thread_id, summary, folded, mark), length = map(ok, (yield [described, reads("LLEN", list_key)]))
    if thread_id is None:
        return Waiting([], [])
    before = counted(folded) if counted(folded) <= length else 0
    while length - window > before:
        stop = before + most + window
        entries = yield from call(reads("LRANGE", list_key, -stop, -max(before, 1)))
        entries.reverse()
        if before and entries.pop(0)[:_MARK_BYTES] != mark:
            before = 0
            continue
        messages = [_decoded(list_key, one, decode_entry) for one in entries]
        end = _end(messages, length - window - before, most)
        return Waiting(entries[:end], messages[:end], summary or b"", folded or b"", before)
    return Waiting([], [])


def _end(messages: Sequence[BaseMessage | None], left: int, most: int) -> int:
    """Return how many of these to fold: those that have left the window, a call always with its results."""
    end = min(left, len(messages))
    if end > most:
        end = most
        while end and _is_result(messages, end):
            end -= 1
        end = end or most
    while _is_result(messages, end):
        end += 1
    return end


def _is_result(messages: Sequence[BaseMessage | None], at: int) -> bool:
    return at < len(messages) and isinstance(messages[at], ToolMessage)


def fold(keys: Sequence[str], waiting: Waiting, summarise: Summariser) -> Op[int]:
    """Fold what waits into the summary; return how many messages that were. The summariser, a round trip.

    Args:
        keys: The session's Hash; and the list, if that holds its messages.
        waiting: What waits, as it was read.
        summarise: Who sums up.

    Returns:
        0 if nothing waits, or somebody has changed it meanwhile, such as another worker that has folded it.

    Raises:
        SummaryError: The summariser failed; nothing was written.
    """
    if not waiting.turns:
        return 0
    messages = [one for one in waiting.messages if one is not None]
    summary = text(waiting.summary)
    if messages:  # else none can be read
        summary = yield Summarise(summarise, summary, messages)
    count = len(waiting.turns)
    command = _fold.call(
        keys,
        *(waiting.folded_count, waiting.summary, summary),
        *(count, b",\n".join(waiting.turns), waiting.before),
    )
    return count if (yield from call(command)) else 0


def _decoded(key: str, stored: bytes, decode: Any) -> BaseMessage | None:
    """Return a message; `None` for an entry that cannot be read, which leaves the session with the others."""
    with suppress(*UNREADABLE):
        message: BaseMessage = decode(json.loads(stored))
        return message
    logger.warning("An entry that has left the window of %r cannot be read, and is not summed up.", key)
    return None
