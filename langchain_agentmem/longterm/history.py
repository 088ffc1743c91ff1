"""The versions of a memory: those that it superseded, and those that superseded it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf

from langchain_agentmem.core.operations import Op, gather, ok
from langchain_agentmem.errors import StoreError
from langchain_agentmem.longterm.types import MemoryRecord, Scope

Get = Callable[[str, str], Op[MemoryRecord | None]]


def history(
    first: Op[MemoryRecord | None], links: Callable[[Scope], Op[dict[str, str]]], get: Get
) -> Op[list[MemoryRecord]]:
    """Return the versions of a memory, oldest first; none if it is not there.

    Args:
        first: Reads the memory.
        links: Returns which memory superseded each superseded one of a user and namespace.
        get: Reads another memory of a user, given its id and the user.
    """
    record = yield from first
    if record is None:
        return []
    known = yield from links(Scope(record.user, record.namespace, None))
    if record.superseded_by is not None:
        known[record.id] = record.superseded_by
    ages = versions(record.id, known)
    others = [one for one in ages if one != record.id]
    found = [record]
    for reply in (yield from gather(get(one, record.user) for one in others)) if others else ():
        if type(reply) is not StoreError:  # what is stored there is no memory, and so no version
            found.append(ok(reply))
    there = [one for one in found if one is not None]

    def order(one: MemoryRecord) -> tuple[float, int, float, str]:
        # What one atomic step has superseded has one time, so that links decide.
        until = inf if one.superseded_ts is None else one.superseded_ts
        return until, -ages[one.id], one.created_ts, one.id

    return sorted(there, key=order)


def versions(memory_id: str, links: Mapping[str, str]) -> dict[str, int]:
    """Return how many steps each version of a memory is behind the newest one, which has 0.

    Args:
        memory_id: The memory.
        links: The id of the memory that superseded each superseded one.
    """
    newest, seen = memory_id, {memory_id}
    while newest in links and links[newest] not in seen:
        newest = links[newest]
        seen.add(newest)
    before: dict[str, list[str]] = {}
    for old, new in links.items():
        before.setdefault(new, []).append(old)
    ages = {newest: 0}
    waiting = [newest]
    while waiting:
        one = waiting.pop()
        for old in before.get(one, ()):
            if old not in ages:
                ages[old] = ages[one] + 1
                waiting.append(old)
    return ages
