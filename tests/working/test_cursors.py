"""Cursors of the list of a user's sessions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_agentmem.core.keys import Keys
from langchain_agentmem.core.operations import Op
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.working.listing import SessionPage, sessions_of
from langchain_agentmem.working.session import SessionState
from tests.fake_transport import FakeTransport
from tests.strategies import scopes


def page(transport: FakeTransport, limit: int, cursor: Any = None, load: Any = None) -> SessionPage:
    return transport.run(sessions_of(Keys(), "alice", limit, cursor, load or partial(session, user="alice")))


def session(thread_id: str, user: str) -> Op[SessionState | None]:
    yield from ()
    return SessionState(thread_id, user, "a", "goal", "", 1, 1.0, 2.0, [])


def record(*noted: tuple[str, float]) -> list[Any]:
    """A reply of the user's record, over RESP2."""
    return [part for thread_id, ts in noted for part in (thread_id.encode(), str(ts).encode())]


@pytest.mark.parametrize("cursor", ["", "x", ":", "1.5", "1.5:", "-1:t", "nan:t", " 1:t", "1" * 31 + ":t"])
def test_what_no_page_gave_is_refused_before_anything_is_sent(cursor: str) -> None:
    transport = FakeTransport()
    with pytest.raises(InvalidInputError, match="cursor"):
        page(transport, 5, cursor)
    assert transport.sent == []


@given(scopes)
def test_a_page_goes_on_behind_any_thread(thread_id: str) -> None:
    first = page(FakeTransport([record((thread_id, 3.5), ("older", 2.0))]), 1)
    assert [one.thread_id for one in first.sessions] == [thread_id]
    assert first.cursor == f"3.5:{thread_id}"
    transport = FakeTransport([record((thread_id, 3.5), ("older", 2.0))])
    second = page(transport, 5, first.cursor)
    assert [one.thread_id for one in second.sessions] == ["older"]
    assert second.cursor is None
    assert transport.sent[0][0].args[2] == "3.5"


@given(st.integers(1, 5))
def test_the_last_page_says_so(limit: int) -> None:
    found = page(FakeTransport([record(*((f"t{n}", 9.0 - n) for n in range(limit)))]), limit)
    assert len(found.sessions) == limit
    assert found.cursor is None


def test_sessions_that_are_gone_or_anothers_are_not_listed() -> None:
    def load(thread_id: str) -> Op[SessionState | None]:
        if thread_id == "gone":
            yield from ()
            return None
        return (yield from session(thread_id, "bob" if thread_id == "bobs" else "alice"))

    loading: Callable[[str], Op[SessionState | None]] = load
    found = page(FakeTransport([record(("gone", 3.0), ("bobs", 2.0), ("mine", 1.0))]), 5, None, loading)
    assert [one.thread_id for one in found.sessions] == ["mine"]
