from __future__ import annotations

import dataclasses
import datetime
import enum
import time
import uuid
from collections import UserDict, deque, namedtuple
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.runnables import RunnableLambda
from pydantic import BaseModel, SecretBytes, SecretStr

from langchain_agentmem.core.redaction import REDACTED
from langchain_agentmem.events.sanitize import describe, describe_end

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


def test_a_text_that_is_too_long_ends_with_a_mark() -> None:
    assert describe("a" * 5000, 100) == "a" * 97 + "…"
    assert len(describe("é" * 5000, 101).encode()) <= 101
    assert describe("é" * 5000, 101).endswith("é…")


def test_a_long_tool_result_shows_as_much_of_its_content_as_fits() -> None:
    result = ToolMessage("0123456789" * 360, tool_call_id="call_1", name="search")
    described = orjson.loads(describe(result, 2000))
    assert {**described, "content": ""} == {
        "type": "tool",
        "content": "",
        "name": "search",
        "tool_call_id": "call_1",
    }
    assert described["content"].endswith("…")
    assert len(describe(result, 2000).encode()) == 2000


def test_no_member_of_a_mapping_starves_another() -> None:
    described = orjson.loads(
        describe({"first": "a" * 9000, "n": 1, "second": ["b" * 9000], "third": "short"}, 1000)
    )
    assert list(described) == ["first", "n", "second", "third"]
    assert (described["n"], described["third"]) == (1, "short")
    assert len(described["first"]) > 400
    assert len(described["second"][0]) > 400


def test_what_some_leave_of_their_share_the_others_get() -> None:
    short = {f"name{number}": "ab" for number in range(20)}
    described = describe({**short, "long": "x" * 9000}, 1000)
    assert orjson.loads(described).items() >= short.items()
    assert len(described.encode()) == 1000


def test_a_mapping_of_very_many_members_says_how_many_are_left_out() -> None:
    described = orjson.loads(describe({str(number): number for number in range(5000)}, 1000))
    left_out = described.pop("…")
    assert described == {str(number): number for number in range(len(described))}
    assert len(described) > 80
    assert left_out == f"{5000 - len(described):,} more"


@pytest.mark.parametrize("kind", [list, tuple, deque, lambda items: items])
def test_a_list_keeps_its_newest_items_and_says_how_many_are_left_out(kind: Any) -> None:
    left_out, *found = orjson.loads(describe(kind(range(5000)), 1000))
    assert found == list(range(5000 - len(found), 5000))
    assert len(found) > 180
    assert left_out == {"…": f"{5000 - len(found):,} earlier items"}


def test_of_long_items_the_newest_share_the_room() -> None:
    left_out, *found = orjson.loads(describe([f"{number} " + "word " * 200 for number in range(50)], 1000))
    assert left_out == {"…": f"{50 - len(found)} earlier items"}
    assert [text.split()[0] for text in found] == [str(number) for number in range(50 - len(found), 50)]
    assert len(found) > 7
    assert all(text.endswith("…") for text in found)


def test_if_members_are_left_out_it_is_not_the_most_specific_ones() -> None:
    general = {f"setting{number}": "value " * 9 for number in range(90)}
    specific = {"usage": {"input_tokens": 3}, "tool_calls": [{"name": "look"}], "error": "OSError: no"}
    described = orjson.loads(describe({**general, **specific}, 500))
    assert list(described)[:3] == ["error", "tool_calls", "usage"]
    assert {name: described[name] for name in specific} == specific
    assert described["…"] == f"{94 - len(described):,} more"
    assert list(orjson.loads(describe({**general, **specific}, 9000))) == [*general, *specific]


def test_of_chat_messages_the_newest_are_kept_whole_and_in_order() -> None:
    kinds = (HumanMessage, AIMessage)
    messages = [kinds[number % 2](f"{number} " + "word " * 60) for number in range(60)]
    for value in (messages, {"messages": messages}, (messages,), [messages]):
        described = orjson.loads(describe(value, 2000))
        if isinstance(described, dict):
            described = described["messages"]
        if isinstance(described[0], list):
            described = described[0]
        left_out, oldest, *whole = described
        assert len(whole) == 5
        assert left_out == {"…": "54 earlier messages"}
        assert [item["content"] for item in whole] == [message.content for message in messages[-5:]]
        assert oldest["content"].startswith("54 word ")
        assert oldest["content"].endswith("…")


def test_of_messages_in_the_form_of_an_api_the_newest_are_kept_too() -> None:
    said = [f"{number} " + "word " * 60 for number in range(60)]
    described = orjson.loads(describe([{"role": "user", "content": text} for text in said], 1000))
    assert described[0] == {"…": "57 earlier messages"}
    assert described[-1] == {"role": "user", "content": said[-1]}
    described = orjson.loads(describe([("user", text) for text in said], 1000))
    assert described[0] == {"…": "57 earlier messages"}
    assert described[-1] == ["user", said[-1]]


def test_the_newest_message_is_shown_however_long_it_is() -> None:
    described = orjson.loads(describe([HumanMessage("old"), HumanMessage("new " * 5000)], 1000))
    assert described[0] == {"…": "1 earlier message"}
    assert described[1]["content"].startswith("new new")
    assert len(described) == 2
    described = orjson.loads(describe([HumanMessage(str(number)) for number in range(5000)], 1000))
    assert [message["content"] for message in described[1:]] == [
        str(number) for number in range(5001 - len(described), 5000)
    ]


def test_a_text_is_cut_inside_its_quotes_and_between_escapes() -> None:
    for limit in range(20, 60):
        for text in ('"' * 99, "\\" * 99, "\n" * 99, "\x00" * 99, "é" * 99, "😀" * 99, "漢" * 99):
            described = describe({"a": text}, limit)
            assert limit - 6 <= len(described.encode()) <= limit
            content = orjson.loads(described)["a"]
            assert content == text[: len(content) - 1] + "…"


def test_the_end_of_a_prompt_is_kept() -> None:
    assert describe_end("short", 100) == "short"
    assert describe_end("a" * 500 + "é", 101) == "…" + "a" * 96 + "é"
    prompt = "System: be kind.\n" + "Human: old\nAI: answer\n" * 10_000 + "Human: where do I live?"
    described = describe_end(prompt, 2000)
    assert described.startswith("…")
    assert described.endswith("AI: answer\nHuman: where do I live?")
    assert 1990 <= len(described.encode()) <= 2000


def test_a_value_that_holds_itself_is_described() -> None:
    loop: list[Any] = ["a"]
    loop.append(loop)
    assert describe(loop, 500) == '["a",' * 12 + '"<list>"' + "]" * 12
    assert describe(loop, 30) == '["…",["…",["…","…"]]]'
    deep: list[Any] = []
    for _ in range(50):
        deep = ["x" * 10_000, deep]
    assert describe(deep, 100_000).endswith('"<list>"' + "]" * 12)
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


LIMITS = st.integers(3, 4000)
SMALLEST_JSON = 5  # bytes, of `"…"`
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64) | st.floats()


def nested(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Lists, mappings and messages of them."""
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=20)
            | st.dictionaries(st.text() | st.integers(), inner, max_size=20)
            | st.tuples(inner, inner)
            | st.builds(HumanMessage, st.text(max_size=300))
            | st.lists(st.builds(AIMessage, st.text(max_size=300)), max_size=20)
        ),
        max_leaves=40,
    )


anything = nested(scalars | st.text(max_size=600) | st.binary())


@given(anything, LIMITS)
def test_anything_becomes_bounded_valid_json(value: Any, limit: int) -> None:
    described = describe(value, limit)
    assert len(described.encode()) <= limit
    if isinstance(value, dict | list | tuple | float | bool | None) and limit >= SMALLEST_JSON:
        found = orjson.loads(described)
        assert found == "…" or isinstance(found, list) == isinstance(value, list | tuple)


@given(anything, st.integers(1, 4))
def test_no_limit_is_too_small(value: Any, limit: int) -> None:
    assert len(describe(value, limit).encode()) <= limit


@given(anything)
def test_what_fits_is_whole(value: Any) -> None:
    whole = describe(value, 1_000_000)
    size = len(whole.encode())
    assert describe(value, size + 1) == describe(value, size) == whole
    if size > 1:
        assert describe(value, size - 1) != whole


around = st.text("ab c\n.é漢😀", max_size=500)
planted = st.builds(
    lambda before, secret, after: f"{before} {secret} {after}",
    around,
    st.sampled_from(
        [
            f"password='{SECRET * 20}'",
            f'{{"api_key": "{SECRET}"}}',
            f"redis://u:{SECRET}@h",
            f"sk-{SECRET}abcdef",
            f"Authorization: Bearer {SECRET}",
            f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n{SECRET}\n-----END PRIVATE KEY-----",
        ]
    ),
    around,
)
secrets = (
    planted
    | st.builds(
        lambda name: {name: [SECRET, {"x": SECRET}]}, st.sampled_from(["password", "apiKey", "token"])
    )
    | st.just(("Authorization", SECRET))
    | st.just({"name": "X-Api-Key", "value": SECRET})
    | st.builds(HumanMessage, planted)
    | st.builds(lambda text: {text: 1}, planted)
    | st.just(SecretStr(SECRET))
)
PARTS = [SECRET[at : at + 5] for at in range(len(SECRET) - 5)]


def assert_no_secret(described: str) -> None:
    assert not [part for part in PARTS if part in described]


@given(nested(secrets | scalars | around), LIMITS)
def test_no_secret_comes_through_at_any_limit(value: Any, limit: int) -> None:
    assert_no_secret(describe(value, limit))


@pytest.mark.parametrize("limit", [*range(5, 400, 37), 2000])
@pytest.mark.parametrize(
    "secret", [f"password='{SECRET * 3}' ", f"redis://u:{SECRET}@h ", f"sk-{SECRET} ", f"eyJ{SECRET * 50} "]
)
def test_no_secret_comes_through_wherever_the_text_is_cut(secret: str, limit: int) -> None:
    for length in (*range(max(limit - 60, 0), limit + 5), 4 * limit + 1000, 4 * limit + 1020):
        text = "a " * (length // 2) + secret + "b " * 4000
        assert_no_secret(describe(text, limit))
        assert_no_secret(describe({"content": text}, limit))
        assert_no_secret(describe([HumanMessage(text), HumanMessage(text)], limit))


@given(
    st.integers(0, 12_000),
    st.sampled_from(
        [
            f"password='{SECRET * 20}' ",
            f"redis://u:{SECRET}@h ",
            f"eyJ{SECRET * 50} ",
            "-----BEGIN PRIVATE KEY-----\n" + f"{SECRET}\n" * 200 + "-----END PRIVATE KEY-----\n",
        ]
    ),
    st.integers(3, 4000),
    st.booleans(),
)
def test_no_secret_comes_through_wherever_a_prompt_begins(
    behind: int, secret: str, limit: int, redacted_behind: bool
) -> None:
    # What is redacted makes the text shorter, and so brings its beginning within the limit.
    rest = "password='" + "x" * behind + "'" if redacted_behind else "b " * (behind // 2)
    described = describe_end("a " * 5000 + secret + rest, limit)
    assert_no_secret(described)
    assert len(described.encode()) <= limit


@pytest.mark.parametrize(
    "secret",
    [
        "-----BEGIN PRIVATE KEY-----\n" + f"{SECRET}\n" * 200 + "-----END PRIVATE KEY-----",
        f"eyJ{SECRET * 500}",
    ],
    ids=["of lines", "of one long word"],
)
def test_the_rest_of_a_secret_whose_beginning_is_not_seen_does_not_come_up(secret: str) -> None:
    for seen in range(1, len(secret), 97):
        for window in (2000 + 8192, 8192):
            rest = f" password='{'x' * (window - seen - 12)}'"
            assert_no_secret(describe_end("a " * 9000 + secret + rest, 2000))


texts = st.text(min_size=1, max_size=3000)
messages = st.builds(
    lambda kind, text: kind(text), st.sampled_from([HumanMessage, AIMessage, SystemMessage]), texts
) | st.builds(lambda text: ToolMessage(text, tool_call_id="call_1"), texts)


@given(
    st.lists(messages | st.builds(lambda text: {"role": "user", "content": text}, texts), min_size=1),
    st.integers(200, 4000),
    st.booleans(),
)
def test_the_last_message_begins_in_what_is_shown(said: list[Any], limit: int, as_input: bool) -> None:
    described = orjson.loads(describe({"messages": said} if as_input else said, limit))
    last = (described["messages"] if as_input else described)[-1]["content"]
    text = said[-1]["content"] if isinstance(said[-1], dict) else said[-1].content
    assert last == text or (len(last) > 10 and text.startswith(last.removesuffix("…")))
