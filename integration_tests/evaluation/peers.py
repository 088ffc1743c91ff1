"""Other libraries on the same questions and vectors, with their defaults, each in a process of its own."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from integration_tests.evaluation import peer_process
from integration_tests.evaluation.scores import K, Request, Scope
from integration_tests.peers import environments

# What they are called in tables.
NAMES = {
    "langchain-redis": "langchain-redis RedisVectorStore",
    "redisvl": "redisvl SemanticMessageHistory",
    "langgraph": "langgraph-checkpoint-redis RedisStore",
    "mem0": "mem0, infer=False",
}


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
        key: A key of `environments.PEERS`.
        url: A Redis that holds nothing.
        scopes: What is stored.
        requests: What is asked.
        vectors: The files of `KeptEmbeddings`, which hold every text's vector.
        folder: Where answers are kept.
        advance: Called after each scope and each request.
    """
    job = _job(scopes, requests)
    kept = folder / "results" / f"{key}-{_digest(key, job, vectors)}.json"
    if not kept.exists():
        work = folder / "work" / f"{key}-{os.getpid()}"
        work.mkdir(parents=True, exist_ok=True)
        job |= {"url": url, "folder": str(work), "vectors": [str(path) for path in vectors]}
        problem = _answer(key, job, work, kept, advance)
        if problem:
            return PeerResult(NAMES[key], "", [], problem)
    answered = json.loads(kept.read_text("utf-8"))
    return PeerResult(NAMES[key], answered["version"], answered["found"], "")


def _answer(key: str, job: dict[str, Any], work: Path, kept: Path, advance: Callable[[], object]) -> str:
    """Have a peer do a job, and keep its result; return what it failed of, or nothing."""
    job_file, result_file = work / "job.json", work / "result.json"
    job_file.write_text(json.dumps(job), "utf-8")
    try:
        python = environments.python_of(key)
    except environments.PeerNotInstalledError as error:
        return str(error)
    problem = _run([python, "-m", peer_process.__name__, key, str(job_file), str(result_file)], advance)
    if not problem:
        kept.parent.mkdir(parents=True, exist_ok=True)
        result_file.replace(kept)
    return problem


def _digest(key: str, job: dict[str, Any], vectors: Sequence[Path]) -> str:
    """Return what names a job: what a peer answers depends on nothing of this package."""
    program = Path(peer_process.__file__).read_text("utf-8")
    told = json.dumps([key, environments.version_of(key), program, job, [str(path) for path in vectors]])
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _job(scopes: Sequence[Scope], requests: Sequence[Request]) -> dict[str, Any]:
    # Names without blanks or punctuation: what a peer makes of odd ones is not what is measured.
    plain = {scope.name: f"scope{at}" for at, scope in enumerate(scopes)}
    return {
        "scopes": [{"name": plain[scope.name], "texts": scope.texts} for scope in scopes],
        "requests": [{"scope": plain[one.scope], "text": one.text} for one in requests],
        "k": K,
    }


def _run(command: Sequence[str], advance: Callable[[], object]) -> str:
    """Run a peer's process, and return what it died of; empty if it did not."""
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environments.environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for _ in process.stdout:
            advance()
        said = environments.last_words(process.stderr.read())
    return "" if process.returncode == 0 else said or f"exit code {process.returncode}"
