"""Provides a private Redis, started on demand and shared by all processes that name its folder.

This module is the user's side: it joins the server of a folder, or has a supervisor start one. What keeps the
server up and ends it is in `supervisor`, how that is launched in `launch`.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import platformdirs

from langchain_agentmem.embedded.folders import absolute, durable_folder, ephemeral_folder, is_same_folder
from langchain_agentmem.embedded.launch import check_options, check_platform, launch
from langchain_agentmem.embedded.protocol import (
    START_LOCK,
    STATE,
    USERS_LOCK,
    FileLock,
    ServerInfo,
    end_of_log,
    is_still_there,
    read_state,
    server_info,
    supervisor_is_gone,
)
from langchain_agentmem.errors import ConfigurationError, EmbeddedRedisError
from langchain_agentmem.fork_safe_lock import ForkSafeLock

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

_WAIT_FOR_REMOVAL_SECONDS = 2.0


class EmbeddedRedis:
    """Runs a private redis-server on a unix socket, which ends with its last user.

    With `data_dir` it is durable (append-only file, synced every second), and every process that names
    the same folder shares one server. Without, it is ephemeral, and of this object alone: nothing is kept,
    and its temporary folder is removed with it.

    A killed server is brought back by its supervisor, at the same URL. A killed user counts as gone. The
    supervisor itself, if killed, takes the server with it: the next `start()`, or use of `url`, in any
    process brings both back, a durable one at the same URL. So does the next operation of a memory that
    was made from an `embedded://` URL.

    An object that is dropped without `close()` keeps its server until the process ends; a forked child shares
    its parent's hold, so each has to close or end.

    Args:
        data_dir: A local folder, made if need be; `~` is expanded.
        search: Whether the modules Search and JSON are needed.
        options: More directives of redis.conf, for example `{"maxmemory": "1gb"}`. They count when this
            object starts the server, not when it joins a running one.
        on_progress: Gets a short sentence at each step of a start.
        start_timeout_seconds: How long `start()` waits for a sign of life. The loading of the data, which
            for 2,000 memories with an HNSW index takes a second, is one, however long it goes on.

    Raises:
        ConfigurationError: An option or the folder cannot be right.
    """

    def __init__(
        self,
        data_dir: str | os.PathLike[str] | None = None,
        *,
        search: bool = True,
        options: Mapping[str, str] | None = None,
        on_progress: Callable[[str], None] | None = None,
        start_timeout_seconds: float = 30.0,
    ) -> None:
        if not start_timeout_seconds > 0:
            raise ConfigurationError(f"start_timeout_seconds must be above 0, not {start_timeout_seconds!r}")
        self._options = dict(options or {})
        check_options(self._options)
        self._named_dir = None if data_dir is None else absolute(data_dir)
        self._search = search
        self._report_progress = on_progress or (lambda sentence: None)
        self._timeout_seconds = start_timeout_seconds
        self._mutex = ForkSafeLock()
        # Set while this object holds on to a server.
        self._folder: Path | None = None
        self._users_lock: FileLock | None = None

    @staticmethod
    def default_data_dir() -> Path:
        """Return the folder of this user's own durable memory."""
        return platformdirs.user_data_path("agentmem", appauthor=False) / "redis"

    def start(self) -> Self:
        """Join the server of the folder, or start it; return when it answers and has loaded its data.

        Does nothing but ask when this object already has a server that answers.

        Raises:
            EmbeddedRedisError: No server could be started, or not in time; or the folder that this object
                has in use was moved or deleted.
            ConfigurationError: The folder cannot be used, or another user of the machine could change what
                is in it, or the server refuses an option.
        """
        with self._in_turn():
            self._check_still_there()
            if self._folder is None or not self._wait_for_server(self._folder):
                self._open()
        return self

    @property
    def url(self) -> str:
        """Return a URL for `redis.Redis.from_url`, with the password in it; start the server if need be.

        Raises:
            EmbeddedRedisError, ConfigurationError: As `start`.
        """
        with self._in_turn():
            self.start()
            url = self._noted_url()
        if url is None:
            raise EmbeddedRedisError("the private Redis has just ended; start it again")
        return url

    def url_after_failure(self, failed_url: str) -> str | None:
        """Start the server if a connection failed because it has no supervisor; its URL, if that helps.

        None means that it has one, at the same URL: then that brings it back, or it is not gone at all.

        Raises:
            EmbeddedRedisError, ConfigurationError: As `start`.
        """
        with self._in_turn():
            self._check_still_there()
            if self._folder is not None and not supervisor_is_gone(self._folder):
                known = self._noted_url()
                return None if known == failed_url else known
            return self.url

    @property
    def data_dir(self) -> Path | None:
        """Return the folder that was named, or an ephemeral server's own, which it has only while started."""
        return self._named_dir or self._folder

    @property
    def pid(self) -> int | None:
        """Return the server's process id, as it says itself; None when this object has none that answers."""
        info = _info_of(self._folder) if self._folder else None
        return info.pid if info else None

    def close(self) -> None:
        """Let go of the server, which ends if nobody else uses it; `start()` may follow.

        Returns at once for a durable server. For an ephemeral one, waits up to 2 s until it is gone.
        """
        with self._mutex.held():
            folder, users_lock = self._folder, self._users_lock
            self._folder = self._users_lock = None
        if folder is not None and users_lock is not None:
            users_lock.close()
            if self._named_dir is None:
                _wait_for_removal(folder)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        folder = self.data_dir
        where = "ephemeral" if folder is None else repr(str(folder))
        return f"EmbeddedRedis({where}, search={self._search}, started={self._users_lock is not None})"

    def _open(self) -> None:
        check_platform()
        folder = durable_folder(self._named_dir) if self._named_dir else ephemeral_folder()
        try:
            users_lock = self._join(folder)
        except BaseException:
            if self._named_dir is None:
                shutil.rmtree(folder, ignore_errors=True)
            raise
        self.close()  # the hold on a server that is no more
        # In this order: a child forked in between begins without a folder, and starts anew.
        users_lock.share_with_children()
        self._users_lock = users_lock
        self._folder = folder

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        """Let in one thread at a time; what the system refuses is an error of this package."""
        with self._mutex.held():
            try:
                yield
            except OSError as error:
                raise EmbeddedRedisError(
                    f"no private Redis in {self.data_dir}: {error}",
                    plain=f"There is no private Redis in {self.data_dir}: {error.strerror or error}.",
                ) from error

    def _check_still_there(self) -> None:
        """Fail rather than begin with an empty memory where the one in use was moved or deleted."""
        if self._folder is None or self._users_lock is None or self._named_dir is None:
            return
        try:
            still_there = is_still_there(self._folder, self._users_lock)
        except OSError:
            still_there = False
        if not still_there:
            raise EmbeddedRedisError(
                f"the folder {self._folder} was moved, deleted or exchanged while its private Redis was in "
                "use. Put it back to go on, or close all that use it to begin with what is there now"
            )

    def _noted_url(self) -> str | None:
        state = read_state(self._folder) if self._folder else None
        return f"unix://:{quote(state['password'])}@{quote(state['socket'])}?db=0" if state else None

    def _join(self, folder: Path) -> FileLock:
        """Become a user of the folder's server, under start.lock: nobody else starts or ends it meanwhile."""
        start_timeout = _StartTimeout(folder, self._timeout_seconds)
        start_lock = FileLock(folder / START_LOCK)
        try:
            while not start_lock.take():
                start_timeout.wait("another process is starting or ending it")
            users_lock = FileLock(folder / USERS_LOCK)
            try:
                while not users_lock.take(shared=True):
                    start_timeout.wait("its supervisor holds users.lock")
                self._find_or_launch(folder)
            except BaseException:
                users_lock.close()
                raise
            return users_lock
        finally:
            # Released, not only closed: a child forked meanwhile has a copy of the descriptor.
            start_lock.release()
            start_lock.close()

    def _find_or_launch(self, folder: Path) -> None:
        if self._wait_for_server(folder):
            self._report_progress(f"joined the private Redis in {folder}")
            return
        launch(
            folder,
            search=self._search,
            durable=self._named_dir is not None,
            options=self._options,
            on_progress=self._report_progress,
            timeout_seconds=self._timeout_seconds,
        )

    def _wait_for_server(self, folder: Path) -> bool:
        """Return whether the folder has a ready server, after waiting for one that loads or is restarted.

        One without a supervisor does not count: nobody would end it.
        """
        start_timeout = _StartTimeout(folder, self._timeout_seconds)
        while not supervisor_is_gone(folder):
            if self._is_ready(folder):
                return True
            known = read_state(folder) is not None
            silent = "the server does not answer" if known else f"{STATE} does not say where the server is"
            start_timeout.wait(f"its supervisor runs, but {silent}")
        return False

    def _is_ready(self, folder: Path) -> bool:
        state = read_state(folder)
        started_in = state.get("folder") if state else None
        if isinstance(started_in, str) and started_in != str(folder):
            if not is_same_folder(started_in, folder):
                return False  # it was moved here, and as soon as its supervisor sees that, the server ends
            raise EmbeddedRedisError(
                f"the private Redis in {folder} was started in {started_in}, and is still in use there; "
                "close all that use it first"
            )
        info = _info_of(folder)
        if state is None or info is None or info.loading:
            return False
        if self._search and not state.get("search"):
            raise EmbeddedRedisError(
                f"the private Redis in {folder} was started without Search, by a user with search=False, "
                "and is in use; close that one first",
                plain=f"The private Redis in {folder} was started without Search by another program, which "
                "uses it. End that one first.",
            )
        return True


class _StartTimeout:
    """Waits for the server of a folder, until it has shown no sign of life for so long."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self._folder = folder
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._pause_seconds = 0.002

    def wait(self, why: str) -> None:
        now = time.monotonic()
        if now > self._deadline:
            info = _info_of(self._folder)
            if info is None or not info.loading:
                said = end_of_log(self._folder)
                raise EmbeddedRedisError(
                    f"no private Redis in {self._folder} within start_timeout_seconds: {why}\n{said}",
                    plain=f"The private Redis in {self._folder} did not start in time: {why}. Try again.",
                )
            self._deadline = now + self._seconds
        time.sleep(self._pause_seconds)
        self._pause_seconds = min(self._pause_seconds * 1.2, 0.05)


def _info_of(folder: Path) -> ServerInfo | None:
    state = read_state(folder)
    return server_info(state["socket"], state["password"]) if state else None


def _wait_for_removal(folder: Path) -> None:
    deadline = time.monotonic() + _WAIT_FOR_REMOVAL_SECONDS
    while folder.exists() and time.monotonic() < deadline:
        if supervisor_is_gone(folder):  # killed, as else it would have removed the folder
            shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.002)
