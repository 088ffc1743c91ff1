"""The REST side: HTTP, tokens, encodings and faults."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import socket
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import uvicorn
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response

from integration_tests.upstash.emulator.commands import Executor
from integration_tests.upstash.emulator.resp import ReplyError, Status

_PATHS = ("/", "/pipeline", "/multi-exec")


@dataclass(frozen=True)
class Request:
    """A request as it came; without commands if it was malformed. All arguments are strings."""

    path: str
    commands: list[list[str]]
    size_bytes: int
    headers: Mapping[str, str] = field(repr=False)


@dataclass
class _Fault:
    """What happens to a request instead of, or beside, being run."""

    response: Response | None = None
    stall_seconds: float = 0.0
    hang_up: str = ""


def _parse(path: str, body: bytes) -> list[list[str]]:
    """The commands of a body; numbers keep the notation they were sent in.

    Raises:
        ReplyError: It is none, or not of this path's shape.
    """
    if path not in _PATHS:
        raise ReplyError(f"ERR not emulated: the path {path}")
    try:
        parsed = json.loads(body, parse_int=str, parse_float=str)
    except ValueError as error:
        raise ReplyError("ERR failed to parse the request body as JSON") from error
    batch = [parsed] if path == "/" else parsed
    if not isinstance(batch, list) or not batch:
        raise ReplyError("ERR expected a non-empty array of commands")
    for command in batch:
        if not isinstance(command, list) or not command:
            raise ReplyError("ERR a command must be a non-empty array")
        if not all(isinstance(argument, str) for argument in command):
            raise ReplyError("ERR arguments of a command must be strings or numbers")
    return batch


def _encoded(reply: Any, in_base64: bool) -> Any:
    """A reply for JSON. The status OK is never encoded, a value "OK" is."""
    if isinstance(reply, list):
        return [_encoded(item, in_base64) for item in reply]
    if isinstance(reply, ReplyError):
        return str(reply)
    if isinstance(reply, str):
        reply = reply.encode()
    if not isinstance(reply, bytes):
        return reply
    if in_base64 and not (isinstance(reply, Status) and reply == b"OK"):
        return base64.b64encode(reply).decode()
    return reply.decode("utf-8", "replace")


def _outcome(reply: Any, in_base64: bool) -> dict[str, Any]:
    return {"error": str(reply)} if isinstance(reply, ReplyError) else {"result": _encoded(reply, in_base64)}


class Emulator:
    """Upstash's REST API on a free local port, before the Redis at `redis_url`.

    Attributes:
        url: Where it listens.
        token: The one that it accepts.
        requests: What came, in order, refused or not.
    """

    def __init__(self, redis_url: str) -> None:
        self.token = secrets.token_urlsafe(24)
        self.requests: list[Request] = []
        self._faults: deque[_Fault] = deque()
        self._sync_number = 0
        self._redis_url = redis_url

    @property
    def indexing_delay_seconds(self) -> float:
        """How long after its request a write is seen by queries."""
        return self._executor.search.delay_seconds

    @indexing_delay_seconds.setter
    def indexing_delay_seconds(self, seconds: float) -> None:
        self._executor.search.delay_seconds = seconds

    def answer_next(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        """The next request gets this instead of being run; a body that is no text is sent as JSON."""
        if isinstance(body, str | bytes):
            response: Response = Response(body, status, headers)
        else:
            response = JSONResponse(body, status, headers)
        self._faults.append(_Fault(response))

    def stall_next(self, seconds: float) -> None:
        """The next request is run, and answered this much later."""
        self._faults.append(_Fault(stall_seconds=seconds))

    def hang_up_next(self, before: bool = True) -> None:
        """The next request's connection is closed without an answer, before or after it is run."""
        self._faults.append(_Fault(hang_up="before" if before else "after"))

    def clear(self) -> None:
        """Forget requests, indexes, scripts and faults that did not come about."""
        self.requests.clear()
        self._faults.clear()
        self._executor.clear()

    def __enter__(self) -> Emulator:
        self._executor = Executor(self._redis_url)
        # Named as TCP, or asyncio leaves Nagle's algorithm on: 40 ms a request.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen()
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            self._app,
            **{"http": "h11", "ws": "none", "loop": "asyncio", "lifespan": "off", "interface": "asgi3"},
            log_level="critical",
            # Longer than any test: a kept connection must not be closed just as it is used again.
            timeout_keep_alive=600,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)
        # The socket listens already: who connects before the thread is ready waits.
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
        self._executor.close()

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        http = HttpRequest(scope, receive)
        body = await http.body()
        error, commands = None, []
        try:
            commands = _parse(http.url.path, body)
        except ReplyError as problem:
            error = problem
        self.requests.append(Request(http.url.path, commands, len(body), dict(http.headers)))
        fault = self._faults.popleft() if self._faults else _Fault()
        response = fault.response
        if response is None and fault.hang_up != "before":
            response = await asyncio.to_thread(self._answer, http, commands, error)
        if fault.stall_seconds:
            await asyncio.sleep(fault.stall_seconds)
        if fault.hang_up or response is None:
            await self._hang_up(receive, send)
        else:
            await response(scope, receive, send)

    async def _hang_up(self, receive: Any, send: Any) -> None:
        # ASGI has no word for it; uvicorn's `send` is a method of the object that has the connection.
        send.__self__.transport.abort()
        await receive()

    def _answer(self, http: HttpRequest, commands: list[list[str]], error: ReplyError | None) -> Response:
        if not secrets.compare_digest(
            http.headers.get("authorization", "").encode(), f"Bearer {self.token}".encode()
        ):
            return JSONResponse({"error": "WRONGPASS invalid or missing auth token"}, 401)
        if http.method != "POST":
            return JSONResponse({"error": "ERR not emulated: other methods than POST"}, 405)
        self._sync_number += 1
        headers = {"Upstash-Sync-Token": base64.b64encode(b"emulator %012d" % self._sync_number).decode()}
        in_base64 = http.headers.get("upstash-encoding", "").lower() == "base64"
        try:
            if error is not None:
                raise error
            run = self._executor.transaction if http.url.path == "/multi-exec" else self._executor.pipeline
            outcomes = [_outcome(reply, in_base64) for reply in run(commands)]
        except ReplyError as problem:
            return JSONResponse({"error": str(problem)}, 400, headers)
        if http.url.path != "/":
            return JSONResponse(outcomes, 200, headers)
        return JSONResponse(outcomes[0], 400 if "error" in outcomes[0] else 200, headers)
