"""`agentmem recall`, `remember` and `memories`: the long-term memory of one user."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from langchain_agentmem.cli import text
from langchain_agentmem.cli.console import Listing, Screen
from langchain_agentmem.cli.failures import CommandError
from langchain_agentmem.cli.options import (
    AllNamespaces,
    AnyKind,
    AsJson,
    Namespace,
    Redis,
    User,
    Yes,
    login_name,
    scope_option,
)
from langchain_agentmem.cli.output import confirmed, json_object, moment, show_json, standard_input

if TYPE_CHECKING:
    from langchain_agentmem.longterm.types import MemoryRecord

RECALL_HELP = """Find what is remembered about something, nearest first.

\b
  agentmem recall "Where do I live?" --user alice
  agentmem recall food --k 20 --threshold 0.8 --json"""

REMEMBER_HELP = """Remember a text, unless the user knows nearly the same one already.

\b
  agentmem remember "I live in Lisbon." --user alice --kind semantic
  echo "Met Ana at the station." | agentmem remember -
  agentmem remember "Prefers tea." --metadata '{"source": "mail"}'"""

MEMORIES_HELP = """List a user's memories, newest first, or delete one.

\b
  agentmem memories --user alice --kind semantic
  agentmem memories --user alice --delete 0f343b0931126a20f133d67c2b018a3b"""


def recall(
    query: Annotated[str, typer.Argument(metavar="TEXT", help="What to look for.")],
    redis: Redis = None,
    user: User = None,
    namespace: Namespace = "default",
    all_namespaces: AllNamespaces = False,
    kind: AnyKind = None,
    k: Annotated[int, typer.Option("--k", min=1, help="How many at most.")] = 5,
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold",
            metavar="DISTANCE",
            min=0,
            max=2,
            help="The farthest that is recalled. Without it: AGENTMEM_RECALL_THRESHOLD, else 0.55.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run `agentmem recall`."""
    from langchain_agentmem.cli.connect import Steps, open_memory

    if not query.strip():  # told at once, not when the model has come
        raise CommandError("query is empty.")
    screen = Screen()
    more: dict[str, Any] = {} if threshold is None else {"distance_threshold": threshold}
    with open_memory(redis, Steps(screen)) as memory:
        found = memory.long_term.recall(
            query,
            user=user or login_name(),
            namespace=None if all_namespaces else namespace,
            kind=kind,
            k=k,
            **more,
        )
        by_words = not memory.long_term.supports_vectors
        within = memory.settings.recall_threshold if threshold is None else threshold
    if as_json:
        return show_json([_searched(record) for record in found])
    how = "by words" if by_words else f"within {within:g}"
    if not found:
        return screen.facts([("recalled", f"nothing {how}")])
    rows = [_row(record, within) for record in found]
    return screen.facts([("recalled", Listing(f"{len(rows)} {how}", rows))])


def _searched(record: MemoryRecord) -> dict[str, Any]:
    """What a search knows of a memory, which is not how long it will live."""
    return {name: value for name, value in asdict(record).items() if name != "ttl_seconds"}


def _row(record: MemoryRecord, within: float) -> tuple[str, str, str, str]:
    said = text.one_line(record.text)
    if record.distance is None:  # found by its words
        return f"{record.score or 0:.3f}", "", record.kind, said
    return f"{record.distance:.3f}", text.bar(record.distance, within), text.one_line(record.kind, 20), said


def remember(
    words: Annotated[str, typer.Argument(metavar="TEXT", help="What to remember; - reads standard input.")],
    redis: Redis = None,
    user: User = None,
    namespace: Namespace = "default",
    kind: Annotated[
        str, scope_option("kind", "episodic (for a week, the default), semantic (for ever), or your own.")
    ] = "episodic",
    ttl: Annotated[
        int | None,
        typer.Option("--ttl", metavar="SECONDS", min=1, help="How long it lives, instead of its kind's."),
    ] = None,
    thread: Annotated[str | None, scope_option("thread", "The conversation it was learnt in.")] = None,
    metadata: Annotated[
        str | None, typer.Option("--metadata", metavar="JSON", help="A JSON object to keep with it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run `agentmem remember`."""
    from langchain_agentmem.cli.connect import Steps, open_memory

    about = json_object("metadata", metadata)
    said = _standard_input() if words == "-" else words
    if not said.strip():  # told at once, not when the model has come
        raise CommandError("text is empty.")
    screen = Screen()
    with open_memory(redis, Steps(screen)) as memory:
        result = memory.long_term.remember(
            said,
            user=user or login_name(),
            namespace=namespace,
            kind=kind,
            source_thread=thread or "",
            ttl_seconds=... if ttl is None else ttl,
            metadata=about,
        )
    if as_json:
        return show_json(asdict(result))
    near = "" if result.existing_distance is None else f", distance {result.existing_distance:.3f}"
    fate = "merged into a known memory" if result.deduped else "stored as new memory"
    return screen.facts([("memory", f"{fate} ({result.id}{near})")])


def _standard_input() -> str:
    try:
        return standard_input().read().decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise CommandError(f"The input is not UTF-8 (at byte {error.start + 1}).") from error


def memories(
    redis: Redis = None,
    user: User = None,
    namespace: Annotated[
        str | None, scope_option("namespace", "Only this namespace. Without it: every one.")
    ] = None,
    kind: AnyKind = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many at most.")] = 50,
    delete: Annotated[
        str | None, typer.Option("--delete", metavar="ID", help="Delete this memory of the user.")
    ] = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Run `agentmem memories`."""
    from langchain_agentmem.cli.connect import open_store

    screen, owner = Screen(), user or login_name()
    if delete is not None:
        return _delete(screen, redis, owner, delete, yes, as_json)
    with open_store(redis, screen) as memory:
        records = memory.long_term.list_memories(user=owner, namespace=namespace, kind=kind, limit=limit)
    if as_json:
        # A listing has searched for nothing.
        hidden = ("distance", "score")
        return show_json([{k: v for k, v in asdict(one).items() if k not in hidden} for one in records])
    if not records:
        return screen.facts([("memories", f"none of {text.one_line(owner)}")])
    rows = [
        (
            text.one_line(record.id, 40),
            text.one_line(record.namespace, 20),
            text.one_line(record.kind, 20),
            str(record.hit_count),
            moment(record.created_ts),
            "for ever" if record.ttl_seconds is None else text.span(record.ttl_seconds),
            text.one_line(record.text),
        )
        for record in records
    ]
    columns = ("id", "namespace", "kind", "hits", "learnt", "lives for", "text")
    return screen.table("memory", columns, rows)


def _delete(screen: Screen, redis: str | None, user: str, memory_id: str, yes: bool, as_json: bool) -> None:
    from langchain_agentmem.cli.connect import open_store

    if not confirmed(screen, f"Delete the memory {text.one_line(memory_id, 60)}?", yes):
        return screen.facts([("kept", f"the memory {text.one_line(memory_id, 60)}")])
    with open_store(redis, screen) as memory:
        deleted = memory.long_term.delete_memory(memory_id, user=user)
    if not deleted:
        raise CommandError(f"{user} has no memory {memory_id}; agentmem memories lists them.")
    return show_json({"deleted": memory_id}) if as_json else screen.facts([("deleted", memory_id)])
