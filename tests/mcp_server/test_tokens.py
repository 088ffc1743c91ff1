"""A file of tokens: whom each one is, what cannot be used, and changes while the server runs."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from langchain_agentmem.core.redaction import redact_secrets
from langchain_agentmem.errors import ConfigurationError
from langchain_agentmem.mcp_server.access import Access
from langchain_agentmem.mcp_server.tokens import TokensFile

ALICE, BOB = "alices-long-secret-token", "bobs-long-secret-token"
HASHED = f"sha256:{hashlib.sha256(BOB.encode()).hexdigest()}"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tokens.json"


def write(path: Path, *entries: dict[str, Any], mode: int = 0o600) -> Path:
    path.write_text(json.dumps(entries))
    path.chmod(mode)
    return path


def spoil(path: Path, content: str | None) -> None:
    path.unlink() if content is None else path.write_text(content)


async def access(tokens: TokensFile, token: str) -> Access | None:
    granted = await tokens.verify_token(token)
    return None if granted is None else granted.access


async def test_a_token_opens_the_memory_of_its_user(path: Path) -> None:
    write(
        path,
        {"token": ALICE, "user": "alice"},
        {"token": HASHED, "user": "bob", "namespace": "work", "read_only": True},
    )
    tokens = TokensFile(path, namespace="team")
    assert await access(tokens, ALICE) == Access("alice", "team")
    assert await access(tokens, BOB) == Access("bob", "work", read_only=True)
    for wrong in ("", ALICE[:-1], ALICE.upper(), HASHED, HASHED.removeprefix("sha256:"), "ü"):
        assert await access(tokens, wrong) is None


async def test_a_server_that_only_reads_has_no_token_that_writes(path: Path) -> None:
    tokens = TokensFile(write(path, {"token": ALICE, "user": "alice"}), read_only=True)
    found = await access(tokens, ALICE)
    assert found is not None
    assert found.read_only


async def test_what_a_token_grants_does_not_hold_the_token(path: Path) -> None:
    granted = await TokensFile(write(path, {"token": ALICE, "user": "alice"})).verify_token(ALICE)
    assert granted is not None
    assert ALICE not in repr(granted) + granted.model_dump_json()


async def test_a_changed_file_counts_at_once(path: Path) -> None:
    tokens = TokensFile(write(path, {"token": ALICE, "user": "alice"}))
    write(path, {"token": BOB, "user": "bob"})
    assert await access(tokens, ALICE) is None
    assert await access(tokens, BOB) == Access("bob")


async def test_an_empty_list_takes_back_the_last_token(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tokens = TokensFile(write(path, {"token": ALICE, "user": "alice"}))
    write(path)
    assert await access(tokens, ALICE) is None
    assert "nobody can connect" in caplog.text
    spoil(path, "{")
    assert await access(tokens, ALICE) is None
    write(path, {"token": ALICE, "user": "alice"})
    assert await access(tokens, ALICE) == Access("alice")


@pytest.mark.parametrize("content", ["{", "", None], ids=["broken", "without content", "deleted"])
async def test_a_file_that_is_broken_or_missing_leaves_the_tokens(
    path: Path, content: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    tokens = TokensFile(write(path, {"token": ALICE, "user": "alice"}))
    spoil(path, content)
    assert await access(tokens, ALICE) == Access("alice")
    assert "stay as they were" in caplog.text


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([], "no tokens"),
        ([{"token": ALICE}], "entry 1: Field required (user)"),
        ([{"token": "short", "user": "a"}], "entry 1: String should have at least 16 characters (token)"),
        ([{"token": ALICE, "user": ""}], "entry 1: user is empty"),
        ([{"token": ALICE, "user": "a", "namespace": ""}], "entry 1: namespace is empty"),
        ([{"token": ALICE, "user": "a", "namespace": "x" * 5000}], "entry 1: namespace has 5000 bytes"),
        (
            [{"token": ALICE, "user": "a", "readonly": True}],
            "entry 1: Extra inputs are not permitted (readonly)",
        ),
        (
            [{"token": ALICE, "user": "a", "read_only": "yes"}],
            "entry 1: Input should be a valid boolean (read_only)",
        ),
        ([{"token": "sha256:" + "0" * 63, "user": "a"}], "entry 1: after sha256:"),
        ([{"token": "sha256:" + "0" * 62, "user": "a"}], "entry 1: after sha256:"),
        ([{"token": BOB, "user": "a"}, {"token": HASHED, "user": "b"}], "entry 2 has the token"),
        ([{"token": ALICE + " \n", "user": "a"}, {"token": ALICE, "user": "b"}], "entry 2 has the token"),
        ([{"token": " x" * 16 + " ", "user": "default"}], "entry 1: A token cannot name the user 'default'"),
        ({"token": ALICE, "user": "a"}, "a JSON list"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_without_its_tokens(path: Path, entries: Any, said: str) -> None:
    path.write_text(json.dumps(entries))
    with pytest.raises(ConfigurationError) as refused:
        TokensFile(path)
    assert said in str(refused.value)
    assert str(path) in str(refused.value)
    assert ALICE not in str(refused.value)
    assert redact_secrets(str(refused.value)) == str(refused.value)


def test_a_member_that_stands_twice_is_refused(path: Path) -> None:
    path.write_text(f'[{{"token": "{ALICE}", "user": "alice", "user": "bob"}}]')
    with pytest.raises(ConfigurationError, match="an entry has user twice"):
        TokensFile(path)


@pytest.mark.parametrize("token", [HASHED.replace("sha256:", "SHA256: "), f" {HASHED}\n", f"{BOB} "])
async def test_signs_that_editors_add_and_capitals_do_no_harm(path: Path, token: str) -> None:
    spoil(path, "\ufeff" + json.dumps([{"token": token, "user": "bob"}]))
    assert await access(TokensFile(path), BOB) == Access("bob")


def test_a_file_that_cannot_be_read_is_named(path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        TokensFile(path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        TokensFile(path.parent)
    path.write_text("no JSON")
    with pytest.raises(ConfigurationError, match="Invalid JSON"):
        TokensFile(path)


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such permissions")
@pytest.mark.parametrize(
    ("token", "mode", "warned"),
    [
        (ALICE, 0o600, False),
        (ALICE, 0o644, True),
        (ALICE, 0o640, True),
        (HASHED, 0o644, False),
        (HASHED, 0o646, True),
    ],
)
def test_a_file_that_others_can_use_is_warned_of(
    path: Path, token: str, mode: int, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    TokensFile(write(path, {"token": token, "user": "alice"}, mode=mode))
    assert ("chmod 600" in caplog.text) is warned
