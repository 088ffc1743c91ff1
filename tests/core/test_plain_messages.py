"""Messages that are made without validation are what their constructors make, or the constructors make them."""

from __future__ import annotations

import copy
import json
import pickle
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    get_buffer_string,
    message_to_dict,
    messages_to_dict,
)
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from pydantic import Field, PrivateAttr, TypeAdapter, field_validator

from langchain_agentmem.core.messages import decode_plain_turns, decode_turn, encode_turn
from langchain_agentmem.core.plain_messages import maker
from tests.strategies import json_values, texts

CLASSES = [HumanMessage, AIMessage, SystemMessage]
SEEN: list[Any] = [
    lambda message: message,
    lambda message: type(message),
    lambda message: message.model_dump(),
    lambda message: message.model_dump(exclude_unset=True),
    lambda message: message.model_dump(exclude_defaults=True),
    lambda message: message.model_dump_json(),
    lambda message: message.to_json(),
    lambda message: message_to_dict(message),
    lambda message: list(message),
    lambda message: (repr(message), str(message), message.pretty_repr()),
    lambda message: (message.text, message.content_blocks),
    lambda message: (message.model_fields_set, message.model_extra, message.__pydantic_private__),
    lambda message: (message.lc_attributes, message.lc_secrets),
    lambda message: pickle.loads(pickle.dumps(message)),
    lambda message: (copy.copy(message), copy.deepcopy(message), message.model_copy(update={"id": "1"})),
    lambda message: TypeAdapter(type(message)).validate_python(message),
    lambda message: get_buffer_string([message]),
    lambda message: (message + ChatPromptTemplate([("human", "hi")])).format_messages(),
    lambda message: ChatPromptTemplate([MessagesPlaceholder("m")]).invoke({"m": [message]}),
]


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("content", ["", "hi", "{x} é 𝄞\n\0"])
def test_nothing_tells_them_from_constructed_ones(cls: type[BaseMessage], content: str) -> None:
    made, constructed = maker(cls)(content), cls(content=content)
    for see in SEEN:
        assert see(made) == see(constructed)
    assert list(vars(made)) == list(vars(constructed))


@pytest.mark.parametrize("cls", CLASSES)
def test_the_installed_classes_are_made_without_their_constructors(
    cls: type[BaseMessage], monkeypatch: pytest.MonkeyPatch
) -> None:
    make = maker(cls)
    monkeypatch.setattr(cls, "__init__", None)
    assert make("hi").content == "hi"


@pytest.mark.parametrize("cls", CLASSES)
def test_changing_one_changes_no_other(cls: type[BaseMessage]) -> None:
    make = maker(cls)
    changed: Any = make("one")
    changed.additional_kwargs["a"] = 1
    changed.response_metadata["b"] = 2
    changed.id = "id"
    changed.more = "extra"
    changed.__pydantic_fields_set__.add("name")
    if isinstance(changed, AIMessage):
        changed.tool_calls.append({"name": "t", "args": {}, "id": "1"})
        changed.invalid_tool_calls.append({"name": "t", "args": "", "id": "1", "error": ""})
    assert make("two") == cls(content="two")
    assert make("two").model_fields_set == {"content"}
    assert make("one") != changed


class Stamped(HumanMessage):
    """Each has an id of its own."""

    id: str | None = Field(default_factory=lambda: uuid.uuid4().hex)


class Shouting(HumanMessage):
    """Its content is not what was given."""

    @field_validator("content", mode="before")
    @classmethod
    def shout(cls, content: str) -> str:
        """Return the content in capitals."""
        return content.upper()


class Private(HumanMessage):
    """It holds something that is no field."""

    _seen: list[str] = PrivateAttr(default_factory=list)


class Nested(HumanMessage):
    """It holds something deep, which a copy would share."""

    response_metadata: dict[str, Any] = Field(default_factory=lambda: {"tokens": []})


@pytest.mark.parametrize("cls", [Stamped, Shouting, Private, Nested])
def test_what_a_constructor_does_besides_is_done(cls: type[BaseMessage]) -> None:
    make = maker(cls)
    one, other = make("hi"), make("hi")
    assert one.content == cls(content="hi").content
    assert vars(one).keys() == vars(cls(content="hi")).keys()
    if cls is Stamped:
        assert one.id != other.id
    if cls is Private:
        one._seen.append("x")  # type: ignore[attr-defined]
        assert other._seen == []  # type: ignore[attr-defined]
    if cls is Nested:
        one.response_metadata["tokens"].append("x")
        assert other.response_metadata == {"tokens": []}


plain = st.builds(lambda cls, content: cls(content=content), st.sampled_from(CLASSES), texts)


@given(st.lists(plain, max_size=5))
def test_a_list_of_plain_turns_is_read_as_each_of_them_is(messages: list[BaseMessage]) -> None:
    stored = b"[ \n" + b",\n".join(encode_turn(message, 1.5) for message in messages) + b"\n]"
    assert decode_plain_turns(stored) == messages


turns = st.fixed_dictionaries(
    {},
    optional={
        "role": st.one_of(st.sampled_from(["user", "assistant", "system", "tool", "human"]), json_values),
        "content": st.one_of(texts, json_values),
        "ts": json_values,
        "unanswered": st.booleans(),
    },
)


@given(st.one_of(st.lists(st.one_of(turns, json_values), max_size=4), json_values))
def test_what_is_read_as_plain_turns_reads_the_same_one_by_one(entries: Any) -> None:
    read = decode_plain_turns(json.dumps(entries).encode())
    if read is not None:
        assert messages_to_dict(read) == messages_to_dict([decode_turn(entry) for entry in entries])


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"[",
        b"null",
        b"{}",
        b'""',
        b'{"role":"user","content":"x","ts":1}',
        b'[{"role":"user","content":"x"}]',
        b'[{"role":"user","content":"x","ts":1,"unanswered":true}]',
        b'[{"role":"user","content":["x"],"ts":1}]',
        b'[{"role":"tool","content":"x","ts":1}]',
        b'[{"role":"user","content":"\\ud800","ts":1}]',
    ],
)
def test_what_is_more_than_plain_turns_is_left_to_others(stored: bytes) -> None:
    assert decode_plain_turns(stored) is None
