"""Node programs beside the tests: whether they can run here, LangChain.js, and a REST front for a Redis.

They live in the folder `javascript`, whose packages are installed at the first need.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import os
import secrets
import select
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

import pytest

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

JAVASCRIPT = Path(__file__).parent / "javascript"
_OLDEST_NODE = 20  # what @langchain/core and @langchain/community ask for
_INSTALL_SECONDS = 100  # below the time a test has
_START_SECONDS = 30
_RUN_SECONDS = 60


def require_javascript() -> None:
    """Skip the test if JavaScript cannot run here; where CI is set, fail it."""
    if reason := javascript_missing():
        if os.environ.get("CI"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


@functools.cache
def javascript_missing() -> str | None:
    """Why JavaScript cannot run here, or None if it can; installs the packages if need be."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return f"no {'node' if node is None else 'npm'} on the PATH"
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.lstrip("v").split(".")[0]) < _OLDEST_NODE:
        return f"node is {version}, and has to be {_OLDEST_NODE} or newer"
    return install(npm, JAVASCRIPT)


def install(npm: str, folder: Path) -> str | None:
    """Install what package-lock.json of a folder names, unless it is; the reason why that failed, or None.

    Processes that ask at the same time wait for the one that installs.
    """
    stamp = folder / "node_modules" / ".installed"  # `npm ci` begins by removing it
    try:
        with (folder / "package-lock.json").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            wanted = hashlib.sha256(lock.read()).hexdigest()
            if stamp.exists() and stamp.read_text() == wanted:
                return None
            subprocess.run(
                [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
                cwd=folder,
                capture_output=True,
                text=True,
                check=True,
                timeout=_INSTALL_SECONDS,
            )
            stamp.write_text(wanted)
    except subprocess.CalledProcessError as error:
        return f"the packages in {folder} cannot be installed: {error.stderr.strip()[-500:]}"
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"the packages in {folder} cannot be installed: {error}"
    return None


class RestFront:
    """The REST server @humanwhocodes/upstash-redis-server in front of a Redis, on a free port of 127.0.0.1.

    It knows neither base64 nor /multi-exec, and asks for the token at `/` only. What it does not know how
    to do is HTTP 500.
    """

    def __init__(self, redis_url: str) -> None:
        self.url = ""
        self.token = secrets.token_hex(16)
        self._redis_url = redis_url

    def __enter__(self) -> Self:
        self._log = tempfile.TemporaryFile("w+")  # a pipe that nobody reads would fill
        self._process = subprocess.Popen(
            ["node", "front.mjs"],
            cwd=JAVASCRIPT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        try:
            self.url = f"http://127.0.0.1:{self._port()}"
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _port(self) -> int:
        """The port it prints as soon as it answers."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(
            json.dumps({"redisUrl": ioredis_url(self._redis_url), "token": self.token}) + "\n"
        )
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], _START_SECONDS)
        line = process.stdout.readline() if ready else ""
        if not line:
            self._log.seek(0)
            raise RuntimeError(f"the REST front does not answer: {self._log.read()[-2000:]}")
        return int(line)

    def _end(self) -> None:
        self._process.kill()
        with self._process, self._log:  # waits for its end, and closes the pipes
            pass


def ioredis_url(url: str) -> str:
    """A Redis URL as ioredis reads it: a unix socket as its path, and the rest as the query."""
    parts = urlsplit(url)
    if parts.scheme != "unix":
        return url
    password = f"password={quote(unquote(parts.password), safe='')}" if parts.password else ""
    return f"{unquote(parts.path)}?{password}&{parts.query}"


class JavaScriptHistory:
    """`UpstashRedisChatMessageHistory` of LangChain.js: every call is a process of its own."""

    def __init__(self, front: RestFront, session_id: str, session_ttl: int | None = None) -> None:
        self._settings = {"url": front.url, "token": front.token, "sessionId": session_id}
        self._settings |= {} if session_ttl is None else {"sessionTTL": session_ttl}

    def write(self, *messages: dict[str, Any]) -> None:
        """Append messages, each given as its type and the fields of its class."""
        self._do("write", messages=messages)

    def read(self) -> list[dict[str, Any]]:
        """The messages, oldest first, as `toDict()` of LangChain.js has them."""
        messages: list[dict[str, Any]] = self._do("read")
        return messages

    def clear(self) -> None:
        self._do("clear")

    def _do(self, action: str, **more: Any) -> Any:
        done = subprocess.run(
            ["node", "history.mjs"],
            cwd=JAVASCRIPT,
            input=json.dumps({**self._settings, "action": action, **more}),
            capture_output=True,
            text=True,
            timeout=_RUN_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{action} failed in JavaScript: {done.stderr}"
        return json.loads(done.stdout)
