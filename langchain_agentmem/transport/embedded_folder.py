"""The folders of a private Redis: where its data is, where its socket goes, and whom they belong to."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from pathlib import Path

from langchain_agentmem.errors import ConfigurationError, EmbeddedRedisError

# Linux takes 107 bytes, macOS 103.
_SOCKET_PATH_BYTES = 100


def absolute(data_dir: str | os.PathLike[str]) -> Path:
    """The path that is meant, from the current folder or the home; looks at no file."""
    path = os.fspath(data_dir)
    if not isinstance(path, str) or not path or "\0" in path:
        raise ConfigurationError(f"data_dir: {data_dir!r} is no path of a folder")
    return Path(os.path.abspath(os.path.expanduser(path)))


def durable_folder(named: Path) -> Path:
    """The folder for the data, made if need be, by its real path."""
    try:
        named.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = named.resolve(strict=True)
    except OSError as error:
        raise ConfigurationError(f"data_dir: {named} cannot be made or opened: {error.strerror}") from error
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise ConfigurationError(f"data_dir: {folder} cannot be written to")
    return folder


def throw_away_folder() -> Path:
    """A new private folder in the temp folder."""
    return Path(tempfile.mkdtemp(prefix="agentmem-")).resolve()


def private_folder(path: Path) -> Path:
    """Make the folder if need be, and be sure that nobody else can put anything there."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise EmbeddedRedisError(
            f"{path} must be a folder that belongs to you and that only you can write to"
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
