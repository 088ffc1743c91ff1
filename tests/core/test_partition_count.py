"""What runs before the number of partitions is known, and what is sent to know it."""

from __future__ import annotations

from typing import Any

import pytest

from langchain_agentmem.core.keys import Keys
from langchain_agentmem.core.operations import Batch, Op, call, reads, writes
from langchain_agentmem.core.partition_count import of_all, of_memories, of_threads, without_partitions
from langchain_agentmem.errors import (
    ConfigurationError,
    StoreAuthenticationError,
    StoreError,
    WrongKeyTypeError,
)
from tests.fake_transport import FakeTransport

KEY = "agentmem:idx:partitions"


def two_steps(first: Batch, second: Batch) -> Op[list[Any]]:
    return [*(yield first), *(yield second)]


def with_count(*replies: list[Any], partitions: int = 16) -> FakeTransport:
    transport = FakeTransport(*replies)
    transport.partition_counts.add(of_memories("agentmem:idx", partitions))
    return transport


def test_it_is_asked_with_what_only_reads_and_then_no_more() -> None:
    transport = with_count([b"16", b"x"], [b"y"])
    assert transport.run(call(reads("GET", "a"))) == b"x"
    assert transport.run(call(writes("SET", "a", 1))) == b"y"
    assert transport.sent_args == [[("GET", KEY), ("GET", "a")], [("SET", "a", 1)]]


async def test_it_is_stored_before_the_first_write_of_what_began_with_a_read() -> None:
    transport = with_count([None, b"x"], [1, b"16"], [b"y"])
    op = two_steps([reads("GET", "a")], [writes("SET", "a", 1)])
    assert await transport.arun(op) == [b"x", b"y"]
    assert transport.sent_args[1:] == [[("SETNX", KEY, 16), ("GET", KEY)], [("SET", "a", 1)]]


def test_as_long_as_nobody_stored_it_whoever_reads_asks_again() -> None:
    transport = with_count([None, b"x"], [b"8", b"x"])
    assert transport.run(call(reads("GET", "a"))) == b"x"
    with pytest.raises(ConfigurationError, match="memories of the index 'agentmem:idx' are in 8 partitions"):
        transport.run(call(reads("GET", "a")))


@pytest.mark.parametrize("writing", [False, True])
def test_another_number_is_refused_each_time_and_nothing_runs(writing: bool) -> None:
    replies = [0, b"8"] if writing else [b"8", b"x"]
    transport = with_count(replies, replies)
    for _ in range(2):
        ran: list[Any] = []

        def op(ran: list[Any] = ran) -> Op[None]:
            ran.append((yield [writes("SET", "a", 1) if writing else reads("GET", "a")]))

        with pytest.raises(ConfigurationError, match="set partitions=8"):
            transport.run(op())
        assert not ran


def test_one_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(StoreError, match="no"):
        with_count([StoreError("no"), b"x"]).run(call(reads("GET", "a")))


def test_who_may_not_ask_about_some_data_may_use_the_rest() -> None:
    transport = FakeTransport(
        [StoreAuthenticationError("No permissions to access a key"), b"16", b"x"], [b"y"]
    )
    transport.partition_counts.add(of_memories("agentmem:idx", 16), of_threads(Keys(partitions=16)))
    assert transport.run(call(reads("GET", "a"))) == b"x"
    assert transport.run(call(writes("SET", "a", 1))) == b"y"


def test_what_another_object_found_out_over_the_connection_counts() -> None:
    transport = with_count([b"x"])
    transport.known[KEY] = 16
    assert transport.run(call(reads("GET", "a"))) == b"x"
    transport = with_count([b"8", b"x"])
    transport.known[KEY] = 8
    with pytest.raises(ConfigurationError):
        transport.run(call(reads("GET", "a")))


def test_each_kind_of_data_has_its_own() -> None:
    counts = of_all(Keys(partitions=16), "agentmem:idx")
    assert [one.key for one in counts] == [
        KEY,
        "agent:threads:partitions",
        "agent:tasks:partitions",
        "agent:store:partitions",
    ]
    transport = FakeTransport([*[b"16"] * 3, b"8", b"x"])
    transport.partition_counts.add(*counts)
    with pytest.raises(ConfigurationError, match="items of the store under 'agent:store:' are in 8"):
        transport.run(call(reads("GET", "a")))


def test_none_is_stored_beside_another_number() -> None:
    transport = FakeTransport([None, b"8", None, None])
    transport.partition_counts.add(*of_all(Keys(partitions=16), "agentmem:idx"))
    with pytest.raises(ConfigurationError, match="records of threads under 'agent:threads:' are in 8"):
        transport.run(call(writes("SET", "a", 1)))
    assert all(command.read_only for command in transport.sent[0])


def test_the_first_is_stored_before_the_others_so_that_of_two_who_begin_at_once_one_has_all() -> None:
    transport = FakeTransport([None] * 4, [0, b"8"])
    transport.partition_counts.add(*of_all(Keys(partitions=16), "agentmem:idx"))
    with pytest.raises(ConfigurationError, match="memories of the index 'agentmem:idx' are in 8"):
        transport.run(call(writes("SET", "a", 1)))
    transport = FakeTransport([None] * 4, [1, b"16"], [1, b"16"] * 3, [b"y"], [b"z"])
    transport.partition_counts.add(*of_all(Keys(partitions=16), "agentmem:idx"))
    assert transport.run(call(writes("SET", "a", 1))) == b"y"
    assert transport.run(call(writes("SET", "a", 2))) == b"z"


def test_a_user_named_as_the_key_of_a_number_is_not_taken_for_one() -> None:
    transport = FakeTransport([None, WrongKeyTypeError("WRONGTYPE"), None, None, b"x"])
    op = without_partitions(call(reads("GET", "a")), of_all(Keys(), "agentmem:idx"))
    assert transport.run(op) == b"x"
    with pytest.raises(WrongKeyTypeError):
        with_count([WrongKeyTypeError("WRONGTYPE"), b"x"]).run(call(reads("GET", "a")))
