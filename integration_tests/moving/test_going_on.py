"""A move while the source is in use, one that is killed, and one into a memory that is in use."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import redis

from integration_tests.moving.conftest import contents, fill, memory_at
from integration_tests.waiting import wait_until
from langchain_agentmem import MoveReport, amove_memory, move_memory
from langchain_agentmem.core.operations import Op
from langchain_agentmem.errors import ConfigurationError
from langchain_agentmem.moving.mover import Mover
from langchain_agentmem.moving.record import Brought, MoveRecord


def test_what_changes_while_it_runs_comes_too(url: str, other: str) -> None:
    with memory_at(url) as memory, redis.Redis.from_url(url) as bare, redis.Redis.from_url(other) as there:
        fill(memory)
        first = memory.long_term.remember("I have a boat.", user="alice", kind="semantic")
        changes = iter([None])

        def change(report: MoveReport) -> None:
            if report.phase == "moving" and next(changes, 1) is None:
                memory.long_term.remember("I sold the car.", user="alice", kind="semantic")
                memory.long_term.remember("I have a boat.", user="alice", kind="semantic")  # a hit
                memory.working.append_turn("thread 0 of alice", "user", "One more.", user="alice")
                memory.working.append_turn("a new one", "user", "Hello.", user="alice")
                memory.events.record("thread 1 of bob", "refunded", "", user="bob")
                memory.long_term.delete_memory(first.id)
                memory.forget_user("δ")

        report = move_memory(url, other, on_progress=change)
        assert (report.ok, report.pending) == (True, 0)
        assert report.deleted > 0
        assert contents(there, signals=False) == contents(bare, signals=False)


def test_writers_go_on_and_a_last_run_without_them_brings_the_rest(url: str, other: str) -> None:
    ended = threading.Event()
    with memory_at(url) as memory, redis.Redis.from_url(url) as bare, redis.Redis.from_url(other) as there:
        fill(memory)

        def write() -> None:
            at = 0
            while not ended.is_set():
                at += 1
                memory.working.append_turn(f"busy {at % 5}", "user", f"Hello {at}.", user="alice")
                memory.events.record(f"busy {at % 5}", "seen", f"{at}", user="alice")
                memory.long_term.remember(f"I have seen {at} stars.", user="alice")

        writer = threading.Thread(target=write)
        writer.start()
        try:
            report = move_memory(url, other, passes=3)
        finally:
            ended.set()
            writer.join()
        assert report.ok
        assert report.passes <= 3
        last = move_memory(url, other)
        assert (last.ok, last.pending, last.resumed) == (True, 0, True)
        assert contents(there, signals=False) == contents(bare, signals=False)


_MOVE = """
import sys, time
from langchain_agentmem import move_memory
move_memory(*sys.argv[1:3], on_progress=lambda report: (print(sum(report.brought.values()), flush=True)))
"""


def test_one_that_is_killed_goes_on(url: str, other: str) -> None:
    with memory_at(url) as memory, redis.Redis.from_url(url) as bare, redis.Redis.from_url(other) as there:
        fill(memory)
        memory.long_term.remember_many(
            [f"Fact {at} about the moon." for at in range(2000)], user="bob", kind="semantic"
        )
        moving = subprocess.Popen([sys.executable, "-c", _MOVE, url, other], stdout=subprocess.PIPE)
        assert moving.stdout is not None
        wait_until(lambda: int(moving.stdout.readline() or 0) > 300)  # type: ignore[union-attr]
        moving.kill()
        moving.wait()
        moving.stdout.close()
        assert 300 < there.dbsize() < bare.dbsize()
        for one in memory.long_term.list_memories(user="bob", limit=50):
            memory.long_term.delete_memory(one.id)
        report = move_memory(url, other)
        assert (report.resumed, report.ok, report.pending, report.kept) == (True, True, 0, 0)
        assert contents(there, signals=False) == contents(bare, signals=False)


@contextmanager
def ending_before_it_notes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """End a move when it has written, and would note what it has brought."""
    write_op = MoveRecord.write_op

    def end(record: MoveRecord, brought: Mapping[bytes, Brought]) -> Op[None]:
        if any(one.source for one in brought.values()):
            raise KeyboardInterrupt
        return write_op(record, brought)

    with monkeypatch.context() as ended:
        ended.setattr(MoveRecord, "write_op", end)
        with pytest.raises(KeyboardInterrupt):
            yield


@pytest.mark.parametrize("into", [False, True])
def test_what_was_written_when_it_ended_is_known_as_its_own(
    url: str, other: str, into: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with memory_at(url) as memory, redis.Redis.from_url(url) as bare, redis.Redis.from_url(other) as there:
        fill(memory, 2)
        with ending_before_it_notes(monkeypatch):
            move_memory(url, other, into=into)
        assert there.dbsize() > 10
        memory.forget_user("alice")
        report = move_memory(url, other, into=into)
        assert (report.resumed, report.ok, report.pending, report.kept) == (True, True, 0, 0)
        assert contents(there, signals=False) == contents(bare, signals=False)


def test_what_was_converted_when_it_ended_is_known_as_its_own(
    url: str, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with memory_at(url) as memory, redis.Redis.from_url(other) as there:
        fill(memory, 2)
        with ending_before_it_notes(monkeypatch):
            move_memory(url, other, storage="hash")
        report = move_memory(url, other, storage="hash")
        assert (report.resumed, report.ok, report.pending, report.kept) == (True, True, 0, 0)
        memory.forget_user("alice")
        report = move_memory(url, other, storage="hash")
        assert (report.ok, report.kept) == (True, 0)
        alice = [key for key in there.scan_iter(match="agent:mem:*") if there.type(key) == b"hash"]
        assert b"alice" not in {there.hget(key, "user") for key in alice}


def test_what_the_target_has_lost_comes_again_and_what_it_has_again_goes_again(url: str, other: str) -> None:
    # As after a server that failed: what it acknowledged last did not happen.
    with memory_at(url) as memory, redis.Redis.from_url(url) as bare, redis.Redis.from_url(other) as there:
        fill(memory, 2)
        gone = [b"agent:session:thread 0 of alice", b"agent:session:thread 1 of alice"]
        deleted = b"agent:session:thread 0 of bob"
        assert move_memory(url, other).ok
        before = {key: (there.pexpiretime(key), there.dump(key) or b"") for key in (*gone, deleted)}
        memory.working.append_turn("thread 0 of alice", "user", "One more.", user="alice")
        bare.delete(deleted)

        def lose(report: MoveReport) -> None:
            if report.phase == "moving" and report.passes == 2 and there.exists(gone[1]):
                there.restore(gone[0], *before[gone[0]], replace=True, absttl=True)
                there.delete(gone[1])
                there.restore(deleted, *before[deleted], absttl=True)

        report = move_memory(url, other, on_progress=lose)
        assert (report.differing, report.deleted) == (2, 2)
        assert not there.exists(deleted)
        report = move_memory(url, other)
        assert (report.ok, report.pending, report.kept) == (True, 0, 0)
        assert contents(there, signals=False) == contents(bare, signals=False)


def test_what_the_target_had_before_one_that_ended_is_not_taken_for_its_own(
    url: str, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with memory_at(url) as memory, memory_at(other) as theirs:
        for one, text in ((memory, "Ours."), (theirs, "Theirs.")):
            one.working.append_turn("of both", "user", text, user="alice")
        with ending_before_it_notes(monkeypatch):
            move_memory(url, other, into=True)
        memory.forget_user("alice")
        assert move_memory(url, other, into=True).ok
        assert [turn.content for turn in theirs.working.load("of both").recent_turns] == ["Theirs."]


def test_what_is_deleted_at_the_source_stays_where_somebody_else_has_written(url: str, other: str) -> None:
    with memory_at(url) as memory, memory_at(other) as theirs:
        theirs.events.record("joined", "theirs", "", user="alice")
        memory.events.record("joined", "ours", "", user="alice")
        boat, car = (memory.long_term.remember(text, user="bob") for text in ("I row a boat.", "I drive."))
        assert move_memory(url, other, into=True).ok
        theirs.long_term.update(boat.id, "I sold the boat.", user="bob")
        memory.forget_user("alice")
        memory.forget_user("bob")
        report = move_memory(url, other, into=True)
        assert (report.ok, report.kept) == (True, 1)
        assert {one.action for one in theirs.events.recent("joined")} == {"theirs", "ours"}
        assert [one.text for one in theirs.long_term.list_memories(user="bob")] == ["I sold the boat."]
        assert theirs.long_term.get(car.id) is None


def test_another_expiry_comes_too_and_is_noticed(url: str, other: str) -> None:
    with memory_at(url) as memory, redis.Redis.from_url(url) as bare, redis.Redis.from_url(other) as there:
        ours, changed = (
            f"agent:mem:{memory.long_term.remember(text, user='alice', ttl_seconds=1000).id}"
            for text in ("I have a boat.", "I work in Rome.")
        )
        assert move_memory(url, other).ok
        bare.expire(ours, 5000)
        there.expire(changed, 5000)
        report = move_memory(url, other)
        assert there.pexpiretime(ours) == bare.pexpiretime(ours)
        assert (report.differing, report.brought["memory"]) == (1, 1)
        assert "expiry" in report.names[0]


def test_life_times_go_on_and_what_has_expired_stays_so(url: str, other: str) -> None:
    with memory_at(url) as memory, redis.Redis.from_url(url) as bare, redis.Redis.from_url(other) as there:
        long = memory.long_term.remember("I have a week.", user="alice", ttl_seconds=604_800)
        short = memory.long_term.remember("I have a second.", user="alice", ttl_seconds=1)
        for_ever = memory.long_term.remember("I stay.", user="alice", ttl_seconds=None, kind="semantic")
        move_memory(url, other)
        for one in (long, for_ever):
            key = f"agent:mem:{one.id}"
            assert there.pexpiretime(key) == bare.pexpiretime(key)
        wait_until(lambda: not there.exists(f"agent:mem:{short.id}"))
        report = move_memory(url, other)
        assert report.ok
        assert not there.exists(f"agent:mem:{short.id}")


def test_what_is_used_at_the_target_after_a_kill_is_left_though_it_is_gone_at_the_source(
    url: str, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with memory_at(url) as memory, memory_at(other) as theirs, redis.Redis.from_url(url) as bare:
        for thread in ("used", "unused"):
            memory.working.append_turn(thread, "user", "Hello.", user="alice")
        with monkeypatch.context() as patched:
            patched.setattr(Mover, "_settle", killed)  # written, and not yet noted
            with pytest.raises(KeyboardInterrupt):
                move_memory(url, other)
        theirs.working.append_turn("used", "user", "Hello again.", user="alice")
        bare.delete("agent:session:used", "agent:session:unused")
        assert move_memory(url, other).kept == 1
        used = theirs.working.load("used")
        assert used is not None
        assert used.turn_count == 2
        assert theirs.working.load("unused") is None


def test_a_target_that_holds_something_is_refused(url: str, other: str) -> None:
    with memory_at(url) as memory, memory_at(other) as theirs:
        memory.long_term.remember("I have a boat.", user="alice")
        theirs.working.append_turn("t", "user", "Hello.", user="alice")
        with pytest.raises(ConfigurationError, match="not empty"):
            move_memory(url, other)
        with pytest.raises(ConfigurationError, match="same database"):
            move_memory(url, url, into=True)


def test_into_a_memory_in_use_nothing_newer_is_overwritten_and_nothing_is_lost(url: str, other: str) -> None:
    with memory_at(url) as memory, memory_at(other) as theirs:
        memory.working.append_turn("older here", "user", "Old.", user="alice", ts=1000.0)
        theirs.working.append_turn("older here", "user", "Old.", user="alice", ts=1000.0)
        theirs.working.append_turn("older here", "user", "Newer.", user="alice", ts=3000.0)
        theirs.working.append_turn("newer here", "user", "Old.", user="alice", ts=1000.0)
        memory.working.append_turn("newer here", "user", "Newer.", user="alice", ts=2000.0)
        theirs.working.append_turn("only there", "user", "Hello.", user="alice")
        memory.events.record("older here", "one", "", user="alice")
        theirs.events.record("older here", "two", "", user="alice")
        memory.events.record("older here", "three", "", user="alice")
        theirs.long_term.remember("I have a boat.", user="alice")
        memory.long_term.remember("I have a car.", user="alice")
        report = move_memory(url, other, into=True)
        assert (report.ok, report.pending, report.kept) == (True, 0, 1)
        assert report.joined == 2  # alice's record of threads, and the events
        turns = {
            name: theirs.working.load(name).recent_turns[-1].content for name in ("older here", "newer here")
        }
        assert turns == {"older here": "Newer.", "newer here": "Newer."}
        assert len(theirs.working.list_sessions(user="alice").sessions) == 3
        actions = [one.action for one in theirs.events.recent("older here")]
        assert sorted(actions) == ["one", "three", "two"]
        assert len(theirs.long_term.list_memories(user="alice")) == 2
        again = move_memory(url, other, into=True)
        assert (again.changed, again.kept, again.joined, again.passes) == (0, 0, 0, 1)


def test_what_another_program_changes_there_is_left_and_told(url: str, other: str) -> None:
    with memory_at(url) as memory, redis.Redis.from_url(other) as there:
        fill(memory, 2)
        assert move_memory(url, other).ok
        changed = memory.long_term.list_memories(user="alice")[0].id
        missing = memory.long_term.list_memories(user="bob")[0].id
        there.execute_command("JSON.SET", f"agent:mem:{changed}", "$.hit_count", 7)
        there.delete(f"agent:mem:{missing}")
        report = move_memory(url, other)
        assert (report.ok, report.differing) == (False, 2)
        assert any(changed in name and "content" in name for name in report.names)
        assert any(missing in name and "missing" in name for name in report.names)


def test_a_dry_run_counts_and_writes_nothing(url: str, other: str) -> None:
    with memory_at(url) as memory, redis.Redis.from_url(other) as there:
        fill(memory, 2)
        report = move_memory(url, other, dry_run=True)
        assert report.found["session"] == 8
        assert report.found["failed"] == 4
        assert report.at_target.total() == 0
        assert there.dbsize() == 0


async def test_async(url: str, other: str) -> None:
    with memory_at(url) as memory, redis.Redis.from_url(url) as bare, redis.Redis.from_url(other) as there:
        fill(memory, 2)
        report = await amove_memory(url, other)
        assert (report.ok, report.pending) == (True, 0)
        assert contents(there, signals=False) == contents(bare, signals=False)


def test_rest_is_refused(other: str) -> None:
    with pytest.raises(ConfigurationError, match="Upstash"):
        move_memory("https://example.invalid", other)


@pytest.mark.parametrize("options", [{"from_partitions": -1}, {"partitions": 5000}, {"passes": 0}])
def test_what_cannot_be_is_refused(url: str, other: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        move_memory(url, other, **options)


def test_numbers_that_the_json_module_rounds_are_no_change(url: str, other: str) -> None:
    """all-MiniLM-L6-v2 has numbers as small as these, which are not what they were after a DUMP and a RESTORE."""
    with memory_at(url) as memory, memory_at(other) as moved, redis.Redis.from_url(url) as bare:
        boat = memory.long_term.remember("I have a boat.", user="alice", kind="semantic")
        car = memory.long_term.remember("The car is red.", user="alice", kind="semantic")
        for one in (boat, car):
            bare.execute_command("JSON.SET", f"agent:mem:{one.id}", "$.embedding[0]", "-2.7065423e-33")
            bare.execute_command("JSON.SET", f"agent:mem:{one.id}", "$.embedding[1]", "0.12345678901234567")
        report = move_memory(url, other)
        assert (report.ok, report.names) == (True, [])
        memory.long_term.delete_memory(boat.id, user="alice")
        memory.long_term.update(car.id, "The car is blue.", user="alice")
        report = move_memory(url, other)
        assert (report.ok, report.deleted, report.kept) == (True, 1, 0)
        assert [one.text for one in moved.long_term.list_memories(user="alice")] == ["The car is blue."]
