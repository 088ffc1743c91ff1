"""The options of each long-term memory: their defaults, which stand here alone, and their checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from langchain_agentmem.core import checks
from langchain_agentmem.core.checks import fill
from langchain_agentmem.core.keys import Keys
from langchain_agentmem.core.partitions import MAX_PARTITIONS
from langchain_agentmem.errors import ConfigurationError, InvalidInputError
from langchain_agentmem.longterm.types import Algorithm, Dedup, Storage, VectorType

DEDUP_RULES = ("same", "near", "exact")
TTL_BY_KIND: Mapping[str, int | None] = {"episodic": 604800, "semantic": None}


_ISO_639_1 = {
    "ar": "arabic", "ca": "catalan", "da": "danish", "de": "german", "el": "greek", "en": "english",
    "es": "spanish", "eu": "basque", "fi": "finnish", "fr": "french", "ga": "irish", "hi": "hindi",
    "hu": "hungarian", "hy": "armenian", "id": "indonesian", "it": "italian", "lt": "lithuanian",
    "ne": "nepali", "nl": "dutch", "no": "norwegian", "pt": "portuguese", "ro": "romanian", "ru": "russian",
    "sr": "serbian", "sv": "swedish", "ta": "tamil", "tr": "turkish", "yi": "yiddish",
}  # fmt: skip


def _language(value: str) -> str:
    """Return a language as Snowball names it."""
    name = checks.validate_id("language", value).lower()
    return _ISO_639_1.get(name, name)


@dataclass(frozen=True, kw_only=True)
class BaseLongTermMemoryConfig:
    """The options that both backends have, checked.

    Attributes:
        index_name: The search index.
        key_prefix: What the key of a memory begins with.
        ttl_by_kind: The TTL of memories of a kind, in seconds; `None`, or no entry, for none.
        max_text_bytes: How many bytes of UTF-8 a text may have; longer ones are refused.
        dedup: What makes a text a duplicate: `same`, it says the same; `exact`, it is the same; `near`, it is
            near; a function, it has the same key; `None`, nothing does.
        language: The language of stemming and stop words, as Snowball names it, or as ISO 639-1 does (`de`).

    Raises:
        ConfigurationError: There is no such rule.
        InvalidInputError: A number or a name is not usable.
    """

    index_name: str
    key_prefix: str
    ttl_by_kind: Mapping[str, int | None] = field(default_factory=lambda: TTL_BY_KIND)
    max_text_bytes: int = 32768
    dedup: Dedup = "same"
    language: str = "english"

    def __post_init__(self) -> None:
        checks.validate_id("index_name", self.index_name)
        checks.validate_id("key_prefix", self.key_prefix)
        checks.positive("max_text_bytes", self.max_text_bytes)
        fill(self, language=_language(self.language))
        if not (self.dedup is None or callable(self.dedup) or self.dedup in DEDUP_RULES):
            raise ConfigurationError(
                f"dedup must be one of {', '.join(map(repr, DEDUP_RULES))}, None, or a function that makes a "
                f"key of a text, not {self.dedup!r}."
            )
        for kind, ttl in self.ttl_by_kind.items():
            checks.ttl(f"ttl_by_kind[{checks.validate_id('kind', kind)!r}]", ttl)
        fill(self, ttl_by_kind=dict(self.ttl_by_kind))  # the caller's may change


@dataclass(frozen=True, kw_only=True)
class LongTermMemoryConfig(BaseLongTermMemoryConfig):
    """The options of a `LongTermMemory`, checked.

    Attributes:
        storage: What holds a memory: a JSON document or a Hash.
        algorithm: How an index that is created searches vectors; one that is there serves with its own.
        vector_type: The number type of vectors in the index.
        dedup_threshold: By `dedup="near"`, up to this cosine distance (0 to 2) a memory is a duplicate.
        recall_threshold: By `mode="vector"`, up to this cosine distance a memory is recalled.
        partitions: In how many partitions memories are; `None` for 256 on a cluster, and for none elsewhere.
        recall_from_replicas: Whether replicas of a cluster may answer a recall.

    Raises:
        ConfigurationError: There is no such storage, algorithm or number type.
        InvalidInputError: A number or a name is not usable.
    """

    index_name: str = "agentmem:idx"
    key_prefix: str = Keys.memory_prefix
    storage: Storage = "json"
    algorithm: Algorithm = "flat"
    vector_type: VectorType = "float32"
    dedup_threshold: float = 0.20
    recall_threshold: float = 0.55
    partitions: int | None = None
    recall_from_replicas: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.choice("storage", self.storage, Storage)
        checks.choice("algorithm", self.algorithm, Algorithm)
        checks.choice("vector_type", self.vector_type, VectorType)
        if self.partitions is not None and checks.positive("partitions", self.partitions) > MAX_PARTITIONS:
            raise InvalidInputError(f"partitions must be at most {MAX_PARTITIONS}, not {self.partitions}.")
        fill(
            self,
            dedup_threshold=checks.distance("dedup_threshold", self.dedup_threshold),
            recall_threshold=checks.distance("recall_threshold", self.recall_threshold),
        )

    @property
    def near_distance(self) -> float | None:
        """Return the cosine distance up to which a memory is a duplicate; `None` if nearness makes none."""
        return self.dedup_threshold if self.dedup == "near" else None


@dataclass(frozen=True, kw_only=True)
class UpstashLongTermMemoryConfig(BaseLongTermMemoryConfig):
    """The options of an `UpstashLongTermMemory`, checked.

    Attributes:
        dedup_score: By `dedup="near"`, above this score of full-text search a memory that shares half of the
            words is a duplicate.
        recency_per_day: How much a memory's rank loses per day of age, in points of the server's score.

    Raises:
        InvalidInputError: A number or a name is not usable.
    """

    index_name: str = "memories"
    key_prefix: str = "memory:"
    dedup_score: float | None = 8.0
    recency_per_day: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dedup_score is not None:
            fill(self, dedup_score=checks.points("dedup_score", self.dedup_score))
        fill(self, recency_per_day=checks.points("recency_per_day", self.recency_per_day))
