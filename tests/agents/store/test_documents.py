"""Items as text: what goes in comes back, and equal values have equal tags."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_agentmem.agents.store.documents import StoredItem, decode, encode, equal, hexadecimal, within
from langchain_agentmem.agents.store.filters import ItemFilter
from langchain_agentmem.errors import StoreError

NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    NUMBERS | st.booleans() | st.none() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
)
VALUES = st.dictionaries(st.text(st.characters()), JSON, max_size=4)
LABELS = st.lists(st.text(min_size=1), min_size=1, max_size=4).map(tuple)


def stored(item: bytes, user: str = "") -> bytes:
    return b'[1700000000000001,1700000000000002,60000,"%b",%b]' % (hexadecimal(user).encode(), item)


@given(LABELS, st.text(), VALUES, st.text())
def test_an_item_comes_back_whole(
    namespace: tuple[str, ...], key: str, value: dict[str, Any], user: str
) -> None:
    item = decode(stored(encode(namespace, key, value), user))
    assert (item.namespace, item.key, item.value, item.user) == (namespace, key, value, user)
    assert repr(item.value) == repr(value)
    assert item.created_at.microsecond == 1
    assert item.updated_at > item.created_at


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"[1,2,3,4,5]", b'[1,2,0,"zz","[]"]', b'[1,2,0,"","[1]"]', b"null"]
)
def test_what_is_no_item_is_an_error(text: bytes) -> None:
    with pytest.raises(StoreError):
        decode(text)


@given(LABELS, LABELS)
def test_equal_places_alone_have_the_same_tag(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert (within(one) == within(other)) is (one == other)
    assert within((*one, *other)) != within(("".join(one), *other)) or len(one) == 1


SCALARS = (
    NUMBERS | st.booleans() | st.text(st.characters()) | st.sampled_from([0, 1, 0.0, 1.0, "1", True, -0.0])
)


@given(SCALARS, SCALARS)
def test_values_have_the_same_tag_if_and_only_if_they_are_equal(one: object, other: object) -> None:
    assert (equal("n", one) == equal("n", other)) is (one == other)
    assert equal("n", one) != equal("m", one)


FLAT = st.dictionaries(st.sampled_from("nmö"), SCALARS | st.none() | st.lists(SCALARS, max_size=2))


@given(FLAT, FLAT)
def test_no_item_that_meets_a_filter_lacks_its_tags(value: dict[str, Any], other: dict[str, Any]) -> None:
    for conditions in (other, value, {name: {"$eq": one} for name, one in value.items()}):
        found = ItemFilter(conditions)
        if found.meets(StoredItem(("a",), "k", value, 0, 0, 0, "")):
            assert set(found.tags) <= {equal(name, one) for name, one in value.items()}
        else:
            assert conditions is other


def test_a_tuple_becomes_a_list() -> None:
    assert decode(stored(encode(("a",), "k", {"t": (1, (2,))}))).value == {"t": [1, [2]]}
    assert orjson.loads(encode(("a",), "k", {})) == '[["a"],"k",{}]'
