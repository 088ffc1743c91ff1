"""What a check is given, and what it returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import redis

from integration_tests.benchmarks.peers.libraries.library import Library
from integration_tests.benchmarks.peers.material import Material


class Verdict(NamedTuple):
    """What came of a check: whether the promise is kept, and what was seen, in a few words."""

    kept: bool
    words: str


class Bench:
    """What checks use.

    Args:
        open_library: Empties the Redis and opens the library; its keywords change the `Opening`.
        server: A plain client beside the library.
        material: Texts that have vectors.
    """

    def __init__(self, open_library: Callable[..., Library], server: redis.Redis, material: Material) -> None:
        self.open = open_library
        self.server = server
        self.material = material
