"""`agentmem memories`: a user's memories as a list, or one of them deleted."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from langchain_agentmem.cli import options
from langchain_agentmem.cli.connect import open_store
from langchain_agentmem.cli.console import CommandError, Screen, show_json
from langchain_agentmem.cli.ids import chosen_memory, shortened, shown_ids
from langchain_agentmem.cli.table import Cell, Column
from langchain_agentmem.cli.text import about, ago, counted, expiry, moment, one_line
from langchain_agentmem.errors import StoreConnectionError, StoreError

if TYPE_CHECKING:
    from langchain_agentmem.agent_memory import AgentMemory
    from langchain_agentmem.longterm.types import MemoryRecord


class Sort(str, Enum):
    """The order in which `memories` lists."""

    newest = "newest"
    oldest = "oldest"
    most_seen = "most_seen"


_OF_SEARCHES = ("distance", "score", "matched_words", "explanation")


def memories(
    redis: options.Redis = None,
    user: options.User = None,
    namespace: Annotated[
        str | None,
        options.id_option("namespace", "Only of this namespace; by default, of every one."),
    ] = None,
    kind: options.AnyKind = None,
    contains: Annotated[
        str | None, options.words_option("--contains", "Only with all of these words; the last may be begun.")
    ] = None,
    sort: Annotated[
        Sort, typer.Option("--sort", metavar="ORDER", help="newest, oldest or most_seen first.")
    ] = Sort.newest,
    limit: options.Limit = 50,
    offset: Annotated[int, options.count_option("--offset", "How many to skip.", least=0)] = 0,
    everything: Annotated[
        bool, typer.Option("--all", help="Also what other memories have replaced.")
    ] = False,
    full_ids: options.FullIds = False,
    delete: Annotated[
        str | None, options.memory_option("--delete", "Delete this one; how its id begins will do.")
    ] = None,
    yes: options.Yes = False,
    as_json: options.AsJson = False,
) -> None:
    """List a user's memories, newest first, or delete one.

    \b
      agentmem memories --user alice --kind semantic
      agentmem memories --user alice --contains "lisbon tram" --sort oldest
      agentmem memories --user alice --limit 50 --offset 50
      agentmem memories --user alice --delete 0f343b09
    """
    screen, owner = Screen(), user or options.login_name()
    if delete is not None:
        for name, value in {"namespace": namespace, "kind": kind, "contains": contains}.items():
            options.at_most_one(delete=delete, **{name: value})
        options.at_most_one(delete=delete, all=everything)
        options.at_most_one(delete=delete, offset=offset)
        return _delete(screen, redis, owner, delete, yes, as_json)
    where: dict[str, Any] = {"user": owner, "namespace": namespace, "kind": kind, "contains": contains}
    where["include_superseded"] = everything
    with options.usage(), open_store(redis, screen) as memory:
        options.check_supported(memory, namespace=namespace)
        store = memory.long_term
        records = store.list_memories(**where, limit=limit, offset=offset, sort=sort.value)
        end = offset + len(records)
        # Only where there may be more: a round trip besides.
        count = store.count_memories(**where) if offset or len(records) == limit else end
    if as_json:
        return show_json([without(record, *_OF_SEARCHES) for record in records])
    if records:
        screen.note(
            f"{_page(offset, end, count)} of {one_line(owner, 60)}{options.another(user)}"
            + (f"; next: --offset {end}" if end < count else "")
        )
    otherwise = f" that contain “{one_line(contains, 60)}”" if contains else ""
    otherwise += f" from {offset:,} on" if offset else ""
    return show_memories(
        screen, owner, records, full_ids=full_ids, otherwise=otherwise + options.another(user)
    )


def _page(offset: int, end: int, count: int) -> str:
    """Return which memories are shown, of how many: `12 memories`, `51 to 100 of 1,234 memories`."""
    if offset == 0 and end >= count:
        return counted(count, "memory")
    return f"{offset + 1:,} to {end:,} of {counted(max(count, end), 'memory')}"


def show_memories(
    screen: Screen,
    owner: str,
    records: Sequence[MemoryRecord],
    *,
    full_ids: bool = False,
    otherwise: str = "",
) -> None:
    """Print memories of a user as a table.

    Args:
        screen: Where.
        owner: Whose they are.
        records: The memories.
        full_ids: Whether a terminal shows ids whole.
        otherwise: What to add if there are none.
    """
    ids = {one for record in records for one in (record.id, record.superseded_by) if one}
    names, short = shown_ids(screen, ids, full_ids), shortened(ids)
    plain = all(one.namespace == "default" for one in records)
    columns = [
        Column("id", 80),
        Column("replaced by", 80),
        Column("namespace", 14),
        Column("kind", 14),
        Column("seen", right=True),
        Column("learnt"),
        Column("expires"),
        Column("text"),
    ]
    rows = [
        (
            Cell(names[one.id], one.id),
            Cell(short.get(one.superseded_by or "", ""), one.superseded_by or ""),
            Cell("" if plain else one.namespace, one.namespace),
            one.kind,
            # Everything is seen once; what was seen again is worth a column.
            Cell(f"{one.hit_count + 1:,}×" if one.hit_count else "", str(one.hit_count + 1)),
            Cell(ago(one.created_ts), moment(one.created_ts)),
            Cell(about(one.ttl_seconds), expiry(one.ttl_seconds)),
            one.text,
        )
        for one in records
    ]
    screen.table(columns, rows, empty=f"no memories of {one_line(owner, 60)}{otherwise}")


def own(memory: AgentMemory, memory_id: str, owner: str, user: str | None) -> MemoryRecord:
    """Return the memory of a user that an id, or how it begins, names.

    Raises:
        CommandError: There is none, or there are several.
    """
    found = chosen_memory(memory, memory_id, user=owner)
    if found is None:
        raise CommandError(
            f"{one_line(owner, 60)} has no memory {one_line(memory_id, 60)}; agentmem memories lists them"
            f"{options.another(user)}."
        )
    return found


def _delete(screen: Screen, redis: str | None, user: str, memory_id: str, yes: bool, as_json: bool) -> None:
    screen.must_confirm(yes)
    with options.usage(), open_store(redis, screen) as memory:
        whole, text = _deletable(memory, memory_id, user)
        name = one_line(whole, 60) + (f" “{one_line(text, 80)}”" if text else "")
        if not screen.confirmed(f"Delete the memory {name}?", yes):
            return screen.facts([("kept", f"the memory {name}")])
        if not memory.long_term.delete_memory(whole, user=user):
            raise CommandError(f"{one_line(user, 60)} has no memory {one_line(whole, 60)}.")
    return show_json({"deleted": whole}) if as_json else screen.facts([("deleted", whole)])


def _deletable(memory: AgentMemory, memory_id: str, user: str) -> tuple[str, str]:
    """Return the whole id of a user's memory, and its text; none of a document that is no memory."""
    try:
        found = own(memory, memory_id, user, user)
    except StoreConnectionError:
        raise
    except StoreError:  # it can be deleted nevertheless, if it says that it is the user's
        return memory_id, ""
    return found.id, found.text


def without(record: MemoryRecord, *hidden: str) -> dict[str, Any]:
    """Return a memory without what the request did not ask: a search tells no TTL, a listing no distance."""
    return {name: value for name, value in record.to_dict().items() if name not in hidden}
