"""`agentmem doctor`: whether the server is fit for a memory, a verdict a line."""

from __future__ import annotations

from dataclasses import asdict

import typer

from langchain_agentmem.cli.options import AsJson, Redis
from langchain_agentmem.cli.output import show_json
from langchain_agentmem.cli.screen import Screen

HELP = """Look at the server: version, modules, eviction, persistence, the search index, what each tier takes
(memory is estimated from a sample of keys), latency. Changes nothing.

✓ is fine, ! could be better, or is unknown for want of permission, ✗ is broken: exit code 1.

\b
  agentmem doctor
  agentmem doctor --redis redis://localhost:6379 --json"""

_SIGNS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "broken": ("✗", "red")}


def doctor(redis: Redis = None, as_json: AsJson = False) -> None:
    """Run `agentmem doctor`."""
    from langchain_agentmem.cli.checkup import findings
    from langchain_agentmem.cli.startup import open_store

    screen = Screen()
    with open_store(redis, screen) as memory:
        found = list(findings(memory))
    broken = any(finding.verdict == "broken" for finding in found)
    if as_json:
        show_json({"ok": not broken, "checks": [asdict(finding) for finding in found]})
    else:
        for finding in found:
            sign, style = _SIGNS[finding.verdict]
            screen.line(f"{sign} {finding.name:<12}{finding.says}", style)
    if broken:
        raise typer.Exit(1)
