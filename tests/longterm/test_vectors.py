from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_agentmem.errors import EmbeddingError
from langchain_agentmem.longterm.redisearch.document import vector
from langchain_agentmem.longterm.types import VectorType


@pytest.mark.parametrize(
    ("embedding", "said"),
    [
        ([], "flat list"),
        ([[1.0, 2.0]], "flat list"),
        ([[1.0], [1.0, 2.0]], "flat list"),
        (["1", "2"], "flat list"),
        ([True, False], "flat list"),
        ([1.0, None], "flat list"),
        ("abc", "flat list"),
        (5, "flat list"),
        (None, "flat list"),
        ([10**400], "flat list"),
        ([1.0, float("nan"), 2.0], "nan at position 1"),
        ([1.0, 2.0, float("-inf")], "inf at position 2"),
        ([0.0, -0.0], "all zeros"),
    ],
)
def test_what_is_no_vector_is_refused(embedding: Any, said: str) -> None:
    with pytest.raises(EmbeddingError, match=said):
        vector(embedding, "float32")


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=8).filter(any),
    st.sampled_from(["float32", "float16"]),
)
def test_a_vector_of_any_size_keeps_its_direction(numbers: list[float], kind: VectorType) -> None:
    found = vector(numbers, kind)
    assert found.dtype == kind
    scaled = np.array(numbers) / np.abs(numbers).max()
    wanted = scaled / np.sqrt(scaled @ scaled)
    assert np.allclose(found.astype(float), wanted, atol=1e-3)


def test_the_callers_array_is_left_as_it_is() -> None:
    given_array = np.array([3.0, 4.0])
    vector(given_array, "float32")  # type: ignore[arg-type]  # arrays are fine too
    assert given_array.tolist() == [3.0, 4.0]


def test_the_smallest_integer_is_no_trap() -> None:
    assert vector(np.array([-128, 0], "int8"), "float32").tolist() == [-1.0, 0.0]  # type: ignore[arg-type]
