"""Makes the folders of a private Redis, and makes sure that no other user can change what is in them."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from itertools import takewhile
from pathlib import Path

from langchain_agentmem.embedded.protocol import (
    LOG,
    SERVER_LOCK,
    START_LOCK,
    STATE,
    SUPERVISOR_LOCK,
    USERS_LOCK,
)
from langchain_agentmem.errors import ConfigurationError, EmbeddedRedisError

# All that is read, written or listened on in a data folder; what else is there does not matter.
_FILES = re.compile(
    "|".join(map(re.escape, (STATE, LOG, f"{LOG}.1", START_LOCK, USERS_LOCK, SUPERVISOR_LOCK, SERVER_LOCK)))
    + r"|appendonlydir|appendonly\.aof|dump\.rdb|nodes\.conf|cluster\.json|redis-.*\.sock"
)
_ANOTHER_FOLDER = "Or name another one: embedded:///path/to/folder."
# Linux takes 107 bytes, macOS 103.
_SOCKET_PATH_BYTES = 100


def absolute(data_dir: str | os.PathLike[str]) -> Path:
    """Return the path that is meant, from the current folder or the home; look at no file.

    Raises:
        ConfigurationError: It is no path of a folder.
    """
    path = os.fspath(data_dir)
    if not isinstance(path, str) or not path or "\0" in path:
        raise ConfigurationError(f"data_dir: {data_dir!r} is no path of a folder")
    return Path(os.path.abspath(os.path.expanduser(path)))


def durable_folder(named: Path) -> Path:
    """Make the folder for the data if need be; return its real path.

    Raises:
        ConfigurationError: It cannot be used, or another user could read the memories or change what runs.
    """
    try:
        weakness = make_private(named)
        folder = Path(os.path.realpath(named))
        weakness = weakness or _weak_file(folder)
    except OSError as error:
        said = f"{named} cannot be made or opened: {error.strerror}"
        raise ConfigurationError(
            f"data_dir: {said}", plain=f"The data folder {said}. {_ANOTHER_FOLDER}"
        ) from error
    if weakness:
        said = f"{named} must be a folder that belongs to you and that only you can write to, but {weakness}"
        raise ConfigurationError(f"data_dir: {said}", plain=f"The data folder {said}. {_ANOTHER_FOLDER}")
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        said = f"{folder} cannot be written to"
        raise ConfigurationError(f"data_dir: {said}", plain=f"The data folder {said}. {_ANOTHER_FOLDER}")
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


def is_same_folder(one: str | os.PathLike[str], other: str | os.PathLike[str]) -> bool:
    """Return whether both paths lead to one folder, that is there."""
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def ephemeral_folder() -> Path:
    """Make a new private folder in the temp folder.

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
    """Make the folder if need be, and be sure that nobody else can put anything there.

    Raises:
        EmbeddedRedisError: Another user could change what is in it.
    """
    if weakness := make_private(path):
        raise EmbeddedRedisError(
            f"{path} must be a folder that belongs to you and that only you can write to, but {weakness}"
        )
    return path


def place_socket(folder: Path, name: str) -> str:
    """Return the path for the server's socket: in its folder, or if that is too long, in the temp folder.

    Raises:
        EmbeddedRedisError: Both are too long, or the folder in the temp folder is not safe.
    """
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


# Whether a path is safe from other users of the machine ------------------------------------------------


def make_private(path: Path) -> str | None:
    """Make the folder and its parents if need be, for this user only; return its weakness, if it has one."""
    weakness = folder_weakness(path)
    if weakness is not None:
        return weakness
    missing = list(takewhile(lambda each: not each.is_dir(), (path, *path.parents)))
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)
    return folder_weakness(path) if missing else None


def folder_weakness(path: Path) -> str | None:
    """Say how another user could read or exchange what is in this folder, and what to do; None if in no way.

    Looked at are the folder, all folders above it, and the links on the way, as far as they exist. A folder
    above may be writable for everybody if it is sticky, as `/tmp` is.
    """
    real = Path(os.path.realpath(path))
    for each in dict.fromkeys((real, *real.parents, path, *path.parents)):
        try:
            found = each.lstat()
        except FileNotFoundError:
            continue
        if found.st_uid not in _trusted():
            advice = "chown it" if each == real else "use another"
            return f"{each} belongs to {_user(found.st_uid)}: {advice}"
        shared = each != real and found.st_mode & stat.S_ISVTX
        if not stat.S_ISLNK(found.st_mode) and not shared and _others_may_write(found):
            advice = f"chmod 700 {each}" if each == real else f"chmod go-w {each}"
            return f"{each} can be written to by others (mode {stat.S_IMODE(found.st_mode):o}): {advice}"
    return None


def file_weakness(path: Path) -> str | None:
    """Say how another user could change this file or where it leads, and what to do; None if in no way."""
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        return f"{path} is a symbolic link: put what it leads to in its place"
    if found.st_uid not in _trusted():
        return f"{path} belongs to {_user(found.st_uid)}: delete it, or chown it if you trust what is in it"
    if _others_may_write(found):
        return f"{path} can be written to by others (mode {stat.S_IMODE(found.st_mode):o}): chmod go-w {path}"
    return None


def _trusted() -> frozenset[int]:
    # Whoever owns the root folder can do anything anyway. In a container's user namespace, that is whoever
    # stands for the users that are not known there.
    return frozenset((os.geteuid(), 0, os.stat("/").st_uid))


def _others_may_write(found: os.stat_result) -> bool:
    if found.st_mode & stat.S_IWOTH:
        return True
    return bool(found.st_mode & stat.S_IWGRP) and not _is_own_group(found.st_gid)


def _is_own_group(gid: int) -> bool:
    """Return whether it is the group of this user alone that many systems make, and let write by default."""
    import grp  # not on Windows, where importing this module must still work
    import pwd

    try:
        user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(gid)
    except KeyError:
        return False
    return group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}


def _user(uid: int) -> str:
    import pwd

    try:
        return f"the user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"the user with id {uid}"
