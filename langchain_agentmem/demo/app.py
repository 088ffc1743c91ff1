"""The page's server: which path does what, and how what goes wrong is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from langchain_agentmem.demo import asked as ask
from langchain_agentmem.demo.endpoints import Endpoints
from langchain_agentmem.demo.following import sse
from langchain_agentmem.demo.guards import Guard, Guarded, RefusedError, body
from langchain_agentmem.demo.openapi import document
from langchain_agentmem.demo.store import NotTheDemosError
from langchain_agentmem.demo.turns import ForeignThreadError, ModelError
from langchain_agentmem.errors import AgentMemoryError, InvalidInputError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp

_PAGE = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/panels.js": ("panels.js", "text/javascript"),
    "/server.js": ("server.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_STATUS = {InvalidInputError: 400, ForeignThreadError: 403, NotTheDemosError: 409, ModelError: 502}
_STORE_FAILED = 503
_EVENT_STREAM = "text/event-stream"
_LOOK_UP_SECONDS = 0.5  # how often a turn that takes long looks whether the server is about to end


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A path of the API: what it is asked, and what answers."""

    method: str
    path: str
    asked: type[ask.Asked]
    answer: Callable[[Any], Awaitable[dict[str, Any]]]
    summary: str


def create_app(endpoints: Endpoints, guard: Callable[[Iterable[str]], Guard]) -> ASGIApp:
    """The ASGI app.

    Args:
        endpoints: What answers.
        guard: Makes the guard, given the paths that everybody may read.
    """
    table = [
        Endpoint("GET", "/state", ask.StateAsked, endpoints.state, "A thread, its user's memories, events"),
        Endpoint("GET", "/threads", ask.OfUser, endpoints.threads, "A user's threads"),
        Endpoint("POST", "/turn", ask.TurnAsked, endpoints.turn, "Say something"),
        Endpoint("POST", "/recall", ask.RecallAsked, endpoints.recall, "What a query recalls"),
        Endpoint("POST", "/new_thread", ask.OfUser, endpoints.new_thread, "Begin a thread"),
        Endpoint("POST", "/working", ask.WorkingAsked, endpoints.working, "Set goal or scratchpad"),
        Endpoint("POST", "/drop_memory", ask.DropAsked, endpoints.drop_memory, "Delete a memory"),
        Endpoint("POST", "/reset", ask.NothingAsked, endpoints.reset, "Samples only, again"),
    ]
    routes = [Route(path, _static(name, media), methods=["GET"]) for path, (name, media) in _PAGE.items()]
    routes += [Route(one.path, _api(one, endpoints), methods=[one.method]) for one in table]
    routes.append(Route("/events", _events(endpoints), methods=["GET"]))
    described = document([(one.method, one.path, one.asked, one.summary) for one in table])
    routes.append(Route("/openapi.json", _fixed(described), methods=["GET"]))
    app = Starlette(
        routes=routes,
        exception_handlers=cast(
            Any, {AgentMemoryError: _failed, RefusedError: _refused, HTTPException: _no_such_path}
        ),
    )
    app.router.redirect_slashes = False
    return Guarded(app, guard(_PAGE))


def _static(name: str, media_type: str) -> Callable[[Request], Awaitable[Response]]:
    content = files(__package__).joinpath("page", name).read_bytes()

    async def serve(request: Request) -> Response:
        return Response(content, media_type=media_type)

    return serve


def _fixed(content: dict[str, Any]) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        return JSONResponse(content)

    return serve


def _api(endpoint: Endpoint, endpoints: Endpoints) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        given = await body(request) if endpoint.method == "POST" else dict(request.query_params)
        asked = ask.read(endpoint.asked, given)
        if isinstance(asked, ask.TurnAsked) and _EVENT_STREAM in request.headers.get("accept", ""):
            lines = _streamed(endpoints.taking(asked), endpoints.stopping)
            return StreamingResponse(lines, media_type=_EVENT_STREAM)
        return JSONResponse(await endpoint.answer(asked))

    return answer


async def _streamed(
    parts: AsyncIterator[str | dict[str, Any]], stopping: Callable[[], bool]
) -> AsyncIterator[str]:
    """A turn as server-sent events: `delta` for a part of the answer, then `turn`, or `error`.

    It runs in a task of its own: when the reader goes it is cancelled once, and can still record that.
    """
    ready: asyncio.Queue[str | None] = asyncio.Queue()

    async def run() -> None:
        try:
            async with aclosing(cast(Any, parts)):
                async for part in parts:
                    is_delta = isinstance(part, str)
                    ready.put_nowait(sse("delta", {"text": part}) if is_delta else sse("turn", part))
        except AgentMemoryError as error:
            ready.put_nowait(sse("error", {"error": str(error), "status": _status(error)}))
        finally:
            ready.put_nowait(None)

    task = asyncio.create_task(run())
    try:
        while not stopping():
            try:
                line = await asyncio.wait_for(ready.get(), _LOOK_UP_SECONDS)
            except asyncio.TimeoutError:  # not the builtin before Python 3.11
                continue
            if line is None:
                await task
                return
            yield line
        yield sse("error", {"error": "The server ends.", "status": _STORE_FAILED})
    finally:
        task.cancel()


def _events(endpoints: Endpoints) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        asked = ask.read(ask.EventsAsked, dict(request.query_params))
        last_id = ask.event_id(request.headers.get("last-event-id", ""))
        lines = await endpoints.following(asked, last_id)
        return StreamingResponse(lines, media_type=_EVENT_STREAM)

    return answer


def _status(error: Exception) -> int:
    return next((status for kind, status in _STATUS.items() if isinstance(error, kind)), _STORE_FAILED)


async def _failed(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, _status(error))


async def _refused(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, cast(RefusedError, error).status)


async def _no_such_path(request: Request, error: Exception) -> Response:
    refusal = cast(HTTPException, error)
    return JSONResponse({"error": refusal.detail}, refusal.status_code, refusal.headers)
