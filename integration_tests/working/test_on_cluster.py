"""Chat histories on a real Redis Cluster, by the same tests as on a single server."""

from __future__ import annotations

import pytest

from integration_tests.working.test_histories import (  # noqa: F401 - they run here on a cluster
    KINDS,
    Kind,
    asynchronous,
    make,
    test_a_life_is_given_and_refreshed,
    test_a_remove_message_removes,
    test_each_operation_takes_another_session_s_id,
    test_it_serves_a_runnable_with_message_history,
    test_messages_come_back_equal_and_in_order,
    test_removing_costs_a_round_trip_more_and_loses_nothing_that_comes_meanwhile,
    test_the_window,
    transport,
)
from langchain_agentmem import RedisHashChatMessageHistory, WorkingMemory


@pytest.fixture
def url(cluster_url: str) -> str:
    return cluster_url


@pytest.fixture(params=["hash", "list"])
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


def test_histories_of_users_on_all_nodes_are_listed_with_their_users(url: str) -> None:
    users = [f"user {number}" for number in range(12)]
    for user in users:
        history = RedisHashChatMessageHistory(f"thread of {user}", user=user, url=url)
        history.add_user_message(f"I am {user}")
        assert [message.content for message in history.messages] == [f"I am {user}"]
        history.close()
    with WorkingMemory(url) as working:
        for user in users:
            (session,) = working.list_sessions(user=user).sessions
            assert session.thread_id == f"thread of {user}"
