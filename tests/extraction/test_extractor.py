"""Extractors of any kind: functions, sync and async, asked from sync and async operations."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
from langchain_core.messages import HumanMessage

from langchain_agentmem import Add, Delete, Exchange, Update, noteworthy
from langchain_agentmem.core.operations import Op, writes
from langchain_agentmem.errors import ExtractionError, InvalidInputError, StoreError
from langchain_agentmem.extraction.extractor import Extract, is_extractor
from langchain_agentmem.longterm.changes import Change
from tests.extraction.scripted import exchange, extract
from tests.fake_transport import FakeTransport

CHANGES = [Add("I like fado."), Update("1", "I sing."), Delete("2")]


def function(about: Exchange) -> Sequence[Change]:
    return CHANGES if about.user == "alice" else []


async def coroutine(about: Exchange) -> Sequence[Change]:
    return function(about)


class Called:
    async def __call__(self, about: Exchange) -> Sequence[Change]:
        return function(about)


class Twins:
    def __call__(self, about: Exchange) -> Sequence[Change]:
        return function(about)

    async def acall(self, about: Exchange) -> Sequence[Change]:
        return [*function(about), Add("async")]


@pytest.mark.parametrize("extractor", [function, coroutine, Called(), lambda about: coroutine(about)])
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_any_extractor_serves_sync_and_async_code(extractor: Any, asynchronous: bool) -> None:
    assert extract(extractor, asynchronous) == CHANGES


def test_sync_code_in_an_event_loop_is_served_by_an_async_extractor() -> None:
    async def within() -> list[Change]:
        return extract(coroutine, False)

    assert asyncio.run(within()) == CHANGES


def test_async_code_prefers_the_async_twin() -> None:
    assert extract(Twins(), True) == [*CHANGES, Add("async")]


def test_a_sync_extractor_does_not_block_the_loop() -> None:
    answered = threading.Event()

    def slow(about: Exchange) -> Sequence[Change]:
        assert answered.wait(10)
        return []

    async def both() -> list[Change]:
        asked = asyncio.create_task(Extract(slow, exchange()).arun())
        await asyncio.sleep(0)
        answered.set()
        return await asked

    assert asyncio.run(both()) == []


@pytest.mark.parametrize(
    ("given", "is_one"),
    [
        (lambda exchange: [], True),
        (lambda text: "semantic", False),
        (function, True),
        (coroutine, True),
        (Called(), True),
        (Twins(), True),
        (partial(function), True),
        (noteworthy, False),
        (partial(noteworthy, kind="note"), False),
        (str, False),
        ("episodic", False),
        (None, False),
    ],
)
def test_an_extractor_is_told_from_a_function_that_chooses_a_kind(given: Any, is_one: bool) -> None:
    assert is_extractor(given) is is_one


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
class TestFailures:
    @pytest.mark.parametrize("found", [None, "I like fado.", ["I like fado."], Add("I like fado."), [None]])
    def test_what_is_no_list_of_changes_is_malformed(self, found: Any, asynchronous: bool) -> None:
        with pytest.raises(ExtractionError, match="must return a list of Add") as caught:
            extract(lambda about: found, asynchronous)
        assert caught.value.reason == "malformed"

    def test_what_a_function_raises_is_the_cause(self, asynchronous: bool) -> None:
        def broken(about: Exchange) -> Sequence[Change]:
            raise KeyError("facts")

        with pytest.raises(ExtractionError, match="The extractor raised KeyError: 'facts'") as caught:
            extract(broken, asynchronous)
        assert caught.value.reason == "failed"
        assert isinstance(caught.value.__cause__, KeyError)

    def test_errors_of_the_package_are_raised_as_they_are(self, asynchronous: bool) -> None:
        def unreachable(about: Exchange) -> Sequence[Change]:
            raise StoreError("no server")

        with pytest.raises(StoreError, match="no server"):
            extract(unreachable, asynchronous)


def test_an_operation_can_ask_before_it_writes() -> None:
    def remembering() -> Op[list[bytes]]:
        changes = yield Extract(function, exchange())
        return (yield [writes("SET", change.text, 1) for change in changes if isinstance(change, Add)])

    transport = FakeTransport([b"OK"], [b"OK"])
    assert len(transport.run(remembering())) == 1
    assert len(asyncio.run(transport.arun(remembering()))) == 1


def test_each_exchange_is_extracted_from_by_itself() -> None:
    one, other = Extract(function, exchange()), Extract(function, exchange())
    assert one.group != other.group
    alone, split = one.merge([])
    assert split(alone.run()) == [CHANGES]


@pytest.mark.parametrize(
    "arguments",
    [
        {"user": ""},
        {"namespace": ""},
        {"times": []},
        {"times": [float("nan")]},
        {"times": ["yesterday"]},
    ],
)
def test_an_exchange_that_makes_no_sense_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        Exchange(**{"user": "alice", "messages": [HumanMessage("Hi")], "times": [1.0], **arguments})
