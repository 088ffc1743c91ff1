"""A page may quieten the package's log for its readers; the next test is to hear it again."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def heard_again() -> Iterator[None]:
    logger = logging.getLogger("langchain_agentmem")
    level = logger.level
    yield
    logger.setLevel(level)
