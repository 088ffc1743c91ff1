"""The retriever and the vector store on a real Redis Cluster, by the same tests as on a single server."""

from __future__ import annotations

import pytest
import redis

from integration_tests.longterm.test_retriever import TestStandard as TestRetriever  # noqa: F401
from integration_tests.longterm.test_retriever import (  # noqa: F401
    test_a_document_says_where_it_comes_from,
    test_it_keeps_to_its_scope_filter_and_threshold,
)
from integration_tests.longterm.test_vector_store import TestJson as TestVectorStore  # noqa: F401
from integration_tests.longterm.test_vector_store import (  # noqa: F401
    store,
    test_an_id_belongs_to_its_scope,
    test_documents_live_as_their_kind_does_and_are_not_deduplicated,
    test_from_texts_opens_a_memory_of_its_own,
    test_scores_are_distances_and_relevance_is_the_other_way_round,
    test_what_was_remembered_in_the_scope_is_found_and_can_be_replaced,
)
from langchain_agentmem import LongTermMemory, MemoryRetriever, MemoryVectorStore
from tests.twins import Both


@pytest.fixture
def url(cluster_url: str) -> str:
    return cluster_url


async def test_stores_of_many_users_on_all_nodes_find_their_own(
    memory: LongTermMemory, primaries: list[redis.Redis], both: Both
) -> None:
    users = [f"user {number}" for number in range(12)]
    for user in users:
        documents = MemoryVectorStore(memory, user=user)
        await both(documents).aadd_texts([f"green tea of {user}", "red car"], ids=["tea", "car"])
    assert min(sum(1 for _ in client.scan_iter("agent:mem:*")) for client in primaries) > 0
    for user in users:
        found = await both(MemoryRetriever(memory=memory, user=user, k=1)).ainvoke("green tea")
        assert [one.page_content for one in found] == [f"green tea of {user}"]
        documents = MemoryVectorStore(memory, user=user)
        assert len(await both(documents).asimilarity_search("tea", k=9)) == 2
    emptied = MemoryVectorStore(memory, user=users[0])
    assert await both(emptied).adelete(["tea", "car"])
    assert await both(emptied).asimilarity_search("tea") == []
    assert len(await both(MemoryVectorStore(memory, user=users[1])).aget_by_ids(["tea", "car"])) == 2
