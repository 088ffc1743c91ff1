"""`agentmem recall`, `remember` and `memories`: the long-term memory of one user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from langchain_agentmem.cli import options
from langchain_agentmem.cli.connect import open_memory, open_store
from langchain_agentmem.cli.console import (
    CommandError,
    Screen,
    bar,
    counted,
    day,
    moment,
    one_line,
    show_json,
    span,
    standard,
)

if TYPE_CHECKING:
    from langchain_agentmem.longterm.types import MemoryRecord, NearMemory, RememberResult


class RecallMode(str, Enum):
    """The way `recall` ranks."""

    hybrid = "hybrid"
    vector = "vector"
    text = "text"


_OF_SEARCHES = ("distance", "score", "matched_words", "explanation")


def recall(
    query: Annotated[str, typer.Argument(metavar="TEXT", help="What to look for.")],
    redis: options.Redis = None,
    user: options.User = None,
    namespace: options.Namespace = "default",
    all_namespaces: options.AllNamespaces = False,
    kind: options.AnyKind = None,
    k: Annotated[int, typer.Option("--k", min=1, help="How many at most.")] = 5,
    mode: Annotated[
        RecallMode | None,
        typer.Option(
            "--mode",
            help="By meaning and words; by meaning alone, up to a distance; or by words alone. Without it: "
            "hybrid, on Upstash text.",
        ),
    ] = None,
    threshold: Annotated[float | None, options.threshold_option("--threshold")] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show the parts of each rank, and the words that match.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Find what is remembered about something, best first; nothing if nothing seems to be known.

    A score is from 0 to 1. With --explain, a table of its parts, in cosine similarity: how near it is in
    meaning, what the question's words in it and around it (context) add by their rarity, who said it, that it
    is a question, that it is recent. --json has them too.

    \b
      agentmem recall "Where do I live?" --user alice
      agentmem recall "Where do I live?" --user alice --explain
      agentmem recall food --k 20 --mode vector --threshold 0.8 --json
    """
    if not query.strip():  # told at once, not when the model has come
        raise CommandError("query is empty.")
    screen = Screen()
    with open_memory(redis, screen) as memory:
        wanted = memory.long_term.modes[0] if mode is None else mode.value
        found = memory.long_term.recall(
            query,
            user=user or options.login_name(),
            namespace=None if all_namespaces else namespace,
            kind=kind,
            k=k,
            mode=wanted,
            distance_threshold=... if threshold is None else threshold,
            explain=explain,
        )
        if threshold is None and wanted == "vector":
            threshold = memory.settings.recall_threshold
    if as_json:
        return show_json([_without(record, "ttl_seconds") for record in found])
    facts = recalled(screen, found, within=threshold, by_distance=wanted == "vector")
    if not (explain and found):
        return screen.facts(facts)
    screen.facts(facts[:1])
    return _explained(screen, found)


def recalled(
    screen: Screen, found: Sequence[MemoryRecord], *, within: float | None = None, by_distance: bool = False
) -> list[tuple[str, str]]:
    """Return the facts of a search: how many were found, and each with its rank, kind, day and matched words.

    Args:
        screen: Where they will be shown.
        found: What was found, best first.
        within: Up to which distance; `None` for any.
        by_distance: Whether the distance ranks them, rather than the score.
    """
    facts = [
        " ".join(
            [counted(len(found), "memory") if found else "nothing"]
            + ([] if within is None else [f"within {within:g}"])
        )
    ]
    for record in found:
        if by_distance and record.distance is not None:
            number, drawn = record.distance, bar(record.distance, 1 if within is None else within)
        else:
            number = record.score or 0
            drawn = bar(1 - number, 1)
        shared = f"[{one_line(', '.join(record.matched_words), 100)}]" if record.matched_words else ""
        kind, said = one_line(record.kind, 20), day(record.updated_ts or record.created_ts)
        parts = (f"{number:.3f}", drawn if screen.is_terminal else "", kind, said, shared)
        facts.append("  ".join([*filter(None, parts), one_line(record.text)]))
    return [("recalled", fact) for fact in facts]


def _explained(screen: Screen, found: Sequence[MemoryRecord]) -> None:
    """Print the parts of each rank as a table."""
    from langchain_agentmem.longterm.types import Explanation

    parts = [name for name in Explanation.__annotations__ if name != "reranked"]
    if any(record.explanation and record.explanation["reranked"] is not None for record in found):
        parts.append("reranked")
    width = 10 if screen.is_terminal else 20
    columns = {**dict.fromkeys(["score", *parts], width), "matched": 100, "text": 300}
    rows = []
    for record in found:
        told: Mapping[str, object] = record.explanation or {}
        numbers = [record.score, *(told.get(name) for name in parts)]
        shown = ["" if number is None else f"{number:.3f}" for number in numbers]
        if not screen.is_terminal:  # there are no headings, then
            shown = [f"{name} {number}" for name, number in zip(columns, shown, strict=False)]
        rows.append((*shown, ", ".join(record.matched_words), record.text))
    screen.table("recalled", columns, rows)


def _without(record: MemoryRecord, *hidden: str) -> dict[str, Any]:
    """Return a memory without what the request did not ask: a search tells no TTL, a listing no distance."""
    return {name: value for name, value in record.to_dict().items() if name not in hidden}


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
    metadata: options.Metadata = None,
    replaces: Annotated[
        str | None,
        typer.Option(
            "--replaces", metavar="ID", help="The memory that is out of date now: kept, but not recalled."
        ),
    ] = None,
    near: Annotated[
        bool, typer.Option("--near", help="Name the nearest memory that says something else.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Store it also if a memory says the same already.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Remember a text, unless one of the user's memories says the same.

    If the memory that it --replaces is not there, it is remembered all the same, and the exit code is 1.

    \b
      agentmem remember "I live in Lisbon." --user alice --kind semantic
      agentmem remember "I live in Porto." --user alice --near
      agentmem remember "I live in Porto." --user alice --replaces 0f343b0931126a20f133d67c2b018a3b
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
            replaces=replaces,
            near=near,
            deduplicate=not keep,
        )
        same = memory.long_term.get(result.id) if result.deduped and not as_json else None
    itself = result.id == replaces  # which says it already
    if as_json:
        show_json(asdict(result))
    else:
        facts = [("memory", f"{fate(result, same)} ({result.id})")]
        if replaces is not None:
            gone = f"nothing: {one_line(replaces, 60)} {'says the same' if itself else 'is not there'}"
            facts.append(("replaced", gone if result.replaced is None else result.replaced))
        if near:
            facts.append(("near", "nothing" if result.near is None else nearest(result.near)))
        screen.facts(facts)
    if replaces is not None and result.replaced is None and not itself:
        raise typer.Exit(1)


def fate(result: RememberResult, same: MemoryRecord | None) -> str:
    """Return what became of a text; `same` is the memory that says the same, if it is known."""
    if not result.deduped:
        return "stored as new memory"
    said = "an existing memory" if same is None else f"“{one_line(same.text, 80)}”"
    return f"says the same as {said}"


def nearest(near: NearMemory) -> str:
    """Return the nearest memory that says something else."""
    return f"{near.distance:.3f}  “{one_line(near.text, 80)}” ({near.id})"


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
    everything: Annotated[
        bool, typer.Option("--all", help="Also what other memories have replaced.")
    ] = False,
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
        records = memory.long_term.list_memories(
            user=owner, namespace=namespace, kind=kind, limit=limit, include_superseded=everything
        )
    if as_json:
        return show_json([_without(record, *_OF_SEARCHES) for record in records])
    return show_memories(screen, owner, records)


def show_memories(screen: Screen, owner: str, records: Sequence[MemoryRecord], label: str = "memory") -> None:
    """Print memories of a user as a table."""
    if not records:
        return screen.facts([("memories", f"none of {one_line(owner)}")])
    columns = {"id": 40, "namespace": 20, "kind": 20, "duplicates": 10, "learnt": 30}
    columns |= {"expires in": 20, "text": 300}
    rows = [
        [m.id, m.namespace, m.kind, m.hit_count, moment(m.created_ts), span(m.ttl_seconds), m.text]
        for m in records
    ]
    if any(m.superseded_by for m in records):
        columns = {"id": 40, "replaced by": 40, **columns}
        rows = [[row[0], m.superseded_by or "", *row[1:]] for row, m in zip(rows, records, strict=True)]
    return screen.table(label, columns, rows)


def update(
    memory_id: Annotated[str, typer.Argument(metavar="ID", help="The memory; see agentmem memories.")],
    words: Annotated[str, typer.Argument(metavar="TEXT", help="Its new text; - reads standard input.")],
    redis: options.Redis = None,
    user: options.User = None,
    ttl: Annotated[
        int | None, typer.Option("--ttl", metavar="SECONDS", min=1, help="Its TTL from now on.")
    ] = None,
    metadata: options.Metadata = None,
    as_json: options.AsJson = False,
) -> None:
    """Change the text of a memory. To keep the old text: agentmem remember TEXT --replaces ID.

    \b
      agentmem update 0f343b0931126a20f133d67c2b018a3b "I live in Porto." --user alice
    """
    said = _from_standard_input() if words == "-" else words
    if not said.strip():  # told at once, not when the model has come
        raise CommandError("text is empty.")
    screen, owner = Screen(), user or options.login_name()
    with open_memory(redis, screen) as memory:
        changed = memory.long_term.update(
            memory_id, said, user=owner, metadata=metadata, ttl_seconds=... if ttl is None else ttl
        )
    if not changed:
        raise CommandError(
            f"{owner} has no memory {memory_id}, or something has replaced it; agentmem memories lists them."
        )
    return show_json({"updated": memory_id}) if as_json else screen.facts([("updated", memory_id)])


def _delete(screen: Screen, redis: str | None, user: str, memory_id: str, yes: bool, as_json: bool) -> None:
    name = one_line(memory_id, 60)
    if not screen.confirmed(f"Delete the memory {name}?", yes):
        return screen.facts([("kept", f"the memory {name}")])
    with open_store(redis, screen) as memory:
        deleted = memory.long_term.delete_memory(memory_id, user=user)
    if not deleted:
        raise CommandError(f"{user} has no memory {memory_id}; agentmem memories lists them.")
    return show_json({"deleted": memory_id}) if as_json else screen.facts([("deleted", memory_id)])
