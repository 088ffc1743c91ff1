"""The page's HTTP API: which path does what, and how errors are answered.

Nothing is kept between two requests: user and thread come with each.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from typing import Any, TypeAlias, cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from langchain_agentmem.agent_memory import AgentMemory
from langchain_agentmem.demo import models
from langchain_agentmem.demo.exchanges import Answering, Exchanges, ModelError
from langchain_agentmem.demo.openapi import document
from langchain_agentmem.demo.security import Guard, Guarded, RefusedError, body
from langchain_agentmem.demo.sse import follow, next_events, stream_exchange
from langchain_agentmem.demo.store import DemoStore, NotTheDemosError
from langchain_agentmem.errors import AgentMemoryError, InvalidInputError, WrongOwnerError

_PAGE = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/panels.js": ("panels.js", "text/javascript"),
    "/server.js": ("server.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_STATUS = {InvalidInputError: 400, WrongOwnerError: 403, NotTheDemosError: 409, ModelError: 502}
_STORE_FAILED = 503
_EVENT_STREAM = "text/event-stream"
_MEMORIES_SHOWN = 200
_EVENTS_SHOWN = 50
_THREADS_SHOWN = 30

Responder: TypeAlias = Callable[[Request], Awaitable[Response]]


class Endpoints:
    """The answers, one method per path.

    Args:
        memory: What is shown.
        store: Whose it is.
        answering: What answers an exchange.
        about: What else the page says about itself.
        stopping: Returns whether the server is about to end, and streams with it.
    """

    def __init__(
        self,
        memory: AgentMemory,
        store: DemoStore,
        answering: Answering,
        about: dict[str, Any],
        stopping: Callable[[], bool],
    ) -> None:
        self.memory = memory
        self.stopping = stopping
        self._store = store
        self._exchanges = Exchanges(memory, store, answering)
        self._about = about

    async def state(self, asked: models.StateRequest) -> dict[str, Any]:
        """Return everything the page shows, except the live events."""
        session, events, memories = await asyncio.gather(
            self._exchanges.session(asked.thread, asked.user),
            self.memory.events.arecent(asked.thread, _EVENTS_SHOWN),
            self.memory.long_term.alist_memories(
                user=asked.user, namespace=asked.namespace, limit=_MEMORIES_SHOWN
            ),
        )
        recall = None
        if asked.query.strip():
            about = asked.model_dump(exclude={"thread"})  # checked already
            recall = await self._exchanges.recall(models.RecallRequest.model_construct(**about))
        own = await self._exchanges.own_events(asked.thread, asked.user, events)
        return {
            "session": models.session_answer(session),
            "events": [models.event_answer(event) for event in own],
            "memories": [models.memory_answer(record) for record in memories],
            "recall": recall,
            "about": self._settings(),
        }

    def _settings(self) -> dict[str, Any]:
        settings = self.memory.settings
        return {
            **self._about,
            "kinds": [*models.KINDS, models.SKIP],
            "modes": self.memory.long_term.modes,
            "recall_threshold": settings.recall_threshold,
            "dedup_threshold": settings.dedup_threshold,
            "session_ttl_seconds": settings.session_ttl_seconds,
            "max_turns": settings.max_turns,
            "memories_shown": _MEMORIES_SHOWN,
            "may_reset": self._store.may_reset,
        }

    async def follow(self, asked: models.ThreadRequest, last_id: str) -> AsyncIterator[str]:
        """Return the thread's events after an id as they come; what fails at once is raised here."""
        await self._exchanges.session(asked.thread, asked.user)
        log = self.memory.events
        first = await next_events(log, asked.thread, last_id)
        shown = partial(self._exchanges.own_events, asked.thread, asked.user)
        return follow(log, asked.thread, last_id, first, shown, self.stopping)

    async def threads(self, asked: models.UserRequest) -> dict[str, Any]:
        """Return a user's threads and those that nobody in particular began, those active last first."""
        users = dict.fromkeys([asked.user, "default"])
        pages = [await self.memory.alist_sessions(user=user, limit=_THREADS_SHOWN) for user in users]
        found = {session.thread_id: session for page in pages for session in page.sessions}
        latest = sorted(found.values(), key=lambda session: -session.last_active_ts)[:_THREADS_SHOWN]
        return {"threads": [models.thread_answer(session) for session in latest]}

    async def exchange(self, asked: models.ExchangeRequest) -> dict[str, Any]:
        """Return an exchange as a whole."""
        happened: dict[str, Any] = {}
        async for part in self.stream(asked):
            if isinstance(part, dict):
                happened = part
        return happened

    def stream(self, asked: models.ExchangeRequest) -> AsyncIterator[str | dict[str, Any]]:
        """Yield an exchange in parts."""
        return self._exchanges.stream(asked)

    async def recall(self, asked: models.RecallRequest) -> dict[str, Any]:
        """Return what a query recalls, and what it nearly does."""
        return await self._exchanges.recall(asked)

    async def new_thread(self, asked: models.UserRequest) -> dict[str, Any]:
        """Begin a thread, and return its id."""
        thread = self.memory.working.new_thread_id()
        await self._store.note_thread(thread)
        await self.memory.working.astart(thread, user=asked.user)
        return {"thread": thread}

    async def working(self, asked: models.WorkingRequest) -> dict[str, Any]:
        """Set goal or scratchpad, or both, and return the session."""
        working = self.memory.working
        if await self._exchanges.session(asked.thread, asked.user) is None:
            await self._store.note_thread(asked.thread)
        state = await working.astart(asked.thread, user=asked.user)
        if asked.goal is not None:
            state = await working.aset_goal(asked.thread, asked.goal)
        if asked.scratchpad is not None:
            state = await working.aset_scratchpad(asked.thread, asked.scratchpad)
        return {"session": models.session_answer(state)}

    async def drop_memory(self, asked: models.DropRequest) -> dict[str, Any]:
        """Delete a memory if it is that user's, and return whether it was."""
        return {"dropped": await self.memory.long_term.adelete_memory(asked.id, user=asked.user)}

    async def reset(self, asked: models.ApiRequest) -> dict[str, Any]:
        """Empty the store, and fill in the samples again."""
        await self._store.reset()
        return {"reset": True}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A path of the API: its request, and what answers."""

    method: str
    path: str
    model: type[models.ApiRequest]
    answer: Callable[[Any], Awaitable[dict[str, Any]]]
    summary: str


def create_app(endpoints: Endpoints, guard: Callable[[Iterable[str]], Guard]) -> ASGIApp:
    """Return the ASGI app.

    Args:
        endpoints: What answers.
        guard: Makes the guard, given the paths that everybody may read.
    """
    table = [
        Endpoint(
            "GET", "/state", models.StateRequest, endpoints.state, "A thread, its user's memories, events"
        ),
        Endpoint("GET", "/threads", models.UserRequest, endpoints.threads, "A user's threads"),
        Endpoint("POST", "/exchange", models.ExchangeRequest, endpoints.exchange, "Say something"),
        Endpoint("POST", "/recall", models.RecallRequest, endpoints.recall, "What a query recalls"),
        Endpoint("POST", "/new_thread", models.UserRequest, endpoints.new_thread, "Begin a thread"),
        Endpoint("POST", "/working", models.WorkingRequest, endpoints.working, "Set goal or scratchpad"),
        Endpoint("POST", "/drop_memory", models.DropRequest, endpoints.drop_memory, "Delete a memory"),
        Endpoint("POST", "/reset", models.ApiRequest, endpoints.reset, "Samples only, again"),
    ]
    routes = [Route(path, _static(name, media), methods=["GET"]) for path, (name, media) in _PAGE.items()]
    routes += [Route(one.path, _api(one, endpoints), methods=[one.method]) for one in table]
    routes.append(Route("/events", _events(endpoints), methods=["GET"]))
    described = document([(one.method, one.path, one.model, one.summary) for one in table])
    routes.append(Route("/openapi.json", _fixed(described), methods=["GET"]))
    app = Starlette(
        routes=routes,
        exception_handlers=cast(
            Any, {AgentMemoryError: _failed, RefusedError: _refused, HTTPException: _no_such_path}
        ),
    )
    app.router.redirect_slashes = False
    return Guarded(app, guard(_PAGE))


def _static(name: str, media_type: str) -> Responder:
    content = files(__package__).joinpath("page", name).read_bytes()

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
        asked = models.read_request(endpoint.model, given, endpoints.memory.long_term.modes)
        accepted = request.headers.get("accept", "")
        if isinstance(asked, models.ExchangeRequest) and _EVENT_STREAM in accepted:
            lines = stream_exchange(endpoints.stream(asked), _status, endpoints.stopping)
            return StreamingResponse(lines, media_type=_EVENT_STREAM)
        return JSONResponse(await endpoint.answer(asked))

    return answer


def _events(endpoints: Endpoints) -> Responder:
    async def answer(request: Request) -> Response:
        asked = models.read_request(
            models.ThreadRequest, dict(request.query_params), endpoints.memory.long_term.modes
        )
        last_id = models.event_id(request.headers.get("last-event-id", ""))
        lines = await endpoints.follow(asked, last_id)
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
