"""The package as files alone: copied somewhere, on the PYTHONPATH, installed by nobody."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import langchain_agentmem
from integration_tests.cli.conftest import STUBS

PACKAGE = Path(langchain_agentmem.__file__).parent
PROJECT = PACKAGE.parent


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(PACKAGE, folder / "langchain_agentmem", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def run(
    checkout: Path, *arguments: str, url: str = "redis://127.0.0.1:1", stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("AGENTMEM_", "REDIS_"))}
    paths = [str(checkout), str(STUBS / "not_installed"), str(STUBS)]
    return subprocess.run(
        [sys.executable, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        env={**ours, "AGENTMEM_URL": url, "PYTHONPATH": os.pathsep.join(paths)},
        cwd=checkout,
        timeout=90,
    )


def test_nothing_says_that_it_is_installed(checkout: Path) -> None:
    code = "import importlib.metadata as m, langchain_agentmem as p; print(p.__file__); m.version('langchain-agentmem')"
    done = run(checkout, "-c", code)
    assert done.stdout.startswith(str(checkout))
    assert "PackageNotFoundError" in done.stderr
    assert run(checkout, "-c", "import importlib.metadata as m; m.version('redis')").returncode == 0


def test_it_knows_its_version(checkout: Path) -> None:
    done = run(checkout, "-m", "langchain_agentmem.cli", "--version")
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        f"agentmem {langchain_agentmem.__version__}\n",
        "",
    )


def test_a_conversation_works(checkout: Path, url: str) -> None:
    done = run(checkout, "-m", "langchain_agentmem.cli", "chat", url=url, stdin="I live in Lisbon.\n")
    assert "Traceback" not in done.stderr
    assert done.returncode == 0, done.stderr
    assert f"agentmem {langchain_agentmem.__version__}" in done.stdout + done.stderr


@pytest.mark.parametrize("command", ["doctor", "sessions", "memories", "events t1"])
def test_other_commands_work(checkout: Path, url: str, command: str) -> None:
    done = run(checkout, "-m", "langchain_agentmem.cli", *command.split(), "--json", url=url)
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 1)


def test_scripts_and_the_page_come_along(checkout: Path) -> None:
    code = """
from langchain_agentmem.core import scripts
import langchain_agentmem.demo.app
print(scripts.load("langchain_agentmem.events", "record_events") is not None)
"""
    done = run(checkout, "-c", code)
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_the_version_is_written_in_one_place() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", langchain_agentmem.__version__)
    assert not re.search(r"^version\s*=", (PROJECT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("absent", ["typer", "rich"])
@pytest.mark.parametrize("code", ["from langchain_agentmem.cli import main; main()", None])
def test_without_the_packages_of_the_command_line_it_says_what_to_install(
    absent: str, code: str | None
) -> None:
    paths = os.pathsep.join([str(STUBS / f"absent_{absent}"), str(PROJECT)])
    done = subprocess.run(
        [sys.executable, *(["-m", "langchain_agentmem.cli"] if code is None else ["-c", code])],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
        timeout=60,
    )
    said = 'agentmem needs typer and rich: pip install "langchain-agentmem[cli]"\n'
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)
