"""`agentmem recall`, `remember` and `memories`: the long-term memory of one user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from langchain_agentmem.cli import options
from langchain_agentmem.cli.connect import open_memory, open_store
from langchain_agentmem.cli.console import (
    CommandError,
    Screen,
    bar,
    moment,
    one_line,
    show_json,
    span,
    standard,
)

if TYPE_CHECKING:
    from langchain_agentmem.longterm.types import MemoryRecord


def recall(
    query: Annotated[str, typer.Argument(metavar="TEXT", help="What to look for.")],
    redis: options.Redis = None,
    user: options.User = None,
    namespace: options.Namespace = "default",
    all_namespaces: options.AllNamespaces = False,
    kind: options.AnyKind = None,
    k: Annotated[int, typer.Option("--k", min=1, help="How many at most.")] = 5,
    threshold: Annotated[float | None, options.threshold_option("--threshold")] = None,
    as_json: options.AsJson = False,
) -> None:
    """Find what is remembered about something, nearest first.

    \b
      agentmem recall "Where do I live?" --user alice
      agentmem recall food --k 20 --threshold 0.8 --json
    """
    if not query.strip():  # told at once, not when the model has come
        raise CommandError("query is empty.")
    screen = Screen()
    with open_memory(redis, screen) as memory:
        within = memory.settings.recall_threshold if threshold is None else threshold
        found = memory.long_term.recall(
            query,
            user=user or options.login_name(),
            namespace=None if all_namespaces else namespace,
            kind=kind,
            k=k,
            distance_threshold=... if threshold is None else threshold,
        )
        by_words = not memory.long_term.supports_vectors
    if as_json:
        return show_json([_without(record, "ttl_seconds") for record in found])
    return screen.facts(recalled(screen, found, within, by_words=by_words))


def recalled(
    screen: Screen, found: Sequence[MemoryRecord], within: float, *, by_words: bool = False
) -> list[tuple[str, str]]:
    """Return the facts of a search: how many are near enough, and each with its distance and its kind."""
    how = "by words" if by_words else f"within {within:g}"
    facts = [f"{len(found) or 'nothing'} {how}"]
    for record in found:
        near = record.score or 0 if record.distance is None else record.distance
        drawn = screen.is_terminal and record.distance is not None
        parts = (f"{near:.3f}", bar(near, within) if drawn else "", one_line(record.kind, 20))
        facts.append("  ".join([*filter(None, parts), one_line(record.text)]))
    return [("recalled", fact) for fact in facts]


def _without(record: MemoryRecord, *hidden: str) -> dict[str, Any]:
    """Return a memory without what the request did not ask: a search tells no TTL, a listing no distance."""
    return {name: value for name, value in record.to_dict().items() if name not in hidden}


def _json_object(value: str) -> dict[str, Any]:
    """Return the value of an option that takes a JSON object; anything else is wrong usage."""
    from langchain_agentmem.core import json

    try:
        found = json.loads(value)
    except ValueError as error:
        raise typer.BadParameter(f"no JSON: {error}") from error
    if not isinstance(found, dict):
        raise typer.BadParameter('it takes a JSON object, such as {"source": "mail"}.')
    return found


def remember(
    words: Annotated[str, typer.Argument(metavar="TEXT", help="What to remember; - reads standard input.")],
    redis: options.Redis = None,
    user: options.User = None,
    namespace: options.Namespace = "default",
    kind: Annotated[
        str,
        options.id_option("kind", "episodic (a week, the default), semantic (never expires), or your own."),
    ] = "episodic",
    ttl: Annotated[
        int | None,
        typer.Option("--ttl", metavar="SECONDS", min=1, help="Its TTL, instead of that of its kind."),
    ] = None,
    thread: Annotated[str | None, options.id_option("thread", "The conversation it was learnt in.")] = None,
    metadata: Annotated[
        dict[str, Any] | None,
        typer.Option(
            "--metadata", metavar="JSON", parser=_json_object, help="A JSON object to keep with it."
        ),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Remember a text, unless it is a duplicate of one of the user's memories.

    \b
      agentmem remember "I live in Lisbon." --user alice --kind semantic
      echo "Met Ana at the station." | agentmem remember -
      agentmem remember "Prefers tea." --metadata '{"source": "mail"}'
    """
    said = _from_standard_input() if words == "-" else words
    if not said.strip():  # told at once, not when the model has come
        raise CommandError("text is empty.")
    screen = Screen()
    with open_memory(redis, screen) as memory:
        result = memory.long_term.remember(
            said,
            user=user or options.login_name(),
            namespace=namespace,
            kind=kind,
            source_thread=thread or "",
            ttl_seconds=... if ttl is None else ttl,
            metadata=metadata,
        )
    if as_json:
        return show_json(asdict(result))
    near = "" if result.existing_distance is None else f", distance {result.existing_distance:.3f}"
    fate = "merged into an existing memory" if result.deduped else "stored as new memory"
    return screen.facts([("memory", f"{fate} ({result.id}{near})")])


def _from_standard_input() -> str:
    try:
        return standard("input").read().decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise CommandError(f"The input is not UTF-8 (at byte {error.start + 1}).") from error


def memories(
    redis: options.Redis = None,
    user: options.User = None,
    namespace: Annotated[
        str | None, options.id_option("namespace", "Only this namespace. Without it: every one.")
    ] = None,
    kind: options.AnyKind = None,
    limit: options.Limit = 50,
    delete: Annotated[
        str | None, typer.Option("--delete", metavar="ID", help="Delete this memory of the user.")
    ] = None,
    yes: options.Yes = False,
    as_json: options.AsJson = False,
) -> None:
    """List a user's memories, newest first, or delete one.

    \b
      agentmem memories --user alice --kind semantic
      agentmem memories --user alice --delete 0f343b0931126a20f133d67c2b018a3b
    """
    screen, owner = Screen(), user or options.login_name()
    if delete is not None:
        return _delete(screen, redis, owner, delete, yes, as_json)
    with open_store(redis, screen) as memory:
        records = memory.long_term.list_memories(user=owner, namespace=namespace, kind=kind, limit=limit)
    if as_json:
        return show_json([_without(record, "distance", "score") for record in records])
    return show_memories(screen, owner, records)


def show_memories(screen: Screen, owner: str, records: Sequence[MemoryRecord], label: str = "memory") -> None:
    """Print memories of a user as a table."""
    if not records:
        return screen.facts([("memories", f"none of {one_line(owner)}")])
    columns = {"id": 40, "namespace": 20, "kind": 20, "duplicates": 10, "learnt": 30}
    columns |= {"expires in": 20, "text": 300}
    rows = [
        (m.id, m.namespace, m.kind, m.hit_count, moment(m.created_ts), span(m.ttl_seconds), m.text)
        for m in records
    ]
    return screen.table(label, columns, rows)


def _delete(screen: Screen, redis: str | None, user: str, memory_id: str, yes: bool, as_json: bool) -> None:
    name = one_line(memory_id, 60)
    if not screen.confirmed(f"Delete the memory {name}?", yes):
        return screen.facts([("kept", f"the memory {name}")])
    with open_store(redis, screen) as memory:
        deleted = memory.long_term.delete_memory(memory_id, user=user)
    if not deleted:
        raise CommandError(f"{user} has no memory {memory_id}; agentmem memories lists them.")
    return show_json({"deleted": memory_id}) if as_json else screen.facts([("deleted", memory_id)])
