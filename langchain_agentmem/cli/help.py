"""`agentmem help`: what several commands have in common, explained once."""

from __future__ import annotations

from typing import Annotated

import typer

FIRST_STEPS = """\
agentmem: a memory for LangChain chains and agents, on Redis.

  agentmem chat                              talk to one; nothing to set up
  agentmem demo --open                       watch its three tiers in the browser
  agentmem remember "I live in Lisbon."      store something for later chats

agentmem --help lists all commands."""

OPTIONS = """\
--redis URL       Where the memory is:
                    redis://host:6379, rediss://…, unix://…, redis+sentinel://…
                    redis+cluster://host1:7000,host2:7000, rediss+cluster://…
                    https://…         Upstash; token: UPSTASH_REDIS_REST_TOKEN
                    embedded://       your private Redis, in your own folder
                    embedded:///path  a private Redis in that folder
                  Without it: AGENTMEM_URL, else REDIS_URL, else
                  UPSTASH_REDIS_REST_URL, else embedded://. Put a URL with a
                  password into one of these variables: other users of the
                  machine can read a command line.
--user NAME       Whose memories and conversations; by default, your login
                  name's. sessions --all-users and export show everybody's.
--namespace NAME  Which part of a user's memories; by default, default.
--json            JSON on standard output: whole ids, times in epoch seconds.

ID                An id, or how it begins (0f343b09) if no other begins like it.
                  What changes, deletes or replaces something takes the
                  beginning of a generated id only, of 4 characters or more,
                  and not of one that you chose.
                  --full-ids shows ids whole, as a terminal of 120 columns does.

Tables are laid out on a terminal. Elsewhere they are tab-separated, with a
heading, whole ids, whole texts and times in ISO 8601, for
agentmem memories | cut -f 1,8

Exit codes: 0 it worked; 1 it failed, or a part of it did; 2 wrong usage;
130 Ctrl-C; 141 the reader of a pipe closed it.

agentmem --help lists the commands."""

Topic = Annotated[
    str, typer.Argument(metavar="TOPIC", help="options (what all commands have in common), or a command.")
]


def help_(ctx: typer.Context, topic: Topic = "options") -> None:
    """Explain what all commands have in common, or one command.

    \b
      agentmem help
      agentmem help recall
    """
    if topic == "options":
        typer.echo(OPTIONS)
        return
    group = ctx.parent
    command = getattr(group.command, "commands", {}).get(topic) if group is not None else None
    if command is None:
        raise typer.BadParameter(f"there is no command {topic}: agentmem --help lists them.")
    typer.echo(command.get_help(typer.Context(command, info_name=topic, parent=group)))
