"""Names of any kind match themselves alone, and what is stored comes back equal."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integration_tests.longterm.conftest import Make
from integration_tests.words import WordEmbeddings
from tests.strategies import json_objects, scopes

PATIENT = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
LONG = "x" * 4096
NAMES = st.one_of(scopes, st.sampled_from([LONG, LONG[:-1] + "y", LONG[:-1], "alice\x00", "ALICE", "#alice"]))
VECTOR = [1.0, 0.0]


@pytest.mark.parametrize(("storage", "partitions"), [("json", None), ("hash", None), ("hash", 3)])
@PATIENT
@given(st.lists(st.tuples(NAMES, NAMES, NAMES, st.one_of(st.just(""), NAMES)), min_size=2, max_size=4))
def test_no_scope_sees_anothers_memories(
    make: Make, storage: str, partitions: int | None, owners: list[tuple[str, str, str, str]]
) -> None:
    names = {"index_name": f"i:{storage}", "key_prefix": f"m:{storage}:"}
    memory = make(storage=storage, partitions=partitions, **names)
    memory.clear()
    for user, namespace, kind, thread in owners:
        memory.remember(
            "tea", user=user, namespace=namespace, kind=kind, source_thread=thread, embedding=VECTOR
        )
    for user, namespace, kind, _ in owners:
        mine = {owner[:3] for owner in owners if owner[0] == user}
        for asked, expected in [
            ((namespace, kind), {(user, namespace, kind)}),
            ((namespace, None), {one for one in mine if one[1] == namespace}),
            ((None, kind), {one for one in mine if one[2] == kind}),
            ((None, None), mine),
        ]:
            recalled = memory.recall(
                "tea", user=user, namespace=asked[0], kind=asked[1], embedding=VECTOR, k=100
            )
            assert {(one.user, one.namespace, one.kind) for one in recalled} == expected
            assert len(recalled) == len(expected), "the same fact twice in one scope"
            listed = memory.list_memories(user=user, namespace=asked[0], kind=asked[1])
            assert {one.id for one in listed} == {one.id for one in recalled}
    first = owners[0][0]
    others = {owner[:3] for owner in owners if owner[0] != first}
    assert memory.forget_user(first) == len({owner[:3] for owner in owners}) - len(others)
    assert memory.list_memories(user=first, namespace=None) == []
    assert memory.clear() == len(others)


def test_every_short_name_is_found_by_itself(make: Make) -> None:
    memory = make(storage="hash", embeddings=WordEmbeddings(2))
    names = ["".join(signs) for count in (1, 2) for signs in product("aA0_.@:-#,|* ", repeat=count)]
    for name in names:
        memory.remember(f"x{name}", user=name, namespace=name, kind=name, embedding=VECTOR)
    for name in names:
        (found,) = memory.recall("", user=name, namespace=name, kind=name, embedding=VECTOR)
        assert (found.text, found.user, found.kind) == (f"x{name}", name, name)


@pytest.mark.parametrize("storage", ["json", "hash"])
@PATIENT
@given(st.text(min_size=1, max_size=40).filter(str.strip), json_objects, st.one_of(st.just(""), NAMES))
def test_what_is_stored_comes_back_equal(
    make: Make, storage: str, text: str, metadata: dict[str, Any], thread: str
) -> None:
    memory = make(storage=storage, index_name=f"i:{storage}", key_prefix=f"m:{storage}:")
    memory.clear()
    result = memory.remember(text, user="alice", source_thread=thread, metadata=metadata, embedding=VECTOR)
    (recalled,) = memory.recall("", user="alice", embedding=VECTOR)
    (listed,) = memory.list_memories(user="alice")
    got = memory.get(result.id)
    assert got is not None
    for found in (recalled, listed, got):
        assert (found.id, found.text, found.metadata, found.source_thread) == (
            *(result.id, text, metadata, thread),
        )
        assert found.created_ts == got.created_ts
    assert memory.delete_memory(result.id, user="alice")
