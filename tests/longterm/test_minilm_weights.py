"""Which copy of the weights is used, without loading the model."""

from __future__ import annotations

import builtins
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from langchain_agentmem.errors import ConfigurationError, MissingDependencyError
from langchain_agentmem.longterm import minilm

PUBLISHED = b"the published weights"


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., list[Path]]:
    monkeypatch.setattr(minilm, "_SHA256", hashlib.sha256(PUBLISHED).hexdigest())

    def make(*weights: bytes) -> list[Path]:
        folders = []
        for number, content in enumerate(weights):
            folder = tmp_path / str(number)
            folder.mkdir()
            (folder / "model.safetensors").write_bytes(content)
            folders.append(folder)
        monkeypatch.setattr(minilm, "_folders", lambda: iter(folders))
        return folders

    return make


def test_the_first_copy_with_the_published_weights_is_used(copies: Callable[..., list[Path]]) -> None:
    folders = copies(PUBLISHED, PUBLISHED)
    assert minilm.verified_folder() == folders[0]


def test_a_copy_with_other_weights_is_passed_over(copies: Callable[..., list[Path]]) -> None:
    folders = copies(b"the published weightz", PUBLISHED)
    assert minilm.verified_folder() == folders[1]


def test_only_copies_with_other_weights_are_an_error_that_names_them(
    copies: Callable[..., list[Path]],
) -> None:
    folders = copies(b"x", b"y")
    with pytest.raises(ConfigurationError, match="not the published ones") as raised:
        minilm.verified_folder()
    assert all(str(folder) in str(raised.value) for folder in folders)


def test_no_copy_is_an_error_that_says_what_to_install(copies: Callable[..., list[Path]]) -> None:
    copies()
    with pytest.raises(MissingDependencyError, match=r"langchain-agentmem\[local\]"):
        minilm.verified_folder()


def test_a_missing_package_is_an_error_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("sentence_transformers"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(minilm, "_model", None)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependencyError, match=r"langchain-agentmem\[local\]"):
        minilm.MiniLMEmbeddings().embed_query("tea")


def test_nothing_is_loaded_for_no_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minilm, "_loaded", lambda: pytest.fail("loaded"))
    assert minilm.MiniLMEmbeddings().embed_documents([]) == []


def test_the_cache_of_hugging_face_is_looked_at_before_the_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import huggingface_hub

    for name in ("modules.json", "tokenizer.json", "model.safetensors"):
        (tmp_path / name).write_bytes(b"")
    found = str(tmp_path / "model.safetensors")
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda repo, name: found)
    assert next(minilm._folders()) == tmp_path
    (tmp_path / "modules.json").unlink()
    assert tmp_path not in list(minilm._folders()), "a part of the model is no model"
