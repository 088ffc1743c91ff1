"""`agentmem forget`: a user is removed from every tier."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from langchain_agentmem.cli import text
from langchain_agentmem.cli.console import Screen
from langchain_agentmem.cli.options import AsJson, Redis, Thorough, Yes
from langchain_agentmem.cli.output import confirmed, show_json

if TYPE_CHECKING:
    from langchain_agentmem.user_data import Forgotten

HELP = """Remove everything of a user: sessions, memories in every namespace, events.

Asks first. Without a terminal, --yes is needed; else nothing happens and the exit code is 2. If something
could not be removed, it is said what, and the exit code is 1.

\b
  agentmem forget alice
  agentmem forget alice --thorough
  agentmem forget alice --yes --json"""


def forget(
    user: Annotated[str, typer.Argument(metavar="USER", help="Who is forgotten.")],
    redis: Redis = None,
    thorough: Thorough = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Run `agentmem forget`."""
    from langchain_agentmem.cli.connect import open_store

    screen, name = Screen(), text.one_line(user, 60)
    if not confirmed(screen, f"Remove everything of {name}, in every thread and namespace?", yes):
        return screen.facts([("kept", f"everything of {name}")])
    with open_store(redis, screen) as memory:
        gone = memory.forget_user(user, thorough=thorough)
    if as_json:
        show_json({"user": user, **asdict(gone)})
    else:
        screen.facts([("forgot", f"{name}: {removed(gone)}")])
    for sentence in gone.unreached:
        screen.aside(f"not reached: {text.one_line(sentence)}", "yellow")
    if gone.unreached:
        raise typer.Exit(1)


def removed(gone: Forgotten) -> str:
    """What was removed, in numbers."""
    counts = (
        text.count(len(gone.threads), "thread"),
        text.count(gone.memories, "memory"),
        text.count(gone.events, "event"),
    )
    return ", ".join(counts)
