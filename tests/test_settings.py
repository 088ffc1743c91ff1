"""Settings: defaults, which of keywords and environment wins, bounds, and what an error says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_agentmem.errors import ConfigurationError
from langchain_agentmem.settings import AgentMemorySettings

UPSTASH = "https://eu1-x.upstash.io"
TOKEN = "tok-3n_secret.value"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = [f"AGENTMEM_{name.upper()}" for name in AgentMemorySettings.model_fields]
    for variable in (*variables, "REDIS_URL", "UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN"):
        monkeypatch.delenv(variable, raising=False)


def url_of(settings: AgentMemorySettings) -> str:
    return settings.url.get_secret_value()


def test_without_anything_it_is_a_private_redis() -> None:
    settings = AgentMemorySettings.load()
    assert (url_of(settings), settings.token) == ("embedded://", None)
    assert (settings.session_storage, settings.session_ttl_seconds, settings.max_turns) == ("hash", 3600, 20)
    assert (settings.memory_prefix, settings.index_name) == ("agent:mem:", "agentmem:idx")
    assert settings.threads_prefix == "agent:threads:"
    assert settings.tasks_prefix == settings.keys(cluster=False).tasks_prefix == "agent:tasks:"
    assert settings.ttl_by_kind == {"episodic": 604800, "semantic": None}


def test_on_upstash_a_session_is_a_list_that_stays() -> None:
    settings = AgentMemorySettings.load(url=UPSTASH, token=TOKEN)
    assert (settings.session_storage, settings.session_ttl_seconds) == ("list", None)
    assert (settings.memory_prefix, settings.index_name) == ("memory:", "memories")


def test_a_list_stays_anywhere_and_a_given_ttl_wins() -> None:
    assert AgentMemorySettings.load(session_storage="list").session_ttl_seconds is None
    assert AgentMemorySettings.load(session_storage="list", session_ttl_seconds=5).session_ttl_seconds == 5
    assert AgentMemorySettings.load(url=UPSTASH, session_storage="hash").session_ttl_seconds == 3600


def test_urls_are_looked_for_in_this_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSTASH_REDIS_REST_URL", UPSTASH)
    assert url_of(AgentMemorySettings.load()) == UPSTASH
    monkeypatch.setenv("REDIS_URL", "redis://second")
    assert url_of(AgentMemorySettings.load()) == "redis://second"
    monkeypatch.setenv("AGENTMEM_URL", "redis://first")
    assert url_of(AgentMemorySettings.load()) == "redis://first"
    assert url_of(AgentMemorySettings.load(url="redis://given")) == "redis://given"


def test_the_environment_may_say_blank_and_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTMEM_MAX_TURNS", "none")
    monkeypatch.setenv("AGENTMEM_SESSION_TTL_SECONDS", "")
    monkeypatch.setenv("AGENTMEM_DEDUP", "none")
    monkeypatch.setenv("AGENTMEM_LANGUAGE", "none")
    monkeypatch.setenv("AGENTMEM_TTL_BY_KIND", '{"fact": 60, "rule": null}')
    settings = AgentMemorySettings.load()
    assert (settings.max_turns, settings.session_ttl_seconds) == (None, 3600)
    assert settings.ttl_by_kind == {"fact": 60, "rule": None}
    assert (settings.dedup, settings.language) == (None, "none")
    assert AgentMemorySettings.load(max_turns=7).max_turns == 7


def test_a_token_goes_with_a_rest_url_only(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="a token goes with"):
        AgentMemorySettings.load(url="redis://h", token=TOKEN)
    monkeypatch.setenv("AGENTMEM_TOKEN", TOKEN)
    assert AgentMemorySettings.load(url="redis://h").token is None
    token = AgentMemorySettings.load(url=UPSTASH).token
    assert token is not None
    assert token.get_secret_value() == TOKEN
    assert TOKEN not in repr(AgentMemorySettings.load(url=UPSTASH))


@pytest.mark.parametrize(
    "given",
    [
        *({name: value} for name in ("session_ttl_seconds", "max_turns", "events_max_len") for value in (0, -1, 1.5)),
        *({name: value} for name in ("dedup_threshold", "recall_threshold") for value in (-0.1, 2.1)),
        {"socket_timeout_seconds": 0},
        {"recency_per_day": 1001},
        {"dedup_score": -1},
        {"ttl_by_kind": {"fact": 0}},
        {"storage": "string"},
        {"on_error": "ignore"},
        {"session_prefix": ""},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_out_of_bounds_is_refused_by_name(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(given))):
        AgentMemorySettings.load(**given)


@given(st.floats(0, 2), st.floats(0, 2))
def test_every_cosine_distance_is_a_threshold(dedup: float, recall: float) -> None:
    settings = AgentMemorySettings.load(dedup_threshold=dedup, recall_threshold=recall)
    assert (settings.dedup_threshold, settings.recall_threshold) == (dedup, recall)


def test_every_wrong_value_is_named_and_none_is_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        AgentMemorySettings.load(max_turns="hunter2", storage="hunter2")
    said = str(caught.value)
    assert "max_turns" in said
    assert "storage" in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("MAX_TURNS", "abc", "AGENTMEM_MAX_TURNS must be a whole number, or none."),
        ("SESSION_TTL_SECONDS", "-5", "AGENTMEM_SESSION_TTL_SECONDS must be above 0, or none."),
        ("EVENTS_MAX_LEN", "1.5", "AGENTMEM_EVENTS_MAX_LEN must be a whole number."),
        ("DEDUP", "often", "AGENTMEM_DEDUP must be 'same', 'near' or 'exact', or none."),
        ("RECALL_THRESHOLD", "near", "AGENTMEM_RECALL_THRESHOLD must be a number."),
        ("DEDUP_THRESHOLD", "9", "AGENTMEM_DEDUP_THRESHOLD must be at most 2."),
        ("TTL_BY_KIND", "{", 'AGENTMEM_TTL_BY_KIND must be JSON, such as {"episodic": 604800, "semantic": null}.'),
        ("TTL_BY_KIND", "[1]", 'AGENTMEM_TTL_BY_KIND must be a JSON object, such as {"episodic": 604800}.'),
        ("TTL_BY_KIND", '{"fact": "x"}', "AGENTMEM_TTL_BY_KIND: fact must be a whole number, or none."),
        ("STORAGE", "xml", "AGENTMEM_STORAGE must be 'json' or 'hash'."),
        ("MEMORY_PREFIX", "agent:session:", "the prefix 'agent:session:' begins another tier's keys too; choose different ones."),
    ],
)  # fmt: skip
def test_what_the_environment_has_wrong_is_said_in_plain_words(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(f"AGENTMEM_{name}", value)
    with pytest.raises(ConfigurationError) as caught:
        AgentMemorySettings.load()
    assert str(caught.value) == f"Settings are not usable: {said}"


def test_an_unknown_setting_is_answered_with_the_known() -> None:
    with pytest.raises(ConfigurationError, match=r"Unknown setting: maxturns\. Known are url, token"):
        AgentMemorySettings.load(maxturns=3)


@pytest.mark.parametrize("prefix", ["agent:session:", "agent:session:x", "agent:"])
def test_tiers_whose_keys_would_mix_are_refused(prefix: str) -> None:
    with pytest.raises(ConfigurationError, match="begins another tier's keys"):
        AgentMemorySettings.load(memory_prefix=prefix)


def test_the_record_of_threads_follows_the_sessions() -> None:
    settings = AgentMemorySettings.load(session_prefix="mine:")
    assert settings.threads_prefix == "threads:mine:"
    assert settings.tasks_prefix == "tasks:mine::agent:mem:"
    assert settings.tasks_prefix in settings.working.reserved_prefixes
    with pytest.raises(ConfigurationError, match="begins another tier's keys"):
        AgentMemorySettings.load(tasks_prefix="agent:mem:x")


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        AgentMemorySettings.load().max_turns = 5  # type: ignore[misc]
