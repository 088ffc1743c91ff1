"""Which folder a private Redis works in, whatever its name, and that it listens with its password only."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import redis

from integration_tests.embedded.conftest import state_of
from integration_tests.waiting import wait_until
from langchain_agentmem.agent_memory import AgentMemory
from langchain_agentmem.embedded.binaries import find_candidates, make_runnable
from langchain_agentmem.embedded.launch import render_config
from langchain_agentmem.embedded.protocol import read_state, server_info, supervisor_is_gone
from langchain_agentmem.embedded.server import EmbeddedRedis
from langchain_agentmem.embedded.server_process import ARGUMENTS
from langchain_agentmem.errors import EmbeddedRedisError

Open = Callable[..., EmbeddedRedis]
Connect = Callable[[EmbeddedRedis | str], redis.Redis]


class Writer(threading.Thread):
    """Counts in a key until it is told to stop; knows what was acknowledged."""

    def __init__(self, client: redis.Redis) -> None:
        super().__init__()
        self.client = client
        self.acknowledged = 0
        self.stopping = threading.Event()

    def run(self) -> None:
        with suppress(redis.ConnectionError):
            while not self.stopping.is_set():
                self.acknowledged = self.client.incr("count")


class TestNames:
    @pytest.mark.parametrize(
        ("name", "neighbour"),
        [
            ("data[1]", "data1"),
            ("data[!2]", "data1"),
            ("d*1", "data1"),
            ("data?", "data1"),
            ("{data1,data2}", "data1"),
            ("\\data[1]", "data1"),
            ("[\\*]", "*"),
            ("-data[1]", "-data1"),
            ("two words [1]", "two words 1"),
            ('"data" \'é→[1]', '"data" \'é→1'),
            ("line\nbreak[1]", "line\nbreak1"),
        ],
    )
    def test_a_folder_named_like_a_pattern_is_none_that_it_matches(
        self, folder: Path, open_redis: Open, connect: Connect, name: str, neighbour: str
    ) -> None:
        first = open_redis(folder / neighbour, search=False)
        writer = Writer(connect(first))
        writer.start()
        wait_until(lambda: writer.acknowledged > 100)
        second = open_redis(folder / name, search=False)
        assert second.pid not in (None, first.pid)
        assert connect(second).dbsize() == 0
        connect(second).set("mine", "here")
        seen = writer.acknowledged
        wait_until(lambda: writer.acknowledged > seen + 100)
        writer.stopping.set()
        writer.join()
        first.close()
        second.close()
        wait_until(lambda: supervisor_is_gone(folder / neighbour) and supervisor_is_gone(folder / name))
        assert connect(first.start()).get("count") == str(writer.acknowledged)
        assert connect(second.start()).keys() == ["mine"]

    @pytest.mark.parametrize("name", ["proj [x]", "[", "*", "-", "--port 6379", "a\\[b", "%d{title}"])
    def test_the_server_of_any_name_is_the_one_that_is_meant(
        self, folder: Path, open_redis: Open, connect: Connect, name: str
    ) -> None:
        embedded = open_redis(folder / name)
        client = connect(embedded)
        assert client.config_get("dir", "port") == {"dir": str(folder / name), "port": "0"}
        assert client.info("server")["process_id"] == embedded.pid
        with AgentMemory(f"embedded://{quote(str(folder / name))}") as memory:
            memory.working.append_turn("t1", "user", "hello")
            assert client.exists("agent:session:t1")


class TestListening:
    def run(self, folder: Path, config: str | None) -> tuple[int, str]:
        """How a server with this on its stdin ends; fails if it does not."""
        server = make_runnable(find_candidates(search=True)[0]).server
        given: dict[str, Any] = (
            {"stdin": subprocess.DEVNULL} if config is None else {"input": config.encode()}
        )
        said: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        done: Any = subprocess.run([server, *ARGUMENTS], cwd=folder, timeout=10, **said, **given)
        return done.returncode, done.stdout.decode()

    def test_a_server_that_has_read_only_a_part_of_its_configuration_listens_nowhere(
        self, folder: Path
    ) -> None:
        with EmbeddedRedis(folder):  # notes which binary works
            pass
        wait_until(lambda: supervisor_is_gone(folder))
        whole = render_config(
            folder,
            str(folder / "s.sock"),
            "secret",
            durable=False,
            modules=(),
            options={"protected-mode": "no", "maxmemory": "1gb"},
        )
        lines = whole.splitlines(keepends=True)
        for read in [None, *("".join(lines[:count]) for count in range(len(lines))), whole[:-3]]:
            status, said = self.run(folder, read)
            assert status == 1, read
            assert "not listen anywhere" in said or "FATAL CONFIG FILE ERROR" in said
        assert not (folder / "s.sock").exists()

    def test_what_is_in_the_folder_does_not_configure_the_server(
        self, folder: Path, open_redis: Open, connect: Connect
    ) -> None:
        folder.mkdir()
        (folder / "redis.conf").write_text("port 6379\nprotected-mode no\nmaxclients 7\n")
        client = connect(open_redis(folder))
        found = client.config_get("port", "maxclients", "protected-mode", "requirepass")
        assert found.pop("maxclients") != "7"
        password = state_of(folder)["password"]
        assert found == {"port": "0", "protected-mode": "yes", "requirepass": password}


odd = pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[]", "null", '{"socket": 5}', '{"socket": 5, "password": 5}'),
        '{"socket": "/nowhere/redis-0a1b2c.sock", "password": "' + "p" * 43 + '", "supervisor_pid": 1e999}',
    ],
)


class TestState:
    @odd
    def test_what_is_no_state_does_not_stop_a_start(
        self, folder: Path, open_redis: Open, connect: Connect, content: str
    ) -> None:
        folder.mkdir()
        (folder / "server.json").write_text(content)
        assert connect(open_redis(folder, search=False)).ping()
        assert Path(state_of(folder)["socket"]).parent == folder

    @odd
    def test_one_that_was_damaged_while_the_server_runs_is_an_error(
        self, folder: Path, open_redis: Open, connect: Connect, content: str
    ) -> None:
        embedded = open_redis(folder, search=False, start_timeout_seconds=5)
        client = connect(embedded)
        whole = (folder / "server.json").read_text()
        (folder / "server.json").write_text(content)
        with pytest.raises(EmbeddedRedisError, match="its supervisor runs, but"):
            EmbeddedRedis(folder, start_timeout_seconds=0.05).start()
        assert embedded.pid is None
        assert client.ping()
        (folder / "server.json").write_text(whole)
        assert embedded.start().pid

    @pytest.mark.parametrize("path", ["/nowhere/redis.sock", "/tmp/" + "x" * 200, "/tmp/\ud800", "/tmp/\0"])
    def test_where_nobody_can_listen_is_no_server(self, path: str) -> None:
        assert server_info(path, "secret") is None

    @pytest.mark.parametrize(
        "answer",
        [
            b"",
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            b"+OK\r\n$many\r\n",
            b"+OK\r\n$8\r\nnothing\n",
            b"+OK\r\n$43\r\nredis_version:7.4.0\r\nprocess_id:none\r\n      ",
        ],
    )
    def test_whoever_does_not_answer_as_redis_is_no_server(self, folder: Path, answer: bytes) -> None:
        folder.mkdir()
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(folder / "other"))
            listening.listen()

            def serve() -> None:
                with listening.accept()[0] as client:
                    client.recv(1000)
                    client.sendall(answer)

            thread = threading.Thread(target=serve)
            thread.start()
            assert server_info(str(folder / "other"), "secret") is None
            thread.join()

    def test_nothing_but_data_locks_and_the_log_is_left_behind(self, folder: Path) -> None:
        with EmbeddedRedis(folder, search=False):
            pass
        wait_until(lambda: supervisor_is_gone(folder))
        assert read_state(folder) is None
        kept = {path.name for path in folder.iterdir() if path.suffix not in (".lock", ".log")}
        assert kept == {"appendonlydir"}
