"""The JSON form of a memory."""

from __future__ import annotations

import json
from dataclasses import fields, replace

from langchain_agentmem.longterm.types import MemoryRecord

RECORD = MemoryRecord(
    *("m", "tea", "alice", "work", "semantic", "t1", 1.5, 2),
    metadata={"from": {"mail": [1]}},
    distance=0.25,
    score=0.875,
    ttl_seconds=60,
    document_id="d",
)


def test_the_json_form_has_every_attribute() -> None:
    form = RECORD.to_dict()
    assert [*form, "embedding"] == [one.name for one in fields(MemoryRecord)]
    assert MemoryRecord(**json.loads(json.dumps(form))) == RECORD
    assert MemoryRecord("m", "tea", "alice", "work", "semantic").to_dict()["distance"] is None


def test_an_embedding_is_part_of_the_json_form_if_there_is_one_and_is_not_printed() -> None:
    record = replace(RECORD, embedding=(0.6, 0.8))
    assert json.loads(json.dumps(record.to_dict()))["embedding"] == [0.6, 0.8]
    assert "0.6" not in repr(record)


def test_the_json_form_is_a_copy() -> None:
    RECORD.to_dict()["metadata"]["from"]["mail"].append(2)
    assert RECORD.metadata == {"from": {"mail": [1]}}
