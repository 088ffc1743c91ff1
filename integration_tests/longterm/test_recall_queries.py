"""Whatever is asked, it is looked for and never parsed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integration_tests.conftest import Both
from integration_tests.longterm.conftest import Make
from langchain_agentmem.longterm.redisearch.memory import LongTermMemory

MODES = ("hybrid", "vector", "text")
SYNTAX = [
    'zebra" | @user:{bob}',
    "zebra') | @user:{bob}",
    "-@user:{*}",
    "@user:{bob}",
    "-zebra",
    "zebra | tea",
    "$w0 $w1 zebra",
    "$vector",
    "(zebra)=>{$weight: 100}",
    "*=>[KNN 5 @embedding $vector AS distance]",
    "%zebra% zeb* *bra w'z*'",
    "~zebra",
    "@text:(will|there|interview) zebra",
    "zebra\\",
    "zebra\x00|*",
    "zebra'}]); return 1--",
]
PATIENT = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
QUERIES = st.one_of(
    st.text(min_size=1, max_size=60),
    st.text(alphabet="zebra tea$w01|()[]{}@:*-~%\"'\\=>,.!?_;#\n\x00", min_size=1, max_size=60),
    st.lists(st.sampled_from(["zebra", "tea", "bob", *SYNTAX]), min_size=1, max_size=5).map(" ".join),
    st.lists(st.characters(categories=["L", "N"]), min_size=1, max_size=30).map(" ".join),
).filter(str.strip)


@pytest.fixture(params=["json", "hash"])
def filled(make: Make, request: pytest.FixtureRequest) -> LongTermMemory:
    memory = make(storage=request.param)
    memory.remember("a zebra drinks green tea", user="alice")
    memory.remember("a zebra drinks green tea", user="bob", namespace="work")
    for query in SYNTAX:
        memory.remember(f"secret {query}", user="bob", context="zebra", deduplicate=False)
    return memory


@pytest.mark.parametrize("mode", MODES)
async def test_syntax_finds_the_words_in_it_and_nothing_of_others(
    filled: LongTermMemory, both: Both, mode: Any
) -> None:
    for query in SYNTAX:
        about: dict[str, Any] = {"mode": mode, "distance_threshold": None, "k": 100}
        found = await both(filled).arecall(query, user="alice", **about)
        assert [one.user for one in found] == ["alice"] * len(found), query
        if "zebra" in query or mode != "text":
            assert [one.text for one in found] == ["a zebra drinks green tea"], query
        assert await both(filled).arecall(query, user="carol", namespace=None, **about) == [], query


@PATIENT
@given(QUERIES, st.sampled_from(MODES))
def test_no_text_is_an_error_or_shows_what_is_another_users(
    filled: LongTermMemory, query: str, mode: Any
) -> None:
    found = filled.recall(
        query, user="alice", namespace=None, mode=mode, distance_threshold=None, k=100, explain=True
    )
    assert {one.user for one in found} <= {"alice"}
    assert all(0 <= one.score <= 1 for one in found if one.score is not None)
    if mode != "text":
        assert len(found) == 1
