"""The options of a store: how items are found by meaning, and how long they live."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from langgraph.store.base import IndexConfig, TTLConfig, ensure_embeddings, get_text_at_path, tokenize_path

from langchain_agentmem.core import checks
from langchain_agentmem.core.checks import MAX_TTL_SECONDS, positive
from langchain_agentmem.errors import ConfigurationError, EmbeddingError, InvalidInputError

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings

StoreIndex: TypeAlias = "IndexConfig | Literal[False] | None"
_INDEX = ("dims", "embed", "fields")
_TTL = ("default_ttl", "refresh_on_read", "omit_expired", "sweep_interval_minutes")
_MAX_MINUTES = MAX_TTL_SECONDS / 60


@dataclass(frozen=True)
class Indexing:
    """Says what of an item is embedded, and by which model.

    Attributes:
        embeddings: Returns the model, which may be loaded only then.
        fields: The paths whose texts are embedded if a put names none.
        dims: The length of the vectors; `None` if the model decides.
    """

    embeddings: Callable[[], Embeddings]
    fields: Sequence[str] = ("$",)
    dims: int | None = None

    @classmethod
    def read(cls, index: Any, own: Callable[[], Embeddings]) -> Indexing | None:
        """Return what an `index=` says; `None` for no vectors.

        Args:
            index: LangGraph's `IndexConfig`; `None` for whole values by the memory's model; `False`.
            own: Returns the memory's model.

        Raises:
            ConfigurationError: It is none of them.
        """
        if index is None:
            return cls(own)
        if index is False:
            return None
        if not isinstance(index, Mapping):
            raise ConfigurationError(
                f"index must be a dict of {', '.join(_INDEX)}, None or False, not {index!r}."
            )
        _refuse_others("index", index, _INDEX)
        fields, dims, embed = index.get("fields"), index.get("dims"), index.get("embed")
        if dims is not None:
            positive("index['dims']", dims)
        if embed is None:
            return cls(own, _fields(["$"] if fields is None else fields), dims)
        if not callable(embed) and not isinstance(embed, str):
            checks.embeddings(embed)
        model = embed if hasattr(embed, "embed_documents") else ensure_embeddings(embed)
        return cls(lambda: model, _fields(["$"] if fields is None else fields), dims)

    def texts(self, value: Mapping[str, Any], paths: Any) -> list[str]:
        """Return the texts of a value that are embedded, each once, except blank ones.

        Args:
            value: The value.
            paths: The paths that a put names; `None` for the store's own, `False` for none.

        Raises:
            InvalidInputError: The paths are none.
        """
        if paths is False:
            return []
        found: dict[str, None] = {}
        for path in self.fields if paths is None else _fields(paths):
            for text in get_text_at_path(value, path if path == "$" else tokenize_path(path)):
                found |= {text: None} if text.strip() else {}
        return list(found)

    def check(self, vector: Sequence[float]) -> None:
        """Refuse a vector of another length than `dims`.

        Raises:
            EmbeddingError: It has one.
        """
        if self.dims not in (None, len(vector)):
            raise EmbeddingError(f"The embedding has {len(vector)} numbers; index['dims'] is {self.dims}.")


def checked_ttl(ttl: Any) -> TTLConfig | None:
    """Return LangGraph's `TTLConfig`, or `None` for none.

    Raises:
        ConfigurationError: It is neither.
    """
    if ttl is None:
        return None
    if not isinstance(ttl, Mapping):
        raise ConfigurationError(f"ttl must be a dict of {', '.join(_TTL)}, not {ttl!r}.")
    _refuse_others("ttl", ttl, _TTL)
    try:
        milliseconds(ttl.get("default_ttl"))
    except InvalidInputError as error:
        raise ConfigurationError(f"ttl['default_ttl']: {error}") from error
    checked: TTLConfig = {**ttl}  # type: ignore[typeddict-item]  # its names are checked
    return checked


def milliseconds(minutes: Any) -> int:
    """Return a TTL in milliseconds, given minutes; 0 for `None`, which is none.

    Raises:
        InvalidInputError: It is no number above 0, or more than 68 years.
    """
    if minutes is None:
        return 0
    if isinstance(minutes, bool) or not isinstance(minutes, int | float) or not isfinite(minutes):
        raise InvalidInputError(f"ttl must be a number of minutes, not {minutes!r}.")
    if not 0 < minutes <= _MAX_MINUTES:
        raise InvalidInputError(
            f"ttl must be above 0 and at most {_MAX_MINUTES:.0f} minutes, not {minutes!r}."
        )
    return max(1, round(minutes * 60_000))


def _fields(paths: Any) -> Sequence[str]:
    if not isinstance(paths, list | tuple) or not all(isinstance(one, str) for one in paths):
        raise InvalidInputError(f"The paths to index must be a list of strings, not {paths!r}.")
    return paths


def _refuse_others(name: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    if others := sorted(str(one) for one in given.keys() - set(known)):
        raise ConfigurationError(f"{name} has {', '.join(others)}; known are {', '.join(known)}.")
