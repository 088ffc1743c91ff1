"""The documents agree with the code: links, commands, make targets, names, tests, and the generated reference."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import typer
from markdown_it import MarkdownIt
from markdown_it.token import Token

import langchain_agentmem
from langchain_agentmem import AgentMemorySettings, errors
from langchain_agentmem.cli.app import app

PROJECT = Path(__file__).parents[1]
DOCUMENTS = sorted([*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md")])
TESTS = {
    name
    for folder in ("tests", "integration_tests")
    for path in (PROJECT / folder).rglob("test_*.py")
    for name in re.findall(r"def (test_\w+)", path.read_text("utf-8"))
}

OF_OPTIONS = {
    str(parameter.envvar)
    for command in typer.main.get_command(app).commands.values()  # type: ignore[attr-defined]
    for parameter in command.params
    if parameter.envvar
}
"""Environment variables that stand for options of the command line."""


def tokens(path: Path) -> list[Token]:
    parsed = MarkdownIt().enable("table").parse(path.read_text("utf-8"))
    return [inner for token in parsed for inner in (token, *(token.children or ()))]


def links(path: Path) -> set[str]:
    return {str(token.attrs["href"]) for token in tokens(path) if token.type == "link_open"}


def anchors(path: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    parsed = MarkdownIt().parse(path.read_text("utf-8"))
    headings = [parsed[at + 1].content for at, token in enumerate(parsed) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def shell_lines(path: Path) -> list[str]:
    """What a reader is told to type: lines of ```sh blocks, and inline code that looks like it."""
    blocks = [token for token in tokens(path) if token.type == "fence" and token.info == "sh"]
    lines = [line.partition("#")[0].strip() for block in blocks for line in block.content.splitlines()]
    return lines + [token.content for token in tokens(path) if token.type == "code_inline"]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
class TestDocument:
    def test_links_lead_somewhere(self, path: Path) -> None:
        for target in links(path) | {str(t.attrs["src"]) for t in tokens(path) if t.type == "image"}:
            if target.startswith("https://"):
                continue
            file, _, anchor = unquote(target).partition("#")
            found = (path.parent / file).resolve() if file else path
            assert found.exists(), f"{target} leads nowhere"
            assert found.is_relative_to(PROJECT), f"{target} leads out of the project"
            if anchor:
                assert anchor in anchors(found), f"{target}: {found.name} has {sorted(anchors(found))}"

    def test_commands_exist(self, path: Path) -> None:
        command: Any = typer.main.get_command(app)
        for line in shell_lines(path):
            words = line.split()
            if words[:1] == ["agentmem"] and len(words) > 1 and not words[1].startswith("-"):
                assert words[1] in command.commands, line
                options = {option for each in command.commands[words[1]].params for option in each.opts}
                named = {word.partition("=")[0] for word in words if word.startswith("--")}
                assert named <= options | {"--help"}, line

    def test_make_targets_exist(self, path: Path) -> None:
        rules = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text("utf-8"), re.MULTILINE))
        for line in shell_lines(path):
            if words := re.match(r"make((?: [a-z-]+)+)(?: ARGS=.*)?$", line):
                assert set(words[1].split()) <= rules, line

    def test_tests_that_are_named_exist(self, path: Path) -> None:
        named = {t.content for t in tokens(path) if t.type == "code_inline"}
        assert {name for name in named if re.fullmatch(r"test_\w+", name)} <= TESTS

    def test_environment_variables_that_are_named_exist(self, path: Path) -> None:
        known = {f"AGENTMEM_{name.upper()}" for name in AgentMemorySettings.model_fields} | OF_OPTIONS
        assert set(re.findall(r"AGENTMEM_[A-Z_]*[A-Z]\b", path.read_text("utf-8"))) <= known

    def test_errors_that_are_named_exist(self, path: Path) -> None:
        named = re.findall(
            r"\b(?:Store|Index|Embedd|Message|Search|WrongKey)\w*Error\b", path.read_text("utf-8")
        )
        assert set(named) <= set(errors.__all__)

    def test_every_page_of_docs_is_in_its_index(self, path: Path) -> None:
        index = PROJECT / "docs" / "README.md"
        if path.is_relative_to(index.parent) and path != index:
            assert path.relative_to(index.parent).as_posix() in links(index)


def test_every_example_is_in_the_index() -> None:
    listed = links(PROJECT / "docs" / "README.md")
    assert {f"../examples/{path.name}" for path in (PROJECT / "examples").glob("*.py")} <= listed


def test_the_reference_is_what_the_code_says() -> None:
    generator = runpy.run_path(str(PROJECT / "docs" / "generate_reference.py"))
    page = (PROJECT / "docs" / "reference.md").read_text("utf-8")
    assert page == generator["rendered"](page), "run: python docs/generate_reference.py"
    for name in [*langchain_agentmem.__all__, *errors.__all__, *AgentMemorySettings.model_fields]:
        assert name in page


def test_every_error_is_explained() -> None:
    explained = anchors(PROJECT / "docs" / "how-to" / "troubleshooting.md")
    assert {name.lower() for name in errors.__all__} - explained == {"agentmemoryerror"}


def test_files_that_contributing_names_exist() -> None:
    page = PROJECT / "CONTRIBUTING.md"
    (layout,) = (t.content for t in tokens(page) if t.type == "fence" and t.info == "text")
    named = {t.content for t in tokens(page) if t.type == "code_inline"}
    files = {name for name in named if re.fullmatch(r"[\w.]+/[\w./]+\.(py|md)", name)}
    assert len(files) > 20
    for name in files:
        assert (PROJECT / name).is_file() or (PROJECT / "langchain_agentmem" / name).is_file(), name
    package = PROJECT / "langchain_agentmem"
    folders = {path.name for path in package.rglob("*") if (path / "__init__.py").is_file()}
    assert folders <= set(re.findall(r"(\w+)/", layout)), "a folder is missing in the layout"


def test_the_readme_is_short() -> None:
    assert len((PROJECT / "README.md").read_text("utf-8").splitlines()) <= 200
