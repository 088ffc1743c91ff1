"""The documents are programs: every ```python block runs, and prints what its `# ->` comments say.

Blocks of a document run in order, in one namespace, against an empty ephemeral server to which
`AgentMemory()` is led by AGENTMEM_URL; those that are about Upstash, against an emulation of its REST API,
which UPSTASH_REDIS_REST_URL names. A `…` in a comment stands for anything; empty lines are not said.
"""

from __future__ import annotations

import io
import os
import re
import tokenize
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from integration_tests.upstash.emulator import Emulator

PROJECT = Path(__file__).parents[2]
# What real measurements write is not run again here.
DOCUMENTS = sorted(
    path
    for path in (*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md"))
    if "performance" not in path.relative_to(PROJECT).as_posix()
)
# These say that they use the default embeddings; one test, so that they are loaded once.
_HOW_TO = PROJECT / "docs" / "how-to"
WITH_MINILM = [PROJECT / "README.md", PROJECT / "docs" / "quickstart.md", _HOW_TO / "langgraph-store.md"]
ON_UPSTASH = [
    _HOW_TO / f"{name}.md" for name in ("coming-from-flowise", "coming-from-langchain-js", "upstash")
]

pytestmark = [  # both are what readers have
    pytest.mark.filterwarnings("ignore:RunnableWithMessageHistory is deprecated"),
    pytest.mark.filterwarnings("ignore:The class `ConversationBufferMemory` was deprecated"),
]


def blocks(path: Path) -> Iterator[tuple[int, str]]:
    """The line each ```python block begins behind, and its text."""
    for token in MarkdownIt().parse(path.read_text("utf-8")):
        if token.type == "fence" and token.info == "python" and token.map is not None:
            yield token.map[0] + 1, token.content


def promised(code: str) -> list[str]:
    """What the block says it prints, line by line."""
    comments = (
        t.string for t in tokenize.generate_tokens(io.StringIO(code).readline) if t.type == tokenize.COMMENT
    )
    return [comment[5:] for comment in comments if comment.startswith("# -> ")]


def run(path: Path) -> int:
    """Run the blocks of a document; how many there were."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    count = 0
    for line, code in blocks(path):
        printed = io.StringIO()
        with redirect_stdout(printed):
            # The empty lines let a traceback point into the document.
            exec(compile("\n" * line + code, str(path), "exec"), namespace)
        said, expected = list(filter(None, printed.getvalue().splitlines())), promised(code)
        where = f"{path.relative_to(PROJECT)}:{line + 1}"
        assert len(said) == len(expected), f"{where} prints {said}, and says {expected}"
        for got, wanted in zip(said, expected, strict=True):
            pattern = ".*".join(map(re.escape, wanted.split("…")))
            assert re.fullmatch(pattern, got.rstrip()), f"{where} prints {got!r}, and says {wanted!r}"
        count += 1
    return count


@pytest.fixture(autouse=True)
def surroundings(url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A server of its own, and nothing of the person's who runs the tests."""
    for name in [name for name in os.environ if name.startswith(("AGENTMEM_", "REDIS_", "UPSTASH_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AGENTMEM_URL", url)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(PROJECT / "examples")


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise AssertionError("This document uses the default embeddings without saying so in WITH_MINILM.")

    monkeypatch.setattr("langchain_agentmem.embeddings.minilm._loaded", refuse)


def test_documents_with_the_default_embeddings() -> None:
    for path in WITH_MINILM:
        assert run(path) > 0


@pytest.mark.parametrize(
    "path", [path for path in DOCUMENTS if path not in WITH_MINILM + ON_UPSTASH], ids=lambda path: path.name
)
def test_documents(path: Path, no_model: None) -> None:
    run(path)


@pytest.mark.parametrize("path", ON_UPSTASH, ids=lambda path: path.name)
def test_documents_about_upstash(
    path: Path, no_model: None, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AGENTMEM_URL")
    monkeypatch.setenv("UPSTASH_REDIS_REST_URL", emulator.url)
    monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", emulator.token)
    assert run(path) > 0
    assert emulator.requests


def test_what_a_block_prints_must_be_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.PROJECT", tmp_path)
    document = tmp_path / "one.md"
    for code, fits in (
        ("print(1)  # -> 1", True),
        ("for x in 'ab':\n    print(x)\n# -> a\n# -> b", True),
        ("print('id', 0.25)  # -> id 0.…", True),
        ("print(1)  # -> 2", False),
        ("print(1)", False),
        ("x = 1  # -> 1", False),
    ):
        document.write_text(f"```python\n{code}\n```\n", "utf-8")
        if fits:
            assert run(document) == 1
        else:
            with pytest.raises(AssertionError, match=r"one\.md:2"):
                run(document)
    document.write_text("text\n\n```python\nx = 1\n1 / 0\n```\n", "utf-8")
    with pytest.raises(ZeroDivisionError) as caught:
        run(document)
    assert caught.traceback[-1].lineno == 4
