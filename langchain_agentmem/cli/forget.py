"""`agentmem forget`: a user is removed from every tier."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from langchain_agentmem.cli import options
from langchain_agentmem.cli.connect import open_store
from langchain_agentmem.cli.console import Screen, show_json
from langchain_agentmem.cli.text import counted, one_line
from langchain_agentmem.errors import InvalidInputError

if TYPE_CHECKING:
    from langchain_agentmem.user_data import Forgotten


def forget(
    user: Annotated[str, typer.Argument(metavar="USER", help="Who is forgotten.")],
    redis: options.Redis = None,
    thorough: options.Thorough = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be removed; remove nothing.")
    ] = False,
    yes: options.Yes = False,
    as_json: options.AsJson = False,
) -> None:
    """Remove everything of a user, from every tier.

    That is conversations, memories in every namespace, events, items of the LangGraph store, and tasks for
    the background. Says how much that is, and asks first; without a terminal, --yes is needed, else nothing
    happens and the exit code is 2. If there is nothing, it says so and asks nothing. If something could not
    be removed, it is said what, and the exit code is 1.

    \b
      agentmem forget alice
      agentmem forget alice --dry-run
      agentmem forget alice --thorough --yes --json
    """
    _check(user)
    screen, name = Screen(), one_line(user, 60)
    with open_store(redis, screen) as memory:
        found = None if yes and not dry_run else memory.forget_user(user, thorough=thorough, dry_run=True)
        if dry_run and found is not None:
            return _show(screen, user, found, ("found", told(user, found)), as_json)
        if found is not None and not is_nothing(found) and not screen.confirmed(question(user, found), yes):
            return screen.facts([kept(user)])
        # Also if nothing was found: the record of conversations that have expired is removed.
        gone = memory.forget_user(user, thorough=thorough)
    nothing = ("forgot", f"nothing: there is nothing of {name}")
    return _show(screen, user, gone, nothing if is_nothing(gone) else forgotten(user, gone), as_json)


def _check(user: str) -> None:
    """Refuse what is no user, as wrong usage, before a server is asked."""
    from langchain_agentmem.core.checks import validate_id

    try:
        validate_id("user", user)
    except InvalidInputError as error:
        raise typer.BadParameter(str(error), param_hint="USER") from error


def _show(screen: Screen, user: str, gone: Forgotten, fact: tuple[str, str], as_json: bool) -> None:
    """Print what was removed, or would be; with exit code 1 if something cannot be."""
    if as_json:
        show_json({"user": user, **asdict(gone)})
    else:
        screen.facts([fact])
    for sentence in gone.unreached:
        screen.aside(f"not reached: {one_line(sentence)}", "yellow")
    if gone.unreached:
        raise typer.Exit(1)


def is_nothing(counts: Forgotten) -> bool:
    """Return whether there is nothing of a user, and nothing that might be."""
    return not (
        counts.threads or counts.memories or counts.events or counts.items or counts.tasks or counts.unreached
    )


def told(user: str, counts: Forgotten) -> str:
    """Return how much there is of a user: `3 conversations, 12 memories, 41 events of alice`."""
    parts = (
        (len(counts.threads), "conversation"),
        (counts.memories, "memory"),
        (counts.events, "event"),
        (counts.items, "item"),
        (counts.tasks, "task"),
    )
    found = ", ".join(counted(*each) for each in parts if each[0]) or "nothing"
    return f"{found} of {one_line(user, 60)}"


def question(user: str, counts: Forgotten) -> str:
    """Return what a person is asked first.

    Args:
        user: Who would be forgotten.
        counts: What `forget_user(user, dry_run=True)` returned.
    """
    total = len(counts.threads) + counts.memories + counts.events + counts.items + counts.tasks
    if not total:
        return f"Not everything of {one_line(user, 60)} can be looked at. Remove what can be?"
    return f"{told(user, counts)}. Remove {'it' if total == 1 else 'them'}?"


def kept(user: str) -> tuple[str, str]:
    """Return the fact that nothing was removed."""
    return "kept", f"everything of {one_line(user, 60)}"


def forgotten(user: str, gone: Forgotten) -> tuple[str, str]:
    """Return the fact of what was removed, in numbers."""
    return "forgot", told(user, gone)
