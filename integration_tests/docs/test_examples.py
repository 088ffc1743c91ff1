"""Every script in examples/ runs, and prints what its docstring says behind "Prints:"."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
NO_SCRIPTS = ("tiny_embeddings.py", "scripted_chat_model.py")
SCRIPTS = [path for path in sorted(EXAMPLES.glob("*.py")) if path.name not in NO_SCRIPTS]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_an_example_prints_what_it_says(script: Path, url: str, tmp_path: Path) -> None:
    said = ast.get_docstring(ast.parse(script.read_text("utf-8"))) or ""
    promised = [line.strip() for line in said.partition("Prints:\n")[2].splitlines() if line.strip()]
    assert promised, f"the docstring of {script.name} does not say what it prints"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AGENTMEM_")}
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", script],
        env={**environment, "AGENTMEM_URL": url},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    printed = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    assert len(printed) == len(promised), done.stdout
    for got, wanted in zip(printed, promised, strict=True):
        assert re.fullmatch(".*".join(map(re.escape, wanted.split("…"))), got), (got, wanted)
