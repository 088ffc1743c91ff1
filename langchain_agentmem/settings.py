"""Every setting of the package: its default, its bounds, and the environment variable that sets it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError
from typing_extensions import Self

from langchain_agentmem.core.keys import (
    Keys,
    index_keys,
    same_prefix,
    store_index,
    store_prefix,
    tasks_prefix,
    threads_prefix,
)
from langchain_agentmem.core.node_parameters import MEMORY_KEY
from langchain_agentmem.core.partitions import MAX_PARTITIONS, partitions_on
from langchain_agentmem.core.refused_values import sentences
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


def _language(value: object) -> object:
    """Return a language; in the environment, `none` has become `None`, and no language is meant by it."""
    return "none" if value is None else value


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
        description="The URL of the server. Without AGENTMEM_URL: REDIS_URL, UPSTASH_REDIS_REST_URL, else a "
        "private Redis.",
    )
    token: SecretStr | None = Field(
        default_factory=lambda data: _token(data["url"].get_secret_value()) if _on_upstash(data) else None,
        description="The token of a REST database. Without AGENTMEM_TOKEN, and for a URL of https://: "
        "UPSTASH_REDIS_REST_TOKEN.",
    )
    session_storage: Literal["hash", "list"] = Field(
        default_factory=lambda data: "list" if _on_upstash(data) else WorkingMemoryConfig.storage,
        description="How a conversation is stored: as a `hash`, which keeps its window, or as a `list`, "
        "which keeps every message under the bare thread id, as the Flowise nodes do. Default: a list on "
        "Upstash, else a Hash.",
    )
    session_list_prefix: str = Field(
        WorkingMemoryConfig.list_prefix,
        description="The key prefix of conversations stored as lists; the thread id follows it.",
    )
    session_ttl_seconds: PositiveInt | None = Field(
        default_factory=lambda data: default_ttl_seconds(data.get("session_storage")),
        description="The TTL of an idle session. Default: 3600 in a Hash, none in a list.",
    )
    max_turns: PositiveInt | None = Field(
        WorkingMemoryConfig.max_turns, description="A session's window, in messages; `None` for no limit."
    )
    summarise_when: Literal["inline", "background"] = Field(
        WorkingMemoryConfig.summarise_when,
        description="With `summarise=`, when what has left the window is folded into the summary: `inline`, "
        "each time an exchange has been stored; `background`, by a worker, or when `working.fold` is called.",
    )
    max_waiting: PositiveInt = Field(
        WorkingMemoryConfig.max_waiting,
        description="With `summarise=`, how many messages that have left the window wait at most to be "
        "folded into the summary; beyond that the oldest are dropped, and counted.",
    )
    memory_key: str = Field(
        MEMORY_KEY, min_length=1, description="The name of the chain's variable for the history."
    )
    session_prefix: str = Field(
        WorkingMemoryConfig.key_prefix,
        min_length=1,
        description="The key prefix of sessions; the thread id follows it.",
    )
    memory_prefix: str = Field(
        default_factory=lambda data: _long_term(data).key_prefix,
        min_length=1,
        description="The key prefix of memories; the id follows it. Default: `agent:mem:`, `memory:` on "
        "Upstash.",
    )
    events_prefix: str = Field(
        EventLogConfig.key_prefix,
        min_length=1,
        description="The key prefix of event streams; the thread id follows it.",
    )
    threads_prefix: str = Field(
        default_factory=lambda data: threads_prefix(
            data.get("session_prefix", WorkingMemoryConfig.key_prefix)
        ),
        min_length=1,
        description="The key prefix of each user's record of threads; the user follows it. Default: "
        "`agent:threads:`, or, with another `session_prefix`, `threads:` followed by that prefix.",
    )
    store_prefix: str = Field(
        default_factory=lambda data: store_prefix(data.get("memory_prefix", "")),
        min_length=1,
        description="The key prefix of the LangGraph store. Default: `agent:store:`, or, with another "
        "`memory_prefix`, `store:` followed by that prefix.",
    )
    tasks_prefix: str = Field(
        default_factory=lambda data: tasks_prefix(
            data.get("session_prefix", WorkingMemoryConfig.key_prefix), data.get("memory_prefix", "memory:")
        ),
        min_length=1,
        description="The key prefix of the queues of tasks for the background. Default: `agent:tasks:`, or, "
        "with another `session_prefix` or `memory_prefix`, `tasks:` followed by both.",
    )
    partitions: Annotated[int, Field(ge=1, le=MAX_PARTITIONS)] | None = Field(
        None,
        description="In how many partitions memories are, each with its own index, so that they can be "
        "spread over the nodes of a Redis Cluster. Fixed for the life of the data. Default: 256 on a "
        "cluster, else none.",
    )
    recall_from_replicas: bool = Field(
        LongTermMemoryConfig.recall_from_replicas,
        description="Whether replicas of a Redis Cluster may answer `recall`. They may be behind: what was "
        "just stored may be missing.",
    )
    index_name: str = Field(
        default_factory=lambda data: _long_term(data).index_name,
        min_length=1,
        description="The name of the search index. Default: `agentmem:idx`, `memories` on Upstash.",
    )
    dedup: Literal["same", "near", "exact"] | Callable[[str], str] | None = Field(
        LongTermMemoryConfig.dedup,
        description="What makes a text a duplicate of a memory: `same`, it says the same; `exact`, it is the "
        "same text; `near`, it is near in meaning; a function, it has the same key; `None`, nothing does.",
    )
    dedup_threshold: Distance = Field(
        LongTermMemoryConfig.dedup_threshold,
        description='With `dedup="near"`, the largest distance at which a text is a duplicate of a memory.',
    )
    recall_threshold: Distance = Field(
        LongTermMemoryConfig.recall_threshold,
        description='With `mode="vector"`, the largest distance at which a memory is recalled.',
    )
    language: Annotated[str, BeforeValidator(_language)] = Field(
        LongTermMemoryConfig.language,
        min_length=1,
        description="The language of memories, as Snowball names it: for stemming and stop words.",
    )
    dedup_score: float | None = Field(
        UpstashLongTermMemoryConfig.dedup_score,
        ge=0,
        description='On Upstash, with `dedup="near"`: the full-text score above which a memory that shares '
        "half of the words is a duplicate; `None` for none.",
    )
    recency_per_day: float = Field(
        UpstashLongTermMemoryConfig.recency_per_day,
        ge=0,
        le=1000,
        description="On Upstash: how much a memory's rank drops per day of age, in points of the server's "
        "score.",
    )
    ttl_by_kind: dict[str, PositiveInt | None] = Field(
        dict(TTL_BY_KIND),
        description="The TTL of memories by kind; kinds that are not listed do not expire.",
    )
    storage: Literal["json", "hash"] = Field(
        LongTermMemoryConfig.storage, description="How a memory is stored: as a JSON document or as a Hash."
    )
    algorithm: Literal["flat", "hnsw"] = Field(
        LongTermMemoryConfig.algorithm,
        description="The vector index that is created: `flat` finds exactly, and writes do not slow down as "
        'it grows; `hnsw` finds approximately, and by `mode="vector"` faster where a user has more than '
        "about 20,000 memories.",
    )
    vector_type: Literal["float32", "float16"] = Field(
        LongTermMemoryConfig.vector_type, description="The data type of embeddings in the index."
    )
    events_max_len: PositiveInt = Field(
        EventLogConfig.max_len, description="The approximate maximum number of events per thread."
    )
    events_ttl_seconds: PositiveInt | None = Field(
        EventLogConfig.ttl_seconds, description="The TTL of a thread's events; every new event extends it."
    )
    max_text_bytes: PositiveInt = Field(
        BaseLongTermMemoryConfig.max_text_bytes,
        description="The maximum size of a memory's text; longer ones are refused.",
    )
    socket_timeout_seconds: PositiveFloat = Field(
        SOCKET_TIMEOUT_SECONDS,
        description="How long a server may take to answer before an operation raises `StoreTimeoutError`.",
    )
    on_error: Literal["raise", "continue"] = Field(
        "raise", description="Whether a chain raises or continues when history or recall fails."
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
    def _partitions_fit(self) -> Self:
        if self.partitions is not None and is_rest(self.url.get_secret_value()):
            raise ValueError("Upstash has no partitions: leave them out")
        return self

    @model_validator(mode="after")
    def _prefixes_differ(self) -> Self:
        prefixes = [self.session_prefix, self.memory_prefix, self.events_prefix, self.threads_prefix]
        prefixes += [same_prefix(self.memory_prefix), self.store_prefix, self.tasks_prefix]
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
            summarise_when=self.summarise_when,
            max_waiting=self.max_waiting,
            partitions=self.partitions,
            reserved_prefixes=(
                self.events_prefix,
                self.memory_prefix,
                same_prefix(self.memory_prefix),
                index_keys(self.index_name),
                self.store_prefix,
                index_keys(store_index(self.index_name)),
                self.tasks_prefix,
            ),
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
                dedup=self.dedup,
                language=self.language,
                dedup_score=self.dedup_score,
                recency_per_day=self.recency_per_day,
            )
        return LongTermMemoryConfig(
            index_name=self.index_name,
            key_prefix=self.memory_prefix,
            ttl_by_kind=self.ttl_by_kind,
            max_text_bytes=self.max_text_bytes,
            dedup=self.dedup,
            language=self.language,
            storage=self.storage,
            algorithm=self.algorithm,
            vector_type=self.vector_type,
            dedup_threshold=self.dedup_threshold,
            recall_threshold=self.recall_threshold,
            partitions=self.partitions,
            recall_from_replicas=self.recall_from_replicas,
        )

    @property
    def events(self) -> EventLogConfig:
        """Return the options of the event log."""
        return EventLogConfig(
            max_len=self.events_max_len,
            ttl_seconds=self.events_ttl_seconds,
            key_prefix=self.events_prefix,
            threads_prefix=self.threads_prefix,
            partitions=self.partitions,
        )

    def keys(self, *, cluster: bool) -> Keys:
        """Return all key names, on a cluster or not, with the partitions that there are."""
        return replace(
            self.working.keys_on_cluster if cluster else self.working.keys,
            memory_prefix=self.memory_prefix,
            events_prefix=self.events_prefix,
            store_prefix=self.store_prefix,
            tasks_prefix=self.tasks_prefix,
            partitions=partitions_on(self.partitions, cluster=cluster),
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

        def name_of(field: str) -> str:
            variable = f"AGENTMEM_{field.upper()}"
            return variable if field not in given and os.environ.get(variable) else field

        try:
            return cls(**given)
        except ValidationError as error:
            said = "; ".join(sentences(error, cls.model_fields, name_of))
        except SettingsError as error:
            field = next((one for one in cls.model_fields if f'"{one}"' in str(error)), "a setting")
            said = f'{name_of(field)} must be JSON, such as {{"episodic": 604800, "semantic": null}}'
        raise ConfigurationError(f"Settings are not usable: {said}.")
