"""Every setting of the package: its default, its bounds, and the environment variable that sets it."""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from typing_extensions import Self

from langchain_agentmem.core.keys import index_keys, threads_prefix
from langchain_agentmem.core.node_parameters import MEMORY_KEY
from langchain_agentmem.errors import ConfigurationError
from langchain_agentmem.events.config import EventLogConfig
from langchain_agentmem.longterm.config import (
    TTL_BY_KIND,
    BaseLongTermMemoryConfig,
    LongTermMemoryConfig,
    UpstashLongTermMemoryConfig,
)
from langchain_agentmem.transport.connections import SOCKET_TIMEOUT_SECONDS
from langchain_agentmem.transport.urls import environment_token, is_rest
from langchain_agentmem.working.config import WorkingMemoryConfig, default_ttl_seconds

Distance = Annotated[float, Field(ge=0, le=2)]


def _first_of(*variables: str) -> str | None:
    return next((value for name in variables if (value := os.environ.get(name))), None)


def _token(url: str) -> SecretStr | None:
    """Return the environment's token, if it is meant for this URL."""
    token = environment_token(url)
    return None if token is None else SecretStr(token)


def _on_upstash(data: dict[str, Any]) -> bool:
    """Return whether the settings that are validated so far are for Upstash's REST API."""
    return "url" in data and is_rest(data["url"].get_secret_value())


def _long_term(data: dict[str, Any]) -> type[LongTermMemoryConfig | UpstashLongTermMemoryConfig]:
    """Return the class of options of the long-term memory that these settings are for."""
    return UpstashLongTermMemoryConfig if _on_upstash(data) else LongTermMemoryConfig


class AgentMemorySettings(BaseSettings):
    """Settings of `AgentMemory`; each is also an environment variable `AGENTMEM_<NAME>`.

    Durations are seconds, thresholds cosine distances (0 is the same direction, 2 the opposite).
    In the environment a blank value means unset and `none` means `None`; `ttl_by_kind` is JSON.
    """

    model_config = SettingsConfigDict(
        env_prefix="AGENTMEM_",
        env_ignore_empty=True,
        env_parse_none_str="none",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    url: SecretStr = Field(
        default_factory=lambda: SecretStr(_first_of("REDIS_URL", "UPSTASH_REDIS_REST_URL") or "embedded://"),
        description="Where the memory is. Without AGENTMEM_URL: REDIS_URL, UPSTASH_REDIS_REST_URL, else a "
        "private Redis.",
    )
    token: SecretStr | None = Field(
        default_factory=lambda data: _token(data["url"].get_secret_value()) if _on_upstash(data) else None,
        description="The token of a REST database. Without AGENTMEM_TOKEN, and for a URL of https://: "
        "UPSTASH_REDIS_REST_TOKEN.",
    )
    session_storage: Literal["hash", "list"] = Field(
        default_factory=lambda data: "list" if _on_upstash(data) else WorkingMemoryConfig.storage,
        description="What holds a conversation: `hash`, which keeps its window, or `list`, which keeps all "
        "of it under its bare id, as the Flowise nodes do. If not given: a list on Upstash, else a Hash.",
    )
    session_list_prefix: str = Field(
        WorkingMemoryConfig.list_prefix,
        description="Stands before the thread id in the key of a conversation that is a list.",
    )
    session_ttl_seconds: PositiveInt | None = Field(
        default_factory=lambda data: default_ttl_seconds(data.get("session_storage")),
        description="The TTL of an idle session: 3600 in a Hash, and none in a list, if not given.",
    )
    max_turns: PositiveInt | None = Field(
        WorkingMemoryConfig.max_turns, description="A session's window, in messages."
    )
    memory_key: str = Field(MEMORY_KEY, min_length=1, description="The chain's variable.")
    session_prefix: str = Field(
        WorkingMemoryConfig.key_prefix,
        min_length=1,
        description="Stands before the thread id in the key of a session.",
    )
    memory_prefix: str = Field(
        default_factory=lambda data: _long_term(data).key_prefix,
        min_length=1,
        description="Stands before the id in the key of a memory: `agent:mem:`, and `memory:` on Upstash.",
    )
    events_prefix: str = Field(
        EventLogConfig.key_prefix,
        min_length=1,
        description="Stands before the thread id in the key of a stream.",
    )
    threads_prefix: str = Field(
        default_factory=lambda data: threads_prefix(
            data.get("session_prefix", WorkingMemoryConfig.key_prefix)
        ),
        min_length=1,
        description="Stands before the user in the key of a user's record of threads: `agent:threads:`, and "
        "with another `session_prefix`, `threads:` and that.",
    )
    index_name: str = Field(
        default_factory=lambda data: _long_term(data).index_name,
        min_length=1,
        description="The search index: `agentmem:idx`, and `memories` on Upstash.",
    )
    dedup_threshold: Distance = Field(
        LongTermMemoryConfig.dedup_threshold, description="Up to this distance a memory is a duplicate."
    )
    recall_threshold: Distance = Field(
        LongTermMemoryConfig.recall_threshold, description="Up to this distance a memory is recalled."
    )
    dedup_score: float | None = Field(
        UpstashLongTermMemoryConfig.dedup_score,
        ge=0,
        description="On Upstash: above this score of full-text search, a memory that shares half of the "
        "words is a duplicate; with `None`, only the same text is.",
    )
    recency_per_day: float = Field(
        UpstashLongTermMemoryConfig.recency_per_day,
        ge=0,
        le=1000,
        description="On Upstash: how much of its score a memory loses per day of age.",
    )
    ttl_by_kind: dict[str, PositiveInt | None] = Field(
        dict(TTL_BY_KIND),
        description="The TTL of memories of a kind; a kind that is not named has none.",
    )
    storage: Literal["json", "hash"] = Field(
        LongTermMemoryConfig.storage, description="What a memory is stored as."
    )
    algorithm: Literal["hnsw", "flat"] = Field(
        LongTermMemoryConfig.algorithm,
        description="`hnsw` finds approximately among many; `flat` looks at each, and is written faster.",
    )
    vector_type: Literal["float32", "float16"] = Field(
        LongTermMemoryConfig.vector_type, description="The numbers of an embedding in the index."
    )
    events_max_len: PositiveInt = Field(
        EventLogConfig.max_len, description="About how many events a thread keeps."
    )
    events_ttl_seconds: PositiveInt | None = Field(
        EventLogConfig.ttl_seconds, description="The TTL of a thread's events, extended by each one."
    )
    max_text_bytes: PositiveInt = Field(
        BaseLongTermMemoryConfig.max_text_bytes,
        description="The bytes a memory may have; longer ones are refused.",
    )
    socket_timeout_seconds: PositiveFloat = Field(
        SOCKET_TIMEOUT_SECONDS, description="A server silent for longer is an error."
    )
    on_error: Literal["raise", "continue"] = Field(
        "raise", description="What a chain does when history or recall fails."
    )

    @model_validator(mode="before")
    @classmethod
    def _leave_the_environments_token(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Drop `AGENTMEM_TOKEN` beside another URL than the one it is meant for."""
        url = data.get("url") or cls.model_fields["url"].get_default(call_default_factory=True)
        url = url.get_secret_value() if isinstance(url, SecretStr) else url
        ours = os.environ.get("AGENTMEM_TOKEN")
        if ours is not None and data.get("token") == ours and not is_rest(url):
            return {name: value for name, value in data.items() if name != "token"}
        return data

    @model_validator(mode="after")
    def _token_fits(self) -> Self:
        if self.token is not None and not is_rest(self.url.get_secret_value()):
            raise ValueError("a token goes with a URL of https://")
        return self

    @model_validator(mode="after")
    def _prefixes_differ(self) -> Self:
        prefixes = [self.session_prefix, self.memory_prefix, self.events_prefix, self.threads_prefix]
        prefixes += [self.session_list_prefix] if self.session_list_prefix else []
        for one in prefixes:
            if sum(other.startswith(one) for other in prefixes) > 1:
                raise ValueError(f"the prefix {one!r} begins another tier's keys too; choose different ones")
        return self

    @property
    def working(self) -> WorkingMemoryConfig:
        """Return the options of working memory."""
        return WorkingMemoryConfig(
            ttl_seconds=self.session_ttl_seconds,
            max_turns=self.max_turns,
            key_prefix=self.session_prefix,
            storage=self.session_storage,
            list_prefix=self.session_list_prefix,
            threads_prefix=self.threads_prefix,
            threads_ttl_seconds=self.events_ttl_seconds,
            reserved_prefixes=(self.events_prefix, self.memory_prefix, index_keys(self.index_name)),
        )

    @property
    def long_term(self) -> LongTermMemoryConfig | UpstashLongTermMemoryConfig:
        """Return the options of long-term memory, of the backend that the URL is for."""
        if is_rest(self.url.get_secret_value()):
            return UpstashLongTermMemoryConfig(
                index_name=self.index_name,
                key_prefix=self.memory_prefix,
                ttl_by_kind=self.ttl_by_kind,
                max_text_bytes=self.max_text_bytes,
                dedup_score=self.dedup_score,
                recency_per_day=self.recency_per_day,
            )
        return LongTermMemoryConfig(
            index_name=self.index_name,
            key_prefix=self.memory_prefix,
            ttl_by_kind=self.ttl_by_kind,
            max_text_bytes=self.max_text_bytes,
            storage=self.storage,
            algorithm=self.algorithm,
            vector_type=self.vector_type,
            dedup_threshold=self.dedup_threshold,
            recall_threshold=self.recall_threshold,
        )

    @property
    def events(self) -> EventLogConfig:
        """Return the options of the event log."""
        return EventLogConfig(
            max_len=self.events_max_len,
            ttl_seconds=self.events_ttl_seconds,
            key_prefix=self.events_prefix,
            threads_prefix=self.threads_prefix,
        )

    @classmethod
    def load(cls, **given: Any) -> Self:
        """Return the settings from keywords, the environment and the defaults, in this order.

        Raises:
            ConfigurationError: Names every value that is not usable, and every unknown name.
        """
        unknown = given.keys() - cls.model_fields.keys()
        if unknown:
            raise ConfigurationError(
                f"Unknown setting: {', '.join(sorted(unknown))}. Known are {', '.join(cls.model_fields)}."
            )
        try:
            return cls(**given)
        except ValidationError as error:
            said = "; ".join(
                f"{'.'.join(map(str, item['loc'])) or 'settings'}: {item['msg']}"
                for item in error.errors(include_input=False, include_url=False, include_context=False)
                if item["type"] != "default_factory_not_called"  # what only follows from another error
            )
            raise ConfigurationError(f"Settings are not usable: {said}.") from None
