"""The page's HTTP API: which path does what, and how errors are answered.

Nothing is kept between two requests, except what can be undone: user and thread come with each.
"""

from __future__ import annotations

import mimetypes
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, TypeAlias, cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from langchain_agentmem.demo import models
from langchain_agentmem.demo.conversations import ModelError
from langchain_agentmem.demo.endpoints import Endpoints
from langchain_agentmem.demo.openapi import document
from langchain_agentmem.demo.samples import ResetRefusedError
from langchain_agentmem.demo.security import UPLOAD, Guard, Guarded, RefusedError, body, upload
from langchain_agentmem.demo.sse import stream, stream_exchange
from langchain_agentmem.errors import AgentMemoryError, InvalidInputError, WrongOwnerError

_STATUS = {InvalidInputError: 400, WrongOwnerError: 403, ResetRefusedError: 409, ModelError: 502}
_STORE_FAILED = 503
_EVENT_STREAM = "text/event-stream"

Responder: TypeAlias = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A path of the API: its request, and what answers."""

    method: str
    path: str
    model: type[models.ApiRequest]
    answer: Callable[[Any], Awaitable[dict[str, Any]]]
    summary: str


def _table(ends: Endpoints) -> list[Endpoint]:
    said, known, lives = ends.conversations, ends.memories, ends.lives
    return [
        Endpoint("GET", "/about", models.ApiRequest, ends.about, "The settings of the page"),
        Endpoint("GET", "/state", models.ThreadRequest, said.state, "A thread: its session and events"),
        Endpoint("GET", "/log", models.LogRequest, said.log, "A thread's events before one"),
        Endpoint("GET", "/threads", models.UserRequest, said.threads, "A user's threads"),
        Endpoint("POST", "/exchange", models.ExchangeRequest, said.exchange, "Say something"),
        Endpoint("POST", "/working", models.WorkingRequest, said.working, "Set goal or scratchpad"),
        Endpoint("GET", "/memories", models.MemoriesRequest, known.page, "A page of a user's memories"),
        Endpoint("GET", "/map", models.ScopeRequest, known.map, "A user's memories as points of a map"),
        Endpoint("GET", "/memory", models.MemoryRequest, known.one, "A memory"),
        Endpoint("GET", "/life", models.MemoryRequest, lives.life, "What happened to a memory"),
        Endpoint("POST", "/recall", models.RecallRequest, known.recall, "What a query recalls"),
        Endpoint("POST", "/answers", models.AnswersRequest, known.answers, "Answers with and without memory"),
        Endpoint("POST", "/drop_memory", models.DropRequest, lives.drop, "Delete a memory"),
        Endpoint("POST", "/replace", models.ReplaceRequest, lives.replace, "Replace a memory by another"),
        Endpoint("POST", "/keep_memory", models.DropRequest, lives.keep, "Keep a memory from expiring"),
        Endpoint("POST", "/reset", models.ResetRequest, ends.reset, "Remove everything of a user"),
        Endpoint("POST", "/undo", models.UndoRequest, ends.undo, "Undo a deletion or a reset"),
    ]


def create_app(endpoints: Endpoints, guard: Callable[[Iterable[str]], Guard]) -> ASGIApp:
    """Return the ASGI app.

    Args:
        endpoints: What answers.
        guard: Makes the guard, given the paths that everybody may read.
    """
    table, page = _table(endpoints), _page()
    routes = [Route(path, answer, methods=["GET"]) for path, answer in page.items()]
    routes += [Route(one.path, _api(one, endpoints), methods=[one.method]) for one in table]
    routes.append(Route("/events", _events(endpoints), methods=["GET"]))
    routes.append(Route(UPLOAD, _import(endpoints), methods=["POST"]))
    described = document([(one.method, one.path, one.model, one.summary) for one in table])
    routes.append(Route("/openapi.json", _fixed(described), methods=["GET"]))
    app = Starlette(
        routes=routes,
        exception_handlers=cast(
            Any, {AgentMemoryError: _failed, RefusedError: _refused, HTTPException: _no_such_path}
        ),
    )
    app.router.redirect_slashes = False
    return Guarded(app, guard(page))


def _page() -> dict[str, Responder]:
    """Return what the page is made of, by its path."""
    found = {f"/{file.name}": _static(file) for file in files(__package__).joinpath("page").iterdir()}
    return {"/": found.pop("/page.html"), **found}


def _static(file: Any) -> Responder:
    content, media_type = file.read_bytes(), mimetypes.guess_type(file.name)[0]

    async def serve(request: Request) -> Response:
        return Response(content, media_type=media_type)

    return serve


def _fixed(content: dict[str, Any]) -> Responder:
    async def serve(request: Request) -> Response:
        return JSONResponse(content)

    return serve


def _api(endpoint: Endpoint, endpoints: Endpoints) -> Responder:
    async def answer(request: Request) -> Response:
        given = await body(request) if endpoint.method == "POST" else dict(request.query_params)
        asked = models.read_request(endpoint.model, given, endpoints.modes)
        if isinstance(asked, models.DropRequest | models.ResetRequest) and asked.thread is not None:
            await endpoints.conversations.session(asked.thread, asked.user)  # which gets the event of it
        accepted = request.headers.get("accept", "")
        if isinstance(asked, models.ExchangeRequest) and _EVENT_STREAM in accepted:
            parts = endpoints.conversations.stream(asked)
            lines = stream_exchange(parts, _status, endpoints.stopping)
            return StreamingResponse(lines, media_type=_EVENT_STREAM)
        return JSONResponse(await endpoint.answer(asked))

    return answer


def _events(endpoints: Endpoints) -> Responder:
    async def answer(request: Request) -> Response:
        asked = models.read_request(models.ThreadRequest, dict(request.query_params), endpoints.modes)
        last_id = models.event_id(request.headers.get("last-event-id", ""))
        lines: AsyncIterator[str] = await endpoints.follow(asked, last_id)
        return StreamingResponse(lines, media_type=_EVENT_STREAM)

    return answer


def _import(endpoints: Endpoints) -> Responder:
    async def answer(request: Request) -> Response:
        asked = models.read_request(models.ImportRequest, dict(request.query_params), endpoints.modes)
        parts = endpoints.importing(asked, await upload(request))
        return StreamingResponse(stream(parts, _status, endpoints.stopping), media_type=_EVENT_STREAM)

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
