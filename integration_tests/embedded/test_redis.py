"""What `EmbeddedRedis` promises, on real servers: sharing, lifetime, crashes, odd folders, privacy."""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.commands.search.field import TextField
from redis.commands.search.index_definition import IndexDefinition, IndexType
from redis.retry import Retry

from integration_tests.embedded.conftest import UserProcess, is_running, state_of
from integration_tests.waiting import wait_until
from langchain_agentmem.embedded.binaries import find_candidates, make_runnable
from langchain_agentmem.embedded.launch import render_config
from langchain_agentmem.embedded.protocol import FileLock, read_state, supervisor_is_gone
from langchain_agentmem.embedded.server import EmbeddedRedis
from langchain_agentmem.embedded.server_process import ARGUMENTS
from langchain_agentmem.errors import ConfigurationError, EmbeddedRedisError

Open = Callable[..., EmbeddedRedis]
Connect = Callable[[EmbeddedRedis | str], redis.Redis]
StartUser = Callable[..., UserProcess]

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def module_names(client: redis.Redis) -> set[str]:
    return {module["name"] for module in client.module_list()}


COME_AND_GO = """
import sys
import redis
from langchain_agentmem.embedded.server import EmbeddedRedis

for _ in range(int(sys.argv[2])):
    with EmbeddedRedis(sys.argv[1]) as embedded, redis.Redis.from_url(embedded.url) as client:
        client.incr("count")
"""


class TestDurableServer:
    def test_a_later_start_finds_the_data(self, folder: Path, connect: Connect) -> None:
        with EmbeddedRedis(folder) as first:
            connect(first).set("k", "v")
            pid = first.pid
        wait_until(lambda: supervisor_is_gone(folder))
        with EmbeddedRedis(folder) as second:
            assert second.pid != pid
            assert connect(second).get("k") == "v"

    def test_close_and_start_at_once_keeps_the_data(self, folder: Path, connect: Connect) -> None:
        embedded = EmbeddedRedis(folder)
        for count in range(1, 6):
            with embedded:
                assert connect(embedded).incr("count") == count

    def test_start_waits_for_the_end_of_the_loading_however_long(
        self, folder: Path, open_redis: Open, connect: Connect
    ) -> None:
        with EmbeddedRedis(folder) as embedded:
            client = connect(embedded)
            client.mset({f"k{number}": os.urandom(1000).hex() for number in range(20)})
            client.bgrewriteaof()
            wait_until(lambda: not client.info("persistence")["aof_rewrite_in_progress"])
        wait_until(lambda: supervisor_is_gone(folder))
        heard: list[str] = []
        slow = {"key-load-delay": "100000", "loading-process-events-interval-bytes": "1024"}
        starter = open_redis(folder, options=slow, start_timeout_seconds=1.2, on_progress=heard.append)
        assert connect(starter).dbsize() == 20
        assert any(re.fullmatch(r"loading its data: \d+ %", sentence) for sentence in heard)

    def test_its_settings(self, folder: Path, open_redis: Open, connect: Connect) -> None:
        client = connect(open_redis(folder, options={"maxmemory": "64mb"}))
        found = client.config_get(
            "appendonly", "appendfsync", "maxmemory-policy", "maxmemory", "save", "port"
        )
        assert found == {
            "appendonly": "yes",
            "appendfsync": "no",  # its supervisor syncs
            "maxmemory-policy": "noeviction",
            "maxmemory": str(64 * 1024 * 1024),
            "save": "",
            "port": "0",
        }

    def test_search_sees_json_documents_after_a_restart(self, folder: Path, connect: Connect) -> None:
        with EmbeddedRedis(folder) as embedded:
            client = connect(embedded)
            assert {"search", "ReJSON"} <= module_names(client)
            client.ft("i").create_index(
                [TextField("$.t", as_name="t")],
                definition=IndexDefinition(prefix=["d:"], index_type=IndexType.JSON),  # type: ignore[no-untyped-call]
            )
            client.json().set("d:1", "$", {"t": "tea"})
        wait_until(lambda: supervisor_is_gone(folder))
        with EmbeddedRedis(folder) as embedded:
            client = connect(embedded)
            wait_until(lambda: client.ft("i").search("@t:tea").total == 1)

    def test_without_search_there_are_no_modules(
        self, folder: Path, open_redis: Open, connect: Connect
    ) -> None:
        assert not {"search", "ReJSON"} & module_names(connect(open_redis(folder, search=False)))
        with pytest.raises(EmbeddedRedisError, match="started without Search"):
            EmbeddedRedis(folder).start()


class TestSharing:
    def test_two_users_in_one_process_share_a_server(self, folder: Path, connect: Connect) -> None:
        first, second = EmbeddedRedis(folder).start(), EmbeddedRedis(folder).start()
        pid = first.pid
        assert second.pid == pid
        assert second.url == first.url
        first.close()
        assert first.pid is None
        assert connect(second).ping()
        second.close()
        wait_until(lambda: not is_running(pid or 0))

    def test_a_link_to_the_folder_is_the_same_folder(self, folder: Path, open_redis: Open) -> None:
        first = open_redis(folder)
        link = folder.parent / "link"
        link.symlink_to(folder)
        assert open_redis(link).pid == first.pid

    def test_processes_share_a_server_that_ends_after_the_last(
        self, folder: Path, user_process: StartUser, connect: Connect
    ) -> None:
        first, second = user_process(folder), user_process(folder)
        got = first.got()
        assert second.got()["pid"] == got["pid"]
        first.end()
        assert connect(got["url"]).ping()
        second.end()
        wait_until(lambda: not is_running(got["pid"]))
        wait_until(lambda: supervisor_is_gone(folder))
        assert not list(folder.glob("*.sock"))
        assert read_state(folder) is None

    def test_eight_processes_at_once_start_one_server(self, folder: Path, user_process: StartUser) -> None:
        users = [user_process(folder) for _ in range(8)]
        assert len({user.got()["pid"] for user in users}) == 1

    def test_threads_may_share_one_object(self, folder: Path, open_redis: Open) -> None:
        embedded = open_redis(folder)
        found: list[int | None] = []
        threads = [threading.Thread(target=lambda: found.append(embedded.start().pid)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [embedded.pid] * 8

    def test_no_count_is_lost_while_processes_come_and_go(self, folder: Path, connect: Connect) -> None:
        command = [sys.executable, "-c", COME_AND_GO, str(folder), "10"]
        users = [subprocess.Popen(command) for _ in range(4)]
        for user in users:
            assert user.wait() == 0
        with EmbeddedRedis(folder) as embedded:
            assert connect(embedded).get("count") == "40"

    def test_a_forked_child_shares_the_hold_of_its_parent(
        self, folder: Path, user_process: StartUser, connect: Connect
    ) -> None:
        user = user_process(folder, "fork")
        got = user.got()
        user.process.wait()
        assert connect(got["url"]).ping()
        user.end()
        wait_until(lambda: not is_running(got["pid"]))

    def test_a_program_run_by_a_user_does_not_hold_the_server(self, folder: Path) -> None:
        with (
            EmbeddedRedis(folder) as embedded,
            subprocess.Popen(["sleep", "60"], close_fds=False) as program,
        ):
            pid = embedded.pid or 0
            embedded.close()
            wait_until(lambda: not is_running(pid))
            program.kill()


class TestCrashes:
    def test_a_killed_user_counts_as_gone(self, folder: Path, user_process: StartUser) -> None:
        user = user_process(folder)
        pid = user.got()["pid"]
        user.kill()
        wait_until(lambda: not is_running(pid))
        wait_until(lambda: supervisor_is_gone(folder))
        assert not list(folder.glob("*.sock"))
        assert read_state(folder) is None

    def test_a_killed_server_comes_back_at_the_same_url_with_its_data(
        self, folder: Path, open_redis: Open, connect: Connect
    ) -> None:
        embedded = open_redis(folder)
        client, url, pid = connect(embedded), embedded.url, embedded.pid
        client.set("k", "v")
        os.kill(pid or 0, signal.SIGKILL)
        wait_until(lambda: embedded.pid not in (None, pid))
        assert embedded.url == url
        assert client.get("k") == "v"
        assert {"search", "ReJSON"} <= module_names(client)

    def test_a_server_that_keeps_dying_is_given_up_and_start_begins_anew(
        self, folder: Path, open_redis: Open
    ) -> None:
        embedded = open_redis(folder)
        killed: set[int] = set()
        while not supervisor_is_gone(folder):
            pid = embedded.pid
            if pid is not None and pid not in killed:
                killed.add(pid)
                os.kill(pid, signal.SIGKILL)
        assert len(killed) == 6  # the first one and five restarts
        assert "giving up" in (folder / "redis.log").read_text()
        assert embedded.start().pid not in (None, *killed)

    def test_a_server_that_was_told_to_end_is_not_forced_back_but_start_may(
        self, folder: Path, open_redis: Open, connect: Connect
    ) -> None:
        embedded = open_redis(folder)
        client, pid = connect(embedded), embedded.pid
        client.set("k", "v")
        client.shutdown()
        wait_until(lambda: supervisor_is_gone(folder))
        assert embedded.pid is None
        assert connect(embedded.url).get("k") == "v"
        assert embedded.pid != pid

    @linux_only
    def test_a_killed_supervisor_takes_the_server_along_and_start_brings_both_back(
        self, folder: Path, open_redis: Open, connect: Connect
    ) -> None:
        embedded = open_redis(folder)
        client, url, pid = connect(embedded), embedded.url, embedded.pid or 0
        client.set("k", "v")
        os.kill(state_of(folder)["supervisor_pid"], signal.SIGKILL)
        wait_until(lambda: not is_running(pid))
        assert open_redis(folder).url == url
        assert client.get("k") == "v", "clients of the first server find the second"
        assert embedded.start().pid not in (None, pid)

    def test_a_server_that_outlived_its_supervisor_is_ended_before_another_starts(
        self, folder: Path, open_redis: Open, connect: Connect
    ) -> None:
        with EmbeddedRedis(folder) as embedded:
            connect(embedded).set("k", "v")
            state = (folder / "server.json").read_bytes()
            left = state_of(folder)
        wait_until(lambda: supervisor_is_gone(folder))
        # As it is after a crash where the kernel does not end a child with its parent.
        (folder / "server.json").write_bytes(state)
        lock = FileLock(folder / "server.lock")
        assert lock.take()
        chosen = make_runnable(find_candidates(search=True)[0])
        config = render_config(
            folder, left["socket"], left["password"], durable=True, modules=chosen.modules, options={}
        )
        with (folder / "redis.log").open("ab") as log:
            orphan = subprocess.Popen(
                [chosen.server, *ARGUMENTS], stdin=subprocess.PIPE, stdout=log, pass_fds=[lock.descriptor]
            )
        assert orphan.stdin is not None
        with orphan.stdin as stdin:
            stdin.write(config.encode())
        lock.close()
        with orphan:
            embedded = open_redis(folder)
            assert orphan.wait(10) == 0
        assert connect(embedded).get("k") == "v"

    def test_what_a_crash_left_behind_does_not_stop_a_start(self, folder: Path, open_redis: Open) -> None:
        folder.mkdir()
        with open_redis(folder):
            left = (folder / "server.json").read_bytes()
            socket_path = Path(state_of(folder)["socket"])
        wait_until(lambda: supervisor_is_gone(folder))
        (folder / "server.json").write_bytes(left)
        socket_path.write_bytes(b"")
        assert stat.S_ISSOCK(socket_path.stat().st_mode) is False
        assert open_redis(folder).pid is not None
        assert stat.S_ISSOCK(socket_path.stat().st_mode) is True

    def test_a_deleted_folder_does_not_endanger_the_next_server(
        self, folder: Path, open_redis: Open, connect: Connect
    ) -> None:
        first = open_redis(folder)
        first_pid, its_supervisor = first.pid or 0, state_of(folder)["supervisor_pid"]
        shutil.rmtree(folder)
        second = open_redis(folder)
        url, pid = second.url, second.pid
        assert pid != first_pid
        first.close()
        wait_until(lambda: not is_running(first_pid) and not is_running(its_supervisor))
        assert (second.pid, second.url) == (pid, url)
        assert connect(url).ping()


class TestEphemeral:
    @pytest.fixture(autouse=True)
    def temp(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        folder.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        monkeypatch.setenv("TMPDIR", str(folder))
        return folder

    def test_nothing_is_left_behind(self, temp: Path, connect: Connect) -> None:
        with EmbeddedRedis() as embedded:
            pid = embedded.pid or 0
            assert embedded.data_dir is not None
            assert embedded.data_dir.parent == temp
            connect(embedded).set("k", "v")
            assert connect(embedded).config_get("appendonly") == {"appendonly": "no"}
        assert not is_running(pid)
        assert list(temp.iterdir()) == []
        assert embedded.data_dir is None

    def test_each_has_its_own_server_and_a_second_start_a_new_one(
        self, open_redis: Open, connect: Connect
    ) -> None:
        first, second = open_redis(), open_redis()
        assert first.pid != second.pid
        connect(first).set("k", "v")
        first.close()
        assert connect(first.start()).dbsize() == 0

    def test_a_busy_server_is_waited_for_and_not_replaced(self, open_redis: Open, connect: Connect) -> None:
        embedded = open_redis(options={"enable-debug-command": "yes"})
        connect(embedded).set("k", "v")
        sleep = ("DEBUG", "SLEEP", 2.5)  # longer than two questions wait for an answer
        busy = threading.Thread(target=connect(embedded).execute_command, args=sleep)
        busy.start()
        wait_until(lambda: embedded.pid is None)
        assert connect(embedded.start()).get("k") == "v"
        busy.join()

    def test_nothing_is_left_behind_by_a_killed_user(self, temp: Path, user_process: StartUser) -> None:
        user = user_process("")
        got = user.got()
        assert Path(got["data_dir"]).parent == temp
        user.kill()
        wait_until(lambda: list(temp.iterdir()) == [])
        assert not is_running(got["pid"])

    @linux_only
    def test_nothing_is_left_behind_after_a_killed_supervisor(self, temp: Path, open_redis: Open) -> None:
        embedded = open_redis()
        assert embedded.data_dir is not None
        os.kill(state_of(embedded.data_dir)["supervisor_pid"], signal.SIGKILL)
        embedded.close()
        assert list(temp.iterdir()) == []

    def test_nothing_is_left_behind_by_a_start_that_fails(self, temp: Path) -> None:
        with pytest.raises(ConfigurationError):
            EmbeddedRedis(options={"no-such-directive": "1"}).start()
        wait_until(lambda: list(temp.iterdir()) == [])


class TestOddFolders:
    @pytest.mark.parametrize(
        "name",
        [
            "with spaces",
            "ünï→cödé 记忆",
            "quote\" and 'quote' and \\ and \\x41",
            "line\nbreak\tand #%?&@:;*[]{}$HOME",
            " blank at both ends ",
            os.fsdecode(b"not utf-8 \xff\xfe"),
        ],
    )
    def test_any_name_works(self, folder: Path, open_redis: Open, connect: Connect, name: str) -> None:
        odd = folder / name
        embedded = open_redis(odd)
        assert connect(embedded).set("k", "v")
        assert (odd / "appendonlydir").is_dir()

    @pytest.mark.parametrize("length", [90, 400, 2000])
    def test_a_long_path_works(self, folder: Path, open_redis: Open, connect: Connect, length: int) -> None:
        deep = folder
        while len(str(deep)) < length:
            deep /= "d" * min(100, max(1, length - len(str(deep)) - 1))
        embedded = open_redis(deep)
        socket_path = Path(state_of(deep)["socket"])
        assert connect(embedded).set("k", "v")
        assert len(str(socket_path)) <= 100
        assert (deep / "appendonlydir").is_dir()
        assert stat.S_IMODE(socket_path.parent.stat().st_mode) == 0o700
        embedded.close()
        wait_until(lambda: supervisor_is_gone(deep))
        assert not socket_path.exists()
        assert socket_path.parent == deep or not socket_path.parent.exists()

    def test_a_folder_for_the_socket_that_others_could_write_to_is_refused(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        temp = folder / "t"
        temp.mkdir(parents=True)
        monkeypatch.setattr(tempfile, "tempdir", str(temp))
        deep = folder / ("d" * 100)
        with EmbeddedRedis(deep):
            found = next(temp.iterdir())
        wait_until(lambda: supervisor_is_gone(deep))
        found.mkdir()
        found.chmod(0o777)
        with pytest.raises(EmbeddedRedisError, match="only you can write to"):
            EmbeddedRedis(deep).start()

    def test_a_file_is_no_folder(self, folder: Path) -> None:
        folder.write_text("")
        with pytest.raises(ConfigurationError, match="data_dir"):
            EmbeddedRedis(folder).start()

    @linux_only
    def test_a_folder_that_cannot_be_made_is_named(self) -> None:
        with pytest.raises(ConfigurationError, match="/proc/agentmem"):
            EmbeddedRedis("/proc/agentmem").start()

    @pytest.mark.parametrize("data_dir", ["", "a\0b", b"bytes"])
    def test_what_is_no_path_is_refused_at_once(self, data_dir: str) -> None:
        with pytest.raises(ConfigurationError, match="data_dir"):
            EmbeddedRedis(data_dir)

    def test_home_is_expanded_and_the_default_is_the_users_own(self) -> None:
        assert EmbeddedRedis("~/memory").data_dir == Path.home() / "memory"
        assert EmbeddedRedis.default_data_dir().parts[-2:] == ("agentmem", "redis")


class TestPrivacy:
    def test_nobody_gets_in_without_the_password(self, folder: Path, open_redis: Open) -> None:
        open_redis(folder)
        for password in (None, "guess"):
            once = Retry(NoBackoff(), 0)
            client = redis.Redis(unix_socket_path=state_of(folder)["socket"], password=password, retry=once)
            with client, pytest.raises(redis.AuthenticationError):
                client.ping()

    def test_files_are_for_the_owner_only(self, folder: Path, open_redis: Open) -> None:
        open_redis(folder)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {path.name for path in folder.rglob("*") if stat.S_IMODE(path.stat().st_mode) & 0o077} == set()

    @linux_only
    def test_no_tcp_port_is_open(self, folder: Path, open_redis: Open) -> None:
        pid = open_redis(folder).pid
        opened = set[str]()
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                opened.add(os.readlink(link))
        sockets = {target[8:-1] for target in opened if target.startswith("socket:[")}
        assert sockets
        for table in ("tcp", "tcp6", "udp", "udp6"):
            lines = Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
            assert not sockets & {line.split()[9] for line in lines}

    @linux_only
    def test_no_process_shows_the_password_or_keeps_the_users_secrets(
        self, folder: Path, open_redis: Open, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SOME_API_KEY", "do-not-keep")
        embedded = open_redis(folder)
        state = state_of(folder)
        for pid in (embedded.pid, state["supervisor_pid"]):
            shown = Path(f"/proc/{pid}/cmdline").read_text() + Path(f"/proc/{pid}/environ").read_text()
            assert state["password"] not in shown
            assert "do-not-keep" not in shown
        assert state["password"] not in repr(embedded)
        assert state["password"] not in (folder / "redis.log").read_text()

    def test_each_server_has_its_own_password(self, open_redis: Open) -> None:
        assert open_redis().url.split("@")[0] != open_redis().url.split("@")[0]


class TestRefusals:
    def test_an_unknown_directive_is_refused_in_the_servers_words(self, folder: Path) -> None:
        with pytest.raises(ConfigurationError, match=r">>> .no-such-directive 1") as refused:
            EmbeddedRedis(folder, options={"no-such-directive": "1"}).start()
        assert "requirepass" not in str(refused.value)

    def test_a_wrong_value_is_refused_in_the_servers_words(self, folder: Path) -> None:
        with pytest.raises(ConfigurationError, match="argument must be"):
            EmbeddedRedis(folder, options={"appendonly": "perhaps"}).start()

    @pytest.mark.parametrize(
        "options",
        [
            {"maxmemory": "1gb\nport 6379"},
            {"maxmemory 1gb\nport": "6379"},
            {"": "1"},
            {"port": "6379"},
            {"requirePass": "x"},
            {"maxmemory": 1},
        ],
    )
    def test_options_that_break_the_configuration_are_refused_at_once(self, options: dict[str, str]) -> None:
        with pytest.raises(ConfigurationError, match="options"):
            EmbeddedRedis(options=options)

    @pytest.mark.parametrize("seconds", [0, -1, float("nan")])
    def test_a_timeout_must_be_positive(self, seconds: float) -> None:
        with pytest.raises(ConfigurationError, match="start_timeout_seconds"):
            EmbeddedRedis(start_timeout_seconds=seconds)

    def test_a_start_out_of_time_fails_and_the_next_one_works(self, folder: Path, open_redis: Open) -> None:
        with pytest.raises(EmbeddedRedisError, match="within start_timeout_seconds"):
            EmbeddedRedis(folder, start_timeout_seconds=0.005).start()
        assert open_redis(folder).pid

    def test_a_system_without_flock_is_told_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "fcntl", None)
        with pytest.raises(EmbeddedRedisError, match="Windows"):
            EmbeddedRedis().start()

    def test_progress_is_told_in_sentences(self, folder: Path, open_redis: Open) -> None:
        heard: list[str] = []
        open_redis(folder, on_progress=heard.append)
        open_redis(folder, on_progress=heard.append)
        assert heard[0].startswith("starting a private Redis in ")
        assert heard[-2].startswith("the private Redis is ready")
        assert heard[-1].startswith("joined the private Redis in ")
