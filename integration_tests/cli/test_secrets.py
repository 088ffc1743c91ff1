"""Secrets on the command line, where every user of the machine can read them."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from integration_tests.cli.conftest import agentmem

NOBODY = "127.0.0.1:1"
SECRET = "hunter2SECRETx9"


@pytest.mark.parametrize(
    ("command", "url"),
    [
        ("sessions", f"redis://:{SECRET}@{NOBODY}"),
        ("recall x", f"redis://alice:{SECRET}@{NOBODY}/0"),
        ("chat", f"rediss://alice:{SECRET}@{NOBODY}"),
        ("doctor", f"unix://alice:{SECRET}@/nowhere.sock"),
        ("export", f"unix:///nowhere.sock?password={SECRET}"),
        ("forget alice --yes", f"redis+sentinel://:{SECRET}@{NOBODY}/main"),
    ],
)
def test_a_password_on_the_command_line_is_warned_of_once(command: str, url: str) -> None:
    done = agentmem(*command.split(), "--redis", url, url="")
    assert done.returncode != 0  # nobody is there
    assert done.stderr.count("warning: ") == 1
    assert "--redis" in done.stderr.splitlines()[0]
    assert "AGENTMEM_URL" in done.stderr.splitlines()[0]
    assert SECRET not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "url", [f"redis://{NOBODY}", f"redis://alice@{NOBODY}", "unix:///nowhere.sock?db=1", "red[is://"]
)
def test_a_url_without_a_password_is_not(url: str) -> None:
    assert "warning" not in agentmem("sessions", "--redis", url, url="").stderr


def test_a_password_in_the_environment_is_not() -> None:
    done = agentmem("sessions", url=f"redis://:{SECRET}@{NOBODY}")
    assert done.returncode == 1
    assert "warning" not in done.stderr
    assert SECRET not in done.stderr


def test_what_is_warned_of_works_and_leaves_standard_output_alone(url: str) -> None:
    assert urlsplit(url).password or "password=" in url
    done = agentmem("sessions", "--json", "--redis", url, url="")
    assert (done.returncode, done.stdout) == (0, "[]\n")
    assert done.stderr.count("warning: ") == 1


def test_the_demo_s_token_belongs_into_the_environment_too() -> None:
    rest = "https://nowhere.example"  # which the demo refuses before it listens
    warned = agentmem("demo", "--token", SECRET, "--redis", rest, url="")
    assert "AGENTMEM_DEMO_TOKEN" in warned.stderr.splitlines()[0]
    assert warned.stderr.count("warning: ") == 1
    quiet = agentmem("demo", "--redis", rest, url="", AGENTMEM_DEMO_TOKEN=SECRET)
    assert "warning" not in quiet.stderr
    both = agentmem("demo", "--token", SECRET, "--redis", f"https://a:{SECRET}@nowhere.example", url="")
    assert both.stderr.count("warning: ") == 2
    assert "AGENTMEM_DEMO_URL" in both.stderr
    assert SECRET not in warned.stderr + quiet.stderr + both.stderr


def test_the_demo_s_store_can_be_named_in_the_environment() -> None:
    done = agentmem("demo", url="", AGENTMEM_DEMO_URL=f"https://a:{SECRET}@nowhere.example")
    assert done.returncode == 1
    assert "a REST API will not do" in done.stderr
    assert "warning" not in done.stderr


@pytest.mark.parametrize("command", ["help", "demo --help"])
def test_help_says_that_the_environment_is_better(command: str) -> None:
    said = " ".join(agentmem(*command.split(), url="").stdout.split())
    assert "other users of the machine can read a command line" in said
