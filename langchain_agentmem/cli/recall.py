"""`agentmem recall`: what is remembered about something, and why it ranks as it does."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from langchain_agentmem.cli import options
from langchain_agentmem.cli.connect import open_memory, open_store
from langchain_agentmem.cli.console import Screen, show_json
from langchain_agentmem.cli.ids import shown_ids
from langchain_agentmem.cli.memories import without
from langchain_agentmem.cli.table import Column, wrapped
from langchain_agentmem.cli.text import ago, bar, counted, day, moment, one_line

if TYPE_CHECKING:
    from langchain_agentmem.longterm.types import MemoryRecord


class RecallMode(str, Enum):
    """The way `recall` ranks."""

    hybrid = "hybrid"
    vector = "vector"
    text = "text"


def recall(
    query: Annotated[str, typer.Argument(metavar="TEXT", help="What to look for; - reads standard input.")],
    redis: options.Redis = None,
    user: options.User = None,
    namespace: Annotated[
        str | None, options.id_option("namespace", "In which namespace; by default, default.")
    ] = None,
    all_namespaces: options.AllNamespaces = False,
    kind: options.AnyKind = None,
    k: Annotated[int, options.count_option("--k", "How many at most.")] = 5,
    mode: Annotated[
        RecallMode | None,
        typer.Option(
            "--mode",
            metavar="MODE",
            help="hybrid (meaning and words, the default), vector (meaning, up to a distance) or text "
            "(words; the default on Upstash).",
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        options.threshold_option("--threshold", help="The largest distance; by vector, 0.55."),
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Show the parts of each rank.")] = False,
    full_ids: options.FullIds = False,
    as_json: options.AsJson = False,
) -> None:
    """Find what is remembered about something, best first.

    Finds nothing if nothing of it seems to be known. A score is from 0 to 1; --explain shows what it is made
    of, in cosine similarity.

    \b
      agentmem recall "Where do I live?" --user alice --explain
      agentmem recall food --k 20 --mode vector --threshold 0.8 --json
    """
    options.at_most_one(namespace=namespace, all_namespaces=all_namespaces)
    if threshold is not None and mode is RecallMode.text:
        raise typer.BadParameter("--threshold and --mode text contradict each other: words have no distance.")
    query, owner, screen = options.given_text(query), user or options.login_name(), Screen()
    opening = open_store if mode is RecallMode.text else open_memory  # words alone need no model
    with opening(redis, screen) as memory, options.usage():
        options.check_supported(memory, mode=mode and mode.value, threshold=threshold, namespace=namespace)
        wanted = memory.long_term.modes[0] if mode is None else mode.value
        found = memory.long_term.recall(
            query,
            user=owner,
            namespace=None if all_namespaces else namespace or "default",
            kind=kind,
            k=k,
            mode=wanted,
            distance_threshold=... if threshold is None else threshold,
            explain=explain,
        )
        if threshold is None and wanted == "vector":
            threshold = memory.settings.recall_threshold
    if as_json:
        return show_json([without(record, "ttl_seconds") for record in found])
    within = "" if threshold is None else f" within {threshold:g}"
    if screen.is_terminal and found:
        screen.note(
            f"{counted(len(found), 'memory')} of {one_line(owner, 60)}{within}{options.another(user)}"
        )
        limit = (threshold or 1) if wanted == "vector" else None
        _show_ranked(screen, found, limit=limit, with_namespace=all_namespaces, full_ids=full_ids)
        return _explained(screen, found, full_ids) if explain else None
    nothing = f"nothing known of {one_line(owner, 60)} about that{within}{options.another(user)}"
    return _ranked_lines(screen, found, nothing, explain)


def _show_ranked(
    screen: Screen,
    found: Sequence[MemoryRecord],
    *,
    limit: float | None,
    with_namespace: bool,
    full_ids: bool,
) -> None:
    """Print memories for a person, each with its rank drawn, and what it is below.

    Args:
        screen: A terminal.
        found: What was found, best first.
        limit: Up to which distance, if that ranks them; `None` if the score does.
        with_namespace: Whether they are of several namespaces.
        full_ids: Whether ids are shown whole.
    """
    names = shown_ids(screen, (one.id for one in found), full_ids)
    for record in found:
        if limit is not None and record.distance is not None:
            number, drawn = record.distance, bar(record.distance, limit)
        else:
            number = record.score or 0
            drawn = bar(1 - number, 1)
        first = f"  {drawn} {number:.3f}  "
        room = screen.out.width - len(first)
        for part in wrapped(screen.out, one_line(record.text, 1000), room):
            screen.line(first + part)
            first = " " * len(first)
        about_it = [names[record.id], *([record.namespace] if with_namespace else []), record.kind]
        about_it += [ago(record.updated_ts or record.created_ts), _shared(record)]
        for part in wrapped(screen.out, " · ".join(one_line(one, 100) for one in about_it if one), room):
            screen.line(first + part, "dim")


def _shared(record: MemoryRecord) -> str:
    return f"[{', '.join(record.matched_words)}]" if record.matched_words else ""


def _parts(found: Sequence[MemoryRecord]) -> list[str]:
    """Return the names of the parts of a rank."""
    from langchain_agentmem.longterm.types import Explanation

    parts = [name for name in Explanation.__annotations__ if name != "reranked"]
    if any(record.explanation and record.explanation["reranked"] is not None for record in found):
        parts.append("reranked")
    return parts


def _number(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, int | float) else ""


def _explained(screen: Screen, found: Sequence[MemoryRecord], full_ids: bool) -> None:
    """Print the parts of each rank as a table, for a person."""
    parts, names = _parts(found), shown_ids(screen, (one.id for one in found), full_ids)
    rows = []
    for record in found:
        told: dict[str, Any] = dict(record.explanation or {})
        rows.append([names[record.id], *map(_number, [record.score, *(told.get(name) for name in parts)])])
    screen.line()
    screen.table([Column("id", 80), *(Column(name, right=True) for name in ("score", *parts))], rows)


def _ranked_lines(screen: Screen, found: Sequence[MemoryRecord], nothing: str, explain: bool) -> None:
    """Print what was found for a program."""
    parts = _parts(found) if explain else []
    names = ("id", "score", "distance", *parts, "namespace", "kind", "learnt", "matched", "text")
    rows = []
    for record in found:
        told: dict[str, Any] = dict(record.explanation or {})
        numbers = [record.score, record.distance, *(told.get(name) for name in parts)]
        learnt = moment(record.updated_ts or record.created_ts)
        matched = ", ".join(record.matched_words)
        what = (record.namespace, record.kind, learnt, matched, record.text)
        rows.append([record.id, *map(_number, numbers), *what])
    screen.table([*map(Column, names)], rows, empty=nothing)


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
