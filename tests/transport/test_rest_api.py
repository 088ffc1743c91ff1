"""What is posted to Upstash's REST API, and how its answers read."""

from __future__ import annotations

import base64
import json
import sys
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_agentmem import errors
from langchain_agentmem.core.operations import Command, reads, writes
from langchain_agentmem.core.redaction import redact_secrets
from langchain_agentmem.transport.rest_api import RestDatabase, address_of, answers, body, database
from langchain_agentmem.transport.urls import environment_token, is_rest, open_source

TOKEN = "AbC-123_secret="


def made(url: str = "https://eu1-x.upstash.io", token: str | None = TOKEN) -> RestDatabase:
    return database(urlsplit(url), token)


class TestAddress:
    @pytest.mark.parametrize(
        ("url", "posted", "where"),
        [
            ("https://eu1-x.upstash.io", "https://eu1-x.upstash.io/pipeline", "eu1-x.upstash.io"),
            ("https://eu1-x.upstash.io/", "https://eu1-x.upstash.io/pipeline", "eu1-x.upstash.io"),
            ("http://localhost:8079", "http://localhost:8079/pipeline", "localhost:8079"),
            ("https://proxy/redis/", "https://proxy/redis/pipeline", "proxy"),
            ("https://[::1]:80", "https://[::1]:80/pipeline", "::1:80"),
        ],
    )
    def test_batches_go_to_the_pipeline(self, url: str, posted: str, where: str) -> None:
        assert (made(url).url, made(url).where) == (posted, where)

    def test_the_token_is_a_header_and_nowhere_else(self) -> None:
        assert made().headers["Authorization"] == f"Bearer {TOKEN}"
        assert made(token=f" {TOKEN}\n").headers["Authorization"] == f"Bearer {TOKEN}"
        assert TOKEN not in repr(made())

    def test_answers_are_asked_for_in_base64_unless_the_url_says_no(self) -> None:
        assert made().headers["Upstash-Encoding"] == "base64"
        plain = made("http://localhost:8080?rest_encoding=none")
        assert "Upstash-Encoding" not in plain.headers
        assert not plain.base64
        assert plain.url == "http://localhost:8080/pipeline"

    @pytest.mark.parametrize(
        ("url", "token", "said"),
        [
            ("https://x.upstash.io", None, "UPSTASH_REDIS_REST_TOKEN"),
            ("https://x.upstash.io", " ", "UPSTASH_REDIS_REST_TOKEN"),
            ("https://x.upstash.io", "two words", "token is malformed"),
            ("https://x.upstash.io", "line\nbreak-secret", "token is malformed"),
            ("https://x.upstash.io", "gehéim", "token is malformed"),
            ("https://", TOKEN, "URL is malformed"),
            ("https://a b.upstash.io", TOKEN, "URL is malformed"),
            ("https://x:notaport", TOKEN, "URL is malformed"),
            ("https://a..b", TOKEN, "URL is malformed"),
            ("https://user:pw-secret@x.upstash.io", TOKEN, "token="),
            ("https://x.upstash.io?token=abc", TOKEN, "rest_encoding"),
            ("https://x.upstash.io?rest_encoding=gzip", TOKEN, "base64 or none"),
        ],
    )
    def test_what_is_missing_or_malformed_is_named_without_secrets(
        self, url: str, token: str | None, said: str
    ) -> None:
        with pytest.raises(errors.ConfigurationError, match=said) as caught:
            open_source(url, 5.0, token)
        assert "secret" not in str(caught.value)
        assert "words" not in str(caught.value)
        assert "[redacted]" not in redact_secrets(str(caught.value))  # as the command line shows it

    def test_a_token_for_a_redis_url_is_refused(self) -> None:
        with pytest.raises(errors.ConfigurationError, match="https://") as caught:
            open_source("redis://localhost", 5.0, TOKEN)
        assert TOKEN not in str(caught.value)

    def test_which_urls_are_rest(self) -> None:
        assert is_rest(" HTTPS://x.upstash.io")
        assert is_rest("http://localhost")
        assert not is_rest("rediss://x.upstash.io")
        assert not is_rest("")

    def test_the_address_of_an_official_client(self) -> None:
        import upstash_redis
        import upstash_redis.asyncio

        url = "https://x.upstash.io"
        assert address_of(upstash_redis.Redis(url, TOKEN)) == (url, TOKEN)
        plain = upstash_redis.Redis(url, TOKEN, rest_encoding=None)
        assert address_of(plain) == (f"{url}?rest_encoding=none", TOKEN)
        assert address_of(upstash_redis.asyncio.Redis(url, TOKEN)) == (url, TOKEN)
        assert address_of(object()) is None

    @pytest.mark.parametrize(
        ("meant_for", "url", "found"),
        [
            (None, "https://a.upstash.io", TOKEN),
            ("https://a.upstash.io/", "https://a.upstash.io", TOKEN),
            ("https://a.upstash.io", "https://a.upstash.io?rest_encoding=none", TOKEN),
            ("https://a.upstash.io", "https://b.example", None),
        ],
    )
    def test_the_environment_s_token_goes_to_the_environment_s_url_only(
        self, monkeypatch: pytest.MonkeyPatch, meant_for: str | None, url: str, found: str | None
    ) -> None:
        monkeypatch.delenv("UPSTASH_REDIS_REST_URL", raising=False)
        if meant_for:
            monkeypatch.setenv("UPSTASH_REDIS_REST_URL", meant_for)
        monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", TOKEN)
        assert environment_token(url) == found

    def test_a_token_of_another_type_is_refused(self) -> None:
        token: Any = 7
        with pytest.raises(errors.ConfigurationError, match="must be a string"):
            made(token=token)


class TestBody:
    def test_arguments_are_texts(self) -> None:
        commands = [writes("SET", "k", b"v\xc3\xa9", 2**70, 0.1), reads("GET", "k")]
        assert json.loads(body(commands)) == [["SET", "k", "vé", str(2**70), "0.1"], ["GET", "k"]]

    @given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1))
    def test_any_text_arrives_as_it_is(self, arguments: list[str]) -> None:
        assert json.loads(body([Command(tuple(arguments))])) == [arguments]

    @pytest.mark.parametrize("argument", [b"\xff", "\ud800"])
    def test_what_json_cannot_carry_is_refused(self, argument: Any) -> None:
        with pytest.raises(errors.InvalidInputError, match="UTF-8"):
            body([writes("SET", "k", argument)])


def encoded(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return [encoded(one) for one in value] if isinstance(value, list) else value


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


replies = st.recursive(
    st.none() | st.integers() | st.binary(), lambda inner: st.lists(inner, max_size=4), max_leaves=10
)


class TestAnswers:
    @given(st.lists(replies, max_size=4))
    def test_base64_brings_every_byte(self, expected: list[Any]) -> None:
        content = json.dumps([{"result": encoded(one)} for one in expected]).encode()
        assert answers(200, content, made()) == expected

    def test_ok_is_never_encoded(self) -> None:
        assert answers(200, b'[{"result":"OK"},{"result":"T0s="}]', made()) == [b"OK", b"OK"]

    def test_plain_answers_are_bytes_too(self) -> None:
        plain = made("http://h?rest_encoding=none")
        assert answers(200, '[{"result":["é",1,null]}]'.encode(), plain) == [["é".encode(), 1, None]]

    def test_a_failed_command_hides_no_other(self) -> None:
        content = b'[{"result":1},{"error":"WRONGTYPE Operation against a key"},{"result":2}]'
        first, refused, last = answers(200, content, made())
        assert (first, last) == (1, 2)
        assert isinstance(refused, errors.WrongKeyTypeError)

    @pytest.mark.parametrize(
        ("said", "kind"),
        [
            ("NOSCRIPT No matching script. Please use EVAL.", errors.StoreError),
            ("Failed to execute Redis command: WRONGTYPE x", errors.WrongKeyTypeError),
            ("OOM command not allowed", errors.StoreFullError),
            ("NOPERM this user has no permissions to run the 'set' command", errors.StoreAuthenticationError),
            ("ERR max daily request limit exceeded. Limit: 10000, Usage: 10000", errors.StoreRateLimitError),
            ("ERR max request size exceeded. Limit: 1048576 bytes", errors.StoreError),
        ],
    )
    def test_errors_of_a_command_are_ours(self, said: str, kind: type[Exception]) -> None:
        (error,) = answers(200, json.dumps([{"error": said}]).encode(), made())
        assert type(error) is kind

    @pytest.mark.parametrize(
        ("status", "content", "kind", "said"),
        [
            (
                401,
                b'{"error":"WRONGPASS invalid or missing auth token"}',
                errors.StoreAuthenticationError,
                "token",
            ),
            (401, b"Unauthorized", errors.StoreAuthenticationError, "401"),
            (429, b'{"error":"Exceeded"}', errors.StoreRateLimitError, "429"),
            (400, b'{"error":"ERR failed to parse"}', errors.StoreError, "failed to parse"),
            (413, b'{"error":"ERR max request size exceeded"}', errors.StoreError, "max request size"),
            (502, b"<html>Bad gateway</html>", errors.StoreConnectionError, "502"),
            (500, b'{"error":"internal"}', errors.StoreConnectionError, "internal"),
            (200, b"<html>hello</html>", errors.StoreConnectionError, "URL right"),
            (200, b'{"result":1}', errors.StoreConnectionError, "URL right"),
            (301, b"", errors.StoreConnectionError, "301"),
        ],
    )
    def test_a_refused_request_is_one_error(
        self, status: int, content: bytes, kind: type[Exception], said: str
    ) -> None:
        with pytest.raises(kind, match=said) as caught:
            answers(status, content, made())
        assert TOKEN not in str(caught.value)

    def test_a_server_without_base64_is_told_apart(self) -> None:
        with pytest.raises(errors.StoreError, match="rest_encoding=none"):
            answers(200, '[{"result":"not base64: é"}]'.encode(), made())

    @pytest.mark.parametrize(
        "content",
        [
            f'[{{"result":{nested(130)}}}]',
            f'[{{"result":{nested(900)}}}]',
            f'[{{"result":[{2**70},{nested(900)}]}}]',  # read again, for the integer
            f'[{{"error":{nested(900)}}}]',
            f'{{"error":{nested(900)}}}',
        ],
    )
    def test_what_is_nested_too_deeply_is_one_error_on_every_python(self, content: str) -> None:
        with pytest.raises(errors.StoreError, match="nested too deeply"):
            answers(200, content.encode(), made())

    def test_what_is_nested_less_deeply_is_read_however_deep_the_limit_of_python(self) -> None:
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(100_000)
        try:
            assert answers(200, f'[{{"result":{nested(129)}}}]'.encode(), made()) == [json.loads(nested(129))]
            with pytest.raises(errors.StoreError, match="nested too deeply"):
                answers(200, f'[{{"result":{nested(900)}}}]'.encode(), made())
        finally:
            sys.setrecursionlimit(limit)

    def test_an_error_that_is_no_text_is_told(self) -> None:
        with pytest.raises(errors.StoreError, match="no such database"):
            answers(400, b'{"error":{"message":"no such database"}}', made())
