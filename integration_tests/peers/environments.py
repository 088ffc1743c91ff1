"""The libraries that are compared with, and a Python that has one of them.

A library that is installed here runs in this environment. Any other gets a virtual environment, once, from its
dependency group in `pyproject.toml`: a virtual environment holds only the library, numpy and LangChain's interfaces,
and no model.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import venv
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import platformdirs

ROOT = Path(__file__).parents[2]
FOLDER = Path(platformdirs.user_cache_dir("agentmem")) / "peers"
_GROUPS = ROOT / "pyproject.toml"
_PIP = "pip>=25.1"  # the first that installs dependency groups
_LAST_WORDS = 300


class Peer(NamedTuple):
    """A library.

    Attributes:
        package: Its distribution.
        module: What tells whether it is installed here.
        group: The dependency group with its version, which the figures of the documentation are of.
    """

    package: str
    module: str
    group: str


PEERS = {
    "langchain-redis": Peer("langchain-redis", "langchain_redis", "peer-langchain-redis"),
    "redisvl": Peer("redisvl", "redisvl", "peer-redisvl"),
    "langgraph": Peer("langgraph-checkpoint-redis", "langgraph.store.redis", "peer-langgraph"),
    "mem0": Peer("mem0ai", "mem0", "peer-mem0"),
}


class PeerNotInstalledError(RuntimeError):
    """A library's environment could not be made."""


def python_of(key: str, folder: Path = FOLDER) -> str:
    """Return a Python that has a peer: this one, or that of an environment made for it.

    Args:
        key: A key of `PEERS`.
        folder: Where environments are kept.

    Raises:
        PeerNotInstalledError: It could not be installed; the message ends with why.
    """
    peer = PEERS[key]
    if _importable(peer.module):
        return sys.executable
    python, stamp = folder / key / "bin" / "python", folder / key / "installed"
    wanted = hashlib.sha256(_GROUPS.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text("utf-8") != wanted:
        _install(peer, folder / key, str(python))
        stamp.write_text(wanted, "utf-8")
    return str(python)


def version_of(key: str) -> str:
    """Return the version of a peer that is pinned in its dependency group."""
    pins = re.findall(rf'"{re.escape(PEERS[key].package)}==([^"]+)"', _GROUPS.read_text("utf-8"))
    return str(pins[-1])


def _install(peer: Peer, folder: Path, python: str) -> None:
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    try:
        if not Path(python).exists():
            venv.create(folder, with_pip=True)
        for what in (["--upgrade", _PIP], ["--group", f"{_GROUPS}:{peer.group}"]):
            subprocess.run([*pip, *what], check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        raise PeerNotInstalledError(f"could not be installed: {last_words(error.stderr)}") from error
    except OSError as error:
        raise PeerNotInstalledError(f"could not be installed: {error}") from error


def environment() -> dict[str, str]:
    """Return a process's environment: it finds this folder's modules, and no keys of services.

    What cannot be reached without a key is not used.
    """
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    return kept | {"PYTHONPATH": str(ROOT)}


def last_words(said: str) -> str:
    """Return the end of what a process said."""
    return said.strip()[-_LAST_WORDS:]


def _importable(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ImportError:
        return False
