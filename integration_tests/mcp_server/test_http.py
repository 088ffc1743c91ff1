"""`agentmem mcp --transport http`: one user, tokens, signed tokens, and what is refused."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from integration_tests.cli.conftest import agentmem
from integration_tests.mcp_server.clients import over_http
from integration_tests.mcp_server.conftest import StartServer
from tests.mcp_server.signing import AUDIENCE, ISSUER, Key, key_set

ACCEPT = {"accept": "application/json, text/event-stream"}
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}


def status(url: str, **headers: str) -> int:
    return httpx.post(url, json=LIST, headers=ACCEPT | headers).status_code


def digest(token: str) -> str:
    return f"sha256:{hashlib.sha256(token.encode()).hexdigest()}"


def written(path: Path, *entries: dict[str, Any]) -> Path:
    path.write_text(json.dumps(entries))
    path.chmod(0o600)
    return path


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    return written(
        tmp_path / "tokens.json",
        {"token": digest("token-of-ada-123"), "user": "ada"},
        {"token": "token-of-bob-123", "user": "bob"},
        {"token": "token-of-ada-at-work", "user": "ada", "namespace": "work"},
        {"token": "token-of-ada-reading", "user": "ada", "read_only": True},
    )


async def test_one_user_on_this_machine_needs_no_token(start: StartServer) -> None:
    serving = start("--user", "ada")
    assert urlsplit(serving.url).hostname == "127.0.0.1"
    async with over_http(serving.url) as one, over_http(serving.url) as other:
        await one.remember("Ana lives in Lisbon")
        assert await other.recall("where does Ana live") == ["Ana lives in Lisbon"]


async def test_each_token_opens_the_memory_of_its_user(start: StartServer, tokens: Path) -> None:
    serving = start("--tokens", str(tokens))
    async with (
        over_http(serving.url, "token-of-ada-123") as ada,
        over_http(serving.url, "token-of-bob-123") as bob,
    ):
        (known,) = await ada.remember("Ana lives in Lisbon")
        assert await bob.recall("where does Ana live") == []
        assert "There is no memory" in await bob.refusal("forget", memory_id=known)
        assert await ada.recall("where does Ana live") == ["Ana lives in Lisbon"]
        async with over_http(serving.url, "token-of-ada-at-work") as at_work:
            assert await at_work.recall("where does Ana live") == []
            assert "There is no memory" in await at_work.refusal("forget", memory_id=known)
        async with over_http(serving.url, "token-of-ada-reading") as reading:
            assert "remember" not in await reading.tools()
            assert await reading.recall("where does Ana live") == ["Ana lives in Lisbon"]
            assert "only read" in await reading.refusal("remember", texts=["x"])
        assert "remember" in await ada.tools()


def test_a_wrong_token_and_none_are_refused(start: StartServer, tokens: Path) -> None:
    serving = start("--tokens", str(tokens))
    assert status(serving.url, authorization="Bearer token-of-ada-123") == 200
    for wrong in ("Bearer token-of-eve-123", f"Bearer {digest('token-of-ada-123')}", "Bearer", "Basic YTpi"):
        assert status(serving.url, authorization=wrong) == 401
    answer = httpx.post(serving.url, json=LIST, headers=ACCEPT)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer ")
    assert "resource_metadata" not in answer.headers["www-authenticate"]  # nobody issues these tokens


def test_tokens_that_are_taken_back_end_at_once(start: StartServer, tokens: Path) -> None:
    serving = start("--tokens", str(tokens))
    assert status(serving.url, authorization="Bearer token-of-bob-123") == 200
    written(tokens, {"token": "token-of-eve-123", "user": "eve"})
    assert status(serving.url, authorization="Bearer token-of-bob-123") == 401
    assert status(serving.url, authorization="Bearer token-of-eve-123") == 200
    written(tokens)
    assert status(serving.url, authorization="Bearer token-of-eve-123") == 401


async def test_many_users_at_once_see_their_own_memories_alone(start: StartServer, tmp_path: Path) -> None:
    users = [f"user-{number}" for number in range(8)]
    entries = [{"token": f"long-token-of-{user}", "user": user} for user in users]
    serving = start("--tokens", str(written(tmp_path / "tokens.json", *entries)))

    async def work(user: str) -> list[str]:
        seen = []
        async with over_http(serving.url, f"long-token-of-{user}") as client:
            for turn in range(5):
                await client.remember(f"the colour number {turn} of {user} is blue")
                await asyncio.sleep(random.random() / 100)
                seen += await client.recall("which colour is blue")
                seen += [one["text"] for one in (await client.call("list_memories"))["memories"]]
                seen.append((await client.call("memory_prompt", query="which colour is blue"))["result"])
                seen.append(await client.resource("agentmem://memories"))
        return seen

    for user, seen in zip(users, await asyncio.gather(*map(work, users)), strict=True):
        assert len(seen) > 25
        for text in seen:
            assert user in text
            assert not [other for other in users if other != user and other in text]


def test_an_answer_is_not_held_back(start: StartServer) -> None:
    """Nagle's algorithm would hold back the last part of every answer, for 40 ms."""
    serving = start("--user", "ada")
    took = []
    with httpx.Client(headers=ACCEPT) as client:
        for _ in range(20):
            began = time.perf_counter()
            assert client.post(serving.url, json={**LIST, "method": "ping"}).status_code == 200
            took.append(time.perf_counter() - began)
    assert min(took) < 0.03, took


def test_pages_of_other_sites_are_refused(start: StartServer) -> None:
    serving = start("--user", "ada")
    host = urlsplit(serving.url).netloc
    assert status(serving.url) == 200
    assert status(serving.url, origin=f"http://{host}") == 200
    assert status(serving.url, host="localhost") == 200
    for origin in ("https://evil.example.com", "http://127.0.0.1:1", "null"):
        assert status(serving.url, origin=origin) == 403
    for other in ("evil.example.com", f"evil.example.com:{urlsplit(serving.url).port}", "10.0.0.1", "["):
        assert status(serving.url, host=other) == 421


def test_behind_a_proxy_a_token_is_enough(start: StartServer, tokens: Path) -> None:
    serving = start("--tokens", str(tokens))
    token = "Bearer token-of-bob-123"
    assert status(serving.url, authorization=token, host="memory.example.com") == 200
    site = {"host": "memory.example.com", "origin": "https://memory.example.com"}
    assert status(serving.url, authorization=token, **site) == 200
    assert (
        status(serving.url, authorization=token, host="a.example.com", origin="https://b.example.com") == 403
    )


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
async def test_it_ends_by_a_signal_with_a_client_connected(start: StartServer, how: signal.Signals) -> None:
    serving = start("--user", "ada")
    async with over_http(serving.url) as client:
        await client.remember("Ana lives in Lisbon")
        began = time.monotonic()
        assert serving.end(how) == 0
        assert time.monotonic() - began < 6
    assert "Traceback" not in serving.said
    assert "ERROR" not in serving.said
    assert serving.said.endswith("Ended.\n")


def test_others_are_not_served_without_tokens(url: str) -> None:
    done = agentmem("mcp", "--transport", "http", "--host", "0.0.0.0", "--user", "ada", url=url)
    assert done.returncode == 1
    assert "it needs --tokens or --jwks" in done.stderr


def test_a_port_in_use_is_said_before_anything_is_opened(start: StartServer) -> None:
    port = str(urlsplit(start("--user", "ada").url).port)
    done = agentmem("mcp", "--transport", "http", "--port", port, url="redis://127.0.0.1:1")
    assert (done.returncode, "Choose another port" in done.stderr) == (1, True)


class Provider:
    """A server of keys, as an identity provider has it."""

    def __init__(self, *keys: Key) -> None:
        self.keys = [*keys]
        self.asked = 0
        provider = self

        class Answering(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked += 1
                body = json.dumps(key_set(*provider.keys)).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self.server = HTTPServer(("127.0.0.1", 0), Answering)
        self.url = f"http://127.0.0.1:{self.server.server_port}/jwks.json"


@contextmanager
def providing(*keys: Key) -> Iterator[Provider]:
    provider = Provider(*keys)
    thread = threading.Thread(target=provider.server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield provider
    finally:
        provider.server.shutdown()
        thread.join()
        provider.server.server_close()


def signed_by(provider: Provider) -> list[str]:
    return ["--jwks", provider.url, "--issuer", ISSUER, "--audience", AUDIENCE]


async def test_signed_tokens_open_the_memory_of_their_subject(start: StartServer) -> None:
    rsa, elliptic = Key("k1"), Key("k2", "ES256")
    with providing(rsa, elliptic) as provider:
        serving = start(*signed_by(provider))
        tokens = rsa.token("ada"), elliptic.token("bob")
        async with over_http(serving.url, tokens[0]) as ada, over_http(serving.url, tokens[1]) as bob:
            await ada.remember("Ana lives in Lisbon")
            assert await bob.recall("where does Ana live") == []
            assert await ada.recall("where does Ana live") == ["Ana lives in Lisbon"]
        async with over_http(serving.url, rsa.token("ada", agentmem_read_only=True)) as reading:
            assert "remember" not in await reading.tools()
        for wrong in (
            rsa.token(exp=time.time() - 60),
            rsa.token(aud="https://other.example.com"),
            Key("k1").token("ada"),
            Key("k9").token("ada"),
        ):
            assert status(serving.url, authorization=f"Bearer {wrong}") == 401
        assert provider.asked == 1


def test_clients_are_told_who_issues_tokens(start: StartServer) -> None:
    with providing(Key("k1")) as provider:
        serving = start(*signed_by(provider))
        refused = httpx.post(serving.url, json=LIST, headers=ACCEPT)
        assert "resource_metadata" in refused.headers["www-authenticate"]
        path = "/.well-known/oauth-protected-resource/mcp"
        told = httpx.get(serving.url.removesuffix("/mcp") + path).json()
        assert told["resource"] == AUDIENCE
        (issuer,) = told["authorization_servers"]
        assert issuer.rstrip("/") == ISSUER


def test_keys_that_cannot_be_fetched_are_said_at_once() -> None:
    arguments = ["--jwks", "http://127.0.0.1:1/keys", "--issuer", ISSUER, "--audience", AUDIENCE]
    done = agentmem("mcp", "--transport", "http", *arguments, url="redis://127.0.0.1:1")
    assert (done.returncode, done.stdout) == (1, "")
    assert "The keys of --jwks cannot be fetched" in done.stderr
