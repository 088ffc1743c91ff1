"""A private Redis works where no other user of the machine can read or change anything, and nowhere else."""

from __future__ import annotations

import grp
import os
import pwd
import re
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from integration_tests.waiting import wait_until
from langchain_agentmem.embedded.protocol import supervisor_is_gone
from langchain_agentmem.embedded.server import EmbeddedRedis
from langchain_agentmem.errors import ConfigurationError, EmbeddedRedisError

Open = Callable[..., EmbeddedRedis]

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user")
own_group = pytest.mark.skipif(
    grp.getgrgid(os.getegid()).gr_name != pwd.getpwuid(os.geteuid()).pw_name, reason="has no group of its own"
)


def refused(folder: Path, match: str) -> None:
    with pytest.raises(ConfigurationError, match=match):
        EmbeddedRedis(folder, search=False).start()


def use_once(folder: Path) -> None:
    with EmbeddedRedis(folder, search=False):
        pass
    wait_until(lambda: supervisor_is_gone(folder))


class TestFolder:
    @as_root
    def test_one_of_another_user_is_refused_and_left_as_it_is(self, folder: Path) -> None:
        folder.mkdir(mode=0o700)
        os.chown(folder, NOBODY, NOBODY)
        refused(folder, f"{folder} belongs to the user .*: chown it")
        assert list(folder.iterdir()) == []

    @as_root
    def test_a_link_to_one_of_another_user_is_refused(self, folder: Path) -> None:
        theirs = folder.with_name("theirs")
        theirs.mkdir(mode=0o700)
        os.chown(theirs, NOBODY, NOBODY)
        folder.symlink_to(theirs)
        refused(folder, f"{theirs} belongs to the user")

    @as_root
    def test_a_link_of_another_user_to_ones_own_is_refused(self, folder: Path) -> None:
        own = folder.with_name("own")
        own.mkdir(mode=0o700)
        folder.symlink_to(own)
        os.chown(folder, NOBODY, NOBODY, follow_symlinks=False)
        refused(folder, f"{folder} belongs to the user")
        folder.unlink()

    @pytest.mark.parametrize("mode", [0o777, 0o1777, 0o702])
    def test_one_that_anybody_may_write_to_is_refused(self, folder: Path, mode: int) -> None:
        folder.mkdir()
        folder.chmod(mode)
        refused(folder, re.escape(f"(mode {mode:o}): chmod 700 {folder}"))
        assert stat.S_IMODE(folder.stat().st_mode) == mode

    @as_root
    def test_one_that_a_group_may_write_to_is_refused(self, folder: Path) -> None:
        folder.mkdir()
        os.chown(folder, 0, NOBODY)
        folder.chmod(0o770)
        refused(folder, "chmod 700")

    @own_group
    def test_the_group_of_the_user_alone_may_write(self, folder: Path, open_redis: Open) -> None:
        folder.mkdir()
        folder.chmod(0o775)
        assert open_redis(folder, search=False).pid

    @pytest.mark.parametrize("mode", [0o700, 0o750, 0o755])
    def test_others_may_look_into_it(self, folder: Path, open_redis: Open, mode: int) -> None:
        folder.mkdir()
        folder.chmod(mode)
        assert open_redis(folder, search=False).pid
        assert stat.S_IMODE((folder / "server.json").stat().st_mode) == 0o600

    def test_a_new_one_and_its_new_parents_are_for_the_user_only(
        self, folder: Path, open_redis: Open
    ) -> None:
        program = "import os, sys; os.umask(0); from langchain_agentmem import EmbeddedRedis; "
        start = "EmbeddedRedis(sys.argv[1], search=False).start()"
        deep = folder / "made" / "too"
        subprocess.run([sys.executable, "-c", program + start, str(deep)], check=True)
        assert {stat.S_IMODE(each.stat().st_mode) for each in (folder, folder / "made", deep)} == {0o700}
        wait_until(lambda: supervisor_is_gone(deep))
        assert {path.name for path in folder.rglob("*") if path.stat().st_mode & 0o077} == set()


class TestParents:
    def test_a_parent_in_which_others_could_exchange_it_is_refused(self, folder: Path) -> None:
        folder.mkdir()
        folder.chmod(0o777)
        refused(folder / "data", re.escape(f"{folder} can be written to by others (mode 777): chmod go-w"))
        assert list(folder.iterdir()) == []

    def test_a_sticky_one_is_as_good_as_the_temp_folder(self, folder: Path, open_redis: Open) -> None:
        folder.mkdir()
        folder.chmod(0o1777)
        embedded = open_redis(folder / "data", search=False)
        assert embedded.pid
        embedded.close()
        wait_until(lambda: supervisor_is_gone(folder / "data"))

    @as_root
    def test_one_of_another_user_is_refused(self, folder: Path) -> None:
        folder.mkdir(mode=0o755)
        os.chown(folder, NOBODY, NOBODY)
        refused(folder / "data", f"{folder} belongs to the user")

    @as_root
    def test_those_of_a_link_count_too(self, folder: Path) -> None:
        folder.mkdir(mode=0o755)
        own = folder.with_name("own")
        own.mkdir(mode=0o700)
        (folder / "link").symlink_to(own)
        folder.chmod(0o777)
        refused(folder / "link", "can be written to by others")

    def test_a_temp_folder_in_which_others_could_exchange_an_ephemeral_server_is_refused(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder.mkdir()
        folder.chmod(0o777)
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        with pytest.raises(ConfigurationError, match="TMPDIR"):
            EmbeddedRedis(search=False).start()
        assert list(folder.iterdir()) == []


NAMES = [
    *(
        "server.json",
        "redis.log",
        "redis.log.1",
        "start.lock",
        "users.lock",
        "supervisor.lock",
        "server.lock",
    ),
    *("appendonlydir", "appendonlydir/x.aof", "appendonly.aof", "dump.rdb", "redis-abcdef.sock"),
]


class TestFiles:
    @pytest.mark.parametrize("name", NAMES)
    def test_a_link_is_not_followed(self, folder: Path, name: str) -> None:
        path = folder / name
        path.parent.mkdir(parents=True)
        path.symlink_to(folder.with_name("elsewhere"))
        refused(folder, f"{path} is a symbolic link")
        path.unlink()
        assert not folder.with_name("elsewhere").exists()

    @as_root
    @pytest.mark.parametrize("name", NAMES)
    def test_one_of_another_user_is_refused(self, folder: Path, name: str) -> None:
        use_once(folder)
        path = folder / name
        path.touch()
        os.chown(path, NOBODY, NOBODY)
        refused(folder, f"{path} belongs to the user .*: delete it")

    def test_one_that_anybody_may_write_to_is_refused(self, folder: Path) -> None:
        use_once(folder)
        (data,) = (folder / "appendonlydir").glob("*.incr.aof")
        data.chmod(0o666)
        refused(folder, f"chmod go-w {data}")

    @as_root
    def test_what_else_is_in_the_folder_does_not_matter(self, folder: Path, open_redis: Open) -> None:
        folder.mkdir()
        (folder / "notes").symlink_to("/nowhere")
        (folder / "theirs").touch(mode=0o666)
        os.chown(folder / "theirs", NOBODY, NOBODY)
        assert open_redis(folder, search=False).pid


def test_a_folder_for_the_socket_of_another_user_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("gives files to another user")
    temp = folder / "t"
    temp.mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(temp))
    deep = folder / ("d" * 100)
    with EmbeddedRedis(deep, search=False):
        found = next(temp.iterdir())
    wait_until(lambda: supervisor_is_gone(deep))
    found.mkdir(mode=0o700)
    os.chown(found, NOBODY, NOBODY)
    with pytest.raises(EmbeddedRedisError, match="only you can write to"):
        EmbeddedRedis(deep, search=False).start()
