"""Which files of the append-only folder are synced, and when again."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from langchain_agentmem.embedded import append_only_sync
from langchain_agentmem.embedded.append_only_sync import AppendOnlySync
from langchain_agentmem.embedded.launch import supervisor_syncs

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no private Redis")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The data folder, with two files of a server."""
    folder = tmp_path / "data"
    (folder / "appendonlydir").mkdir(parents=True)
    for name in ("base", "incr"):
        (folder / "appendonlydir" / name).write_text("x")
    return folder


@pytest.fixture
def sync(folder: Path) -> Iterator[AppendOnlySync]:
    descriptor = os.open(folder, os.O_RDONLY)
    yield AppendOnlySync(descriptor)
    os.close(descriptor)


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The inodes of what was synced, in order."""
    inodes: list[int] = []
    to_disk = append_only_sync._sync_to_disk

    def record(descriptor: int) -> None:
        to_disk(descriptor)
        inodes.append(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(append_only_sync, "_sync_to_disk", record)
    return inodes


def append(path: Path) -> None:
    with path.open("a") as file:
        file.write("more")


def inode(folder: Path, name: str) -> int:
    return (folder / "appendonlydir" / name).stat().st_ino


def test_everything_is_synced_at_first_and_the_folder_last(
    folder: Path, sync: AppendOnlySync, synced: list[int]
) -> None:
    sync.sync()
    assert set(synced) == {inode(folder, "base"), inode(folder, "incr"), inode(folder, ".")}
    assert synced[-1] == inode(folder, ".")


def test_what_has_not_changed_is_not_synced_again(
    folder: Path, sync: AppendOnlySync, synced: list[int]
) -> None:
    sync.sync()
    synced.clear()
    sync.sync()
    assert synced == []
    append(folder / "appendonlydir" / "incr")
    sync.sync()
    assert synced == [inode(folder, "incr")]


def test_what_is_written_during_a_sync_is_synced_by_the_next(
    folder: Path, sync: AppendOnlySync, synced: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    sync.sync()
    incr, record = folder / "appendonlydir" / "incr", append_only_sync._sync_to_disk

    def write_too(descriptor: int) -> None:
        record(descriptor)
        append(incr)

    append(incr)
    with monkeypatch.context() as patch:
        patch.setattr(append_only_sync, "_sync_to_disk", write_too)
        sync.sync()
    synced.clear()
    sync.sync()
    assert synced == [inode(folder, "incr")]


def test_a_rewrite_exchanges_the_files(folder: Path, sync: AppendOnlySync, synced: list[int]) -> None:
    sync.sync()
    synced.clear()
    data = folder / "appendonlydir"
    (data / "new").write_text("x")
    (data / "new").replace(data / "base")
    (data / "incr").unlink()
    sync.sync()
    assert set(synced) == {inode(folder, "base"), inode(folder, ".")}


def test_a_folder_that_was_moved_is_synced_where_it_is(
    folder: Path, sync: AppendOnlySync, synced: list[int]
) -> None:
    moved = folder.rename(folder.with_name("moved"))
    sync.sync()
    assert inode(moved, "incr") in synced


def test_a_failure_is_raised_after_the_others_and_tried_again(
    folder: Path, sync: AppendOnlySync, synced: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, record = inode(folder, "base"), append_only_sync._sync_to_disk

    def fail(descriptor: int) -> None:
        if os.fstat(descriptor).st_ino == bad:
            raise OSError(errno.EIO, "broken")
        record(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(append_only_sync, "_sync_to_disk", fail)
        with pytest.raises(OSError, match="broken"):
            sync.sync()
    assert set(synced) == {inode(folder, "incr"), inode(folder, ".")}
    synced.clear()
    sync.sync()
    assert synced == [bad]


def test_what_is_no_file_and_a_folder_that_is_not_there_yet_are_left_alone(
    folder: Path, sync: AppendOnlySync, synced: list[int]
) -> None:
    data = folder / "appendonlydir"
    os.mkfifo(data / "pipe")
    (data / "link").symlink_to(folder / "elsewhere")
    sync.sync()
    assert len(synced) == 3
    data.rename(folder / "elsewhere")
    sync.sync()
    assert len(synced) == 3


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, True), ({"maxmemory": "1gb"}, True), ({"appendfsync": "no"}, False), ({"AppendFsync": "x"}, False)],
)
def test_an_option_that_says_when_the_server_syncs_is_the_users(
    options: dict[str, str], expected: bool
) -> None:
    assert supervisor_syncs(options) is expected
