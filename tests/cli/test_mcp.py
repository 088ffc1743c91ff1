"""`agentmem mcp`: which options go together, and what it says if the SDK is missing."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from langchain_agentmem.cli.app import app

_SIGNED = ["--transport", "http", "--jwks", "https://id.example.com/keys"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tokens", "t.json"], "--tokens goes with --transport http"),
        (["--jwks", "https://id.example.com/keys"], "--jwks goes with --transport http"),
        (["--host", "0.0.0.0"], "--host goes with --transport http"),
        (["--port", "0"], "--port goes with --transport http"),
        (["--transport", "http", "--user", "a", "--tokens", "t.json"], "--user and --tokens contradict"),
        ([*_SIGNED, "--tokens", "t.json"], "--tokens and --jwks contradict"),
        (_SIGNED, "--jwks needs --issuer and --audience"),
        ([*_SIGNED, "--issuer", "https://id.example.com"], "--jwks needs --issuer and --audience"),
        (["--audience", "me"], "--issuer and --audience go with --jwks"),
        (["--transport", "sse"], "'sse' is not one of"),
        (["--user", ""], "it is empty"),
        (["--namespace", ""], "it is empty"),
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(app, ["mcp", *arguments])
    assert result.exit_code == 2
    assert said in " ".join(result.output.replace("│", " ").split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--host", "0.0.0.0"], "it needs --tokens or --jwks"),
        (["--host", "::"], "it needs --tokens or --jwks"),
        (["--host", "memory.example.com"], "it needs --tokens or --jwks"),
        (["--tokens", "nothing.json"], "cannot be read: No such file"),
        (
            ["--jwks", "http://id.example.com", "--issuer", "i", "--audience", "a"],
            "has to begin with https://",
        ),
    ],
)
def test_what_is_not_safe_is_refused_before_anything_is_opened(arguments: list[str], said: str) -> None:
    arguments = ["mcp", "--transport", "http", "--redis", "redis://127.0.0.1:1", *arguments]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    assert said in " ".join(result.output.split())


def test_without_the_sdk_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['mcp'] = None; sys.argv = ['agentmem', 'mcp']; import langchain_agentmem.cli as one; one.main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        'error: The MCP server needs the package mcp: pip install "langchain-agentmem[mcp]"\n'
    )
