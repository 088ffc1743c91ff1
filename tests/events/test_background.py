from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from langchain_agentmem.errors import StoreConnectionError, WrongKeyTypeError
from langchain_agentmem.events import background
from langchain_agentmem.events.background import BackgroundWriter, EventBuffer, LoopBuffer, Losses
from langchain_agentmem.events.event import Entry


class Store:
    """Takes what is written; `gate` holds it up, `error` makes it fail."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.error: Exception | None = None
        self.refused: set[str] = set()
        self.gate = threading.Event()
        self.gate.set()
        self.began = threading.Event()

    def __call__(self, entries: Sequence[Entry]) -> Sequence[Any]:
        self.began.set()
        assert self.gate.wait(30)
        if self.error is not None:
            raise self.error
        self.batches.append([fields["action"] for _, fields in entries])
        return [WrongKeyTypeError("no") if thread in self.refused else "1-0" for thread, _ in entries]

    @property
    def written(self) -> list[str]:
        return [action for batch in self.batches for action in batch]


def make(store: Store, max_waiting: int = 10_000) -> BackgroundWriter:
    return BackgroundWriter(store, Losses(), max_waiting)


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "agentmem-events"]


@pytest.fixture
def store() -> Store:
    return Store()


def test_no_thread_runs_before_the_first_event_or_after_close(store: Store) -> None:
    sink = make(store)
    assert sink.flush(1)
    assert threads() == []
    sink.put("t", {"action": "a"})
    (thread,) = threads()
    assert thread.daemon
    sink.close()
    sink.close()
    assert threads() == []
    assert store.written == ["a"]


def test_what_waits_is_written_in_order_in_batches(store: Store) -> None:
    sink = make(store)
    store.gate.clear()
    sink.put("t", {"action": "first"})
    assert store.began.wait(10)
    for number in range(1200):
        sink.put("t", {"action": str(number)})
    assert not sink.flush(0)
    store.gate.set()
    assert sink.flush(10)
    assert [len(batch) for batch in store.batches] == [1, 500, 500, 200]
    assert store.written == ["first", *map(str, range(1200))]
    sink.close()


def test_each_thread_keeps_its_own_order(store: Store) -> None:
    sink = make(store)

    def put(name: str) -> None:
        for number in range(500):
            sink.put("t", {"action": f"{name}{number}"})

    workers = [threading.Thread(target=put, args=(name,)) for name in "abcd"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    sink.close()
    assert len(store.written) == 2000
    for name in "abcd":
        assert [x for x in store.written if x[0] == name] == [f"{name}{n}" for n in range(500)]


def test_a_full_queue_drops_and_says_so_once(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    sink = make(store, max_waiting=10)
    store.gate.clear()
    sink.put("t", {"action": "first"})
    assert store.began.wait(10)
    for number in range(50):
        sink.put("t", {"action": str(number)})
    assert sink.dropped == 40
    assert len(caplog.records) == 1
    assert "10 events wait" in caplog.text
    store.gate.set()
    sink.close()
    assert store.written == ["first", *map(str, range(10))]


def test_a_failed_write_is_counted_and_logged_once_until_one_works(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    sink = make(store)
    store.error = StoreConnectionError("No connection to x.")
    for _ in range(3):
        sink.put("t", {"action": "lost"})
        assert sink.flush(10)
    assert (sink.dropped, len(caplog.records)) == (3, 1)
    assert caplog.records[0].levelno == logging.WARNING
    assert caplog.records[0].name == "langchain_agentmem"
    assert "No connection to x." in caplog.text
    store.error = None
    sink.put("t", {"action": "kept"})
    assert sink.flush(10)
    store.error = RuntimeError("a bug")
    sink.put("t", {"action": "lost"})
    assert sink.flush(10)
    assert (sink.dropped, len(caplog.records)) == (4, 2)
    sink.close()
    assert store.written == ["kept"]


def test_a_refused_event_is_counted_alone(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    sink = make(store)
    store.refused = {"bad"}
    store.gate.clear()
    for thread in ("good", "bad", "good"):
        sink.put(thread, {"action": thread})
    store.gate.set()
    sink.close()
    assert sink.dropped == 1
    assert len(caplog.records) == 1


def test_what_comes_after_close_is_dropped(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    sink = make(store)
    sink.close()
    sink.put("t", {"action": "late"})
    assert (sink.dropped, store.written, threads()) == (1, [], [])
    assert "closed" in caplog.text


def test_put_does_not_wait_for_a_server_that_hangs_and_settling_waits_a_second(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "RUN_END_SECONDS", 0.05)
    sink = make(store)
    store.gate.clear()
    began = time.perf_counter()
    sink.put("t", {"action": "a"})
    sink.settle()
    assert 0.05 <= time.perf_counter() - began < 1
    monkeypatch.setattr(background, "RUN_END_SECONDS", 30)
    sink.settle()  # nobody waits a second time
    assert time.perf_counter() - began < 10
    store.gate.set()
    assert sink.flush(10)
    store.gate.clear()
    sink.put("t", {"action": "b"})
    threading.Timer(0.05, store.gate.set).start()
    sink.settle()  # but when it works again
    assert store.written == ["a", "b"]
    sink.close()


def test_settling_does_not_wait_while_writing_fails(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = make(store)
    store.error = StoreConnectionError("down")
    sink.put("t", {"action": "a"})
    assert sink.flush(10)
    monkeypatch.setattr(sink, "flush", None)
    sink.settle()
    store.error = None
    sink.close()


async def test_settling_leaves_the_event_loop_free(store: Store) -> None:
    sink = make(store)
    store.gate.clear()
    sink.put("t", {"action": "a"})
    settling = asyncio.create_task(sink.asettle())
    assert await asyncio.to_thread(store.began.wait, 10)
    assert not settling.done()
    store.gate.set()
    await settling
    assert store.written == ["a"]
    await sink.aclose()


def test_flushing_in_the_writing_thread_does_not_wait_for_itself() -> None:
    answers = []
    sink = BackgroundWriter(lambda entries: answers.append(sink.flush(10)) or ["1-0"], Losses())  # type: ignore[func-returns-value]
    sink.put("t", {"action": "a"})
    began = time.perf_counter()
    assert sink.flush(10)
    assert answers == [True]
    assert time.perf_counter() - began < 5
    sink.close()


def test_a_writer_that_nobody_holds_writes_what_is_left_and_ends_its_thread(store: Store) -> None:
    sink = make(store)
    store.gate.clear()
    sink.put("t", {"action": "a"})
    (thread,) = threads()
    del sink
    gc.collect()
    store.gate.set()
    thread.join(10)
    assert not thread.is_alive()
    assert store.written == ["a"]


def test_no_thread_to_be_had_is_a_dropped_event(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    sink = make(store)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        sink.put("t", {"action": "a"})
    sink.put("t", {"action": "b"})
    sink.close()
    assert (sink.dropped, store.written) == (1, ["b"])


def test_a_buffer_keeps_events_until_they_are_drained() -> None:
    buffer = EventBuffer(max_events=2)
    for action in "abc":
        buffer.put("t", {"action": action})
    assert not buffer.flush()
    buffer.settle()
    assert buffer.dropped == 1
    assert buffer.drain() == [("t", {"action": "a"}), ("t", {"action": "b"})]
    assert buffer.drain() == []
    assert buffer.flush()


async def test_a_loop_buffer_writes_itself_in_order_and_never_raises(
    caplog: pytest.LogCaptureFixture,
) -> None:
    written: list[Entry] = []
    failing = False

    async def write(entries: Sequence[Entry]) -> list[str]:
        await asyncio.sleep(0)
        if failing:
            raise StoreConnectionError("down")
        written.extend(entries)
        return ["1-0"] * len(entries)

    buffer = LoopBuffer(write, Losses())
    for number in range(10):
        buffer.put("t", {"action": str(number)})
    await asyncio.gather(*(buffer.asettle() for _ in range(5)))
    assert [fields["action"] for _, fields in written] == list("0123456789")
    failing = True
    buffer.put("t", {"action": "lost"})
    await buffer.aclose()
    assert buffer.dropped == 1
    buffer.put("t", {"action": "left"})
    buffer.close()
    assert buffer.dropped == 2
    assert len(caplog.records) == 1


async def test_a_write_that_is_cancelled_counts_its_events() -> None:
    begun = asyncio.Event()

    async def write(entries: Sequence[Entry]) -> list[str]:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError("not reached")

    buffer = LoopBuffer(write, Losses())
    buffer.put("t", {"action": "a"})
    settling = asyncio.create_task(buffer.asettle())
    await begun.wait()
    settling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await settling
    assert buffer.dropped == 1


class UntoldError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_a_failure_that_cannot_be_logged_is_counted_and_writing_goes_on(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: logging.LogRecord) -> bool:
        raise RuntimeError("a filter of the application")

    sink = make(store)
    store.error = UntoldError()
    sink.put("t", {"action": "lost"})
    assert sink.flush(10)
    with monkeypatch.context() as patch:
        patch.setattr(logging.getLogger("langchain_agentmem"), "filter", refuse)
        sink.losses.count([])
        store.error = StoreConnectionError("down")
        sink.put("t", {"action": "lost"})
        assert sink.flush(10)
    store.error = None
    sink.put("t", {"action": "kept"})
    sink.close()
    assert (sink.dropped, store.written) == (2, ["kept"])


def test_a_thread_that_has_died_is_replaced(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = make(store)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    store.error = SystemExit()  # type: ignore[assignment]
    sink.put("t", {"action": "lost"})
    (thread,) = threads()
    thread.join(10)
    store.error = None
    sink.put("t", {"action": "kept"})
    sink.settle()
    assert store.written == ["kept"]
    sink.close()


async def test_a_loop_buffer_does_not_write_before_an_earlier_write_is_done() -> None:
    begun: list[str] = []
    gate = asyncio.Event()

    async def write(entries: Sequence[Entry]) -> list[str]:
        begun.extend(fields["action"] for _, fields in entries)
        await gate.wait()
        return ["1-0"] * len(entries)

    buffer = LoopBuffer(write, Losses())
    settling = []
    for action in ("first", "second"):
        buffer.put("t", {"action": action})
        settling.append(asyncio.create_task(buffer.asettle()))
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert begun == ["first"]
    gate.set()
    await asyncio.gather(*settling)
    assert begun == ["first", "second"]
