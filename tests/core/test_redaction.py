from __future__ import annotations

import ast
import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import langchain_agentmem
from langchain_agentmem import errors
from langchain_agentmem.core.redaction import REDACTED, Clean, clean, is_secret_name, redact_secrets, shorten

SECRET = "hunter2SECRETx9"


@pytest.mark.parametrize(
    "name",
    [
        *("api_key", "apikey", "apiKey", "APIKey", "X-Api-Key", "x-api-key", "OPENAI_API_KEY", "myApiKey"),
        *("authorization", "Proxy-Authorization", "auth", "token", "access_token", "accessToken"),
        *("refreshTokens", "upstashRestToken", "HF_TOKEN", "password", "PASSWORD", "dbPassword", "passwords"),
        *("dbpassword", "passwd", "pwd", "redisCachePwd", "passphrase", "secret", "clientSecret"),
        *("client-secret", "secretAccessKey", "credential", "credentials", "cookie", "Set-Cookie"),
        *("private_key", "privateKey", "connection_string", "connectionString", "password2", "jwt"),
    ],
)
def test_names_of_secrets_are_told(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("total_tokens", "max_tokens", "maxTokens", "token_usage", "prompt_tokens", "completionTokens"),
        *("input_token_details", "cache_read_input_tokens", "tokens", "tokenizer", "author", "key", "keys"),
        *("session_id", "user_id", "monkey", "compass", "secretary", "passenger", "", "12", "…"),
    ],
)
def test_other_names_are_not(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    "text",
    [
        f"password={SECRET}",
        f"password: {SECRET}, and so on",
        f"password=ab,{SECRET}",
        f"DB_PASSWORD={SECRET}\nNEXT=1",
        f"password: token: {SECRET}",
        f'"token": "{SECRET}"',
        f"{{'api_key': '{SECRET}'}}",
        f"token=b'{SECRET}'",
        f"api_key=SecretStr('{SECRET}')",
        f"api_key = Key(value='a', other='{SECRET}')",
        f'"password":"with \\" a quote {SECRET}"',
        f'"password":"a backslash at its end {SECRET}\\\\", "next": 1',
        f"Authorization: Bearer {SECRET}",
        f"authorization: Digest username={SECRET}, response={SECRET}",
        f"Cookie: a={SECRET}; b={SECRET}",
        f"X-Api-Key: {SECRET}",
        f"curl --api-key {SECRET} x",
        f"--password={SECRET}",
        f"https://x.io/a?access_token={SECRET}&b=1",
        f"<password>{SECRET}</password>",
        f"client_secret => {SECRET}",
        f"os.environ['OPENAI_API_KEY'] = '{SECRET}'",
        f"Incorrect API key provided: {SECRET}.",
        f"Server=x;AccountKey={SECRET};Suffix=core",
        f"credentials: {{'a': '}}', 'b': ['{SECRET}']}} end",
        f"redis://user:{SECRET}@host:6379/0",
        f"redis://:{SECRET}/x@host",
        f"postgres://u:p@ss{SECRET}@host/db",
        f"https://{SECRET}@github.com/x",
        f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----",
        f"private_key: -----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----",
        f"-----BEGIN PRIVATE KEY-----\n{SECRET} and cut off",
    ],
)
def test_values_of_secret_names_go(text: str) -> None:
    assert SECRET not in redact_secrets(text)
    assert REDACTED in redact_secrets(text)
    assert SECRET not in redact_secrets(f"before {text} after")
    assert SECRET not in redact_secrets(json.dumps({"a": text}))
    assert SECRET not in redact_secrets(json.dumps(json.dumps({"b": {"password": SECRET + '"' + SECRET}})))


@pytest.mark.parametrize(
    "secret",
    [
        *(
            "sk-abc123",
            "sk-proj-abcdefGHIJKL_mn-op",
            "sk_live_abcd1234",
            "ghp_abcdef1234567890",
            "gho_abcdef123456",
        ),
        *("github_pat_11ABCDEFG0abcd", "xoxb-1234-abcd-efgh", "AKIAIOSFODNN7EXAMPLE", "hf_abcdefgh1234"),
        *("AIzaSyA1234567890abcdefghij", "glpat-abcdefgh1234", "lsv2_pt_0123456789abcdef"),
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abc-def_g",
    ],
)
def test_tokens_in_known_formats_are_removed_wherever_they_stand(secret: str) -> None:
    for text in (
        secret,
        f"the key {secret}, it is",
        f"({secret})",
        f'"{secret}"',
        f"a={secret}&b",
        f"x/{secret}/y",
    ):
        assert redact_secrets(text) == text.replace(secret, REDACTED)


def test_what_follows_an_authorization_scheme_goes() -> None:
    assert redact_secrets("used bearer abc123def, then") == f"used bearer {REDACTED}, then"
    assert redact_secrets("Basic dXNlcjpwYXNz") == f"Basic {REDACTED}"


@pytest.mark.parametrize(
    "text",
    [
        "total_tokens=5, max_tokens: 100",
        "token_usage: {'prompt_tokens': 3}",
        "the basic idea is simple; the bearer of it is old",
        "a task-oriented-and-long word, a disk-based-thing",
        "see https://example.com/@user and http://host:8080/@x",
        "hf_hub_download(x)",
        "author: Bob, monkey: 5",
        "What is the weather in Paris?",
    ],
)
def test_other_text_stays(text: str) -> None:
    assert redact_secrets(text) == text


@given(st.text(max_size=30), st.text(max_size=30), st.sampled_from(["'", '"', ""]))
def test_any_text_around_a_secret_leaves_it_out(before: str, after: str, quote: str) -> None:
    secret = "xK9$%!qZ7"
    assert secret not in redact_secrets(f"{before} password={quote}{secret}{quote} {after}")
    assert secret not in redact_secrets(f"{before} redis://user:{secret}@host {after}")


@given(st.dictionaries(st.sampled_from(["token", "apiKey", "pwd"]), st.text(min_size=12), min_size=1))
def test_any_value_in_json_text_goes(members: dict[str, str]) -> None:
    found = json.loads(redact_secrets(json.dumps(members)).replace(REDACTED, '""'))
    assert found == dict.fromkeys(members, "")


@pytest.mark.parametrize(
    "piece",
    [
        *(
            "a",
            "a.b-c_",
            'password="',
            "password: {",
            "password: (",
            "://a:b",
            "://",
            "\\",
            "api key ",
            "basic ",
        ),
        *(
            "-----BEGIN PRIVATE KEY-----",
            "eyJ",
            "token: ",
            "--token ",
            "<token>",
            "bearer ",
            "cookie: a;",
            "sk-a",
        ),
    ],
)
def test_no_text_takes_more_than_linear_time(piece: str) -> None:
    text = piece * (9000 // len(piece))
    began = time.perf_counter()
    redact_secrets(text)
    assert time.perf_counter() - began < 0.3


class TestOwnMessages:
    """What this package says itself is not taken for a secret; what it quotes is."""

    def test_a_message_passes_as_it_is(self) -> None:
        message = clean("token= goes with the URL of a REST API, password: other users can read it.")
        assert redact_secrets(message) == message
        assert shorten(message, 500) == message
        assert redact_secrets(str(message)) == message
        assert (
            redact_secrets(f"said: {message}") != f"said: {message}"
        )  # what is made of it is a text like others

    def test_it_passes_as_the_message_of_an_error(self) -> None:
        for cls in (ValueError, errors.ConfigurationError, errors.MissingDependencyError):
            assert redact_secrets(str(cls(clean("token= is missing.")))) == "token= is missing."
        assert redact_secrets(str(ValueError("token= is missing."))) == f"token= {REDACTED} missing."

    def test_values_in_it_lose_their_secrets(self) -> None:
        message = clean("token= and {} and {}.", f"redis://u:{SECRET}@h", ValueError(f"password={SECRET}"))
        assert message == f"token= and redis://{REDACTED}@h and password={REDACTED}."

    @pytest.mark.parametrize("before", ["password=", "token: ", "--api-key ", "Cookie: ", '"secret": "'])
    def test_a_value_behind_a_secret_name_is_taken_for_a_secret(self, before: str) -> None:
        assert SECRET not in clean(before + "{}", SECRET)
        assert SECRET not in clean("{} " + before + "{} and so on", 1, SECRET)
        assert clean("password= is what {} needs", "Redis") == "password= is what Redis needs"

    def test_a_clean_value_stays(self) -> None:
        assert clean("needs a token: {} is missing", Clean("baseURL")) == "needs a token: baseURL is missing"

    def test_braces_in_values_are_no_places_for_others(self) -> None:
        assert clean("{} and {}", "{}", "b") == "{} and b"
        for values in ((), ("a", "b")):
            with pytest.raises(ValueError, match="zip"):
                clean("{}", *values)

    def test_what_only_looks_clean_is_redacted(self) -> None:
        class Alike(Clean):
            pass

        assert SECRET not in redact_secrets(Alike(f"password={SECRET}"))

    def test_no_error_of_this_package_is_changed_by_redaction(self) -> None:
        """The literal part of every message; one that would be changed is made with `clean`."""
        found = [message for path in PACKAGE.rglob("*.py") for message in literal_messages(path)]
        assert len(found) > 150
        assert [message for message in found if redact_secrets(message) != message] == []


PACKAGE = Path(langchain_agentmem.__file__).parent
OWN = {*errors.__all__, "CommandError"}


def literal_messages(path: Path) -> list[str]:
    """The messages that a module makes its own errors with, `X` for every value."""
    calls = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
    made = [call for call in calls if call.args and ast.unparse(call.func).rpartition(".")[2] in OWN]
    return [text for call in made if (text := literal(call.args[0]))]


def literal(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(literal(part) for part in parts)
        case ast.FormattedValue():
            return "X"
        case ast.BinOp(left=left, right=right):
            return literal(left) + literal(right)
    return ""
