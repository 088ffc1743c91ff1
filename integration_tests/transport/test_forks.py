"""A child forked while a thread of its parent opens, starts or computes something works, and hurts nobody.

Each program forks often while a thread is busy with what takes locks. Children use what they inherited, and
must end well within seconds.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from integration_tests.embedded.conftest import folder  # noqa: F401 - a fixture
from integration_tests.transport.conftest import Server
from integration_tests.upstash.emulator import Emulator
from integration_tests.waiting import wait_until
from langchain_agentmem.embedded.protocol import FileLock, read_state, supervisor_is_gone

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")

_FORKING = """
import asyncio, os, sys, threading, time, warnings
warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)

def while_busy(busy, child, times=30):
    stopping = threading.Event()
    def run():
        while not stopping.is_set():
            busy()
    thread = threading.Thread(target=run)
    thread.start()
    try:
        for number in range(times):
            time.sleep(0.003 * (number % 7))  # not always at the same point
            if not (pid := os.fork()):
                try:
                    child()
                except BaseException:
                    import traceback
                    traceback.print_exc()
                    os._exit(1)
                os._exit(0)
            assert ended(pid) == 0, f"child {number}"
    finally:
        stopping.set()
        thread.join()

def ended(pid):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return "stuck"
"""


def run(program: str, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FORKING + textwrap.dedent(program), *arguments],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr


def test_while_a_thread_opens_and_closes_memories(plain: Server) -> None:
    run(
        """
        from langchain_agentmem import AgentMemory
        url = sys.argv[1]
        kept = AgentMemory(url)
        kept.working.append_turn("t1", "user", "parent")

        def busy():
            AgentMemory(url + "?client_name=other").close()
            AgentMemory(url).close()

        def child():
            kept.working.append_turn("t1", "user", "child")
            with AgentMemory(url) as other:
                other.working.append_turn("t1", "user", "child")
                asyncio.run(other.working.aappend_turn("t1", "user", "child"))
            kept.close()

        while_busy(busy, child)
        assert kept.working.load("t1").turn_count == 91
        kept.close()
        """,
        plain.url,
    )


def test_while_a_thread_uses_a_rest_api(emulator: Emulator) -> None:
    """With its parent's HTTP connection, a child would take the answers to its parent's requests."""
    run(
        """
        from langchain_agentmem import AgentMemory
        memory = AgentMemory(sys.argv[1], token=sys.argv[2])
        memory.working.load("parent")
        done = 0

        def busy():
            global done
            done += 1
            assert memory.working.append_turn("parent", "user", "x").turn_count == done

        def child():
            for count in range(1, 6):
                thread = f"child {os.getpid()}"
                assert memory.working.append_turn(thread, "user", "x").turn_count == count

        while_busy(busy, child, times=10)
        assert memory.working.load("parent").turn_count == done
        memory.close()
        """,
        emulator.url,
        emulator.token,
    )


def test_while_a_loop_uses_the_memory(plain: Server) -> None:
    """The loop's sockets and selector are shared with the child, which leaves them alone."""
    run(
        """
        from langchain_agentmem import AgentMemory
        memory = AgentMemory(sys.argv[1])
        memory.working.load("t1")  # imports: Python itself lets a child wait for one that was going on
        done = 0

        async def append():
            global done
            for _ in range(50):
                await memory.working.aappend_turn("t1", "user", "parent")
                done += 1

        loop = asyncio.new_event_loop()

        def child():
            async def use():
                await memory.working.aappend_turn("t1", "user", "child")
                await memory.aclose()
            asyncio.run(use())

        while_busy(lambda: loop.run_until_complete(append()), child)
        assert memory.working.load("t1").turn_count == 30 + done
        loop.run_until_complete(memory.aclose())
        loop.close()
        """,
        plain.url,
    )


def test_while_a_thread_computes_what_is_computed_once(plain: Server) -> None:
    run(
        """
        from langchain_agentmem import AgentMemory
        from langchain_agentmem.working.working_memory import WorkingMemory
        url = sys.argv[1]
        memory = AgentMemory(url)
        memory.events.record("t1", "imported")
        first, begun = WorkingMemory.__init__, threading.Event()

        def slow(self, *args, **kwargs):
            first(self, *args, **kwargs)
            if threading.current_thread() is not threading.main_thread():
                begun.set()
                time.sleep(0.05)

        WorkingMemory.__init__ = slow

        def busy():
            with AgentMemory(url) as other:
                other.working

        def child():
            memory.working.append_turn("t1", "user", "child")

        begun.clear()
        while_busy(busy, child, times=10)
        assert begun.is_set()
        assert memory.working.load("t1").turn_count == 10
        memory.close()
        """,
        plain.url,
    )


def test_while_a_thread_starts_and_ends_the_private_redis(folder: Path) -> None:  # noqa: F811
    run(
        """
        import redis
        from langchain_agentmem import EmbeddedRedis
        shared = EmbeddedRedis(sys.argv[1], search=False)

        def busy():
            shared.start()
            shared.close()
            time.sleep(0.1)  # others wait for start.lock by asking now and then

        def child():
            with redis.Redis.from_url(shared.url) as client:
                client.incr("count")
            shared.close()

        while_busy(busy, child, times=10)
        with shared, redis.Redis.from_url(shared.url) as client:
            assert client.get("count") == b"10"
        """,
        str(folder),
    )


def test_while_a_thread_opens_memories_of_a_private_redis(folder: Path) -> None:  # noqa: F811
    run(
        """
        from langchain_agentmem import AgentMemory
        url = f"embedded://{sys.argv[1]}"
        memory = AgentMemory(url)
        memory.working.load("t1")

        def busy():
            with AgentMemory(url) as other:
                other.working.load("t1")

        def child():
            memory.working.append_turn("t1", "user", "child")
            memory.close()

        while_busy(busy, child, times=20)
        assert memory.working.load("t1").turn_count == 20
        memory.close()
        """,
        str(folder),
    )


def test_a_start_does_not_wait_for_a_child_that_was_forked_in_the_middle_of_it(
    folder: Path,  # noqa: F811
) -> None:
    """While `subprocess` runs a program, its pipe must not get into a child: it would wait for the end of both."""
    run(
        """
        from langchain_agentmem import EmbeddedRedis
        embedded = EmbeddedRedis(sys.argv[1], search=False)
        starter = threading.Thread(target=embedded.start, daemon=True)
        pipe, inside, forked = os.pipe, threading.Event(), threading.Event()

        def slow_pipe():
            made = pipe()
            if threading.current_thread() is starter:
                inside.set()
                forked.wait(0.5)
            return made

        os.pipe = slow_pipe
        starter.start()
        assert inside.wait(10)
        if not (pid := os.fork()):
            time.sleep(60)
            os._exit(0)
        forked.set()
        starter.join(10)
        started = not starter.is_alive()
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        assert started
        embedded.close()
        """,
        str(folder),
    )


def test_a_child_that_ends_does_not_release_what_its_parent_holds(folder: Path) -> None:  # noqa: F811
    run(
        """
        from langchain_agentmem import AgentMemory, EmbeddedRedis
        from langchain_agentmem.embedded.protocol import read_state
        folder = sys.argv[1]
        memory = AgentMemory(f"embedded://{folder}")
        memory.working.append_turn("t1", "user", "parent")
        supervisor = read_state(folder)["supervisor_pid"]
        for how in (memory.close, lambda: None):
            if not (pid := os.fork()):
                memory.working.append_turn("t1", "user", "child")
                how()
                os._exit(0)
            assert ended(pid) == 0
        with EmbeddedRedis(folder):
            pass
        assert memory.working.append_turn("t1", "user", "parent").turn_count == 4
        assert read_state(folder)["supervisor_pid"] == supervisor
        memory.close()
        """,
        str(folder),
    )


_STARTING = """
import os, sys, threading
from langchain_agentmem.embedded.server import EmbeddedRedis

def fork_in_the_middle(sentence):
    if "starting" in sentence:
        begun.set()
        threading.Event().wait()  # holds start.lock

begun = threading.Event()
embedded = EmbeddedRedis(sys.argv[1], search=False, on_progress=fork_in_the_middle)
threading.Thread(target=embedded.start, daemon=True).start()
begun.wait()
if not os.fork():
    print(os.getpid(), flush=True)
    threading.Event().wait()
threading.Event().wait()
"""


def test_a_child_forked_during_a_start_does_not_hold_the_folder_when_its_parent_is_killed(
    folder: Path,  # noqa: F811
) -> None:
    with subprocess.Popen([sys.executable, "-c", _STARTING, str(folder)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
        try:
            for name in ("start.lock", "users.lock"):
                lock = FileLock(folder / name)
                wait_until(lock.take)
                lock.close()
        finally:
            os.kill(child, signal.SIGKILL)
    assert read_state(folder) is None
    assert supervisor_is_gone(folder)
