"""What working memory refuses before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import HumanMessage

from langchain_agentmem.errors import ConfigurationError, InvalidInputError, MessageNotStorableError
from langchain_agentmem.working.working_memory import WorkingMemory
from tests.fake_transport import FakeTransport
from tests.twins import Both, Call


@pytest.fixture(params=["hash", "list"])
def working(request: pytest.FixtureRequest) -> WorkingMemory:
    return WorkingMemory(transport=FakeTransport(), storage=request.param)


@pytest.mark.parametrize("thread", ["", None, "x" * 5000, "\ud800", 3])
async def test_a_bad_thread_id_is_refused(working: WorkingMemory, both: Both, thread: Any) -> None:
    calls: list[Call] = [
        lambda: both(working).aappend(thread, [HumanMessage("x")]),
        lambda: both(working).aload(thread),
        lambda: both(working).aset_goal(thread, "g"),
        lambda: both(working).adelete(thread),
        lambda: both(working).astart(thread),
    ]
    for call in calls:
        with pytest.raises(InvalidInputError, match="thread_id"):
            await call()


async def test_bad_input_is_refused(working: WorkingMemory, both: Both) -> None:
    with pytest.raises(InvalidInputError, match="user"):
        await both(working).astart("t1", user="")
    with pytest.raises(InvalidInputError, match="ttl_seconds"):
        await both(working).astart("t1", ttl_seconds=-1)
    with pytest.raises(InvalidInputError, match="role"):
        await both(working).aappend_turn("t1", "boss", "x")
    with pytest.raises(MessageNotStorableError):
        await both(working).aappend(
            "t1", [HumanMessage("ok"), HumanMessage("x", additional_kwargs={"a": {1}})]
        )
    with pytest.raises(InvalidInputError, match="limit"):
        await both(working).alist_threads(limit=0)


@pytest.mark.parametrize("ts", [float("nan"), float("inf"), "a", True])
async def test_a_time_that_is_none_is_refused(working: WorkingMemory, both: Both, ts: Any) -> None:
    with pytest.raises(InvalidInputError, match="ts"):
        await both(working).aappend_turn("t1", "user", "x", ts=ts)


@pytest.mark.parametrize(
    "role_and_content", [("user", None), ("user", 7), (["a"], "x"), (None, "x")], ids=str
)
async def test_a_turn_that_is_none_is_refused(
    working: WorkingMemory, both: Both, role_and_content: Any
) -> None:
    with pytest.raises(InvalidInputError, match=r"role|content"):
        await both(working).aappend_turn("t1", *role_and_content)


@pytest.mark.parametrize("messages", [None, [1], ["x"], [("user", "x")], HumanMessage("x"), "text"], ids=str)
async def test_what_are_no_messages_is_refused(working: WorkingMemory, both: Both, messages: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"[Mm]essage"):
        await both(working).aappend("t1", messages)


def test_bad_settings_are_refused() -> None:
    for options in ({"ttl_seconds": -1}, {"ttl_seconds": 0}, {"max_turns": 0}, {"max_turns": "20"}):
        with pytest.raises(InvalidInputError):
            WorkingMemory("redis://localhost", **options)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError):
        WorkingMemory("http://localhost")
    with pytest.raises(ConfigurationError):
        WorkingMemory()
