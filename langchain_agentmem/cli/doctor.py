"""`agentmem doctor`: whether the server is fit for a memory."""

from __future__ import annotations

import sys
import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from langchain_agentmem.cli import options
from langchain_agentmem.cli.connect import open_store, whereabouts
from langchain_agentmem.cli.console import Screen, show_json
from langchain_agentmem.cli.finding import Finding
from langchain_agentmem.cli.findings import findings
from langchain_agentmem.cli.text import counted, one_line

if TYPE_CHECKING:
    from langchain_agentmem.agent_memory import AgentMemory
    from langchain_agentmem.longterm.types import RebuiltIndex

_SIGNS = {"broken": ("✗", "red"), "warning": ("!", "yellow"), "ok": ("✓", "green")}  # the worst first


def doctor(
    redis: options.Redis = None,
    rebuild_index: Annotated[
        bool, typer.Option("--rebuild-index", help="Make the search index anew first; memories stay.")
    ] = False,
    yes: options.Yes = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Show every check, also if all is well.")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Look at the server: is it fit for a memory?

    If all is well, it says so in a few lines. Else it shows every check, what is wrong first, with what to
    do: ✗ is broken (exit code 1), ! could be better, or could not be checked.

    --rebuild-index makes the search index anew first, as when another program, or an older version, made it.
    Memories stay. Asks first; without a terminal, --yes is needed.

    \b
      agentmem doctor
      agentmem doctor --verbose
      agentmem doctor --rebuild-index
      agentmem doctor --redis redis://localhost:6379 --json
    """
    screen, rebuilt = Screen(), None
    with open_store(redis, screen, with_data=False) as memory:
        if rebuild_index:
            rebuilt = _rebuild(memory, screen, yes)
        found, where = list(findings(memory)), whereabouts(memory)
    broken = any(finding.verdict == "broken" for finding in found)
    if as_json:
        done = {} if rebuilt is None else {"rebuilt": asdict(rebuilt)}
        show_json({"ok": not broken, **done, "checks": [_as_json(finding) for finding in found]})
    else:
        if rebuilt is not None:
            screen.line(_told(rebuilt))
        _show(screen, found, where, verbose)
    if broken:
        raise typer.Exit(1)


def _as_json(finding: Finding) -> dict[str, str]:
    return {name: value for name, value in asdict(finding).items() if name != "brief"}


def _show(screen: Screen, found: list[Finding], where: str, verbose: bool) -> None:
    """Print a few lines if all is well, else every finding, what is wrong first."""
    if not verbose and all(finding.verdict == "ok" for finding in found):
        program, *rest = [finding.brief for finding in found if finding.brief]
        _line(screen, f"✓ {program}, {where}: fine.", "green")
        _line(screen, f"  {', '.join(rest)}.")
        _line(screen, "  agentmem doctor --verbose shows every check.", "dim")
        return
    for finding in sorted(found, key=lambda one: [*_SIGNS].index(one.verdict)):
        sign, style = _SIGNS[finding.verdict]
        _line(screen, f"{sign} {finding.name:<12}{finding.says}", style, indent=14)


def _line(screen: Screen, text: str, style: str = "", indent: int = 2) -> None:
    """Print a paragraph; a terminal breaks it between words, with an indent."""
    width = screen.out.width if screen.is_terminal else sys.maxsize
    for line in textwrap.wrap(text, width, subsequent_indent=" " * indent, break_on_hyphens=False):
        screen.line(line, style)


def _rebuild(memory: AgentMemory, screen: Screen, yes: bool) -> RebuiltIndex | None:
    """Make the index anew, if a person agrees."""
    rebuilding = memory.long_term.rebuild_op()  # told at once where there is nothing to rebuild
    name = one_line(memory.settings.index_name, 60)
    if not screen.confirmed(f"Make the search index {name} anew? Memories stay; searches wait for it.", yes):
        return None
    with screen.busy(f"indexing {name} …"):
        return memory.transport.run(rebuilding)


def _told(rebuilt: RebuiltIndex) -> str:
    left = {
        "could not be indexed": rebuilt.failures,
        "are no memories": rebuilt.unreadable,
        "had scopes of another program's, and are found now": rebuilt.rewritten,
        "lacked the digest that duplicates are known by, and have it now": rebuilt.digested,
    }
    more = [f"{count} {what}" for what, count in left.items() if count]
    return "; ".join([f"rebuilt: the index holds {counted(rebuilt.documents, 'document')}", *more])
