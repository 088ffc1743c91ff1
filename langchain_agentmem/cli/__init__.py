"""The command line, `agentmem`. Every command is a module of its own; here they are put together.

Importing this loads typer and rich, and nothing that takes longer: `--help` answers at once.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from langchain_agentmem.cli import chat
from langchain_agentmem.cli.failures import reported


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
        typer.echo(f"agentmem {version('langchain-agentmem')}")
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


app.command("chat", short_help="Talk to a memory, and see what it does.", help=chat.HELP)(chat.chat)


def main() -> None:
    """What the `agentmem` script runs."""
    app(prog_name="agentmem")
