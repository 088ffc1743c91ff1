"""The configurations of clients that the documentation shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from markdown_it import MarkdownIt

from langchain_agentmem.cli.app import app
from langchain_agentmem.mcp_server.tokens import TokensFile

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "mcp.md"
SHOWN = [
    token.content
    for token in MarkdownIt().parse(PAGE.read_text("utf-8"))
    if token.type == "fence" and token.info == "json"
]


def servers(value: Any) -> list[dict[str, Any]]:
    """Whatever names a command or a URL, however deep it stands."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    here = [value] if isinstance(value, dict) and {"command", "url"} & value.keys() else []
    return here + [found for one in inner for found in servers(one)]


@pytest.mark.parametrize("text", SHOWN, ids=lambda text: text.split()[1].strip('":'))
def test_what_is_shown_can_be_parsed_and_started(text: str, tmp_path: Path) -> None:
    shown = json.loads(text)
    if isinstance(shown, list):
        path = tmp_path / "tokens.json"
        path.write_text(text)
        assert TokensFile(path)
        return
    (server,) = servers(shown)
    if "url" in server:
        assert server["url"].endswith("/mcp")
        assert server["headers"]["Authorization"].startswith("Bearer ${")
        return
    assert (server["command"], server["args"][0]) == ("agentmem", "mcp")
    command = typer.main.get_command(app).commands["mcp"]  # type: ignore[attr-defined]
    assert command.make_context("mcp", server["args"][1:]).params["user"] == "alice"


def test_every_kind_of_client_is_shown() -> None:
    assert len(SHOWN) == 6
    keys = {key for text in SHOWN if isinstance(shown := json.loads(text), dict) for key in shown}
    assert keys == {"mcpServers", "servers", "context_servers", "inputs"}
