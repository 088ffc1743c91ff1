"""`agentmem consolidate`: memories of a user that say the same become one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from langchain_agentmem.cli import options
from langchain_agentmem.cli.connect import open_store
from langchain_agentmem.cli.console import Screen, show_json
from langchain_agentmem.cli.ids import shown_ids
from langchain_agentmem.cli.table import Cell, Column, Row
from langchain_agentmem.cli.text import counted, one_line

if TYPE_CHECKING:
    from langchain_agentmem.longterm.consolidation import (
        Consolidated,
        ConsolidatedPair,
        Consolidator,
        Judgement,
    )
    from langchain_agentmem.longterm.types import MemoryRecord


def consolidate(
    redis: options.Redis = None,
    user: options.User = None,
    namespace: Annotated[
        str | None,
        options.id_option("namespace", "Only of this namespace; by default, of every one."),
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Do it; otherwise it is only told.")] = False,
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="PROVIDER:NAME", help="The model that judges what is near."),
    ] = None,
    full_ids: options.FullIds = False,
    yes: options.Yes = False,
    as_json: options.AsJson = False,
) -> None:
    """Tell which memories say the same, or make them one.

    The oldest stays. With --model, a chat model also judges memories that are near each other: which say
    the same in other words, and which are out of date. Those are kept, and no longer recalled. --apply tells
    first what it would do, and asks; without a terminal, --yes is needed, else nothing happens and the exit
    code is 2. If an answer of the model could not be used, the exit code is 1.

    \b
      agentmem consolidate --user alice
      agentmem consolidate --user alice --apply
      agentmem consolidate --user alice --model openai:gpt-5-mini --apply
    """
    screen, owner = Screen(), user or options.login_name()
    if apply:
        screen.must_confirm(yes)
    judge = None if model is None else _prepared(model, screen)
    with options.usage(), open_store(redis, screen) as memory:
        options.check_supported(memory, namespace=namespace)

        def run(dry_run: bool) -> Consolidated:
            with screen.busy(f"looking at the memories of {one_line(owner, 60)} …"):
                return memory.long_term.consolidate(
                    user=owner, namespace=namespace, dry_run=dry_run, consolidator=judge
                )

        _run(screen, owner, run, apply=apply, yes=yes, full_ids=full_ids, as_json=as_json, named=user)


def _run(
    screen: Screen,
    owner: str,
    run: Callable[[bool], Consolidated],
    *,
    apply: bool,
    yes: bool,
    full_ids: bool,
    as_json: bool,
    named: str | None,
) -> None:
    """Run it dry, and then, if that is wanted and confirmed, for good.

    Args:
        screen: Where it is shown.
        owner: Whose memories.
        run: Consolidates them, or only tells what would be done.
        apply: Whether it is wanted.
        yes: Whether it is confirmed.
        full_ids: Whether a terminal shows ids whole.
        as_json: Whether the result is printed as JSON.
        named: The user that was named; `None` if none was.
    """
    asks = apply and not yes
    found = run(not apply or asks)
    if asks and _count(found):
        _show_pairs(screen, found.pairs, full_ids)
        if not screen.confirmed(f"{_told(found)} of {one_line(owner, 60)}. Do it?", yes):
            return screen.facts([("kept", f"every memory of {one_line(owner, 60)}")])
        found = run(False)
    elif not as_json:
        _show_pairs(screen, found.pairs, full_ids)
    if as_json:
        show_json({"user": owner, **asdict(found)})
    else:
        screen.facts([_fact(found, owner, apply, named)])
    return _warn(screen, found)


def _prepared(name: str, screen: Screen) -> Consolidator:
    """Return what asks the model of that name, each group once: for the telling, and for the doing."""
    from langchain_agentmem.cli.chat.models import chat_model
    from langchain_agentmem.extraction.consolidator import model_consolidator

    with screen.busy(f"preparing {name} …"):
        ask = model_consolidator(chat_model(name))
    told: dict[tuple[tuple[str, str], ...], Judgement] = {}

    def judge(memories: Sequence[MemoryRecord]) -> Judgement:
        group = tuple((one.id, one.text) for one in memories)
        if group not in told:
            told[group] = ask(memories)
        return told[group]

    return judge


def _show_pairs(screen: Screen, pairs: Sequence[ConsolidatedPair], full_ids: bool) -> None:
    names = shown_ids(screen, {one for pair in pairs for one in (pair.kept, pair.other)}, full_ids)
    plain = all(pair.namespace == "default" for pair in pairs)

    def row(what: str, pair: ConsolidatedPair, one: str, into: str, text: str) -> Row:
        place = Cell("" if plain else pair.namespace, pair.namespace)
        return what, Cell(names[one], one), Cell("", into), place, pair.kind, text

    def rows() -> Iterator[Row]:
        before = ""
        for pair in pairs:
            if pair.kept != before:
                yield row("keep", pair, pair.kept, "", pair.kept_text)
            before = pair.kept
            yield row(pair.because, pair, pair.other, pair.kept, pair.other_text)

    columns = [
        Column("what", 14),
        Column("id", 80),
        Column("into", 80),
        Column("namespace", 14),
        Column("kind", 14),
        Column("text"),
    ]
    screen.table(columns, [*rows()])


def _count(found: Consolidated) -> int:
    return found.merged + found.superseded


def _told(found: Consolidated) -> str:
    """Return what would be done: `Merge 3 memories, supersede 1 memory`."""
    parts = [("merge", found.merged), ("supersede", found.superseded)]
    told = ", ".join(f"{what} {counted(number, 'memory')}" for what, number in parts if number)
    return told[:1].upper() + told[1:]


def _fact(found: Consolidated, owner: str, apply: bool, named: str | None) -> tuple[str, str]:
    name = one_line(owner, 60)
    if not _count(found):
        none = f"nothing: {counted(found.scanned, 'memory')} of {name}, and no two say the same"
        return "found", none + ("" if found.scanned else options.another(named))
    if not apply:
        return "found", f"{_told(found).lower()} of {name}: add --apply to do it"
    parts = [("merged", found.merged), ("superseded", found.superseded)]
    done = ", ".join(f"{counted(number, 'memory')} {what}" for what, number in parts if number)
    return "done", f"{done} of {name}"


def _warn(screen: Screen, found: Consolidated) -> None:
    """Say what was left; with exit code 1 if a model did not do its part."""
    if len(found.pairs) < _count(found):
        screen.aside(f"Shown are the first {len(found.pairs):,} of {_count(found):,}.")
    if found.skipped:
        screen.aside(f"{counted(found.skipped, 'pair')} changed meanwhile, and left: run it again.", "yellow")
    if found.unreadable:
        screen.aside(f"{counted(found.unreadable, 'document')} left that cannot be read.", "yellow")
    if found.refused:
        screen.aside(f"{counted(found.refused, 'answer')} of the model could not be used.", "yellow")
        raise typer.Exit(1)
