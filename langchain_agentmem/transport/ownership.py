"""Whether a path is safe from other users of the machine: who owns it, and who may write there."""

from __future__ import annotations

import os
import stat
from itertools import takewhile
from pathlib import Path


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
    """How another user could read or exchange what is in this folder, and what to do; None if in no way.

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
    """How another user could change this file, or where it leads, and what to do; None if in no way."""
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
    """Whether it is the group of this user alone that many systems make, and let write by default."""
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
