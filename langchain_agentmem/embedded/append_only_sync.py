"""Syncs the append-only file of a private Redis, from outside of the server.

Where Redis syncs it every second itself, it puts off its writes while a sync is under way, and answers
meanwhile: killed in that moment, it loses what it has answered. With `appendfsync no` the kernel has each
write before its answer, and only the loss of power is left to guard against, which is done here.

Part of the supervisor, so: the standard library only.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

APPEND_ONLY_FOLDER = "appendonlydir"
_NO_SYNC_OF_FOLDERS = (errno.EINVAL, errno.EBADF)  # as some file systems answer, and Redis ignores too


class _Version(NamedTuple):
    """Tells whether a file or folder has changed."""

    device: int
    inode: int
    size: int
    modified_ns: int


class AppendOnlySync:
    """Syncs the files of `appendonlydir`, each when it has changed since the last time.

    Args:
        folder_descriptor: The data folder, held open: so its files are found where it was moved to, too.
    """

    def __init__(self, folder_descriptor: int) -> None:
        self._folder_descriptor = folder_descriptor
        self._synced: dict[str, _Version] = {}

    def sync(self) -> None:
        """Return when all that the server has written before the call is on the disk.

        Raises:
            OSError: Something could not be synced; the next call tries that again.
        """
        with suppress(FileNotFoundError), _opened(APPEND_ONLY_FOLDER, self._folder_descriptor) as folder:
            names = (*os.listdir(folder), ".")  # the folder comes last: its entries lead to what is there
            self._synced = {name: self._synced[name] for name in names if name in self._synced}
            failed: OSError | None = None
            for name in names:
                try:
                    self._sync_one(name, folder)
                except FileNotFoundError:  # a rewrite has deleted it meanwhile
                    pass
                except OSError as error:
                    failed = failed or error
            if failed:
                raise failed

    def _sync_one(self, name: str, folder: int) -> None:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        version = _Version(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
        if self._synced.get(name) == version or not (name == "." or stat.S_ISREG(found.st_mode)):
            return
        with _opened(name, folder) as descriptor:
            try:
                _sync_to_disk(descriptor)
            except OSError as error:
                if name != "." or error.errno not in _NO_SYNC_OF_FOLDERS:
                    raise
        # The version is older than the sync: what was written in between counts as a change.
        self._synced[name] = version


@contextmanager
def _opened(name: str, folder: int) -> Iterator[int]:
    # Without O_NONBLOCK, a named pipe would keep its reader waiting.
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _sync_to_disk(descriptor: int) -> None:
    if sys.platform == "darwin":  # where fsync leaves the data in the cache of the disk
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fdatasync(descriptor)
