"""Defaults are stated once, in each tier's configuration: a tier alone and one of `AgentMemory` are the same."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from langchain_agentmem import (
    AgentMemory,
    AgentMemorySettings,
    EventLog,
    LongTermMemory,
    RedisHashChatMessageHistory,
    RedisListChatMessageHistory,
    UpstashChatMessageHistory,
    UpstashLongTermMemory,
    WorkingMemory,
)
from langchain_agentmem.errors import ConfigurationError, InvalidInputError
from langchain_agentmem.events.config import EventLogConfig
from langchain_agentmem.longterm.config import LongTermMemoryConfig, UpstashLongTermMemoryConfig
from langchain_agentmem.transport import connections
from langchain_agentmem.working.config import WorkingMemoryConfig

REDIS = {"url": "redis://localhost:1"}
UPSTASH = {"url": "https://eu1-x.upstash.io", "token": "tok"}
# What a memory of several tiers has to know of the others: how long events live, and which keys are theirs.
OF_SEVERAL_TIERS = {"threads_ttl_seconds", "reserved_prefixes", "threads_prefix"}
CONFIGS: dict[type, type] = {
    WorkingMemory: WorkingMemoryConfig,
    LongTermMemory: LongTermMemoryConfig,
    UpstashLongTermMemory: UpstashLongTermMemoryConfig,
    EventLog: EventLogConfig,
}


@pytest.fixture(autouse=True)
def nothing_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what the tests here open, for nothing of it connects; have no settings of the environment."""
    monkeypatch.setattr(connections, "_shared", {})
    for name in AgentMemorySettings.model_fields:
        monkeypatch.delenv(f"AGENTMEM_{name.upper()}", raising=False)


def options(config: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(config).items() if name not in OF_SEVERAL_TIERS}


@pytest.mark.parametrize(
    ("place", "storage", "long_term"),
    [
        (REDIS, "hash", LongTermMemory),
        (REDIS, "list", LongTermMemory),
        (UPSTASH, "list", UpstashLongTermMemory),
        (UPSTASH, "hash", UpstashLongTermMemory),
    ],
    ids=["Hash", "list", "Upstash", "Hash on Upstash"],
)
def test_a_tier_alone_has_the_options_of_one_of_several(
    place: dict[str, str], storage: Any, long_term: type[LongTermMemory | UpstashLongTermMemory]
) -> None:
    memory = AgentMemory(**place, session_storage=storage)
    alone = WorkingMemory(**place, storage=storage)
    assert options(memory.working.config) == options(alone.config)
    assert memory.working.key("t") == alone.key("t")
    assert memory.working.config.keys.threads("u") == alone.config.keys.threads("u")
    assert vars(memory.long_term.config) == vars(long_term(**place).config)
    assert memory.events.config == EventLog(**place).config


def test_sessions_are_lists_on_upstash_if_nothing_is_said() -> None:
    assert (
        AgentMemory(**UPSTASH).settings.working
        == AgentMemorySettings(**UPSTASH, session_storage="list").working
    )


def test_an_idle_list_does_not_expire_and_an_idle_hash_does() -> None:
    assert WorkingMemory(**REDIS, storage="list").ttl_seconds is None
    assert AgentMemory(**REDIS, session_storage="list").working.ttl_seconds is None
    assert WorkingMemory(**REDIS, storage="list", ttl_seconds=60).ttl_seconds == 60
    assert WorkingMemory(**REDIS).ttl_seconds == 3600
    assert WorkingMemory(**REDIS, ttl_seconds=None).ttl_seconds is None


def test_a_history_of_a_memory_has_the_options_of_one_alone() -> None:
    of_memory, alone = AgentMemory(**REDIS).history("s"), RedisHashChatMessageHistory("s", **REDIS)
    assert isinstance(of_memory, RedisHashChatMessageHistory)
    assert of_memory.memory_key == alone.memory_key
    assert options(of_memory._working.config) == options(alone._working.config)
    assert options(alone._working.config) == options(WorkingMemory(**REDIS).config)


@pytest.mark.parametrize("tier", CONFIGS, ids=lambda tier: tier.__name__)
def test_a_constructor_takes_every_option_and_states_no_default(tier: type) -> None:
    names = {field.name for field in fields(CONFIGS[tier])}
    assert names <= inspect.signature(tier).parameters.keys()
    assert stated_defaults(tier) & (names | {"socket_timeout_seconds"}) == set()


@pytest.mark.parametrize(
    ("history", "own"),
    [
        (RedisHashChatMessageHistory, {"session_id", "user"}),
        # All of a list is read and kept, as LangChain.js does, unless it is said otherwise.
        (RedisListChatMessageHistory, {"session_id", "session_ttl", "max_messages", "trim"}),
        (UpstashChatMessageHistory, {"session_id", "session_ttl", "max_messages", "trim"}),
    ],
)
def test_a_history_states_no_default_of_a_tier(history: type, own: set[str]) -> None:
    assert stated_defaults(history) - {"url", "token", "client", "async_client", "transport"} == own


def stated_defaults(cls: type) -> set[str]:
    """Return the parameters of a constructor whose defaults are values, not names of what is stated elsewhere."""
    function = ast.parse(textwrap.dedent(inspect.getsource(cls.__init__))).body[0]  # type: ignore[misc]
    assert isinstance(function, ast.FunctionDef)
    arguments = function.args
    positional = arguments.args[len(arguments.args) - len(arguments.defaults) :]
    given = [
        *zip(positional, arguments.defaults, strict=True),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    return {one.arg for one, default in given if not isinstance(default, ast.Name | ast.Attribute)}


@pytest.mark.parametrize(
    ("config", "given", "error"),
    [
        (WorkingMemoryConfig, {"storage": "set"}, ConfigurationError),
        (WorkingMemoryConfig, {"storage": "list", "list_prefix": "agent:session:"}, ConfigurationError),
        (WorkingMemoryConfig, {"ttl_seconds": 0}, InvalidInputError),
        (WorkingMemoryConfig, {"threads_ttl_seconds": -1}, InvalidInputError),
        (WorkingMemoryConfig, {"max_turns": 0}, InvalidInputError),
        (LongTermMemoryConfig, {"storage": "set"}, ConfigurationError),
        (LongTermMemoryConfig, {"algorithm": "ivf"}, ConfigurationError),
        (LongTermMemoryConfig, {"vector_type": "int8"}, ConfigurationError),
        (LongTermMemoryConfig, {"dedup_threshold": 2.1}, InvalidInputError),
        (LongTermMemoryConfig, {"recall_threshold": -0.1}, InvalidInputError),
        (LongTermMemoryConfig, {"index_name": ""}, InvalidInputError),
        (LongTermMemoryConfig, {"ttl_by_kind": {"fact": 0}}, InvalidInputError),
        (UpstashLongTermMemoryConfig, {"dedup_score": -1}, InvalidInputError),
        (UpstashLongTermMemoryConfig, {"recency_per_day": float("nan")}, InvalidInputError),
        (UpstashLongTermMemoryConfig, {"max_text_bytes": 0}, InvalidInputError),
        (EventLogConfig, {"max_len": 0}, InvalidInputError),
        (EventLogConfig, {"max_detail_bytes": 1.5}, InvalidInputError),
        (EventLogConfig, {"key_prefix": 5}, InvalidInputError),
    ],
    ids=str,
)
def test_an_option_out_of_bounds_is_refused_by_name(
    config: Callable[..., Any], given: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error, match=list(given)[-1]):
        config(**given)


def test_a_configuration_does_not_change() -> None:
    ttl_by_kind: dict[str, int | None] = {"fact": 5}
    config = LongTermMemoryConfig(ttl_by_kind=ttl_by_kind)
    ttl_by_kind["fact"] = 6
    assert config.ttl_by_kind == {"fact": 5}
    with pytest.raises(FrozenInstanceError):
        config.max_text_bytes = 1  # type: ignore[misc]


@pytest.mark.parametrize("config", [LongTermMemoryConfig, UpstashLongTermMemoryConfig])
def test_a_language_is_known_by_its_code_and_however_it_is_written(config: Any) -> None:
    assert [config(language=one).language for one in ("de", "German", "klingon")] == [
        "german",
        "german",
        "klingon",
    ]
