"""All rows, by their key, in the order of the page."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from integration_tests.benchmarks.embedding_rows import embed_many, embed_one
from integration_tests.benchmarks.further_rows import (
    recall_storages,
    remember_many,
    remember_storages,
    wrapped,
)
from integration_tests.benchmarks.measure import Row
from integration_tests.benchmarks.process_rows import imports, imports_used
from integration_tests.benchmarks.rest_rows import upstash_turn
from integration_tests.benchmarks.targets import HNSW
from integration_tests.benchmarks.tier_rows import append, read, recall, remember
from integration_tests.benchmarks.turn_rows import turn, turn_embedded, turn_far_away, turn_hybrid
from integration_tests.benchmarks.world import World

RowOf = Callable[[World], Row]

ROWS: dict[str, RowOf] = {
    "turn": turn,
    "turn-hnsw": partial(turn, algorithm=HNSW),
    "turn-network": turn_far_away,
    "turn-hybrid": turn_hybrid,
    "turn-hybrid-hnsw": partial(turn_hybrid, algorithm=HNSW),
    "turn-embedded": turn_embedded,
    "turn-embedded-hnsw": partial(turn_embedded, algorithm=HNSW),
    "append": append,
    "read": read,
    "recall": recall,
    "recall-hnsw": partial(recall, algorithm=HNSW),
    "remember": remember,
    "remember-hnsw": partial(remember, algorithm=HNSW),
    "remember-many": remember_many,
    "embed-one": embed_one,
    "embed-many": embed_many,
    "wrap": wrapped,
    "recall-storages": recall_storages,
    "remember-storages": remember_storages,
    "upstash-turn": upstash_turn,
    "import": imports,
    "import-used": imports_used,
}
