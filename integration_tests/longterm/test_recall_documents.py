"""What is gone, of others, or no memory is not recalled and hides nothing; what the first version wrote is."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import redis

from integration_tests.conftest import Both, Counting, before_each_batch
from integration_tests.longterm.conftest import Make, expire_unnoticed
from integration_tests.words import WordEmbeddings
from langchain_agentmem.core.keys import tag
from langchain_agentmem.core.operations import Batch
from langchain_agentmem.longterm.ranking import NEAREST
from langchain_agentmem.longterm.redisearch.memory import LongTermMemory
from langchain_agentmem.longterm.types import MemoryRecord

MODES = ("hybrid", "vector", "text")
ANY: dict[str, Any] = {"distance_threshold": None}
MANY = NEAREST + 10  # more than there are candidates
WORDS = WordEmbeddings(256)


@pytest.fixture(params=["json", "hash"])
def memory(make: Make, request: pytest.FixtureRequest) -> LongTermMemory:
    memory = make(storage=request.param)
    memory.create_index()
    return memory


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> Any:
    return request.param


def write(bare: redis.Redis, memory: LongTermMemory, id: str, **members: Any) -> None:
    """Write a document as another program, or the first version, does."""
    document = {
        "id": id, "text": "green tea", "user": "alice", "namespace": "default", "kind": "episodic",
        "source_thread": "", "created_ts": 1715990400.12, "hit_count": 3, **members,
    }  # fmt: skip
    document = {name: value for name, value in document.items() if value is not None}
    vector = WORDS.embed_query(str(document.get("text", "green tea")))
    if memory.config.storage == "json":
        bare.execute_command(
            "JSON.SET", f"agent:mem:{id}", "$", json.dumps({**document, "embedding": vector})
        )
    else:
        if isinstance(document.get("exact"), dict):
            document["exact"] = json.dumps(document["exact"])
        bare.hset(f"agent:mem:{id}", mapping={**document, "embedding": np.array(vector, "f4").tobytes()})


class TestHiding:
    @pytest.fixture
    def found(self, memory: LongTermMemory, both: Both, mode: Any) -> Any:
        async def found(**options: Any) -> list[str]:
            records = await both(memory).arecall("green tea", user="alice", mode=mode, **{**ANY, **options})
            return [one.text for one in records]

        return found

    @pytest.mark.usefixtures("lazy")
    async def test_expired_memories(self, memory: LongTermMemory, bare: redis.Redis, found: Any) -> None:
        old = memory.remember_many(["green tea"] * MANY, user="alice", deduplicate=False)
        memory.remember("green tea and much else besides", user="alice")
        assert await found(k=1) == ["green tea"]
        expire_unnoticed(bare, [one.id for one in old])
        assert await found(k=1) == await found(k=9) == ["green tea and much else besides"]

    async def test_deleted_memories(self, memory: LongTermMemory, found: Any) -> None:
        gone = memory.remember("green tea", user="alice")
        memory.remember("green tea and much else besides", user="alice")
        memory.delete_memory(gone.id)
        assert await found() == ["green tea and much else besides"]

    async def test_superseded_memories(
        self, memory: LongTermMemory, found: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        first = last = memory.remember("green tea 0", user="alice", context="green tea?")
        for n in range(1, MANY):
            last = memory.remember(
                f"green tea {n}", user="alice", context="Some green tea?", replaces=last.id
            )
        memory.remember("green tea and much else besides", user="alice")
        assert {*await found()} == {f"green tea {MANY - 1}", "green tea and much else besides"}
        for text in ("Tea?", "green tea?"):
            memory.remember("Later", user="alice", context=text, replaces=last.id, deduplicate=False)
        assert f"green tea {MANY - 1}" not in await found(k=9)
        kept = memory.get(first.id)
        assert kept is not None
        assert (kept.text, kept.context) == ("green tea 0", "green tea?")
        assert caplog.text == ""

    async def test_memories_of_other_scopes(
        self, memory: LongTermMemory, bare: redis.Redis, found: Any
    ) -> None:
        for n in range(MANY):
            write(bare, memory, f"x{n}", namespace=" default ")  # which the index trims
        memory.remember("green tea and much else besides", user="alice")
        assert await found() == ["green tea and much else besides"]

    @pytest.mark.parametrize(
        "members",
        [
            {"source_thread": None},
            {"hit_count": None},
            {"created_ts": None},
            {"metadata": "{"},
            {"kind": None},
        ],
    )
    async def test_documents_that_are_no_memories(
        self,
        memory: LongTermMemory,
        bare: redis.Redis,
        found: Any,
        members: dict[str, Any],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        for n in range(MANY):
            write(bare, memory, f"x{n}", **members)
        memory.remember("green tea and much else besides", user="alice")
        assert await found(k=1) == ["green tea and much else besides"]
        assert "Left out the document at 'agent:mem:x" in caplog.text

    async def test_a_document_whose_text_is_an_empty_array(
        self, memory: LongTermMemory, bare: redis.Redis, found: Any
    ) -> None:
        memory.remember("green tea", user="alice")
        text: Any = [] if memory.config.storage == "json" else "[]"
        write(bare, memory, "x", text=text)
        assert "green tea" in await found()

    async def test_documents_without_a_text(
        self, memory: LongTermMemory, bare: redis.Redis, found: Any
    ) -> None:
        write(bare, memory, "x", text=None, context="green tea")
        memory.remember("green tea and much else besides", user="alice")
        assert await found() == ["green tea and much else besides"]


class TestFirstVersion:
    ODD: dict[str, Any] = {  # noqa: RUF012 - constant
        "user": tag("älice, Smith"),
        "namespace": tag("a b"),
        "source_thread": tag("t 1"),
        "exact": {"user": "älice, Smith", "namespace": "a b", "source_thread": "t 1"},
    }

    @pytest.mark.parametrize(
        "more",
        [
            {},
            {"metadata": '{"page":[1.5,null],"big":1208925819614629174706176}'},
            {"document_id": "d1"},
            {"metadata": '{"page":3}', "document_id": "d1"},
            {"metadata": '{"page":3}', "document_id": "d1", **ODD},
            ODD,
        ],
    )
    async def test_memories_come_back_whole(
        self, memory: LongTermMemory, bare: redis.Redis, both: Both, mode: Any, more: dict[str, Any]
    ) -> None:
        write(bare, memory, "m1", **more)
        exact = more.get("exact", {"user": "alice", "namespace": "default"})
        scope = {"user": exact["user"], "namespace": exact["namespace"]}
        (found,) = await both(memory).arecall("green tea", mode=mode, **scope)
        kept = await both(memory).aget("m1")
        for name in MemoryRecord.__dataclass_fields__:
            if name not in ("distance", "score", "matched_words"):
                assert getattr(found, name) == getattr(kept, name), name
        assert (found.text, found.user, found.namespace) == ("green tea", scope["user"], scope["namespace"])
        assert (found.metadata != {}) == ("metadata" in more)
        assert found.document_id == more.get("document_id")
        assert (found.context, found.created_ts, found.hit_count) == ("", 1715990400.12, 3)

    async def test_those_with_metadata_are_read_again(
        self, memory: LongTermMemory, bare: redis.Redis, counting: Counting, both: Both
    ) -> None:
        for n in range(3):
            write(bare, memory, f"m{n}", metadata='{"page":3}')
        before = counting.round_trips
        assert len(await both(memory).arecall("green tea", user="alice")) == 3
        assert counting.round_trips - before == (2 if memory.config.storage == "json" else 1)

    async def test_what_goes_before_it_is_read_again_is_left_out(
        self, memory: LongTermMemory, bare: redis.Redis, caplog: pytest.LogCaptureFixture
    ) -> None:
        for name in ("gone", "kept"):
            write(bare, memory, name, metadata='{"page":3}')

        def delete(batch: Batch) -> None:
            if any(command.args[0] == "JSON.GET" for command in batch):
                bare.delete("agent:mem:gone")

        found = memory.transport.run(
            before_each_batch(memory.recall_op("green tea", user="alice", k=5), delete)
        )
        assert {one.id for one in found} == {"kept"} | (
            {"gone"} if memory.config.storage == "hash" else set()
        )
        assert caplog.text == ""

    async def test_those_that_contradict_are_newest_first(
        self, memory: LongTermMemory, bare: redis.Redis, both: Both
    ) -> None:
        for at, city in enumerate(["Lisbon", "Porto", "Rome"]):
            when = 1.7e9 + [1, 3, 2][at] * 86_400
            write(bare, memory, city, text=f"I live in {city}", created_ts=when, metadata='{"page":3}')
        found = await both(memory).arecall("Where do I live?", user="alice")
        assert [one.id for one in found] == ["Porto", "Rome", "Lisbon"]
