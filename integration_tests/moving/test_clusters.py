"""Moves from and to clusters that change meanwhile, and from one cluster to another."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest
import redis

from integration_tests.cluster_changes import ClusterChanges
from integration_tests.clusters import clients_of_primaries, kill, node_on, restart
from integration_tests.conftest import forget_what_is_known
from integration_tests.moving.conftest import contents, fill, memory_at
from integration_tests.moving.test_layouts import uses_it
from integration_tests.waiting import wait_until
from langchain_agentmem import EmbeddedCluster, MoveReport, move_memory
from langchain_agentmem.core.partitions import key_slot, tags
from langchain_agentmem.embedded.cluster_setup import ask_node
from langchain_agentmem.errors import StoreError
from langchain_agentmem.moving import mover, source

_PARTITIONS = 16
_SECONDS = 60.0  # that a change of the cluster may take, on a busy machine
_RUNS = 10  # after so many the move has to be done


@pytest.fixture(scope="module")
def breakable() -> Iterator[EmbeddedCluster]:
    """A cluster that tests change, and leave with all its nodes."""
    with EmbeddedCluster(node_timeout_ms=2000) as cluster:
        yield cluster


@pytest.fixture
def changing(breakable: EmbeddedCluster) -> EmbeddedCluster:
    """That cluster, empty."""
    with clients_of_primaries(breakable) as clients:
        for client in clients:
            client.flushall()
    forget_what_is_known(breakable.url)
    return breakable


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a move take many steps, between which much can happen."""
    monkeypatch.setattr(source, "_KEYS", 10)
    monkeypatch.setattr(mover, "_UNITS", 10)


@contextmanager
def in_the_background(change: Callable[[], None]) -> Iterator[Callable[[], bool]]:
    """Do something again and again; yield what tells whether it was done twice."""
    ended, times = threading.Event(), [0]
    failed: list[BaseException] = []

    def work() -> None:
        try:
            while not ended.is_set():
                change()
                times[0] += 1
        except BaseException as error:
            failed.append(error)
            raise

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield lambda: times[0] >= 2 or bool(failed)
    finally:
        ended.set()
        thread.join()
    assert not failed


def at_last(from_url: str, to_url: str, **how: Any) -> MoveReport:
    """Move, and go on until nothing differs."""
    for _ in range(_RUNS):
        try:
            report = move_memory(from_url, to_url, **how)
        except StoreError:
            continue
        if report.ok and not report.pending:
            return report
    raise AssertionError(f"the move is not done: {report}")


def held(url: str) -> dict[bytes, Any]:
    with redis.Redis.from_url(url) as client:
        return contents(client, signals=False)


def assert_alike(one: Mapping[bytes, Any], other: Mapping[bytes, Any]) -> None:
    """Both have the same; only expiries may be a little apart, as MIGRATE shifts them."""
    assert one.keys() == other.keys()
    for key, (kind, expiry, value) in one.items():
        theirs = other[key]
        assert (kind, expiry) == (theirs[0], pytest.approx(theirs[1], abs=10_000)), key
        if kind == b"zset":  # some scores are expiries
            assert dict(value) == pytest.approx(dict(theirs[2]), abs=10_000, rel=0), key
        else:
            assert value == theirs[2], key


@pytest.mark.usefixtures("small_batches")
def test_to_a_cluster_and_back_while_its_slots_move(url: str, other: str, changing: EmbeddedCluster) -> None:
    slots = [key_slot(tag) for tag in tags(_PARTITIONS)]
    changes = ClusterChanges(changing, slots, Random(1))
    with memory_at(url) as memory:
        fill(memory)
    with in_the_background(changes.move_some_slots) as is_enough:

        def wait_for_slots(report: MoveReport) -> None:
            if report.phase == "verifying":
                wait_until(is_enough, _SECONDS)

        report = move_memory(url, changing.url, partitions=_PARTITIONS, on_progress=wait_for_slots)
        outcome = (report.names, report.unreadable, report.pending, report.kept, report.joined)
        assert outcome == ([], [], 0, 0, 0)
    with in_the_background(changes.move_some_slots) as is_enough:
        how = {"from_partitions": _PARTITIONS, "partitions": 0, "on_progress": wait_for_slots}
        report = move_memory(changing.url, other, **how)
        assert (report.names, report.unreadable, report.kept, report.joined) == ([], [], 0, 0)
    last = move_memory(changing.url, other, from_partitions=_PARTITIONS, partitions=0)
    assert (last.ok, last.pending, last.kept) == (True, 0, 0)
    assert_alike(held(other), held(url))


class Lagging:
    """A primary whose replica stands still: what it acknowledges is lost when it is killed."""

    def __init__(self, cluster: EmbeddedCluster) -> None:
        self._cluster = cluster
        self._changes = ClusterChanges(cluster, (), Random(1))
        self._changes.wait_until_well()
        self.port = next(node.port for node in cluster.nodes if node.role == "primary")
        (replica,) = (node for node in cluster.nodes if node.primary_port == self.port)
        assert replica.pid is not None
        self._replica = replica.pid
        os.kill(self._replica, signal.SIGSTOP)
        ask_node(self.port, cluster.password, "CLIENT KILL TYPE replica")  # what is sent already would arrive

    def kill(self) -> None:
        """Kill the primary, and let its replica go on, which takes over."""
        kill(self._cluster, self.port)
        self.go_on()

    def go_on(self) -> None:
        """Let the replica go on."""
        os.kill(self._replica, signal.SIGCONT)

    def wait(self) -> None:
        """Return when the replica follows, and has everything."""
        self._changes.wait_until_well()

    def mend(self) -> None:
        """Have all nodes again."""
        self.go_on()
        if node_on(self._cluster, self.port).role == "down":
            restart(self._cluster, self.port)
        self._changes.wait_until_well()


@pytest.fixture
def lagging(changing: EmbeddedCluster) -> Iterator[Lagging]:
    primary = Lagging(changing)
    yield primary
    primary.mend()


@pytest.mark.usefixtures("small_batches")
def test_what_a_primary_of_the_target_loses_when_it_is_killed_comes_again(
    url: str, other: str, changing: EmbeddedCluster, lagging: Lagging
) -> None:
    killed: list[int] = []
    with memory_at(url) as memory:
        fill(memory)

        def kill_once(report: MoveReport) -> None:
            if report.passes == 2 and not killed:
                killed.append(lagging.port)
                lagging.kill()

        report = at_last(url, changing.url, partitions=_PARTITIONS, on_progress=kill_once)
    assert killed
    assert (report.kept, report.joined) == (0, 0)
    assert at_last(changing.url, other, from_partitions=_PARTITIONS, partitions=0).kept == 0
    assert_alike(held(other), held(url))


@pytest.mark.usefixtures("small_batches")
def test_a_primary_of_the_source_is_killed(
    url: str, other: str, changing: EmbeddedCluster, lagging: Lagging
) -> None:
    killed: list[int] = []
    lagging.go_on()
    with memory_at(url) as memory:
        fill(memory)
    assert move_memory(url, changing.url, partitions=_PARTITIONS).ok
    lagging.wait()

    def kill_once(report: MoveReport) -> None:
        if report.brought.total() > 20 and not killed:
            killed.append(lagging.port)
            lagging.kill()

    report = at_last(changing.url, other, from_partitions=_PARTITIONS, partitions=0, on_progress=kill_once)
    assert killed
    assert (report.deleted, report.kept, report.joined) == (0, 0, 0)
    assert_alike(held(other), held(url))


def test_from_one_cluster_to_another_with_another_number_of_partitions(
    url: str, other: str, changing: EmbeddedCluster
) -> None:
    with memory_at(url) as memory:
        fill(memory)
    assert move_memory(url, changing.url, partitions=_PARTITIONS).ok
    with EmbeddedCluster(primaries=2, replicas=0) as second:
        report = move_memory(changing.url, second.url, from_partitions=_PARTITIONS, partitions=5)
        assert (report.ok, report.pending, report.passes) == (True, 0, 2)
        with memory_at(second.url, partitions=5) as moved:
            uses_it(moved)
        again = move_memory(changing.url, second.url, from_partitions=_PARTITIONS, partitions=5)
        assert (again.ok, again.resumed, again.changed) == (True, True, 0)
        assert move_memory(second.url, other, from_partitions=5, partitions=0).ok
    assert_alike(held(other), held(url))
