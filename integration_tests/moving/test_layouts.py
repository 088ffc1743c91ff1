"""A move to other key names, and to other layouts of memories, there and back."""

from __future__ import annotations

import redis

from integration_tests.moving.conftest import contents, fill, memory_at
from langchain_agentmem import EmbeddedRedis, move_memory
from langchain_agentmem.core.keys import Keys


def test_to_partitions_and_back(url: str, other: str) -> None:
    with memory_at(url) as memory, redis.Redis.from_url(url) as bare:
        fill(memory)
        report = move_memory(url, other, partitions=16)
        assert report.ok
        assert report.pending == 0
        with redis.Redis.from_url(other) as there:
            tags = {key.split(b"{")[1].partition(b"}")[0] for key in there.scan_iter(match="agent:mem:*")}
            assert len(tags) > 1
            partition = Keys(partitions=16).of("alice")
            assert there.exists(partition.threads("alice"))
        with EmbeddedRedis() as third, redis.Redis.from_url(third.url) as back:
            report = move_memory(other, third.url, from_partitions=16, partitions=0)
            assert report.ok
            assert contents(back, signals=False) == contents(bare, signals=False)
