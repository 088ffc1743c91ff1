"""Which unit a key is, and what it is called in another layout: there and back it is the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_agentmem.core.keys import Keys
from langchain_agentmem.errors import ConfigurationError, StoreError
from langchain_agentmem.moving.record import Brought, How
from langchain_agentmem.moving.units import Layout, Unit, has_partition, pages, refuse_tag

OTHERS = ("agentmem:idx:", "agentmem:store:", "agentmem:move:")
PLAIN = Layout(Keys(), OTHERS)
PARTITIONED = Layout(Keys(partitions=16), OTHERS)
LISTS = Layout(Keys(), OTHERS, lists=True)
ON_CLUSTER = Layout(Keys(partitions=16, beside_list=True), OTHERS, lists=True)
IDS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="{}"), min_size=1, max_size=20)
DIGESTS = st.text("0123456789abcdef", min_size=32, max_size=32)


def keys_of(name: str, digest: str) -> list[tuple[str, str]]:
    keys = Keys()
    queue = f"{keys.tasks_prefix}queue:{digest}"
    return [
        ("session", keys.session(name)),
        ("events", keys.events(name)),
        ("threads", keys.threads(name)),
        ("memory", keys.memory(name)),
        ("pointer", keys.same(keys.memory(digest))),
        ("item", f"{keys.items_prefix}{digest}"),
        ("queue", queue),
    ]


@given(IDS, DIGESTS, st.integers(0, 15))
def test_a_key_has_the_same_name_there_and_back(name: str, digest: str, partition: int) -> None:
    for kind, key in keys_of(name, digest):
        unit = PLAIN.unit(key.encode())
        assert unit is not None
        assert unit.kind == kind
        for other in (PARTITIONED, ON_CLUSTER):
            at = partition if has_partition(unit.kind) else None
            moved = other.unit(other.key(unit, at))
            assert moved is not None
            assert (moved.kind, moved.partition) == (kind, at)
            assert PLAIN.key(moved, None) == key.encode()


@given(IDS, DIGESTS)
def test_keys_in_a_partition_are_those_that_the_package_writes(user: str, digest: str) -> None:
    keys = Keys(partitions=16).of(user)
    at = PARTITIONED.of_user(user)
    unit = PLAIN.unit(Keys().threads(user).encode())
    assert unit is not None
    assert PARTITIONED.key(unit, at) == keys.threads(user).encode()
    pointer = PLAIN.unit(Keys().same(Keys().memory(digest)).encode())
    assert pointer is not None
    assert PARTITIONED.key(pointer, at) == keys.same(keys.memory(digest)).encode()


@pytest.mark.parametrize(
    "key",
    [
        "agentmem:idx:lock:1",
        "agentmem:move:0123:7",
        "agent:store:namespaces",
        "agent:tasks:stream",
        "agent:tasks:queue:abc:signal",
        "agent:tasks:failed:x",
        "another program's",
    ],
)
def test_what_is_no_unit(key: str) -> None:
    assert PLAIN.unit(key.encode()) is None
    if key != "another program's":
        assert LISTS.unit(key.encode()) is None


def test_a_bare_list_is_a_unit_only_where_lists_are_sessions() -> None:
    assert LISTS.unit(b"t1") == Unit("list", b"t1", b"t1")
    assert PLAIN.unit(b"t1") is None


def test_a_partition_that_was_not_expected_is_refused() -> None:
    unit = PLAIN.unit(b"agent:mem:{p12}:abc")
    assert unit is not None
    with pytest.raises(ConfigurationError, match="from_partitions"):
        refuse_tag(unit)
    session = PLAIN.unit(b"agent:session:{p12}:abc")  # any text is a thread's id
    assert session is not None
    refuse_tag(session)


@given(st.lists(st.integers(0, 30), max_size=30))
def test_pages_hold_all_in_order_and_no_more_than_they_may(sizes: list[int]) -> None:
    units = [Unit("memory", b"%d" % at, b"") for at in range(len(sizes))]
    found = list(pages(units, sizes, 20))
    assert [unit for page in found for unit in page] == units
    for page in found:
        assert len(page) == 1 or sum(sizes[int(unit.key)] for unit in page) <= 20


DIGEST = st.just("") | st.text("123456789abcdef", min_size=16, max_size=16)


@given(DIGEST, DIGEST, st.none() | st.integers(0, 4095), st.sampled_from(How))
def test_what_was_brought_is_noted(source: str, target: str, partition: int | None, how: How) -> None:
    brought = Brought(source, target, partition, how)
    assert Brought.decode(brought.encode()) == brought
    with pytest.raises(StoreError):
        Brought.decode(brought.encode()[1:])
