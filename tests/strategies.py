"""What hypothesis draws from: any string that can be a scope, and any message JSON can carry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    ChatMessageChunk,
    FunctionMessage,
    FunctionMessageChunk,
    HumanMessage,
    HumanMessageChunk,
    RemoveMessage,
    SystemMessage,
    SystemMessageChunk,
    ToolMessage,
    ToolMessageChunk,
)

T = TypeVar("T")


def made(cls: Callable[..., T], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[T]:
    """Objects of a class from drawn keywords; `st.builds` would draw what is not named, too."""
    return st.fixed_dictionaries(fields).map(lambda drawn: cls(**drawn))


texts = st.text(max_size=40)
scopes = st.one_of(
    st.text(min_size=1, max_size=30),
    st.sampled_from(
        ["alice", "Alice", " alice", "alice ", "a,b", "a b", "#", "*", "{a}", "a|b", "\x00", "é", "e\u0301"]
    ),
    st.text(alphabet="aA,|{}[]()*@:-_.\\\"' \t\n#%?", min_size=1, max_size=12),
)
numbers = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False))
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)
json_objects = st.dictionaries(texts, json_values, max_size=3)
blocks = st.lists(
    st.one_of(
        texts,
        st.fixed_dictionaries({"type": st.just("text"), "text": texts}),
        st.fixed_dictionaries(
            {"type": st.just("image_url"), "image_url": st.fixed_dictionaries({"url": texts})}
        ),
    ),
    max_size=3,
)
contents = st.one_of(texts, blocks)
tool_calls = st.lists(
    st.fixed_dictionaries(
        {"name": texts, "args": json_objects, "id": st.one_of(st.none(), texts), "type": st.just("tool_call")}
    ),
    max_size=2,
)
invalid_tool_calls = st.lists(
    st.fixed_dictionaries(
        {
            "name": texts,
            "args": texts,
            "id": texts,
            "error": st.one_of(st.none(), texts),
            "type": st.just("invalid_tool_call"),
        }
    ),
    max_size=2,
)
usage = st.one_of(
    st.none(),
    st.fixed_dictionaries(
        {
            "input_tokens": st.integers(0, 9),
            "output_tokens": st.integers(0, 9),
            "total_tokens": st.integers(0, 9),
        }
    ),
)
artifacts = st.one_of(
    json_values,
    st.binary(max_size=8),
    st.lists(
        made(Document, page_content=texts, metadata=json_objects, id=st.one_of(st.none(), texts)), max_size=2
    ),
)
common = {
    "content": contents,
    "additional_kwargs": st.dictionaries(
        texts.filter(lambda key: key != "tool_calls"), json_values, max_size=2
    ),
    "response_metadata": json_objects,
    "name": st.one_of(st.none(), texts),
    "id": st.one_of(st.none(), texts),
}
named = {**common, "name": texts}
tool = {
    **common,
    "tool_call_id": texts,
    "artifact": artifacts,
    "status": st.sampled_from(["success", "error"]),
}
ai = {**common, "tool_calls": tool_calls, "invalid_tool_calls": invalid_tool_calls, "usage_metadata": usage}
whole_messages: st.SearchStrategy[BaseMessage] = st.one_of(
    made(HumanMessage, **common),
    made(SystemMessage, **common),
    made(AIMessage, **ai),
    made(ToolMessage, **tool),
    made(FunctionMessage, **named),
    made(ChatMessage, **common, role=texts),
)
chunks: st.SearchStrategy[BaseMessage] = st.one_of(
    made(HumanMessageChunk, **common),
    made(SystemMessageChunk, **common),
    made(AIMessageChunk, **{**ai, "tool_calls": st.just([]), "invalid_tool_calls": st.just([])}),
    made(ToolMessageChunk, **tool),
    made(FunctionMessageChunk, **named),
    made(ChatMessageChunk, **common, role=texts),
)
messages = st.one_of(whole_messages, chunks, made(RemoveMessage, id=texts))
