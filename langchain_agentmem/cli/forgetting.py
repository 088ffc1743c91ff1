"""`agentmem forget`: a user is removed from every tier."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from langchain_agentmem.cli import text
from langchain_agentmem.cli.options import AsJson, Redis, Yes
from langchain_agentmem.cli.output import confirmed, show_json
from langchain_agentmem.cli.screen import Screen

HELP = """Remove everything of a user: sessions, memories in every namespace, events.

Asks first. Without a terminal, --yes is needed; else nothing happens and the exit code is 2.

\b
  agentmem forget alice
  agentmem forget alice --yes --json"""


def forget(
    user: Annotated[str, typer.Argument(metavar="USER", help="Who is forgotten.")],
    redis: Redis = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Run `agentmem forget`."""
    from langchain_agentmem.cli.startup import open_store

    screen, name = Screen(), text.one_line(user, 60)
    if not confirmed(screen, f"Remove everything of {name}, in every thread and namespace?", yes):
        return screen.facts([("forgot", "nothing")])
    with open_store(redis, screen) as memory:
        gone = memory.forget_user(user)
    if as_json:
        return show_json({"user": user, **asdict(gone)})
    counts = (
        text.count(len(gone.threads), "thread"),
        text.count(gone.memories, "memory"),
        text.count(gone.events, "event"),
    )
    return screen.facts([("forgot", f"{name}: {', '.join(counts)}")])
