"""Embeddings as the index wants them: checked, of length one, and in its number format."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, sqrt
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from langchain_agentmem.errors import EmbeddingError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SAFE = 1e-20  # a sum of squares from here to its inverse loses no digits of a float32, and is finite

VectorType: TypeAlias = Literal["float32", "float16"]

# How far from 0 a server's distance of two equal vectors may be. Measured, of 3 to 1536 numbers:
# up to 2.4e-7 and 5.6e-4. Thresholds are compared with this much to spare.
TOLERANCE: dict[VectorType, float] = {"float32": 1e-6, "float16": 1e-3}


def vector(embedding: Sequence[float], vector_type: VectorType) -> NDArray[np.floating[Any]]:
    """An embedding, scaled to length one: the index compares directions only.

    Unscaled numbers could be beyond what float16 (or the square of a float32) can hold.

    Raises:
        EmbeddingError: It is not a list of numbers, or holds NaN, an infinity, or only zeros.
    """
    import numpy as np

    try:
        given = np.asarray(embedding)
    except ValueError as error:
        raise EmbeddingError("The embedding is not a flat list of numbers.") from error
    if given.ndim != 1 or given.size == 0 or given.dtype.kind not in "fiu":
        raise EmbeddingError(
            f"The embedding must be a flat list of numbers, not {type(embedding).__name__} "
            f"of shape {given.shape} and type {given.dtype}."
        )
    if given.dtype.kind != "f":
        given = given.astype(np.float64)  # the absolute value of the smallest integer is no integer
    with np.errstate(all="ignore"):
        square = float(given @ given)
    if _SAFE < square < 1 / _SAFE and given.dtype.itemsize > 2:
        return (given / sqrt(square)).astype(vector_type)
    largest = float(np.abs(given).max())
    if not isfinite(largest):
        raise EmbeddingError(f"The embedding holds {largest} at position {np.abs(given).argmax()}.")
    if largest == 0.0:
        raise EmbeddingError("The embedding is all zeros; it has no direction to compare.")
    numbers = np.divide(given, largest, dtype=np.float64)
    unit: NDArray[np.floating[Any]] = (numbers / sqrt(numbers @ numbers)).astype(vector_type)
    return unit


def each_of(embeddings: Sequence[Sequence[float]], expected: int) -> Sequence[Sequence[float]]:
    """The embeddings of several texts, if there is one for each.

    Raises:
        EmbeddingError: There are more or fewer.
    """
    if len(embeddings) != expected:
        raise EmbeddingError(f"{expected} texts have {len(embeddings)} embeddings.")
    return embeddings


def cosine_distance(one: NDArray[np.floating[Any]], other: NDArray[np.floating[Any]]) -> float:
    """Return the cosine distance of two embeddings of length one, from 0 to 2."""
    import numpy as np

    return 1 - float(np.dot(one.astype(np.float64), other.astype(np.float64)))
