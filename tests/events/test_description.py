from __future__ import annotations

import dataclasses
import datetime
import enum
import time
import uuid
from collections import UserDict, namedtuple
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableLambda
from pydantic import BaseModel, SecretBytes, SecretStr

from langchain_agentmem.events.description import describe
from langchain_agentmem.events.redaction import REDACTED

SECRET = "hunter2SECRETx9"


class Model(BaseModel):
    name: str
    api_key: str
    token: SecretStr


@dataclasses.dataclass
class Data:
    city: str
    password: str


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    __str__ = __repr__


class BrokenMapping(UserDict[str, str]):
    def __iter__(self) -> Any:
        raise RuntimeError("no items")


class Colour(enum.Enum):
    RED = "red"


Point = namedtuple("Point", "x password")


@pytest.mark.parametrize(
    ("value", "described"),
    [
        ("plain text", "plain text"),
        ("", ""),
        (None, "null"),
        (3, "3"),
        (10**30, "<int>"),
        (float("nan"), "null"),
        ([1, "a", None, True], '[1,"a",null,true]'),
        ({"input": "hi", 1: (2, 3)}, '{"input":"hi","1":[2,3]}'),
        (HumanMessage("hi", name="Bob"), '{"type":"human","content":"hi","name":"Bob"}'),
        (ToolMessage("r", tool_call_id="c1"), '{"type":"tool","content":"r","tool_call_id":"c1"}'),
        (Document("text", metadata={"a": 1}), '{"page_content":"text","metadata":{"a":1}}'),
        (ValueError("it broke"), "ValueError: it broke"),
        (KeyboardInterrupt(), "KeyboardInterrupt: "),
        (b"\x00\xff", "<2 bytes>"),
        (Colour.RED, "red"),
        (datetime.date(2024, 5, 1), "2024-05-01"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (object(), "<object>"),
        (RunnableLambda(lambda x: x), "<RunnableLambda>"),
        (Broken(), "<Broken>"),
        ([BrokenMapping(a="b"), 1], '["<BrokenMapping>",1]'),
        (Exception(Broken()), "<Exception>"),
        ("data:image/png;base64," + "A" * 5000, "data:image/png;base64,…(5,022 characters)"),
        ("a\ud800b", "a\ufffdb"),
        ({"a": "\ud83d"}, '{"a":"\ufffd"}'),
        (SecretStr(SECRET), REDACTED),
        (SecretBytes(SECRET.encode()), REDACTED),
        (
            Model(name="n", api_key=SECRET, token=SecretStr(SECRET)),
            f'{{"name":"n","api_key":"{REDACTED}","token":"{REDACTED}"}}',
        ),
        (Data("Rome", SECRET), f'{{"city":"Rome","password":"{REDACTED}"}}'),
        (Point(1, SECRET), f'{{"x":1,"password":"{REDACTED}"}}'),
        ({"password": None, "secret": False}, '{"password":null,"secret":false}'),
        ({"total_tokens": 5, "token": 5}, f'{{"total_tokens":5,"token":"{REDACTED}"}}'),
        ({"tokens": ["LSECRET"], "max_tokens": 9}, f'{{"tokens":"{REDACTED}","max_tokens":9}}'),
        ([("Authorization", SECRET)], f'[["Authorization","{REDACTED}"]]'),
        ([{"name": "X-Api-Key", "value": SECRET}], f'[{{"name":"X-Api-Key","value":"{REDACTED}"}}]'),
        ({"tokens": {"a": {"password": [SECRET]}}}, f'{{"tokens":{{"a":{{"password":"{REDACTED}"}}}}}}'),
    ],
)
def test_values_are_described(value: Any, described: str) -> None:
    assert describe(value, 2000) == described


def test_calls_are_described_without_secrets() -> None:
    call = {"name": "login", "args": {"user": "bob", "password": SECRET}, "id": "c1", "type": "tool_call"}
    text = describe(AIMessage("ok", tool_calls=[call]), 2000)
    assert SECRET not in text
    assert '"user":"bob"' in text


def test_what_is_too_long_is_cut_and_marked() -> None:
    assert describe("a" * 5000, 100) == "a" * 97 + "…"
    assert len(describe("é" * 5000, 101).encode()) <= 101
    assert describe("é" * 5000, 101).endswith("é…")
    assert "…" in describe(["a"] * 5000, 100)
    assert "…" in describe({str(i): i for i in range(5000)}, 100)


def test_a_value_that_holds_itself_is_described() -> None:
    loop: list[Any] = ["a"]
    loop.append(loop)
    assert describe(loop, 500).startswith('["a",["a",["a"')
    assert describe(loop, 100_000).endswith('"<list>"' + "]" * 12)  # deeper than JSON writers go


@pytest.mark.parametrize(
    "huge",
    [
        "word " * 4_000_000,
        {"input": "x" * 20_000_000},
        ["x"] * 5_000_000,
        [HumanMessage("x" * 10_000)] * 10_000,
        dict.fromkeys(range(1_000_000), "x"),
    ],
    ids=["text", "dict", "list", "messages", "keys"],
)
def test_a_huge_value_costs_no_more_than_its_beginning(huge: Any) -> None:
    began = time.perf_counter()
    assert len(describe(huge, 2000).encode()) <= 2000
    assert time.perf_counter() - began < 0.5


@given(
    st.integers(0, 12_000),
    st.sampled_from([f"password='{SECRET * 20}'", f"redis://u:{SECRET}@h", "sk-" + SECRET]),
)
def test_a_secret_goes_wherever_the_cut_falls(position: int, secret: str) -> None:
    text = describe("a " * (position // 2) + secret, 2000)
    assert SECRET[:8] not in text


@given(st.integers(9_000, 9_100), st.integers(0, 40))
def test_a_secret_that_the_cut_divides_does_not_come_up_behind_redacted_text(at: int, shift: int) -> None:
    # What is redacted makes the text shorter, and so brings its end within the limit.
    long = "password='" + "x" * (at - shift - 12) + "' "
    assert "SECRET" not in describe(long + "sk-SECRETSECRETSECRETSECRET" * 3, 2000)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner)
    ),
)


@given(anything, st.integers(1, 300))
def test_anything_becomes_bounded_valid_text(value: Any, limit: int) -> None:
    assert len(describe(value, limit).encode()) <= limit


@given(anything)
def test_what_fits_is_json(value: Any) -> None:
    text = describe([value], 100_000)
    assert isinstance(orjson.loads(text), list)
