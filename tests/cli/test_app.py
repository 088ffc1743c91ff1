"""The program around the commands: help, usage, failures, what importing it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from langchain_agentmem.cli.app import app, in_words, reported
from langchain_agentmem.cli.console import message
from langchain_agentmem.errors import ConfigurationError

COMMANDS = [command.name or "" for command in app.registered_commands]


def test_alone_it_shows_three_first_steps() -> None:
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 0
    steps = [line.split()[:2] for line in result.output.splitlines() if line.startswith("  agentmem ")]
    assert steps == [["agentmem", "chat"], ["agentmem", "demo"], ["agentmem", "remember"]]
    assert "agentmem --help" in result.output
    assert result.output.count("\n") < 10


def test_help_lists_every_command_in_a_line_that_is_not_cut() -> None:
    listed = CliRunner().invoke(app, ["--help"]).output
    assert all(f"\n  {command} " in listed for command in COMMANDS)
    assert "..." not in listed.split("Commands:")[1]


def test_what_commands_have_in_common_is_explained_once() -> None:
    explained = CliRunner().invoke(app, ["help"])
    assert explained.exit_code == 0
    said = " ".join(explained.output.split())
    for words in (
        *("AGENTMEM_URL", "UPSTASH_REDIS_REST_TOKEN", "embedded:///path", "login name", "epoch seconds"),
        *("other users of the machine can read a command line", "2 wrong usage", "--full-ids", "cut -f"),
    ):
        assert words in said
    assert max(map(len, explained.output.splitlines())) <= 80
    for command in ("recall", "sessions"):
        assert "REDIS_URL" not in CliRunner().invoke(app, [command, "--help"]).output


@pytest.mark.parametrize(
    "command", ["recall", "remember", "update", "memories", "sessions", "session", "events"]
)
def test_the_help_of_a_command_fits_a_screen(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "80"}).output
    assert shown.count("\n") <= 30


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_fits_80_columns(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "80"}).output
    assert [line for line in shown.splitlines() if len(line) > 80] == []


def test_help_of_a_command_is_what_it_shows_itself() -> None:
    own = CliRunner().invoke(app, ["recall", "--help"]).output
    assert CliRunner().invoke(app, ["help", "recall"]).output == own
    unknown = CliRunner().invoke(app, ["help", "recal"])
    assert (unknown.exit_code, "no command recal" in unknown.output) == (2, True)


def test_help_is_enough_to_get_going() -> None:
    result = CliRunner().invoke(app, ["chat", "--help"])
    assert result.exit_code == 0
    for words in (
        "  agentmem chat --model openai:gpt-5-mini ",
        "pip install",
        "OPENAI_API_KEY",
        "printf '%s\\n' 'I live in Lisbon.'",
        "exit code 1",
        *("--redis URL", "--user NAME", "--namespace", "--thread", "--kind", "--recall-threshold"),
    ):
        assert words in result.output


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in ("chat", "demo")])
def test_every_command_helps_with_an_example(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert f"  agentmem {command}" in result.output
    assert command in ("redis", "cluster", "help") or "--redis URL" in result.output


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        ("events", "It takes the id of a conversation: agentmem events ID. agentmem sessions lists them."),
        ("forget", "It takes the user as its argument: agentmem forget NAME."),
    ],
)
def test_a_command_without_the_option_user_says_what_it_takes(command: str, hint: str) -> None:
    for arguments in (["--user", "x"], ["--user=x"], ["y", "--user", "x"]):
        result = CliRunner().invoke(app, [command, *arguments])
        assert result.exit_code == 2
        assert f"No such option: --user. {hint}" in " ".join(result.output.split())
    assert "It takes" not in CliRunner().invoke(app, [command, "--users", "x"]).output


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
        ["recall", " "],
        ["recall", "x", "--k", "0"],
        ["recall", "x", "--k", "9" * 30],
        ["recall", "x", "--threshold", "-1"],
        ["recall", "x", "--threshold", "nan"],
        ["recall", "x", "--mode", "best"],
        ["recall", "x", "--mode", "text", "--threshold", "0.5"],
        ["recall", "x", "--namespace", "a", "--all-namespaces"],
        ["remember", ""],
        ["remember", "x" * 32_769],
        ["remember", "\udcff"],
        ["remember", "x", "--ttl", "0"],
        ["remember", "x", "--ttl", "2147483648"],
        ["remember", "x", "--replaces", ""],
        ["remember", "x", "--metadata", '{"a": NaN}'],
        ["remember", "x", "--metadata", "[" * 100_000],
        ["update", "", "x"],
        ["update", "id", " "],
        ["memories", "--limit", "0"],
        ["memories", "--delete", "", "--yes"],
        ["memories", "--delete", "x", "--kind", "semantic", "--yes"],
        ["memories", "--delete", "x", "--all", "--yes"],
        ["memories", "--delete", "x", "--offset", "50", "--yes"],
        ["memories", "--sort", "best"],
        ["memories", "--contains", ""],
        ["memories", "--offset", "-1"],
        ["sessions", "--user", "ada", "--all-users"],
        ["session", "x" * 5000],
        ["session", "\udcff"],
        ["events", ""],
        ["events", "t", "--count", "0"],
        ["import", "f", "--batch-size", "0"],
        ["import", "f", "--thread", ""],
        ["export", "--what", "nothing"],
        ["forget"],
        ["consolidate", "--user", ""],
        ["consolidate", "--apply"],
        ["redis", "--port", "70000"],
        ["worker"],
        ["worker", "1-0", "--model", "m"],
        ["worker", "--replay"],
        ["worker", "--failed", "--replay-all"],
        ["worker", "--extractor", "json"],
        ["worker", "--extractor", "json:nothing"],
        ["worker", "--extractor", "no_such_module:f"],
        ["worker", "--summarise", "json:__name__"],
        ["worker", "--extractor", "json:dumps", "--concurrency", "0"],
        ["worker", "--extractor", "json:dumps", "--debounce", "nan"],
        ["worker", "--extractor", "json:dumps", "--group", ""],
    ],
)
def test_wrong_usage_of_a_command_is_found_before_anything_is_opened(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("langchain_agentmem.agent_memory.AgentMemory.__init__", None)
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    for words in ("Input should", "must be a string", "Value error", "Traceback"):
        assert words not in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["memories", "--limit", "x"], "it must be a whole number."),
        (["memories", "--limit", "0"], "it must be at least 1."),
        (["recall", "x", "--threshold", "x"], "it must be a number."),
        (["recall", "x", "--threshold", "3"], "it must be at most 2."),
        (["recall", "x", "--user", ""], "it is empty."),
        (["session", "x" * 5000], "it has 5,000 bytes; the limit is 4,096."),
        (["sessions", "--user", "a", "--all-users"], "--user and --all-users contradict each other."),
    ],
)
def test_wrong_usage_is_told_in_words(arguments: list[str], said: str) -> None:
    assert said in CliRunner().invoke(app, arguments).output


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        (
            "Input should be a valid integer, unable to parse string as an integer",
            "it must be a whole number.",
        ),
        ("Input should be less than or equal to 1000", "it must be at most 1000."),
        ("Input should be 'a' or 'b'", "it must be 'a' or 'b'"),
        ("Value error, 'x' is not one of 'y'", "'x' is not one of 'y'"),
        ("it is empty.", "it is empty."),
    ],
)
def test_what_a_library_says_of_a_value_is_put_in_words(refusal: str, said: str) -> None:
    assert in_words(refusal) == said


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
        "print(*{'torch', 'transformers', 'redisvl', 'redis', 'langchain_core', 'numpy', 'mcp', 'jwt'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
