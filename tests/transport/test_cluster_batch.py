"""What of a batch goes to which node, and what is sent again: decided without a server."""

from __future__ import annotations

from typing import Any

import pytest
import redis.exceptions as redis_errors

from langchain_agentmem.core.operations import Command, asks, reads, writes
from langchain_agentmem.core.partitions import key_slot
from langchain_agentmem.core.scripts import Script
from langchain_agentmem.errors import (
    AgentMemoryError,
    StoreAuthenticationError,
    StoreConnectionError,
    StoreError,
    StoreTimeoutError,
)
from langchain_agentmem.transport.cluster_batch import ClusterBatch, Part
from langchain_agentmem.transport.cluster_scan import Scans
from langchain_agentmem.transport.cluster_slots import SlotTable
from langchain_agentmem.transport.drivers import Retryable
from langchain_agentmem.transport.redis_errors import answered

A, B = "h:1", "h:2"  # a key is on A if its slot is in the lower half
ON_A = next(key for key in map(str, range(100)) if key_slot(key) < 8192)
ON_B = next(key for key in map(str, range(100)) if key_slot(key) >= 8192)
CUT = StoreConnectionError("cut")


class Outcome:
    def __init__(
        self, *answers: Any, unsent: AgentMemoryError | None = None, lost: StoreError | None = None
    ) -> None:
        self.answers = [answered(one) if isinstance(one, Exception) else one for one in answers]
        self.unsent = unsent
        self.lost = lost


@pytest.fixture
def table() -> SlotTable:
    table = SlotTable([A])
    table.take([[0, 8191, [b"h", 1, b"a"]], [8192, 16383, [b"h", 2, b"b"]]], A)
    return table


def begun(table: SlotTable, *batch: Command) -> ClusterBatch:
    return ClusterBatch(batch, table, Scans())


def sent(in_flight: ClusterBatch) -> dict[str, list[Any]]:
    """What the next attempt would send, by node."""
    return {part.node: [one.args for one in in_flight.commands(part)] for part in in_flight.parts()}


def take(in_flight: ClusterBatch, **outcomes: Outcome) -> None:
    parts = in_flight.parts()
    by_node = {A: outcomes.get("a"), B: outcomes.get("b")}
    in_flight.take([(part, by_node[part.node] or Outcome()) for part in parts])


def test_a_batch_is_split_by_node_and_in_order_within(table: SlotTable) -> None:
    batch = [writes("SET", ON_A, 1), reads("GET", ON_B), reads("GET", ON_A), asks("PING")]
    assert sent(begun(table, *batch)) == {
        A: [("SET", ON_A, 1), ("GET", ON_A), ("PING",)],
        B: [("GET", ON_B)],
    }


def test_nodes_are_visited_in_one_order(table: SlotTable) -> None:
    one = begun(table, reads("GET", ON_B), reads("GET", ON_A)).parts()
    other = begun(table, reads("GET", ON_A), reads("GET", ON_B)).parts()
    assert [part.node for part in one] == [part.node for part in other]


def test_replies_stand_in_the_order_of_the_batch(table: SlotTable) -> None:
    in_flight = begun(table, reads("GET", ON_B), writes("SET", ON_A, 1), reads("GET", ON_B))
    take(in_flight, a=Outcome(b"OK"), b=Outcome(b"1", b"2"))
    assert in_flight.result() == [b"1", b"OK", b"2"]


def test_what_has_moved_is_sent_to_where_it_is(table: SlotTable) -> None:
    in_flight = begun(table, writes("INCR", ON_A), reads("GET", ON_B))
    with pytest.raises(Retryable):
        take(in_flight, a=Outcome(redis_errors.MovedError(f"{key_slot(ON_A)} h:2")), b=Outcome(b"x"))
    assert sent(in_flight) == {B: [("INCR", ON_A)]}
    assert table.owner(key_slot(ON_A)) == B


def test_what_was_meant_for_one_node_is_not_sent_to_another(table: SlotTable) -> None:
    in_flight = begun(table, reads("GET", ON_A)._replace(node=B), reads("GET", ON_B))
    take(in_flight, b=Outcome(redis_errors.MovedError(f"{key_slot(ON_A)} h:1"), b"x"))
    refused, answered = in_flight.result()
    assert (type(refused), answered) == (StoreConnectionError, b"x")


@pytest.mark.parametrize("host", ["", "?"])
def test_a_redirection_without_a_host_is_to_the_one_that_answered(table: SlotTable, host: str) -> None:
    in_flight = begun(table, writes("INCR", ON_A))
    with pytest.raises(Retryable):
        take(in_flight, a=Outcome(redis_errors.MovedError(f"{key_slot(ON_A)} {host}:9")))
    assert list(sent(in_flight)) == ["h:9"]


def test_what_is_asked_elsewhere_goes_there_once_with_a_word_before_it(table: SlotTable) -> None:
    in_flight = begun(table, writes("INCR", ON_A), reads("GET", ON_B))
    with pytest.raises(Retryable):
        take(in_flight, a=Outcome(redis_errors.AskError(f"{key_slot(ON_A)} h:2")), b=Outcome(b"x"))
    (part,) = in_flight.parts()
    assert [one.args for one in in_flight.commands(part)] == [("ASKING",), ("INCR", ON_A)]
    with pytest.raises(Retryable):  # its other key is not there yet
        in_flight.take([(part, Outcome(b"OK", redis_errors.TryAgainError("later")))])
    assert sent(in_flight) == {A: [("INCR", ON_A)]}
    assert table.owner(key_slot(ON_A)) == A


def test_answers_to_asking_are_nobodys_replies(table: SlotTable) -> None:
    in_flight = begun(table, writes("INCR", ON_A), writes("INCR", ON_A), writes("INCR", ON_B))
    ask = redis_errors.AskError(f"{key_slot(ON_A)} h:2")
    with pytest.raises(Retryable):
        take(in_flight, a=Outcome(ask, ask), b=Outcome(1))
    (part,) = in_flight.parts()
    in_flight.take([(part, Outcome(b"OK", 5, b"OK", lost=CUT))])
    first, second, third = in_flight.result()
    assert (first, third) == (5, 1)
    assert isinstance(second, StoreConnectionError)


@pytest.mark.parametrize(
    "refusal",
    [
        redis_errors.TryAgainError("Multiple keys request during rehashing of slot"),
        redis_errors.ClusterDownError("Hash slot not served"),
        redis_errors.MasterDownError("Link with MASTER is down"),
        redis_errors.ReadOnlyError("You can't write against a read only replica."),
        redis_errors.BusyLoadingError("Redis is loading the dataset in memory"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_a_node_puts_off_is_sent_again_and_nothing_else(table: SlotTable, refusal: Exception) -> None:
    in_flight = begun(table, writes("INCR", ON_A), writes("INCR", "a{" + ON_A + "}"), writes("INCR", ON_B))
    with pytest.raises(Retryable):
        take(in_flight, a=Outcome(refusal, 7), b=Outcome(1))
    assert sent(in_flight) == {A: [("INCR", ON_A)]}
    take(in_flight, a=Outcome(2))
    assert in_flight.result() == [2, 7, 1]


def test_a_node_without_the_script_gets_its_source(table: SlotTable) -> None:
    script = Script("return 1")
    in_flight = begun(table, script.call([ON_A]), script.call([ON_B]))
    with pytest.raises(Retryable):
        take(in_flight, a=Outcome(redis_errors.NoScriptError("No matching script")), b=Outcome(1))
    assert sent(in_flight) == {A: [("EVAL", "return 1", 1, ON_A)]}


def test_reads_behind_what_did_not_run_are_read_again(table: SlotTable) -> None:
    in_flight = begun(table, writes("INCR", ON_A), reads("GET", ON_A), reads("GET", ON_B))
    with pytest.raises(Retryable):
        take(in_flight, a=Outcome(redis_errors.TryAgainError("later"), b"0"), b=Outcome(b"x"))
    assert sent(in_flight) == {A: [("INCR", ON_A), ("GET", ON_A)]}


def test_a_lost_write_is_an_error_of_its_own_and_reads_are_sent_again(table: SlotTable) -> None:
    in_flight = begun(
        table, writes("INCR", ON_A), writes("INCR", ON_A), reads("GET", ON_A), writes("INCR", ON_B)
    )
    with pytest.raises(Retryable):
        take(in_flight, a=Outcome(1, lost=CUT), b=Outcome(1))
    assert sent(in_flight) == {A: [("GET", ON_A)]}
    take(in_flight, a=Outcome(b"2"))
    assert in_flight.result() == [1, CUT, b"2", 1]


def test_a_batch_of_which_nothing_was_answered_raises(table: SlotTable) -> None:
    in_flight = begun(table, writes("INCR", ON_A), writes("INCR", ON_B))
    take(in_flight, a=Outcome(lost=CUT), b=Outcome(lost=CUT))
    with pytest.raises(StoreConnectionError, match="cut"):
        in_flight.result()


def test_nothing_is_sent_again_after_a_timeout(table: SlotTable) -> None:
    late = StoreTimeoutError("late")
    in_flight = begun(table, reads("GET", ON_A), reads("GET", ON_B))
    take(in_flight, a=Outcome(lost=late), b=Outcome(b"x"))
    assert in_flight.result() == [late, b"x"]


def test_what_was_not_sent_is_sent_again_even_after_a_timeout(table: SlotTable) -> None:
    in_flight = begun(table, writes("INCR", ON_A), reads("GET", ON_B))
    with pytest.raises(Retryable):
        take(in_flight, a=Outcome(unsent=StoreTimeoutError("no handshake")), b=Outcome(b"x"))
    assert sent(in_flight) == {A: [("INCR", ON_A)]}  # another node may have the slot by then


def test_a_refused_password_is_not_tried_again(table: SlotTable) -> None:
    refused = StoreAuthenticationError("no")
    in_flight = begun(table, writes("INCR", ON_A), reads("GET", ON_B))
    take(in_flight, a=Outcome(unsent=refused), b=Outcome(b"x"))
    assert in_flight.result() == [refused, b"x"]
    alone = begun(table, writes("INCR", ON_A))
    take(alone, a=Outcome(unsent=refused))
    with pytest.raises(StoreAuthenticationError):
        alone.result()


def test_what_never_ran_has_the_failure_as_its_reply_in_the_end(table: SlotTable) -> None:
    in_flight = begun(table, writes("INCR", ON_A), reads("GET", ON_B))
    with pytest.raises(Retryable):
        take(in_flight, a=Outcome(unsent=CUT), b=Outcome(b"x"))
    assert in_flight.give_up() == [CUT, b"x"]
    alone = begun(table, writes("INCR", ON_A))
    with pytest.raises(Retryable):
        take(alone, a=Outcome(unsent=CUT))
    with pytest.raises(StoreConnectionError):
        alone.give_up()


def test_keys_in_several_slots_are_no_reason_to_lock(table: SlotTable) -> None:
    in_flight = begun(table, Command(("EVALSHA", "x", 2, ON_A, ON_B), (ON_A, ON_B)))
    take(
        in_flight,
        a=Outcome(redis_errors.ClusterCrossSlotError("Keys in request don't hash to the same slot")),
    )
    (reply,) = in_flight.result()
    assert isinstance(reply, StoreError)
    assert "several slots of the cluster" in str(reply)
    assert "same slot" not in str(reply)


def test_a_command_for_one_node_goes_there_or_says_that_it_is_gone(table: SlotTable) -> None:
    in_flight = begun(table, asks("DBSIZE")._replace(node=B), asks("DBSIZE")._replace(node="h:9"))
    assert [(part.node, part.places) for part in in_flight.parts()] == [(B, [0])]
    assert sent(in_flight) == {B: [("DBSIZE",)]}
    in_flight.take([(Part(B, [0], set(), set()), Outcome(3))])
    assert in_flight.result()[0] == 3
    assert "h:9 is no primary" in str(in_flight.result()[1])


R = "h:3"  # the replica of A
BY_REPLICA = reads("GET", ON_A)._replace(by_replica=True)


@pytest.fixture
def with_replica(table: SlotTable) -> SlotTable:
    table.take([[0, 8191, [b"h", 1, b"a"], [b"h", 3, b"r"]], [8192, 16383, [b"h", 2, b"b"]]], A)
    return table


def test_a_replica_answers_what_it_may_and_nothing_else(with_replica: SlotTable) -> None:
    in_flight = begun(
        with_replica, reads("GET", ON_A), BY_REPLICA, reads("GET", ON_B)._replace(by_replica=True)
    )
    parts = in_flight.parts()
    assert {part.node: [one.args for one in in_flight.commands(part)] for part in parts} == {
        A: [("GET", ON_A)],
        R: [("READONLY",), ("GET", ON_A), ("READWRITE",)],
        B: [("GET", ON_B)],
    }
    answers = {A: Outcome(1), R: Outcome(b"OK", 2, b"OK"), B: Outcome(3)}
    in_flight.take([(part, answers[part.node]) for part in parts])
    assert in_flight.result() == [1, 2, 3]


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(b"OK", redis_errors.MovedError(f"{key_slot(ON_A)} h:1")),
        Outcome(b"OK", redis_errors.MasterDownError("MASTERDOWN")),
        Outcome(b"OK", redis_errors.BusyLoadingError("LOADING")),
        Outcome(lost=CUT),
        Outcome(unsent=CUT),
    ],
)
def test_what_a_replica_does_not_answer_its_primary_does(with_replica: SlotTable, outcome: Outcome) -> None:
    in_flight = begun(with_replica, BY_REPLICA)
    parts = in_flight.parts()
    assert [part.node for part in parts] == [R]
    with pytest.raises(Retryable):
        in_flight.take([(parts[0], outcome)])
    assert sent(in_flight) == {A: [("GET", ON_A)]}


def test_a_replica_gets_the_script_that_it_lacks(with_replica: SlotTable) -> None:
    call = Script("return 1", read_only=True).call([ON_A])._replace(by_replica=True)
    in_flight = begun(with_replica, call)
    parts = in_flight.parts()
    lacks = redis_errors.NoScriptError("NOSCRIPT No matching script.")
    with pytest.raises(Retryable):
        in_flight.take([(parts[0], Outcome(b"OK", lacks))])
    assert sent(in_flight) == {R: [("READONLY",), ("EVAL_RO", "return 1", 1, ON_A), ("READWRITE",)]}
