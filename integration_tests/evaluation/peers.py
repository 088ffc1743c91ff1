"""Other libraries on the same questions and vectors, with their defaults, each in a process of its own."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import venv
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from integration_tests.evaluation import peer_process
from integration_tests.evaluation.scores import K, Request, Scope

_LAST_WORDS = 300


class Peer(NamedTuple):
    """A library.

    Attributes:
        name: What it is called in tables.
        module: What tells whether it is installed here.
        packages: What is installed if it is not.
    """

    name: str
    module: str
    packages: tuple[str, ...]


# The versions that the figures of the documentation are of; what already is installed here is pinned there.
PEERS = {
    "langchain-redis": Peer(
        "langchain-redis RedisVectorStore", "langchain_redis", ("langchain-redis==0.2.6",)
    ),
    "redisvl": Peer("redisvl SemanticMessageHistory", "redisvl", ("redisvl==0.28.0",)),
    "langgraph": Peer(
        "langgraph-checkpoint-redis RedisStore",
        "langgraph.store.redis",
        ("langgraph-checkpoint-redis==0.5.2", "langgraph==1.2.24"),
    ),
    "mem0": Peer("mem0, infer=False", "mem0", ("mem0ai==2.2.1", "langchain==1.5.2")),
}
_WITH_EACH = ("langchain-core>=1,<2", "numpy")


class PeerResult(NamedTuple):
    """What came of a peer.

    Attributes:
        name: The peer.
        version: Its version; empty if it did not run.
        found: The places it found, per request, best first.
        problem: Why it did not run; empty if it did.
    """

    name: str
    version: str
    found: list[list[int]]
    problem: str


def ask(
    key: str,
    url: str,
    scopes: Sequence[Scope],
    requests: Sequence[Request],
    *,
    vectors: Sequence[Path],
    folder: Path,
    advance: Callable[[], object] = lambda: None,
) -> PeerResult:
    """Fill a peer and ask it everything; what it answered before is kept in the folder, and not asked again.

    Args:
        key: A key of `PEERS`.
        url: A Redis that holds nothing.
        scopes: What is stored.
        requests: What is asked.
        vectors: The files of `KeptEmbeddings`, which hold every text's vector.
        folder: Where virtual environments and answers are kept.
        advance: Called after each scope and each request.
    """
    peer, job = PEERS[key], _job(scopes, requests)
    kept = folder / "results" / f"{key}-{_digest(peer, job, vectors)}.json"
    if not kept.exists():
        work = folder / "work" / f"{key}-{os.getpid()}"
        work.mkdir(parents=True, exist_ok=True)
        job |= {"url": url, "folder": str(work), "vectors": [str(path) for path in vectors]}
        problem = _answer(peer, folder, job, work, kept, advance)
        if problem:
            return PeerResult(peer.name, "", [], problem)
    answered = json.loads(kept.read_text("utf-8"))
    return PeerResult(peer.name, answered["version"], answered["found"], "")


def _answer(
    peer: Peer, folder: Path, job: dict[str, Any], work: Path, kept: Path, advance: Callable[[], object]
) -> str:
    """Have a peer do a job, and keep its result; return what it failed of, or nothing."""
    (key,) = (key for key, one in PEERS.items() if one is peer)
    job_file, result_file = work / "job.json", work / "result.json"
    job_file.write_text(json.dumps(job), "utf-8")
    try:
        python = _python(peer, folder / key)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"could not be installed: {error}"
    problem = _run([python, peer_process.__file__, key, str(job_file), str(result_file)], advance)
    if not problem:
        kept.parent.mkdir(parents=True, exist_ok=True)
        result_file.replace(kept)
    return problem


def _digest(peer: Peer, job: dict[str, Any], vectors: Sequence[Path]) -> str:
    """Return what names a job: what a peer answers depends on nothing of this package."""
    program = Path(peer_process.__file__).read_text("utf-8")
    told = json.dumps([peer, program, job, [str(path) for path in vectors]])
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _job(scopes: Sequence[Scope], requests: Sequence[Request]) -> dict[str, Any]:
    # Names without blanks or punctuation: what a peer makes of odd ones is not what is measured.
    plain = {scope.name: f"scope{at}" for at, scope in enumerate(scopes)}
    return {
        "scopes": [{"name": plain[scope.name], "texts": scope.texts} for scope in scopes],
        "requests": [{"scope": plain[one.scope], "text": one.text} for one in requests],
        "k": K,
    }


def _python(peer: Peer, folder: Path) -> str:
    """Return a Python that has the peer: this one, or that of an environment made for it."""
    if _importable(peer.module):
        return sys.executable
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", *_WITH_EACH, *peer.packages],
        check=True,
        capture_output=True,
    )
    return str(python)


def _importable(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ImportError:
        return False


def _run(command: Sequence[str], advance: Callable[[], object]) -> str:
    """Run a peer's process, and return what it died of; empty if it did not."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=_environment()
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for _ in process.stdout:
            advance()
        said = process.stderr.read()
    return "" if process.returncode == 0 else said.strip()[-_LAST_WORDS:] or f"exit code {process.returncode}"


def _environment() -> dict[str, str]:
    """Return the environment without keys of services: what cannot be reached without one is not used."""
    return {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
