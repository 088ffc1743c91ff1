"""The command line, `agentmem`. Every command is a module of its own; here they are put together.

Importing this loads typer and rich, and nothing that takes longer: `--help` answers at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from langchain_agentmem import __version__
from langchain_agentmem.cli import demo, doctor, events, forget, memories, redis_server, sessions
from langchain_agentmem.cli.chat import app as chat
from langchain_agentmem.cli.failures import reported
from langchain_agentmem.cli.transfer import export, import_


class _Commands(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        """Run the command; whatever it fails with becomes a line and an exit code."""
        with reported():
            return super().invoke(ctx)


app = typer.Typer(
    cls=_Commands,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,  # they would print the values of variables, and so passwords
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"agentmem {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def agentmem(
    ctx: typer.Context,
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Agent memory for LangChain on Redis: working memory, long-term memory, an event log."""
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


def _add(name: str, run: Callable[..., None], short: str, help: str) -> None:
    app.command(name, short_help=short, help=help)(run)


_add("demo", demo.demo, "Watch the memory work, in a browser.", demo.HELP)
_add("chat", chat.chat, "Talk to a memory, and see what it does.", chat.HELP)
_add("recall", memories.recall, "Find what is remembered about something.", memories.RECALL_HELP)
_add("remember", memories.remember, "Remember a text.", memories.REMEMBER_HELP)
_add("memories", memories.memories, "List a user's memories, or delete one.", memories.MEMORIES_HELP)
_add("sessions", sessions.sessions, "List the latest conversations.", sessions.SESSIONS_HELP)
_add("session", sessions.session, "Show a conversation, or delete it.", sessions.SESSION_HELP)
_add("events", events.events, "Show what happened in a conversation.", events.HELP)
_add("import", import_.import_, "Import conversations and memories.", import_.HELP)
_add("export", export.export, "Write what is stored as JSON lines.", export.HELP)
_add("forget", forget.forget, "Remove everything of a user.", forget.HELP)
_add("doctor", doctor.doctor, "Look at the server: is it fit for a memory?", doctor.HELP)
_add("redis", redis_server.redis, "Run the private Redis, and print its URL.", redis_server.HELP)
