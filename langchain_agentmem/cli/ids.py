"""Ids as a person reads and types them: shortened in tables, and accepted by how they begin, as in Git."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from langchain_agentmem.cli.console import CommandError, Screen
from langchain_agentmem.cli.text import one_line
from langchain_agentmem.core.operations import gather, ok
from langchain_agentmem.errors import StoreError

if TYPE_CHECKING:
    from langchain_agentmem.agent_memory import AgentMemory
    from langchain_agentmem.longterm.types import MemoryRecord

_SHORT = 8
_LEAST = 4  # characters of a made id that name it where something is deleted or replaced
_NAMED = 10
_LOOKED_UP = 100  # ids that are looked up in one round trip
# What ends an id that a program made: what stands before it, such as a user, is not shortened.
_MADE = re.compile(r"(?:[0-9a-f]{16,}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\Z")


def shortened(ids: Iterable[str]) -> dict[str, str]:
    """Return each id as a table shows it: how a made one begins, in so many characters that no other does.

    An id that somebody chose is not shortened.
    """
    ordered = sorted(set(ids))
    shared = [0, *(_shared(*pair) for pair in pairwise(ordered)), 0]
    return {one: _short(one, max(shared[at : at + 2])) for at, one in enumerate(ordered)}


def shown_ids(screen: Screen, ids: Iterable[str], full_ids: bool = False) -> dict[str, str]:
    """Return how each id is shown: whole if that is wanted, on a wide terminal, and elsewhere than on one."""
    ids = list(ids)
    return {one: one for one in ids} if full_ids or screen.is_wide else shortened(ids)


def shown_id(screen: Screen, one: str) -> str:
    """Return how a single id is shown."""
    return shown_ids(screen, [one])[one]


def _shared(one: str, other: str) -> int:
    """Return how many characters two ids begin with in common."""
    differ = (at for at, (left, right) in enumerate(zip(one, other, strict=False)) if left != right)
    return next(differ, min(len(one), len(other)))


def _short(one: str, shared: int) -> str:
    made = _MADE.search(one)
    return one if made is None else one[: max(made.start() + _SHORT, shared + 1)]


def chosen_memory(
    memory: AgentMemory, given: str, *, user: str, namespace: str | None = None
) -> MemoryRecord | None:
    """Return the memory of a user that has an id, or else the one whose made id begins like this.

    An id that somebody chose has to be given in full: a program that deletes `note-1` again must not meet
    `note-10`. One round trip for a whole id; for a beginning one more for the user's ids (where the index
    does not know them all, one per 1,000 keys of the database), and one per 100 of them that begin like it.

    Args:
        memory: Where it is.
        given: The id, or how it begins.
        user: Whose it has to be. Nobody else's is found, or counts as another one that begins like it.
        namespace: In which namespace; `None` for all.

    Raises:
        CommandError: Several memories of the user begin like this, or one does, and it is too short.
    """
    found = memory.long_term.get(given, user=user)
    if found is not None:
        return found if namespace in (None, found.namespace) else None
    named = memory.transport.run(memory.long_term.ids_op(user))
    begun = [one for one in sorted(set(named)) if one.startswith(given) and _cuts_made(given, one)]
    records: list[MemoryRecord] = []
    while begun and len(records) <= _NAMED:
        page, begun = begun[:_LOOKED_UP], begun[_LOOKED_UP:]
        # A record of the user's, or nothing: the index may name those of others, too.
        replies = memory.transport.run(gather([memory.long_term.get_op(one, user) for one in page]))
        known = [ok(reply) for reply in replies if not isinstance(reply, StoreError)]
        records += [one for one in known if one is not None and namespace in (None, one.namespace)]
    if len(records) > 1:
        raise _ambiguous("memories", given, [f"{one.id}  {one_line(one.text, 60)}" for one in records])
    return records[0] if records else None


def check_length(given: str, made: int = 0) -> None:
    """Refuse a beginning that is too short to say which made id is meant, where something is changed.

    Args:
        given: How the id begins.
        made: Where in it begins what a program made.

    Raises:
        CommandError: It has less than 4 characters of that.
    """
    if len(given) < made + _LEAST:
        raise CommandError(
            f"{one_line(given, 60)} is too short to change or delete anything by: give at least the first "
            f"{made + _LEAST} characters of the id, or all of it."
        )


def _cuts_made(given: str, one: str) -> bool:
    """Return whether this is the beginning of a made id, and reaches into what was made.

    Raises:
        CommandError: It does, and is too short.
    """
    made = _MADE.search(one)
    if made is None or len(given) <= made.start():
        return False
    check_length(given, made.start())
    return True


def chosen_thread(memory: AgentMemory, given: str, *, whole: bool = False) -> str | None:
    """Return the one thread with a session whose id begins like this; `None` if there is none.

    For an id that is none itself, which is for the caller to find out. As many round trips as `agentmem
    sessions --all-users`: one per 1,000 keys of the database.

    Args:
        memory: Where it is.
        given: How the id begins.
        whole: Whether only ids that a program made may be shortened.

    Raises:
        CommandError: Several begin like this, or, with `whole`, one does, and it is too short.
    """
    threads = memory.working.list_threads(None)
    given = given if whole else given.removesuffix("…")  # as a table cuts a long one
    begun = sorted(one for one in threads if one.startswith(given) and (not whole or _cuts_made(given, one)))
    if len(begun) > 1:
        raise _ambiguous("threads", given, [one_line(one) for one in begun])
    return begun[0] if begun else None


def _ambiguous(what: str, given: str, candidates: Sequence[str]) -> CommandError:
    listed = [f"\n  {one}" for one in candidates[:_NAMED]]
    more = "\n  …" if len(candidates) > _NAMED else ""
    return CommandError(f"The ids of several {what} begin with {one_line(given, 60)}:{''.join(listed)}{more}")
