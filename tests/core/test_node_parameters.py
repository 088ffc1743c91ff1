"""The parameters of the Flowise nodes, as they stand in a flow."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_agentmem.core.node_parameters import CREDENTIAL, INPUTS, NodeParameters
from langchain_agentmem.errors import ConfigurationError

UPSTASH = {"baseURL": "https://eu1-x.upstash.io"}
TOKEN = {"upstashRestToken": "s3cret"}


def test_the_upstash_node() -> None:
    inputs = {**UPSTASH, "sessionId": "s", "sessionTTL": "3600", "memoryKey": "history"}
    node = NodeParameters.read(inputs, TOKEN)
    assert (node.url, node.token, node.session_id) == ("https://eu1-x.upstash.io", "s3cret", "s")
    assert (node.session_ttl, node.memory_key, node.max_messages) == (3600, "history", None)


@pytest.mark.parametrize("blank", [None, "", "  "])
def test_blank_is_unset(blank: str | None) -> None:
    unset = dict.fromkeys(("sessionId", "sessionTTL", "memoryKey", "windowSize"), blank)
    node = NodeParameters.read({**UPSTASH, **unset}, TOKEN)
    assert (node.session_id, node.session_ttl, node.memory_key, node.max_messages) == (
        None,
        None,
        "chat_history",
        None,
    )


@pytest.mark.parametrize(
    ("credential", "url"),
    [
        ({"redisUrl": "redis://h:1/2"}, "redis://h:1/2"),
        ({"redisUrl": "redis://h:1/2", "redisCacheHost": "other"}, "redis://h:1/2"),
        ({"redisCacheHost": "h"}, "redis://h:6379"),
        ({"redisCacheHost": "h", "redisCachePort": "7000"}, "redis://h:7000"),
        ({"redisCacheHost": "h", "redisCachePort": 7000, "redisCacheSslEnabled": True}, "rediss://h:7000"),
        ({"redisCacheHost": "h", "redisCacheSslEnabled": "false", "redisCachePwd": ""}, "redis://h:6379"),
        ({"redisCacheHost": "::1", "redisCachePwd": "p@/:ß"}, "redis://:p%40%2F%3A%C3%9F@[::1]:6379"),
        ({"redisCacheHost": "h", "redisCacheUser": "u", "redisCachePwd": "p"}, "redis://u:p@h:6379"),
    ],
)
def test_the_redis_node(credential: dict[str, Any], url: str) -> None:
    node = NodeParameters.read({"sessionId": "s", "windowSize": "10"}, credential)
    assert (node.url, node.token, node.max_messages) == (url, None, 10)


@pytest.mark.parametrize("value", ["abc", "0", "-5", 0, -5, 1.5, "1.5", True, "3600s", "1e3", [], 2**40])
@pytest.mark.parametrize("name", ["sessionTTL", "windowSize"])
def test_a_number_that_is_none_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=name):
        NodeParameters.read({**UPSTASH, name: value}, TOKEN)


@pytest.mark.parametrize(
    ("inputs", "credential", "said"),
    [
        ({**UPSTASH, "sessionID": "x"}, TOKEN, "sessionID.*Known are baseURL, sessionId"),
        (UPSTASH, {"token": "s3cret"}, "token.*Known are upstashRestToken, redisUrl"),
        (UPSTASH, {}, "upstashRestToken"),
        ({}, TOKEN, "baseURL is missing"),
        ({"baseURL": " "}, TOKEN, "baseURL is missing"),
        ({"baseURL": "redis://h"}, TOKEN, "baseURL must be"),
        ({}, {"redisUrl": "https://h"}, "redisUrl must begin"),
        ({}, {}, "redisCacheHost"),
        ({**UPSTASH, "sessionId": 7}, TOKEN, "sessionId"),
        ({**UPSTASH, "sessionId": "x" * 5000}, TOKEN, "sessionId"),
        ({**UPSTASH, "memoryKey": 7}, TOKEN, "memoryKey"),
        ([], {}, "dict"),
        ({}, {"redisCacheHost": "h", "redisCacheSslEnabled": "s3cret"}, "redisCacheSslEnabled"),
        ({}, {"redisCacheHost": "h", "redisCachePort": "s3cretport"}, "redisCachePort"),
    ],
)
def test_what_cannot_be_meant_is_refused(inputs: Any, credential: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        NodeParameters.read(inputs, credential)


@given(
    st.dictionaries(st.sampled_from(INPUTS), st.none() | st.text() | st.integers() | st.booleans()),
    st.dictionaries(st.sampled_from(CREDENTIAL), st.none() | st.text() | st.integers() | st.booleans()),
)
def test_anything_else_is_read_or_refused(inputs: dict[str, Any], credential: dict[str, Any]) -> None:
    try:
        node = NodeParameters.read(inputs, credential)
    except ConfigurationError:
        return
    assert node.url.strip()
    assert "s3cret" not in repr(node)


def test_no_credential_is_shown() -> None:
    node = NodeParameters.read({}, {"redisUrl": "redis://:s3cret@h"})
    assert "s3cret" not in repr(node) + repr(NodeParameters.read(UPSTASH, TOKEN))
