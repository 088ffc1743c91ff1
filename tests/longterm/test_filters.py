from __future__ import annotations

import pytest
from redisvl.query.filter import FilterExpression, Num, Tag, Text

from langchain_agentmem.core.keys import tag
from langchain_agentmem.errors import InvalidInputError
from langchain_agentmem.longterm.redisearch.filters import condition, narrowed
from langchain_agentmem.longterm.types import Scope

ALICE = Scope("alice", "default", None)


def test_a_scope_names_what_it_is_limited_to() -> None:
    assert condition(Scope("alice", "default", "semantic")) == (
        "((@user:{alice} @namespace:{default}) @kind:{semantic})"
    )
    assert condition(Scope("alice", None, None)) == "(@user:{alice})"
    assert condition(Scope(None, None, None)) == "*"


def test_an_odd_name_stands_in_the_query_as_a_digest() -> None:
    assert tag("a,b} | *").removeprefix("#") in condition(Scope("a,b} | *", None, None))


@pytest.mark.parametrize(
    "filter",
    [
        Tag("source_thread") == "t1",
        Tag("kind") != "semantic",
        Num("created_ts") > 5,
        Num("created_ts").between(-1.5, 2e9, inclusive="neither"),
        Text("text") % "tea|coffee",
        Text("text") == 'a smile :) and a "quote"',
        Text("text") % r"a\)b",
        (Tag("kind") == "a") | (Tag("kind") == "b"),
        FilterExpression('@text:("a ( b")'),
    ],
)
def test_a_filter_stands_in_parentheses_beside_the_scope(filter: FilterExpression) -> None:
    assert narrowed(ALICE, filter) == f"((@user:{{alice}} @namespace:{{default}}) ({filter}))"
    assert narrowed(Scope(None, None, None), filter) == f"({filter})"


def test_a_filter_that_means_everything_adds_nothing() -> None:
    assert narrowed(ALICE, FilterExpression("*")) == condition(ALICE)
    assert narrowed(ALICE, Tag("kind") == []) == condition(ALICE)


@pytest.mark.parametrize(
    "text",
    [
        "@kind:{a}) | (@user:{*}",
        ") | (",
        "@kind:{a",
        "@kind:{a)}",
        '@text:("a) | (@user:{b}',
        "@text:(w'(')) | (@user:{*}",
        '@text:("\\")) | (@user:{*} "',
        "@text:(a\\",
        "]",
        "@hit_count:[(5 +inf] ) | (@hit_count:[(5 +inf]",
    ],
)
def test_a_filter_that_could_leave_its_group_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="do not match"):
        narrowed(ALICE, FilterExpression(text))


@pytest.mark.parametrize("filter", ["@kind:{a}", {"kind": "a"}, Tag("kind"), 5])
def test_only_a_filter_expression_is_a_filter(filter: object) -> None:
    with pytest.raises(InvalidInputError, match="FilterExpression"):
        narrowed(ALICE, filter)


def test_a_filter_that_cannot_be_rendered_is_refused() -> None:
    with pytest.raises(InvalidInputError):
        narrowed(ALICE, FilterExpression())
    with pytest.raises(InvalidInputError):
        narrowed(ALICE, Tag("kind") == "\ud800")
