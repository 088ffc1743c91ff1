"""What a move reads at its source, as operations without I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from langchain_agentmem.core import scripts
from langchain_agentmem.core.keys import Keys
from langchain_agentmem.core.operations import Command, Op, asks, call, ok, pairs, reads
from langchain_agentmem.errors import WrongKeyTypeError
from langchain_agentmem.moving.documents import owner_of
from langchain_agentmem.moving.units import Layout, Unit

_HERE = str(__package__)
_look, _whose, _weigh = (
    scripts.together((_HERE, "moved"), (_HERE, name)) for name in ("look", "whose", "weigh")
)
_take = scripts.together(("langchain_agentmem.agents.store", "items"), (_HERE, "moved"), (_HERE, "take"))
_KEYS = 500  # that a SCAN looks at
_ENTRIES = 50


class Seen(NamedTuple):
    """Holds what a key holds, as far as a comparison needs it.

    Attributes:
        digest: Of its content and expiry.
        size: How many bytes it holds, about.
        list: The list that holds the messages of a session; empty for none.
        type: Its Redis type.
    """

    digest: str
    size: int
    list: bytes = b""
    type: str = "stream"


class Taken(NamedTuple):
    """Holds a unit as it was read, whole.

    Attributes:
        unit: The unit.
        digest: Of its content and expiry.
        expiry: Epoch milliseconds; 0 for never.
        type: Its Redis type.
        payload: The DUMP; or the members of a memory that is converted; or the fields of an entry.
        about: What tells whose it is, as `take.lua` has it.
    """

    unit: Unit
    digest: str
    expiry: int
    type: str
    payload: Any
    about: Any = None


def size_op() -> Op[int]:
    """Return about how many keys a server or a cluster has. One round trip.

    Of a cluster, one node is asked, and the others are taken to have as many.
    """
    size, slots = yield [asks("DBSIZE"), asks("CLUSTER", "SLOTS")]
    primaries = 1 if isinstance(slots, Exception) else len({str(one[2][:2]) for one in slots})
    return int(ok(size)) * primaries


def page_op(cursor: Any) -> Op[tuple[Any, list[bytes]]]:
    """Return the next keys of a server, of whatever program, and the cursor behind them. One round trip."""
    page = yield from call(asks("SCAN", cursor, "COUNT", _KEYS))
    return int(page[0]), list(dict.fromkeys(page[1]))


def entries_op(unit: Unit, after: bytes) -> Op[list[tuple[Unit, Seen]]]:
    """Return the next tasks that were set aside, as units of their own. One round trip.

    Args:
        unit: Their stream.
        after: The id of the last one of the page before; empty to begin.
    """
    start = b"(" + after if after else b"-"
    page = yield from call(reads("XRANGE", unit.key, start, "+", "COUNT", _ENTRIES))
    found = []
    for entry_id, fields in page:
        flat = _flat(fields)
        one = unit._replace(entry=entry_id)
        found.append((one, Seen(entry_digest(flat), sum(map(len, flat)))))
    return found


def look_op(units: Sequence[Unit]) -> Op[list[Seen | WrongKeyTypeError | None]]:
    """Return what some units hold, in their order; `None` for what is not there.

    One round trip; none for no units.

    Args:
        units: The units, each with its key on this side.
    """
    if not units:
        return []
    replies = yield list(map(_looked, units))
    return [
        reply if isinstance(reply, WrongKeyTypeError) else _seen(unit, ok(reply))
        for unit, reply in zip(units, replies, strict=True)
    ]


def whose_op(keys: Sequence[bytes]) -> Op[list[str | None]]:
    """Return whose some memories are; `None` if one does not say so, or is gone. One round trip."""
    replies = (yield [_whose.call([key])._replace(read_only=True) for key in keys]) if keys else ()
    return [owner_of(reply[0].decode(), reply[1]) if ok(reply) else None for reply in replies]


def take_op(layout: Layout, units: Sequence[Unit], *, parts: bool) -> Op[list[Taken]]:
    """Return some units whole, except those that are gone. One round trip.

    Args:
        layout: The names of the keys at the source.
        units: The units.
        parts: Whether memories are read by their members, rather than as a DUMP.
    """
    replies = yield [_taken(layout.in_partition(unit.partition), unit, parts) for unit in units]
    found = []
    for unit, reply in zip(units, replies, strict=True):
        if not ok(reply):
            continue
        if unit.entry:
            flat = _flat(reply[0][1])
            found.append(Taken(unit, entry_digest(flat), 0, "stream", flat, _places(flat)))
            continue
        digest, expiry, kind, payload, about = reply
        about = _places(about) if unit.kind == "queue" and about else about
        found.append(Taken(unit, digest.decode(), int(expiry), kind.decode(), payload, about))
    return found


def weigh_op(unit: Unit) -> Op[tuple[float, int]]:
    """Return how new a unit is: of two, the newer one is larger. One round trip."""
    latest, uses = yield from call(_weigh.call([unit.key], unit.kind)._replace(read_only=True))
    return float(latest), int(uses)


def members_op(unit: Unit) -> Op[list[Any]]:
    """Return what is in a record of threads, in events or in a queue, as the scripts that join take it.

    One round trip.
    """
    if unit.kind == "threads":
        reply = yield from call(reads("ZRANGE", unit.key, 0, -1, "WITHSCORES"))
        found = [pair for one in reply for pair in (one if isinstance(one, list | tuple) else [one])]
        return [part for member, score in pairs(found) for part in (_score(score), member)]
    if unit.kind == "events":
        entries = yield from call(reads("XRANGE", unit.key, "-", "+"))
        flat = [(entry_id, _flat(fields)) for entry_id, fields in entries]
        return [part for entry_id, fields in flat for part in (entry_id, len(fields), *fields)]
    return list((yield from call(reads("LRANGE", unit.key, 0, -1))))


def entry_digest(fields: Iterable[bytes]) -> str:
    """Return the digest of an entry's fields and values, as `drop_entry.lua` computes it."""
    framed = b"".join(b"%d:%s" % (len(part), part) for part in fields)
    return hashlib.sha1(framed, usedforsecurity=False).hexdigest()[:16]


def _looked(unit: Unit) -> Command:
    if unit.entry:
        return reads("XRANGE", unit.key, unit.entry, unit.entry)
    what = "session" if unit.kind == "session" else ""
    return _look.call([unit.key], what)._replace(read_only=True)


def _seen(unit: Unit, reply: Any) -> Seen | None:
    if not reply:
        return None
    if unit.entry:
        flat = _flat(reply[0][1])
        return Seen(entry_digest(flat), sum(map(len, flat)))
    seen = Seen(reply[0].decode(), int(reply[1]), reply[2], reply[3].decode())
    return None if unit.kind == "list" and seen.type != "list" else seen  # of another program


def _taken(keys: Keys, unit: Unit, parts: bool) -> Command:
    if unit.entry:
        return reads("XRANGE", unit.key, unit.entry, unit.entry)
    names: list[Any] = [unit.key]
    if unit.kind == "queue":
        names += [keys.tasks_signal(unit.key.decode()), keys.tasks_stream]
    return _take.call(names, unit.kind, "parts" if parts else "")._replace(read_only=True)


def _flat(fields: Any) -> list[bytes]:
    return [part for pair in pairs(fields) for part in pair]


def _places(fields: Sequence[bytes]) -> list[bytes] | None:
    """Return what, thread, user and namespace of a task; `None` if they are not all there."""
    named = dict(pairs(fields))
    found = [named.get(name) for name in (b"what", b"thread", b"user", b"namespace")]
    return None if None in found else [one for one in found if one is not None]


def _score(reply: Any) -> Any:
    return repr(reply) if isinstance(reply, float) else reply
