"""Scopes are exact for any string, and what is no scope is refused."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from redis.crc import key_slot

from langchain_agentmem.core import checks
from langchain_agentmem.core.keys import Keys, glob, same_prefix, tag, tasks_prefix, threads_prefix
from langchain_agentmem.errors import InvalidInputError
from tests.strategies import scopes


@given(scopes, scopes)
def test_different_scopes_have_different_keys_and_tags(one: str, other: str) -> None:
    keys = Keys()
    assert (keys.session(one) == keys.session(other)) == (one == other)
    assert (tag(one) == tag(other)) == (one == other)


@given(scopes)
def test_a_tag_holds_nothing_the_index_would_change(value: str) -> None:
    assert tag(value).isascii()
    assert not set(tag(value)) & set(", \t\n{}|*\"'\\")


def test_keys_are_what_the_design_says() -> None:
    keys = Keys()
    assert keys.session("t") == "agent:session:t"
    assert keys.memory("m") == "agent:mem:m"
    assert keys.events("t") == "agent:events:t"
    assert keys.threads("u") == "agent:threads:u"
    assert keys.same(keys.memory("d")) == "agent:same:{agent:mem:d}"
    assert keys.messages("t") == "t"
    assert Keys(memory_prefix="memory:").upstash_memories("u") == "memory:u:"


def test_a_record_of_threads_is_another_where_sessions_are() -> None:
    assert threads_prefix("agent:session:") == "agent:threads:"
    assert threads_prefix("mine:") == "threads:mine:"


def test_tasks_are_others_where_sessions_or_memories_are() -> None:
    assert tasks_prefix("agent:session:", "agent:mem:") == tasks_prefix("agent:session:", "memory:")
    assert tasks_prefix("agent:session:", "memory:") == Keys().tasks_prefix == "agent:tasks:"
    assert tasks_prefix("mine:", "agent:mem:") == "tasks:mine::agent:mem:"
    assert tasks_prefix("agent:session:", "mine:") == "tasks:agent:session::mine:"


def test_no_two_places_have_a_queue_in_common() -> None:
    places = [("a", "b", "c"), ("ab", "", "c"), ("a", "bc", ""), ('a","b', "c", ""), ("a", "b", "C")]
    assert len({Keys().tasks_queue("extract", *place) for place in places}) == len(places)


@pytest.mark.parametrize("prefix", ["agent:mem:", "{app}:mem:", "app{1}x:", "a{b:"])
def test_a_pointer_is_in_the_cluster_slot_of_the_memory_and_under_no_memory_prefix(prefix: str) -> None:
    keys = Keys(memory_prefix=prefix)
    key = keys.memory("0" * 32)
    assert key_slot(keys.same(key).encode()) == key_slot(key.encode())
    assert keys.same(key).startswith(same_prefix(prefix))
    assert not keys.same(key).startswith(prefix)


def test_pointers_of_two_prefixes_differ() -> None:
    prefixes = ["agent:mem:", "agent:mem:x:", "{agent:mem:", "{a}", "a}", "{a}b"]
    pointers = {Keys(memory_prefix=one).same(f"{one}d") for one in prefixes}
    assert len(pointers) == len(prefixes)


@pytest.mark.parametrize(
    "prefix",
    [
        *("agent:session:", "agent:mem:", "agent:events:", "agent:threads:", "agent:tasks:"),
        *("agent:same:{agent:mem:", "idx:"),
    ],
)
def test_no_list_has_a_key_of_another_kind(prefix: str) -> None:
    keys = Keys(reserved=("idx:",))
    with pytest.raises(InvalidInputError, match=f"session_id begins with '{prefix}'"):
        keys.messages(f"{prefix}x", "session_id")
    with pytest.raises(InvalidInputError, match=f"thread_id begins with '{prefix}'"):
        Keys(list_prefix=prefix, reserved=("idx:",)).messages("x")
    assert keys.messages(f"x{prefix}") == f"x{prefix}"


@pytest.mark.parametrize("value", ["", None, 3, b"x", ["x"], "\ud800", "x" * 4097, "é" * 2049])
def test_what_is_no_scope_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInputError, match="user"):
        checks.validate_id("user", value)


@pytest.mark.parametrize("value", [" ", "\x00", "x" * 4096, "é" * 2048])
def test_any_other_string_is_a_scope(value: str) -> None:
    assert checks.validate_id("user", value) == value


@pytest.mark.parametrize("value", [0, -5, True, 1.5, "60", 2**31])
def test_a_time_to_live_is_a_whole_number_above_zero(value: Any) -> None:
    with pytest.raises(InvalidInputError, match="ttl_seconds"):
        checks.ttl("ttl_seconds", value)


@pytest.mark.parametrize("value", ["", "  \n", "x" * 11, None])
def test_a_text_is_neither_blank_nor_too_long(value: Any) -> None:
    with pytest.raises(InvalidInputError, match="text"):
        checks.bounded_text("text", value, 10)


def test_a_pattern_matches_its_prefix_literally() -> None:
    assert glob("a*?[x]^-\\:") == r"a\*\?\[x\]\^\-\\:*"
    assert fnmatchcase("agent:session:1", glob("agent:session:").replace("\\", ""))


@pytest.mark.parametrize("value", [2**63, 10**5000], ids=["64 bits", "5,000 digits"])
def test_a_number_that_the_server_cannot_hold_is_refused(value: int) -> None:
    assert checks.positive("k", 2**63 - 1) == 2**63 - 1
    with pytest.raises(InvalidInputError, match="k must be at most"):
        checks.positive("k", value)
