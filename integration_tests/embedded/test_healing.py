"""A memory of an `embedded://` URL goes on after its supervisor has died, and says so where it cannot."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from integration_tests.conftest import Both
from integration_tests.embedded.conftest import is_running, state_of
from integration_tests.waiting import wait_until
from langchain_agentmem.embedded.protocol import read_state, server_info, supervisor_is_gone
from langchain_agentmem.embedded.server import EmbeddedRedis
from langchain_agentmem.errors import AgentMemoryError, EmbeddedRedisError, StoreConnectionError
from langchain_agentmem.working.working_memory import WorkingMemory

linux_only = pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere the server outlives its supervisor"
)


def pid_of(folder: Path) -> int:
    state = state_of(folder)
    info = server_info(state["socket"], state["password"])
    assert info is not None
    return info.pid


def kill_supervisor(folder: Path, how: signal.Signals = signal.SIGKILL) -> None:
    """And with it, the server."""
    state = state_of(folder)
    os.kill(state["supervisor_pid"], how)
    wait_until(lambda: supervisor_is_gone(folder) and nobody_listens(state["socket"]))


def end_in_good_order(folder: Path) -> None:
    """As the machine does when it goes down; the next server has another URL."""
    kill_supervisor(folder, signal.SIGTERM)


def is_reaped(pid: int) -> bool:
    """Whether all its threads have ended, and its sockets are closed."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def nobody_listens(socket_path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(socket_path)
        except OSError:
            return True
    return False


@pytest.fixture
async def memory(folder: Path) -> AsyncIterator[WorkingMemory]:
    memory = WorkingMemory(f"embedded://{folder}", max_turns=None)
    yield memory
    await memory.aclose()


async def texts(both: Both, memory: WorkingMemory) -> list[str]:
    return [str(message.content) for message in await both(memory).amessages("t1")]


@linux_only
@pytest.mark.parametrize("end", [kill_supervisor, end_in_good_order])
async def test_an_operation_brings_back_a_server_whose_supervisor_died(
    folder: Path, memory: WorkingMemory, both: Both, end: Callable[[Path], None]
) -> None:
    for count in range(3):
        await both(memory).aappend_turn("t1", "user", str(count))
        end(folder)
    assert (await both(memory).aappend_turn("t1", "user", "3")).turn_count == 4
    assert await texts(both, memory) == ["0", "1", "2", "3"]


@linux_only
async def test_a_new_memory_of_the_url_works_too(folder: Path, memory: WorkingMemory, both: Both) -> None:
    await both(memory).aappend_turn("t1", "user", "before")
    kill_supervisor(folder)
    other = WorkingMemory(f"embedded://{folder}", max_turns=None)
    await both(other).aappend_turn("t1", "user", "after")
    await other.aclose()
    assert await texts(both, memory) == ["before", "after"]


@linux_only
async def test_threads_and_tasks_at_once_start_one_server(folder: Path, memory: WorkingMemory) -> None:
    memory.append_turn("t1", "user", "before")
    await memory.amessages("t1")
    for end in (kill_supervisor, end_in_good_order):
        end(folder)
        threads = [threading.Thread(target=memory.append_turn, args=("t1", "user", "x")) for _ in range(8)]
        for thread in threads:
            thread.start()
        await asyncio.gather(*(memory.aappend_turn("t1", "user", "x") for _ in range(20)))
        for thread in threads:
            await asyncio.to_thread(thread.join)
    assert len(memory.messages("t1")) == 1 + 2 * 28


@linux_only
async def test_the_server_that_another_process_has_started_is_found(
    folder: Path, memory: WorkingMemory, both: Both
) -> None:
    await both(memory).aappend_turn("t1", "user", "before")
    end_in_good_order(folder)
    with EmbeddedRedis(folder) as embedded:
        pid = embedded.pid
        await both(memory).aappend_turn("t1", "user", "after")
        assert await texts(both, memory) == ["before", "after"]
        assert embedded.pid == pid


async def test_a_killed_server_is_left_to_its_supervisor(
    folder: Path, memory: WorkingMemory, both: Both
) -> None:
    await both(memory).aappend_turn("t1", "user", "before")
    supervisor, pid = state_of(folder)["supervisor_pid"], pid_of(folder)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: is_reaped(pid))
    await both(memory).aappend_turn("t1", "user", "after")
    assert await texts(both, memory) == ["before", "after"]
    assert state_of(folder)["supervisor_pid"] == supervisor


@linux_only
@pytest.mark.parametrize("fate", ["moved", "deleted", "exchanged"])
async def test_a_folder_that_is_no_longer_there_is_an_error_and_no_empty_memory(
    folder: Path, memory: WorkingMemory, both: Both, fate: str
) -> None:
    await both(memory).aappend_turn("t1", "user", "before")
    kill_supervisor(folder)
    elsewhere = folder.with_name("elsewhere")
    if fate == "deleted":
        shutil.rmtree(folder)
    else:
        os.rename(folder, elsewhere)
    if fate == "exchanged":
        EmbeddedRedis(folder).start().close()
    with pytest.raises(EmbeddedRedisError, match="was moved, deleted or exchanged"):
        await both(memory).aappend_turn("t1", "user", "lost")
    other = WorkingMemory(f"embedded://{folder}")
    with pytest.raises(EmbeddedRedisError, match="was moved, deleted or exchanged"):
        await both(other).aappend_turn("t1", "user", "lost")
    await other.aclose()
    if fate == "moved":
        os.rename(elsewhere, folder)
        await both(memory).aappend_turn("t1", "user", "after")
        assert await texts(both, memory) == ["before", "after"]


def lose(folder: Path, fate: str) -> None:
    """Take the folder away from its running server; `elsewhere` beside it is where it was moved to."""
    if fate == "deleted":
        shutil.rmtree(folder)
    elif fate == "emptied":
        for each in folder.iterdir():
            shutil.rmtree(each) if each.is_dir() else each.unlink()
    else:
        folder.rename(folder.with_name("elsewhere"))
    if fate == "exchanged":
        folder.mkdir()


@pytest.mark.parametrize("fate", ["moved", "deleted", "exchanged", "emptied"])
async def test_operations_fail_soon_after_the_folder_of_a_running_server_is_gone(
    folder: Path, memory: WorkingMemory, both: Both, fate: str
) -> None:
    acknowledged: list[str] = []

    async def append_for(seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            text = str(len(acknowledged))
            with suppress(StoreConnectionError):  # it was under way when the server ended
                await both(memory).aappend_turn("t1", "user", text)
                acknowledged.append(text)

    await append_for(0.05)
    assert acknowledged
    supervisor = state_of(folder)["supervisor_pid"]
    lose(folder, fate)
    with pytest.raises(EmbeddedRedisError, match="was moved, deleted or exchanged"):
        await append_for(30)
    await memory.aclose()
    wait_until(lambda: not is_running(supervisor))
    if fate in ("moved", "exchanged"):
        elsewhere = folder.with_name("elsewhere")
        assert not list(elsewhere.glob("*.sock"))
        assert read_state(elsewhere) is None
        async with WorkingMemory(f"embedded://{elsewhere}", max_turns=None) as moved:
            assert set(acknowledged) <= set(await texts(both, moved))
        wait_until(lambda: supervisor_is_gone(elsewhere))


@pytest.mark.parametrize("closed", [True, False], ids=["after close", "while in use"])
def test_a_folder_that_was_moved_while_its_server_runs_opens_at_its_new_place(
    folder: Path, closed: bool
) -> None:
    elsewhere = folder.with_name("elsewhere")
    with WorkingMemory(f"embedded://{folder}") as memory:
        memory.append_turn("t1", "user", "before")
        folder.rename(elsewhere)
        if closed:
            memory.close()
        with WorkingMemory(f"embedded://{elsewhere}") as moved:
            assert [message.content for message in moved.messages("t1")] == ["before"]
            if not closed:
                with pytest.raises(EmbeddedRedisError, match="was moved, deleted or exchanged"):
                    memory.messages("t1")
    wait_until(lambda: supervisor_is_gone(elsewhere))


def test_a_folder_that_was_put_back_goes_on(folder: Path, memory: WorkingMemory) -> None:
    elsewhere = folder.with_name("elsewhere")
    memory.append_turn("t1", "user", "before")
    folder.rename(elsewhere)
    wait_until(lambda: supervisor_is_gone(elsewhere))
    elsewhere.rename(folder)
    memory.append_turn("t1", "user", "after")
    assert [message.content for message in memory.messages("t1")] == ["before", "after"]


def test_a_killed_server_is_not_started_again_in_another_folder_of_that_name(folder: Path) -> None:
    elsewhere = folder.with_name("elsewhere")
    with EmbeddedRedis(folder, search=False) as embedded:
        pid = embedded.pid or 0
        lose(folder, "exchanged")
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: supervisor_is_gone(elsewhere))
        assert list(folder.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a folder")
def test_a_folder_in_use_under_another_name_is_said_to_be_in_use(folder: Path) -> None:
    again = folder.with_name("again")
    again.mkdir()
    with EmbeddedRedis(folder, search=False):
        if subprocess.run(["mount", "--bind", folder, again], capture_output=True).returncode:
            pytest.skip("no folder can be mounted here")
        try:
            with pytest.raises(EmbeddedRedisError, match=f"was started in {folder}, and is still in use"):
                EmbeddedRedis(again, search=False).start()
        finally:
            subprocess.run(["umount", again], check=True)


@linux_only
async def test_a_server_that_cannot_be_started_is_an_error_at_once_and_tried_again_by_the_next(
    folder: Path, memory: WorkingMemory, both: Both
) -> None:
    await both(memory).aappend_turn("t1", "user", "before")
    kill_supervisor(folder)
    os.chmod(folder, 0o777)
    with pytest.raises(AgentMemoryError, match="chmod 700") as refused:
        await both(memory).aappend_turn("t1", "user", "lost")
    assert not isinstance(refused.value, StoreConnectionError)
    os.chmod(folder, 0o700)
    await both(memory).aappend_turn("t1", "user", "after")
    assert await texts(both, memory) == ["before", "after"]


class TestAcknowledged:
    @linux_only
    def test_no_acknowledged_write_is_lost_while_supervisors_and_servers_are_killed(
        self, folder: Path, memory: WorkingMemory
    ) -> None:
        """Writers ignore the writes that broke: those may have happened."""
        acknowledged: list[set[str]] = [set() for _ in range(4)]
        stopping = threading.Event()

        def write(number: int) -> None:
            count = 0
            while not stopping.is_set():
                count += 1
                try:
                    memory.append_turn("t1", "user", f"{number}:{count}")
                except StoreConnectionError:
                    continue
                acknowledged[number].add(f"{number}:{count}")

        def wait_for_more() -> None:
            enough = sum(map(len, acknowledged)) + 50
            wait_until(lambda: sum(map(len, acknowledged)) > enough)

        writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
        for writer in writers:
            writer.start()
        for kill in ("supervisor_pid", "server", "supervisor_pid", "server", "supervisor_pid"):
            wait_for_more()
            os.kill(pid_of(folder) if kill == "server" else state_of(folder)[kill], signal.SIGKILL)
        wait_for_more()
        stopping.set()
        for writer in writers:
            writer.join()
        found = [str(message.content) for message in memory.messages("t1")]
        assert len(set(found)) == len(found)
        assert set().union(*acknowledged) <= set(found)
