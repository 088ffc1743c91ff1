"""One search index: documents of a Redis under some prefixes, in tantivy, a little late."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import tantivy
from tantivy import Filter, Query, TextAnalyzer, TextAnalyzerBuilder, Tokenizer

from integration_tests.upstash.emulator.resp import Connection, ReplyError
from integration_tests.upstash.emulator.schema import Definition, Field

_KEY = "key"
_WRITER_BYTES = 15_000_000


def analyzer(field: Field, language: str) -> TextAnalyzer:
    """What makes terms of a text, in the index and in queries alike."""
    if field.no_tokenize or field.type == "KEYWORD":
        return TextAnalyzerBuilder(Tokenizer.raw()).build()
    # Longer words than 40 bytes are dropped, as the engine's own default analyzer does.
    builder = (
        TextAnalyzerBuilder(Tokenizer.simple()).filter(Filter.remove_long(40)).filter(Filter.lowercase())
    )
    return (builder if field.no_stem else builder.filter(Filter.stemmer(language))).build()


class Index:
    """Takes changed keys with the time they are due, and searches what has been taken in."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        # The engine's own names: a user's may be ones it does not allow.
        self.columns = {field.name: f"f{number}" for number, field in enumerate(definition.fields)}
        self.schema = self._schema()
        self.values: dict[bytes, dict[str, Any]] = {}
        self._prefixes = tuple(prefix.encode() for prefix in definition.prefixes)
        self._pending: dict[bytes, float] = {}
        self._index = tantivy.Index(self.schema)
        # Reloading by hand takes no time; by policy it waits for a watcher, 0.1 s.
        self._index.config_reader("manual", 0)
        for field in definition.fields:
            self._index.register_tokenizer(self.columns[field.name], analyzer(field, definition.language))
        self._writer = self._index.writer(_WRITER_BYTES, 1)

    def _schema(self) -> tantivy.Schema:
        builder = tantivy.SchemaBuilder()
        builder.add_text_field(_KEY, stored=True, tokenizer_name="raw")
        for field in self.definition.fields:
            column = self.columns[field.name]
            if field.type in ("TEXT", "KEYWORD"):
                builder.add_text_field(column, tokenizer_name=column)
            else:
                add = {
                    "F64": builder.add_float_field,
                    "U64": builder.add_unsigned_field,
                    "BOOL": builder.add_boolean_field,
                }.get(field.type, builder.add_integer_field)
                add(column, indexed=True, fast=True)
        return builder.build()

    def note(self, keys: Iterable[bytes], due: float) -> None:
        """Remember that these keys have changed, if they are the index's; an earlier due time stands."""
        for key in keys:
            if key.startswith(self._prefixes):
                self._pending.setdefault(key, due)

    def take_in(self, connection: Connection, now: float) -> None:
        """Index what is due by now."""
        due = [key for key, time in self._pending.items() if time <= now]
        if not due:
            return
        replies = connection.pipeline([("JSON.GET", key) for key in due])
        for key, reply in zip(due, replies, strict=True):
            del self._pending[key]
            self._writer.delete_documents_by_term(_KEY, key.hex())
            self.values.pop(key, None)
            # None: the key is gone. An error: it is no JSON.
            if reply is not None and not isinstance(reply, ReplyError):
                self._add(key, json.loads(reply))
        self._writer.commit()
        self._index.reload()

    def _add(self, key: bytes, document: Any) -> None:
        entry = tantivy.Document()
        entry.add_text(_KEY, key.hex())
        values = {field.name: field.value_in(document) for field in self.definition.fields}
        self.values[key] = {name: value for name, value in values.items() if value is not None}
        for field in self.definition.fields:
            if field.name not in self.values[key]:
                continue
            add = {
                "TEXT": entry.add_text,
                "KEYWORD": entry.add_text,
                "F64": entry.add_float,
                "U64": entry.add_unsigned,
                "BOOL": entry.add_boolean,
            }.get(field.type, entry.add_integer)
            add(self.columns[field.name], values[field.name])
        self._writer.add_document(entry)

    def search(self, query: Query) -> list[tuple[bytes, float]]:
        """Every match with its score, best first."""
        searcher = self._index.searcher()
        hits = searcher.search(query, limit=max(searcher.num_docs, 1), count=False).hits
        return [(bytes.fromhex(searcher.doc(address).get_first(_KEY)), score) for score, address in hits]
