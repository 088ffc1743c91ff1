"""Who is let in, and who is not."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from langchain_agentmem.demo.listening import is_loopback
from langchain_agentmem.demo.security import (
    MAX_BODY_BYTES,
    Guard,
    Guarded,
    RefusedError,
    body,
)

LOCAL = Guard("127.0.0.1", 8086, None, frozenset({"/"}))
OPEN_TO_OTHERS = Guard("0.0.0.0", 8086, "sécret", frozenset({"/"}))
JSON = {"content-type": "application/json"}


def status(guard: Guard, method: str = "GET", path: str = "/state", **headers: str) -> int:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        guard.check(method, path, Headers(given))
    except RefusedError as refusal:
        return refusal.status
    return 200


@pytest.mark.parametrize("host", ["127.0.0.1:8086", "localhost:8086", "LOCALHOST:8086", "[::1]:8086"])
def test_this_machine_is_let_in_by_its_names(host: str) -> None:
    assert status(LOCAL, host=host) == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:8086",
        "evil.example",
        "localhost",
        "localhost:80",
        "127.0.0.1:8087",
        "localhost.evil.example:8086",
        "localhost:8086@evil.example:8086",
        "127.0.0.2:8086",
        "192.168.0.7:8086",
        "",
        ":8086",
        "localhost:x",
        "[::1",
        "localhost:99999999",
    ],
)
def test_a_name_that_was_made_to_point_here_is_refused(host: str) -> None:
    assert status(LOCAL, host=host) == 421


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://localhost:8087", "http://127.0.0.1:8086", "", "localhost:8086"],
)
def test_requests_from_other_sites_are_refused(origin: str, method: str) -> None:
    assert status(LOCAL, method, host="localhost:8086", origin=origin, **JSON) == 403


@pytest.mark.parametrize("origin", ["http://localhost:8086", "https://localhost:8086"])
def test_the_page_itself_may_post(origin: str) -> None:
    headers = {"host": "localhost:8086", "origin": origin, "content_type": "application/json; charset=utf-8"}
    assert status(LOCAL, "POST", **headers) == 200


@pytest.mark.parametrize("kind", ["text/plain", "", "application/x-www-form-urlencoded", "application/jsonx"])
def test_what_a_form_of_another_site_can_send_is_refused(kind: str) -> None:
    assert status(LOCAL, "POST", host="localhost:8086", content_type=kind) == 415


def bearer(token: str) -> str:
    return "Bearer " + token.encode().decode("latin-1")


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        (bearer("sécret"), 200),
        (bearer("sécret").replace("Bearer", "bearer"), 200),
        (bearer("sécre"), 401),
        (bearer("sécret2"), 401),
        ("Bearer ", 401),
        ("Bearer", 401),
        ("", 401),
        (bearer("sécret").removeprefix("Bearer "), 401),
        (bearer("sécret").replace("Bearer", "Basic"), 401),
    ],
)
def test_the_token_is_asked_for(authorization: str, expected: int) -> None:
    assert status(OPEN_TO_OTHERS, host="10.0.0.5:9000", authorization=authorization) == expected


def test_the_page_that_asks_for_the_token_is_open() -> None:
    assert status(OPEN_TO_OTHERS, path="/", host="10.0.0.5") == 200
    assert status(OPEN_TO_OTHERS, path="/events", host="10.0.0.5") == 401
    assert status(OPEN_TO_OTHERS, path="/", host="evil.example") == 421


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("localhost", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("192.168.0.1", False),
        ("localhost.example", False),
    ],
)
def test_which_hosts_only_this_machine_reaches(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


async def measure_body(request: Request) -> Response:
    return JSONResponse(len(await body(request)))


async def refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    return JSONResponse(str(error), error.status)


@pytest.mark.parametrize(("size", "expected"), [(MAX_BODY_BYTES, 200), (MAX_BODY_BYTES + 1, 413)])
@pytest.mark.parametrize("declared", [True, False], ids=["with its length", "in chunks"])
async def test_a_body_may_have_64_kib(size: int, expected: int, declared: bool) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, size, 1000):
            yield b"x" * min(1000, size - start)

    app = Guarded(
        Starlette(
            routes=[Route("/", measure_body, methods=["POST"])], exception_handlers={RefusedError: refused}
        ),
        LOCAL,
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://localhost:8086"
    ) as client:
        answer = await client.post("/", content=b"x" * size if declared else chunks(), headers=JSON)
    assert answer.status_code == expected
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
