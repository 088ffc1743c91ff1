"""The schema of the store's search index: tags of namespaces and equal values, and the vectors of items."""

from __future__ import annotations

from dataclasses import dataclass

from langchain_agentmem.core.operations import Argument, Command
from langchain_agentmem.longterm.redisearch.schema import OPTIONS, IndexSettings

_FIELDS = {"tags": "$.tags[*] TAG", "updated": "$.updated NUMERIC SORTABLE"}


@dataclass(frozen=True, slots=True)
class StoreIndexSettings(IndexSettings):
    """The options of the store's index. An item may have several vectors; a search takes the nearest."""

    def create(self, dimensions: int) -> Command:
        """Return the command that creates the index."""
        vector: dict[str, Argument] = {
            "TYPE": self.vector_type.upper(),
            "DIM": dimensions,
            "DISTANCE_METRIC": "COSINE",
            **{name.upper(): value for name, value in OPTIONS[self.algorithm].items()},
        }
        options = [part for option in vector.items() for part in option]
        return Command(
            (
                *("FT.CREATE", self.name, "ON", "JSON", "PREFIX", 1, self.prefix, "STOPWORDS", 0, "SCHEMA"),
                *("$.tags[*]", "AS", "tags", "TAG"),
                *("$.updated", "AS", "updated", "NUMERIC", "SORTABLE"),
                *("$.embedding[*]", "AS", "embedding", "VECTOR", self.algorithm.upper()),
                *(len(options), *options),
            ),
            (self.name,),
        )

    def schema(self, dimensions: int | None) -> dict[str, str]:
        """Return the schema the index has to have, in a line per part."""
        size = f" DIM {dimensions}" if dimensions else ""
        return {
            "storage": "JSON",
            "prefix": self.prefix,
            "language": "english",
            "stop words": "none",
            **_FIELDS,
            "embedding": f"$.embedding[*] VECTOR {self.algorithm.upper()} {self.vector_type.upper()} COSINE"
            + size,
        }

    def advice(self, *, fits: bool) -> str:
        """Return what to do about an index with another schema."""
        return (
            "Use the embeddings, the prefix and the vector_type it was created with, or another index_name "
            f"together with another store_prefix. Or remove it with FT.DROPINDEX {self.name}, which leaves "
            "the items where they are: the next put or search makes a new one. Then put again the items "
            "whose vectors are of another length: until that is done, searches by meaning among them are "
            "refused, and those without a query are slower."
        )
