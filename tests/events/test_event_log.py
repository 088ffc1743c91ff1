"""`EventLog` over a transport that keeps what it was to send."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from langchain_agentmem.core.redaction import clean
from langchain_agentmem.errors import ConfigurationError, InvalidInputError
from langchain_agentmem.events import sanitize
from langchain_agentmem.events.background import BackgroundWriter, EventBuffer, LoopBuffer
from langchain_agentmem.events.event_log import EventLog
from langchain_agentmem.transport.drivers import InFlightBatch
from tests.fake_transport import FakeTransport

SECRET = "hunter2SECRETx9"


class Recorded(FakeTransport):
    """Answers every write with ids."""

    def __init__(self, *, async_only: bool = False) -> None:
        super().__init__()
        self.async_only = async_only

    def answer(self, sending: InFlightBatch) -> None:
        self._replies.append([[f"{n}-0".encode() for n in range(1, 9)] for _ in sending.left])
        super().answer(sending)


@pytest.fixture
def transport() -> Recorded:
    return Recorded()


@pytest.fixture
def log(transport: Recorded) -> Iterator[EventLog]:
    log = EventLog(transport=transport, max_len=7, max_detail_bytes=20, key_prefix="ev:")
    yield log
    log.close()


async def test_recording_is_one_round_trip_sync_and_async(log: EventLog, transport: Recorded) -> None:
    assert log.record("t", "a", "x" * 30, name="n", run_id="r", duration_seconds=1.5) == "1-0"
    assert await log.arecord("t", "a", "x" * 30, name="n", run_id="r", duration_seconds=1.5) == "1-0"
    events = [("t", {"action": "a"}), ("t", {"action": "b", "ts": 1.0})]
    assert log.record_many(events) == await log.arecord_many(events) == ["1-0", "2-0"]
    assert [len(batch) for batch in transport.sent] == [1, 1, 1, 1]
    sent = [str(part) for part in transport.sent_args[0][0]]
    assert sent[3] == log.key("t") == "ev:t"
    assert sent[sent.index("detail") + 1] == "x" * 17 + "…"
    assert {"n", "r", "1.500000"} <= set(sent)


@pytest.mark.parametrize(
    "arguments", [{"thread_id": ""}, {"action": ""}, {"detail": 5}, {"user": 5}, {"duration_seconds": "1"}]
)
def test_what_is_not_valid_is_refused_before_anything_is_sent(
    log: EventLog, transport: Recorded, arguments: dict[str, Any]
) -> None:
    with pytest.raises(InvalidInputError):
        log.record(**{"thread_id": "t", "action": "a", **arguments})
    with pytest.raises(InvalidInputError):
        log.record_many([("t", {"action": "a"}), ("", {"action": "a"})])
    assert transport.sent == []


@pytest.mark.parametrize(
    "arguments",
    [
        {"max_len": 0},
        {"ttl_seconds": 0},
        {"max_detail_bytes": -1},
        {"key_prefix": 5},
        {"threads_prefix": "\ud800"},
    ],
)
def test_numbers_and_prefixes_are_checked(arguments: dict[str, Any]) -> None:
    with pytest.raises((InvalidInputError, ConfigurationError)):
        EventLog(transport=Recorded(), **arguments)


def test_a_log_with_only_an_async_client_keeps_events_for_the_loop(log: EventLog) -> None:
    assert isinstance(log.sink, BackgroundWriter)
    assert isinstance(EventLog(transport=Recorded(async_only=True)).sink, LoopBuffer)


def test_a_buffer_is_written_by_its_owner_and_counts_in_the_log(log: EventLog, transport: Recorded) -> None:
    buffer = log.buffer()
    log.put("t", "a", "b", user="bob", sink=buffer)
    assert transport.sent == []
    entries = buffer.drain()
    log.transport.run(log.record_op(entries))
    log.transport.run(log.record_op(entries, noted_ttl_seconds=None))
    (note, write), (write_alone,) = transport.sent
    assert (note.keys, write.keys) == (("agent:threads:bob",), ("ev:t",))
    assert write_alone == write
    log.count_dropped(len(entries), "no server")
    assert log.dropped == 1


class TestPut:
    def put(self, log: EventLog, detail: object) -> str:
        sink = EventBuffer()
        log.put("t", "memory_error", detail, sink=sink)
        ((_, fields),) = sink.drain()
        return fields["detail"]

    def test_an_own_message_stays_and_what_it_quotes_is_redacted(self) -> None:
        log = EventLog(transport=Recorded())
        own = clean("append: token= is missing, said {}", ValueError(f"password={SECRET}"))
        assert self.put(log, own) == "append: token= is missing, said password=[redacted]"
        assert self.put(log, ConfigurationError(own)) == f"ConfigurationError: {own}"
        assert self.put(log, f"token= {SECRET}") == "token= [redacted]"
        assert SECRET not in self.put(log, ConfigurationError(f"token= {SECRET}"))
        log.close()

    def test_it_is_cut_like_any_other(self, log: EventLog) -> None:
        assert self.put(log, clean("token= is what is missing")) == "token= is what is…"

    def test_a_failure_is_counted_and_not_raised(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: Any) -> str:
            raise RuntimeError(f"a bug with password={SECRET}")

        log = EventLog(transport=Recorded())
        monkeypatch.setattr(sanitize, "describe", fail)
        log.put("t", "a", "b")
        log.put("t", "", "b", sink=log.buffer())
        assert log.dropped == 2
        log.close()
