"""`agentmem doctor`: whether the server is fit for a memory, a verdict a line."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from langchain_agentmem.cli import text
from langchain_agentmem.cli.console import Screen
from langchain_agentmem.cli.failures import CommandError
from langchain_agentmem.cli.options import AsJson, Redis, Yes
from langchain_agentmem.cli.output import confirmed, show_json

if TYPE_CHECKING:
    from langchain_agentmem.agent_memory import AgentMemory
    from langchain_agentmem.longterm.redisearch.rebuild import RebuiltIndex

HELP = """Look at the server: version, modules, eviction, persistence, the search index, what each tier takes
(memory is estimated from a sample of keys), latency. Changes nothing, except with --rebuild-index.

✓ is fine, ! could be better, or is unknown for want of permission, ✗ is broken: exit code 1.

--rebuild-index makes the search index anew first, as when another program made it. Memories stay; users,
namespaces, kinds and threads that the index cannot hold as another program wrote them are rewritten, so that
their memories are found. Asks first; without a terminal, --yes is needed.

\b
  agentmem doctor
  agentmem doctor --rebuild-index
  agentmem doctor --redis redis://localhost:6379 --json"""

_SIGNS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "broken": ("✗", "red")}


def doctor(
    redis: Redis = None,
    rebuild_index: Annotated[
        bool, typer.Option("--rebuild-index", help="Make the search index anew first; memories stay.")
    ] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Run `agentmem doctor`."""
    from langchain_agentmem.cli.checkup import findings
    from langchain_agentmem.cli.connect import open_store

    screen, rebuilt = Screen(), None
    with open_store(redis, screen) as memory:
        if rebuild_index:
            rebuilt = _rebuild(memory, screen, yes)
        found = list(findings(memory))
    broken = any(finding.verdict == "broken" for finding in found)
    if as_json:
        done = {} if rebuilt is None else {"rebuilt": asdict(rebuilt)}
        show_json({"ok": not broken, **done, "checks": [asdict(finding) for finding in found]})
    else:
        if rebuilt is not None:
            screen.line(_told(rebuilt))
        for finding in found:
            sign, style = _SIGNS[finding.verdict]
            screen.line(f"{sign} {finding.name:<12}{finding.says}", style)
    if broken:
        raise typer.Exit(1)


def _rebuild(memory: AgentMemory, screen: Screen, yes: bool) -> RebuiltIndex | None:
    """Make the index anew, if a person agrees."""
    from langchain_agentmem.longterm.redisearch.memory import LongTermMemory

    long_term = memory.long_term
    if not isinstance(long_term, LongTermMemory):
        raise CommandError("--rebuild-index is for Redis: on Upstash, drop_index() and create_index() do it.")
    name = text.one_line(memory.settings.index_name, 60)
    if not confirmed(screen, f"Make the search index {name} anew? Memories stay; searches wait for it.", yes):
        return None
    with screen.busy(f"indexing {name} …"):
        return long_term.rebuild_index()


def _told(rebuilt: RebuiltIndex) -> str:
    left = {
        "could not be indexed": rebuilt.failures,
        "are no memories": rebuilt.unreadable,
        "had scopes of another program's, and are found now": rebuilt.rewritten,
    }
    more = [f"{count} {what}" for what, count in left.items() if count]
    return "; ".join([f"rebuilt: the index holds {text.count(rebuilt.documents, 'document')}", *more])
