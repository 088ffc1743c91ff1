"""The API, asked all that its own description allows and much that it does not: never a failure of the server."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integration_tests.demo.conftest import Demo, StartDemo

PATHS = [
    "/about",
    "/answers",
    "/drop_memory",
    "/exchange",
    "/keep_memory",
    "/life",
    "/log",
    "/map",
    "/memory",
    "/memories",
    "/recall",
    "/replace",
    "/reset",
    "/state",
    "/threads",
    "/undo",
    "/working",
]
NEVER_WELL = {"/undo", "/reset"}  # nothing was removed, and this store is not the demo's own
QUICKLY = settings(
    max_examples=40,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def demo(start: StartDemo) -> Demo:
    return start()


def check(answer: Any) -> None:
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert list(answer.json()) == ["error"]
        assert answer.json()["error"]


def ask_all(cases: st.SearchStrategy[Any], statuses: set[int]) -> None:
    @QUICKLY
    @given(case=cases)
    def ask(case: Any) -> None:
        answer = case.call(timeout=30)
        check(answer)
        statuses.add(answer.status_code)

    ask()


@pytest.mark.timeout(300)
def test_no_request_makes_the_server_fail(demo: Demo) -> None:
    schema = schemathesis.openapi.from_url(f"{demo.url}/openapi.json")
    fuzzed: dict[str, set[int]] = {}
    for result in schema.get_all_operations():
        operation = result.ok()
        statuses = fuzzed.setdefault(operation.path, set())
        takes_something = operation.body or operation.query
        for mode in (
            schemathesis.GenerationMode if takes_something else [schemathesis.GenerationMode.POSITIVE]
        ):
            ask_all(operation.as_strategy(generation_mode=mode), statuses)
    assert sorted(fuzzed) == sorted(PATHS)
    # Both what is allowed and what is not was really asked.
    assert all(200 in statuses for path, statuses in fuzzed.items() if path not in NEVER_WELL), fuzzed
    assert all(400 in statuses for path, statuses in fuzzed.items() if path != "/about"), fuzzed
    assert "Traceback" not in demo.said


def test_no_bytes_make_the_server_fail(demo: Demo) -> None:
    followed: set[int] = set()
    bodies = st.binary(max_size=200) | st.text(max_size=50).map(lambda text: f'{{"user": "{text}"}}'.encode())
    with httpx.Client(base_url=demo.url, timeout=30) as client:

        @QUICKLY
        @given(path=st.sampled_from([*PATHS, "/events", "/", "/x"]), body=bodies)
        def ask(path: str, body: bytes) -> None:
            check(client.post(path, content=body, headers={"content-type": "application/json"}))

        ids = st.from_regex(r"[0-9]{1,20}(-[0-9]{1,20})?", fullmatch=True)
        odd_ids = st.text(st.characters(min_codepoint=33, max_codepoint=126))

        @QUICKLY
        @given(query=st.text(max_size=60), id=ids | odd_ids)
        def look(query: str, id: str) -> None:
            params = {"user": query, "thread": query, "query": query, "threshold": id}
            check(client.get("/state", params=params))
            headers = {"last-event-id": id}
            with client.stream(
                "GET", "/events", params={"user": query, "thread": query}, headers=headers
            ) as answer:
                if answer.status_code != 200:  # else it never ends
                    answer.read()
                check(answer)
                followed.add(answer.status_code)

        ask()
        look()
    assert followed == {200, 400}
    assert "Traceback" not in demo.said
