"""What a private Redis reads back from its files: whatever stands there is used if it fits, or as if absent."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from langchain_agentmem.embedded.protocol import read_private, read_state, write_private

SOCKET, PASSWORD = "/tmp/x/redis-0a1b2c.sock", "p" * 43
WRITTEN: dict[str, Any] = {"socket": SOCKET, "password": PASSWORD, "search": True, "supervisor_pid": 1}

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there is no private Redis")


def write(folder: Path, content: bytes) -> None:
    (folder / "server.json").write_bytes(content)
    (folder / "server.json").chmod(0o600)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_private(tmp_path, "server.json", json.dumps(WRITTEN))
    assert read_state(tmp_path) == WRITTEN
    assert [path.name for path in tmp_path.iterdir()] == ["server.json"]


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"null", b"5", b'"text"', b"[]", b"[1]", b"\xff\xfe", b"{}" * 2, b"[" * 100_000),
        *(b'{"socket": ' + b"9" * 5000 + b"}", b'{"a":' * 50_000),
    ],
)
def test_what_is_no_state_is_none(tmp_path: Path, content: bytes) -> None:
    write(tmp_path, content)
    assert read_state(tmp_path) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"socket": 5},
        {"socket": None},
        {"socket": ["x"]},
        {"socket": ""},
        {"socket": "redis-0a1b2c.sock"},
        {"socket": "/tmp/x/other.sock"},
        {"socket": "/tmp/x/redis-0a1b2c.sock/.."},
        {"password": 5},
        {"password": ""},
        {"password": "short"},
        {"password": PASSWORD + "\r\nFLUSHALL"},
        {"password": PASSWORD + "\n"},
        {"password": "ü" * 43},
    ],
)
def test_a_member_of_the_wrong_form_makes_it_no_state(tmp_path: Path, changed: dict[str, Any]) -> None:
    write(tmp_path, json.dumps(WRITTEN | changed).encode())
    assert read_state(tmp_path) is None


@pytest.mark.parametrize("missing", ["socket", "password"])
def test_a_missing_member_makes_it_no_state(tmp_path: Path, missing: str) -> None:
    write(tmp_path, json.dumps({name: WRITTEN[name] for name in WRITTEN if name != missing}).encode())
    assert read_state(tmp_path) is None


def test_members_that_are_not_relied_on_may_be_anything(tmp_path: Path) -> None:
    odd = WRITTEN | {"supervisor_pid": 10**100, "search": {"x": []}, "folder": None, "more": "\ud800"}
    write(tmp_path, json.dumps(odd).encode())
    assert read_state(tmp_path) == odd


def test_what_others_could_have_written_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "notes.json"
    path.write_text('{"a": "b"}')
    path.chmod(0o600)
    assert read_private(path) == {"a": "b"}
    path.chmod(0o622)
    assert read_private(path) == {}
    path.chmod(0o600)
    link = tmp_path / "link.json"
    link.symlink_to(path)
    assert read_private(link) == {}
    pipe = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    assert read_private(pipe) == {}
    assert read_private(tmp_path) == {}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="gives a file to another user")
def test_a_file_of_another_user_is_not_read(tmp_path: Path) -> None:
    write(tmp_path, json.dumps(WRITTEN).encode())
    os.chown(tmp_path / "server.json", 65534, 65534)
    assert read_state(tmp_path) is None


def test_writing_follows_no_link_that_was_put_there(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_text("untouched")
    for name in ("server.json", f"server.json.{os.getpid()}.new"):
        (tmp_path / name).symlink_to(theirs)
    write_private(tmp_path, "server.json", "{}")
    assert theirs.read_text() == "untouched"
    assert not (tmp_path / "server.json").is_symlink()
