"""The program around the commands: help, usage, failures, what importing it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from langchain_agentmem.cli.app import app, reported
from langchain_agentmem.cli.console import message
from langchain_agentmem.errors import ConfigurationError

COMMANDS = [command.name or "" for command in app.registered_commands]


def test_alone_it_shows_its_help() -> None:
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 0
    assert "chat" in result.output
    assert result.output == CliRunner().invoke(app, ["--help"]).output


def test_help_is_enough_to_get_going() -> None:
    result = CliRunner().invoke(app, ["chat", "--help"])
    assert result.exit_code == 0
    for words in (
        "  agentmem chat --model openai:gpt-5-mini ",
        "pip install",
        "OPENAI_API_KEY",
        "printf '%s\\n' 'I live in Lisbon.'",
        "exit code 1",
        *("--redis URL", "--user USER", "--namespace", "--thread", "--kind", "--recall-threshold"),
    ):
        assert words in result.output


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in ("chat", "demo")])
def test_every_command_helps_with_an_example(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert f"  agentmem {command}" in result.output
    assert command == "redis" or "--redis URL" in result.output


def test_version() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output.split()[0]) == (0, "agentmem")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--user", ""],
        ["--namespace", ""],
        ["--thread", "x" * 5000],
        ["--recall-threshold", "3"],
        ["--recall-threshold", "near"],
        ["--nothing"],
        ["word"],
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, ["chat", *arguments]).exit_code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["recall"],
        ["recall", "x", "--k", "0"],
        ["recall", "x", "--threshold", "-1"],
        ["remember", "x", "--ttl", "0"],
        ["memories", "--limit", "0"],
        ["events", "t", "--count", "0"],
        ["import", "f", "--batch-size", "0"],
        ["import", "f", "--thread", ""],
        ["export", "--what", "nothing"],
        ["forget"],
        ["redis", "--port", "70000"],
    ],
)
def test_wrong_usage_of_a_command_is_exit_code_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("no"), 1),
        (KeyboardInterrupt(), 130),
        (OSError(28, "No space left on device"), 1),
    ],
)
def test_failures_become_exit_codes(error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("langchain_agentmem.cli.app._discard_output", lambda: None)
    with pytest.raises(typer.Exit) as ended, reported():
        raise error
    assert ended.value.exit_code == code


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError), reported():
        raise ZeroDivisionError


def test_a_message_has_no_secrets_and_no_control_characters() -> None:
    said = message(ConfigurationError("no redis://me:hunter2@host, sk-abcdefghijklmnop1234\x1b[2J"))
    assert said.startswith("error: no redis://")
    assert not {"hunter2", "abcdefghijklmnop", "\x1b"} & {
        w for w in ("hunter2", "abcdefghijklmnop", "\x1b") if w in said
    }


def test_importing_it_loads_nothing_heavy() -> None:
    code = (
        "import langchain_agentmem.cli.app, sys\n"
        "print(*{'torch', 'transformers', 'redisvl', 'redis', 'langchain_core', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
