"""The wheel alone: built, installed without extras into an empty environment, used against a URL."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]

USE = """
import sys
from langchain_core.embeddings import Embeddings
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda
from langchain_agentmem import AgentMemory, EmbeddedRedis
from langchain_agentmem.errors import EmbeddedRedisError, MissingDependencyError

class Letters(Embeddings):
    def embed_query(self, text):
        return [1.0 + text.count(letter) for letter in "abcdefgh"]
    def embed_documents(self, texts):
        return [self.embed_query(text) for text in texts]

with AgentMemory(sys.argv[1], embeddings=Letters()) as memory:
    chain = memory.wrap(RunnableLambda(lambda inputs: AIMessage(f"{len(inputs['memories'])} known")))
    config = {"configurable": {"session_id": "t1", "user_id": "alice"}}
    print(chain.invoke("a fact", config).content)
    print(chain.invoke("a fact", config).content)
    print(len(memory.working.messages("t1")), memory.events.length("t1") > 0)

with AgentMemory(sys.argv[1], index_name="other", memory_prefix="other:") as memory:
    try:
        memory.long_term.remember("x", user="alice")
    except MissingDependencyError as error:
        print("local" in str(error))

try:
    EmbeddedRedis().start()
except EmbeddedRedisError as error:
    print("embedded" in str(error))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, PROJECT],
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"langchain_agentmem"}
    scripts = {path.name for path in (PROJECT / "langchain_agentmem").rglob("*.lua")}
    assert {Path(name).name for name in names if name.endswith(".lua")} == scripts
    assert "langchain_agentmem/py.typed" in names
    graph = "langchain_agentmem/embeddings/minilm.onnx"
    assert zipfile.ZipFile(wheel).read(graph) == (PROJECT / graph).read_bytes()


def test_the_source_distribution_holds_the_graph_and_what_writes_it(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", tmp_path, PROJECT],
        check=True,
        capture_output=True,
    )
    (built,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(built) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"langchain_agentmem/embeddings/minilm.onnx", "tools/generate_minilm_graph.py"} <= names


@pytest.mark.timeout(600)
def test_it_works_without_extras_against_a_url(wheel: Path, url: str, tmp_path: Path) -> None:
    python = tmp_path / "venv" / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-compile"]
    venv.create(tmp_path / "venv", with_pip=False)
    subprocess.run([*install, wheel], check=True, capture_output=True)
    done = subprocess.run(
        [python, "-W", "error", "-c", USE, url],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PATH": "/nowhere", "HOME": str(tmp_path)},
    )
    assert done.stderr == ""
    assert done.stdout.split("\n")[:-1] == ["0 known", "1 known", "4 True", "True", "True"]
    shown = subprocess.run([tmp_path / "venv/bin/agentmem"], capture_output=True, text=True, check=False)
    assert (shown.returncode, shown.stdout) == (1, "")
    assert shown.stderr == 'agentmem needs typer and rich: pip install "langchain-agentmem[cli]"\n'
    subprocess.run([*install, f"{wheel}[cli]"], check=True, capture_output=True)
    shown = subprocess.run(
        [tmp_path / "venv/bin/agentmem", "--version"], capture_output=True, text=True, check=True
    )
    assert "0.1.0" in shown.stdout
