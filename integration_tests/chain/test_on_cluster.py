"""Chains with a memory on a real Redis Cluster, and what handlers record of them."""

from __future__ import annotations

import pytest

from integration_tests.chain.conftest import Run, abatch, invoke
from integration_tests.chain.test_agent_memory import (  # noqa: F401 - they run here on a cluster
    test_forgetting_a_user_empties_every_tier,
    test_loops_one_after_the_other,
)
from integration_tests.chain.test_histories_in_chains import (  # noqa: F401
    test_a_runnable_with_message_history_remembers,
    test_it_can_name_a_user_whose_session_others_do_not_get,
)
from integration_tests.chain.test_owners import (  # noqa: F401
    test_anothers_session_is_refused_before_the_chain_runs,
    test_the_check_costs_no_round_trip,
)
from integration_tests.chain.test_unanswered import (  # noqa: F401
    test_said_again_it_stands_once_and_is_answered,
    test_turns_at_once_on_one_thread_lose_nothing,
    test_what_was_said_to_a_chain_that_raises_is_kept,
)
from integration_tests.chain.test_wrap import (  # noqa: F401
    test_a_turn_does_not_recall_itself,
    test_a_turn_is_two_round_trips_and_one_embedding,
    test_a_turn_reads_recalls_answers_and_writes,
    test_streaming_stays_streaming,
    test_users_and_namespaces_do_not_see_each_others_memories,
)
from integration_tests.events.test_callbacks import (  # noqa: F401
    log,
    test_a_chain_s_events_are_there_when_it_returns,
    test_a_sync_chain_s_events_are_in_redis_when_it_returns,
    test_an_async_handler_has_written_when_the_chain_returns,
    test_one_handler_serves_threads_at_the_same_time,
)

pytestmark = pytest.mark.filterwarnings("ignore:RunnableWithMessageHistory is deprecated")


@pytest.fixture
def url(cluster_url: str) -> str:
    return cluster_url


@pytest.fixture(params=[invoke, abatch], ids=lambda function: function.__name__)
def run(request: pytest.FixtureRequest) -> Run:
    """A third of the ways: what differs on a cluster is sync or async, not how a chain is run."""
    function: Run = request.param
    return function
