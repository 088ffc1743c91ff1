"""The folders of a private Redis: where its data is, where its socket goes, and whom they belong to."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from langchain_agentmem.errors import ConfigurationError, EmbeddedRedisError
from langchain_agentmem.transport.embedded_protocol import (
    LOG,
    SERVER_LOCK,
    START_LOCK,
    STATE,
    SUPERVISOR_LOCK,
    USERS_LOCK,
)
from langchain_agentmem.transport.ownership import file_weakness, folder_weakness, make_private

# All that is read, written or listened on in a data folder; what else is there does not matter.
_FILES = re.compile(
    "|".join(map(re.escape, (STATE, LOG, f"{LOG}.1", START_LOCK, USERS_LOCK, SUPERVISOR_LOCK, SERVER_LOCK)))
    + r"|appendonlydir|appendonly\.aof|dump\.rdb|redis-.*\.sock"
)
# Linux takes 107 bytes, macOS 103.
_SOCKET_PATH_BYTES = 100


def absolute(data_dir: str | os.PathLike[str]) -> Path:
    """The path that is meant, from the current folder or the home; looks at no file."""
    path = os.fspath(data_dir)
    if not isinstance(path, str) or not path or "\0" in path:
        raise ConfigurationError(f"data_dir: {data_dir!r} is no path of a folder")
    return Path(os.path.abspath(os.path.expanduser(path)))


def durable_folder(named: Path) -> Path:
    """The folder for the data, made if need be, by its real path.

    Raises:
        ConfigurationError: It cannot be used, or another user could read the memories or change what runs.
    """
    try:
        weakness = make_private(named)
        folder = Path(os.path.realpath(named))
        weakness = weakness or _weak_file(folder)
    except OSError as error:
        raise ConfigurationError(f"data_dir: {named} cannot be made or opened: {error.strerror}") from error
    if weakness:
        raise ConfigurationError(
            f"data_dir: {named} must be a folder that belongs to you and that only you can write to, but "
            f"{weakness}"
        )
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise ConfigurationError(f"data_dir: {folder} cannot be written to")
    return folder


def _weak_file(folder: Path) -> str | None:
    for each in _files(folder):
        with suppress(FileNotFoundError):  # a running server makes and deletes files
            if weakness := file_weakness(each):
                return weakness
    return None


def _files(folder: Path) -> Iterator[Path]:
    yield from (each for each in folder.iterdir() if _FILES.fullmatch(each.name))
    if (data := folder / "appendonlydir").is_dir():
        yield from data.iterdir()


def throw_away_folder() -> Path:
    """A new private folder in the temp folder.

    Raises:
        ConfigurationError: Other users could exchange it.
    """
    folder = Path(tempfile.mkdtemp(prefix="agentmem-")).resolve()
    if weakness := folder_weakness(folder):
        folder.rmdir()
        raise ConfigurationError(
            f"the temp folder must be safe from other users, but {weakness}; or set TMPDIR to another folder"
        )
    return folder


def private_folder(path: Path) -> Path:
    """Make the folder if need be, and be sure that nobody else can put anything there."""
    if weakness := make_private(path):
        raise EmbeddedRedisError(
            f"{path} must be a folder that belongs to you and that only you can write to, but {weakness}"
        )
    return path


def place_socket(folder: Path, name: str) -> str:
    """The path for the server's socket: in its folder, or if that is too long, in the temp folder."""
    path = str(folder / name)
    if _usable(path):
        return path
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    for parent in (tempfile.gettempdir(), "/tmp"):
        private = Path(parent, f"agentmem-{os.geteuid()}-{digest}")
        if _usable(str(private / name)):
            return str(private_folder(private) / name)
    raise EmbeddedRedisError(
        f"no folder short enough for a unix socket: neither {folder} nor the temp folder"
    )


def _usable(socket_path: str) -> bool:
    try:
        return len(socket_path.encode()) <= _SOCKET_PATH_BYTES
    except UnicodeEncodeError:  # a name that is not UTF-8 would not survive in a URL
        return False
