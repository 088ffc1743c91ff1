"""Events on their way through the background writer: exits, forks, a server that is away."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import redis
from langchain_core.runnables import RunnableLambda
from tenacity import stop_after_delay

from integration_tests.waiting import wait_until
from langchain_agentmem.events import background
from langchain_agentmem.events.callbacks import EventLogHandler
from langchain_agentmem.events.event_log import EventLog
from langchain_agentmem.transport.drivers import PACE

CHAIN = RunnableLambda(lambda x: x)


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    head = "import os, sys\nfrom langchain_agentmem.events.event_log import EventLog\nurl = sys.argv[1]\n"
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", head + textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )


def succeed(code: str, *arguments: str) -> None:
    done = run(code, *arguments)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_server_that_is_away_does_not_touch_the_chain(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "RUN_END_SECONDS", 0.2)
    monkeypatch.setitem(PACE, "stop", stop_after_delay(0.6))
    log = EventLog("unix:///nowhere/at/all.sock")
    handler = EventLogHandler(log, "t")
    began = time.perf_counter()
    assert [CHAIN.invoke(i, {"callbacks": [handler]}) for i in range(10)] == list(range(10))
    assert 0.2 <= time.perf_counter() - began < 1.5  # one run has waited, the others knew better
    assert handler.flush(20)
    assert handler.dropped == log.dropped == 20
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    CHAIN.invoke("x", {"callbacks": [handler]})
    log.close()
    assert log.dropped == 22
    assert len(caplog.records) == 1


def test_a_server_that_comes_back_is_written_to_again(
    url: str, bare: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    with EventLog(url) as log:
        handler = EventLogHandler(log, "t")
        bare.set("agent:events:t", "in the way")
        CHAIN.invoke("x", {"callbacks": [handler]})
        assert (handler.dropped, len(caplog.records)) == (2, 1)
        assert "WRONGTYPE" in caplog.text
        bare.delete("agent:events:t")
        CHAIN.invoke("x", {"callbacks": [handler]})
        assert (handler.dropped, log.length("t")) == (2, 2)


def test_a_full_queue_drops_without_waiting(url: str, bare: redis.Redis) -> None:
    with EventLog(url) as log:
        bare.execute_command("CLIENT", "PAUSE", 60_000, "WRITE")
        began = time.perf_counter()
        for i in range(background.MAX_WAITING + 2000):
            log.put("t", "a", str(i))
        assert time.perf_counter() - began < 10
        assert log.dropped >= 2000 - background.MAX_BATCH
        bare.execute_command("CLIENT", "UNPAUSE")
        assert log.sink.flush(20)
        written = int(log.recent("t", 1)[0].detail)
        assert written < background.MAX_WAITING + 2000


def test_reading_sees_what_the_process_has_put(url: str) -> None:
    with EventLog(url, max_len=10_000) as log:
        for i in range(1500):
            log.put("t", "a", i)
        assert log.length("t") == 1500
        assert [event.detail for event in log.after("t", "", 2000)] == [str(i) for i in range(1500)]
        log.put("t", "last")
        assert log.recent("t", 1)[0].action == "last"
        log.put("t", "gone")
        assert log.clear("t") == 1502


def test_closing_writes_what_waits(url: str) -> None:
    log = EventLog(url, max_len=10_000)
    for i in range(3000):
        log.put("t", "a", i)
    log.close()
    with EventLog(url) as other:
        assert other.length("t") == 3000
    log.put("t", "late")
    assert log.dropped == 1


def test_closing_counts_what_a_server_that_is_away_never_got(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "EXIT_SECONDS", 0.5)
    monkeypatch.setitem(PACE, "stop", stop_after_delay(0.4))
    log = EventLog("redis://127.0.0.1:1")
    for number in range(3000):
        log.put("t1", "note", str(number))
    log.close()
    wait_until(lambda: log.dropped == 3000, seconds=10)


def test_a_process_that_ends_without_closing_loses_nothing(url: str, bare: redis.Redis) -> None:
    succeed(
        """
        from langchain_agentmem.events.callbacks import EventLogHandler
        from langchain_core.runnables import RunnableLambda
        log = EventLog(url, max_len=10_000)
        chain = RunnableLambda(lambda x: x) | RunnableLambda(lambda x: x)
        chain.invoke("x", {"callbacks": [EventLogHandler(log, "chain")]})
        for i in range(3000):
            log.put("t", "a", i)
        """,
        url,
    )
    assert bare.xlen("agent:events:chain") == 6
    assert bare.xlen("agent:events:t") == 3000


def test_a_chain_that_runs_while_the_process_exits_answers_and_is_recorded(
    url: str, bare: redis.Redis
) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(RUN_AT_EXIT), url],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "ANSWER 0\n"
    assert bare.xlen("agent:events:t") == 3


RUN_AT_EXIT = """
import atexit, sys

@atexit.register  # before the package's own, and so called after them
def last() -> None:
    print(CHAIN.invoke("answer", {"callbacks": [handler]}), log.dropped)

from langchain_core.runnables import RunnableLambda
from langchain_agentmem.events.event_log import EventLog
from langchain_agentmem.events.callbacks import EventLogHandler

CHAIN = RunnableLambda(str.upper)
log = EventLog(sys.argv[1])
handler = EventLogHandler(log, "t")
log.put("t", "first")
"""


def test_a_private_server_is_stopped_after_the_last_event(tmp_path: Path) -> None:
    url = f"embedded://{tmp_path}"
    succeed(
        """
        log = EventLog(url)
        log.record("t", "first")  # starts the server, which from now on is to be stopped at exit
        for i in range(2000):
            log.put("t", "a", i)
        """,
        url,
    )
    with EventLog(url) as log:
        assert 1000 <= log.length("t") <= 1100
        assert log.recent("t", 1)[0].detail == "1999"


def test_a_server_that_hangs_does_not_hang_the_exit(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        began = time.perf_counter()
        succeed(
            """
            from langchain_agentmem.events import background
            background.EXIT_SECONDS = 0.5
            EventLog(url, socket_timeout_seconds=30).put("t", "a")
            """,
            f"unix://{path}",
        )
        assert time.perf_counter() - began < 15


FORK = """
import threading, time, warnings
warnings.filterwarnings("ignore", category=DeprecationWarning)  # forking with threads is what is tested
log = EventLog(url, max_len=100_000)
log.put("warm", "a")
log.sink.flush()
stop = threading.Event()
counts = [0, 0]
def hammer(which):
    while not stop.is_set() and counts[which] < 4000:
        log.put(f"parent{which}", "a", counts[which])
        counts[which] += 1
threads = [threading.Thread(target=hammer, args=(which,)) for which in (0, 1)]
for thread in threads: thread.start()
children = []
for number in range(4):
    if (pid := os.fork()) == 0:
        ok = all(t.name != "agentmem-events" for t in threading.enumerate())
        for i in range(200):
            log.put(f"child{number}", "a", i)
        ok = ok and log.sink.flush(20) and log.dropped == 0
        log.close()
        os._exit(0 if ok else 1)
    children.append(pid)
codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
stop.set()
for thread in threads: thread.join()
log.close()
print(codes, *counts, log.dropped)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_writes_its_own_events_and_only_those(url: str, bare: redis.Redis) -> None:
    done = run(FORK, url)
    assert done.stderr == ""
    codes, first, second, dropped = done.stdout.replace("[0, 0, 0, 0]", "good").split()
    assert (codes, dropped) == ("good", "0")
    for key, count in [
        *[("agent:events:parent0", int(first)), ("agent:events:parent1", int(second))],
        *[(f"agent:events:child{number}", 200) for number in range(4)],
    ]:
        details = [fields[b"detail"].decode() for _, fields in bare.xrange(key)]
        assert details == [str(i) for i in range(count)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_that_ends_does_not_wait_for_its_parent_s_thread(url: str) -> None:
    succeed(
        """
        import time, warnings
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        log = EventLog(url)
        log.put("t", "a")
        log.sink.flush()
        pid = os.fork()
        if pid == 0:
            sys.exit(0)
        began = time.perf_counter()
        assert os.waitpid(pid, 0)[1] == 0
        assert time.perf_counter() - began < 3
        """,
        url,
    )


def test_nothing_is_left_running(url: str) -> None:
    before = threading.active_count()
    for _ in range(20):
        with EventLog(url) as log:
            CHAIN.invoke("x", {"callbacks": [EventLogHandler(log, "t")]})
    assert threading.active_count() == before


def test_constructing_sends_nothing_and_starts_nothing() -> None:
    before = threading.active_count()
    options: dict[str, Any] = {"socket_timeout_seconds": 1.0}
    with EventLog("redis://nowhere.invalid:1", **options) as log:
        EventLogHandler(log, "t")
        assert log.sink.flush()
        assert threading.active_count() == before
