"""JSON filters as queries of tantivy; the text in them is never parsed as a query language."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tantivy import FieldType, Occur, Query

from integration_tests.upstash.emulator.index import Index, analyzer
from integration_tests.upstash.emulator.resp import ReplyError
from integration_tests.upstash.emulator.schema import Field

# The documentation says only which is higher.
_HIGHEST_BOOST, _HIGH_BOOST, _MEDIUM_BOOST = 8.0, 4.0, 2.0
_SMART_SLOP = 2

_RANGE_TYPES = {
    "F64": FieldType.Float,
    "U64": FieldType.Unsigned,
    "I64": FieldType.Integer,
    "DATE": FieldType.Integer,
}


def parse_filter(index: Index, text: str) -> Query:
    """The query of a filter's JSON text.

    Raises:
        ReplyError: It is no such filter, or names what the schema does not have.
    """
    try:
        return _Filters(index).query(json.loads(text))
    except (UnicodeEncodeError, json.JSONDecodeError, RecursionError) as error:
        raise ReplyError(f"ERR Invalid JSON in query: {error}") from error


def _boosted(query: Query, boost: Any) -> Query:
    if isinstance(boost, bool) or not isinstance(boost, int | float):
        raise ReplyError("ERR $boost must be a number")
    return Query.boost_query(query, float(boost))


def _any_of(queries: list[Query]) -> Query:
    return Query.boolean_query([(Occur.Should, query) for query in queries])


def _but_not(queries: list[Query]) -> Query:
    """A boolean query of exclusions alone would match nothing."""
    return Query.boolean_query(
        [(Occur.Must, Query.all_query()), *((Occur.MustNot, query) for query in queries)]
    )


class _Filters:
    def __init__(self, index: Index) -> None:
        self._index = index
        self._schema = index.schema

    def query(self, node: Any) -> Query:
        if not isinstance(node, dict):
            raise ReplyError("ERR A filter must be a JSON object")
        must, should, must_not = [], [], []
        for name, value in node.items():
            if name == "$must":
                must += self._clauses(value)
            elif name == "$should":
                should += self._clauses(value)
            elif name == "$mustNot":
                must_not += self._clauses(value)
            elif name.startswith("$") and name != "$boost":
                raise ReplyError(f"ERR Unknown field operator: {name}")
            elif name != "$boost":
                must.append(self._field(self._index.definition.field(name), value))
        if not must and not should:
            query = _but_not(must_not) if must_not else Query.all_query()
        else:
            clauses = [(Occur.Must, clause) for clause in must]
            # Beside required clauses the others only raise the score.
            clauses += [(Occur.Should, clause) for clause in should]
            query = Query.boolean_query(clauses + [(Occur.MustNot, clause) for clause in must_not])
        return _boosted(query, node["$boost"]) if "$boost" in node else query

    def _clauses(self, value: Any) -> list[Query]:
        """The conditions in an object (each of its members) or a list of objects (each of them)."""
        if isinstance(value, dict):
            return [self.query({name: member}) for name, member in value.items()]
        if isinstance(value, list):
            return [self.query(member) for member in value]
        raise ReplyError("ERR A boolean operator takes an object or an array of objects")

    def _field(self, field: Field, condition: Any) -> Query:
        if not isinstance(condition, dict):
            return self._smart(field, condition)
        boost = condition.get("$boost", 1.0)
        operators = {name: value for name, value in condition.items() if name != "$boost"}
        if not operators:
            raise ReplyError(f"ERR No operator for field '{field.name}'")
        queries = [self._operator(field, name, value) for name, value in operators.items()]
        query = queries[0] if len(queries) == 1 else Query.boolean_query([(Occur.Must, q) for q in queries])
        return query if boost == 1.0 else _boosted(query, boost)

    def _operator(self, field: Field, name: str, value: Any) -> Query:
        if name in ("$gt", "$gte", "$lt", "$lte"):
            return self._range(field, name, value)
        operators: dict[str, Callable[[Field, Any], Query]] = {
            "$smart": self._smart,
            "$eq": self._equal,
            "$ne": lambda field, value: _but_not([self._equal(field, value)]),
            "$in": self._in,
            "$phrase": self._phrase,
        }
        if name not in operators:
            raise ReplyError(f"ERR Unknown field operator: {name}")
        return operators[name](field, value)

    def _value(self, field: Field, value: Any) -> Any:
        """The value as it would be indexed."""
        if field.type in ("U64", "I64") and isinstance(value, float) and value.is_integer():
            value = int(value)
        coerced = field.coerced(value)
        if coerced is None:
            raise ReplyError(
                f"ERR Invalid value for the {field.type} field '{field.name}': {json.dumps(value)}"
            )
        return coerced

    def _analyze(self, field: Field, text: str) -> list[str]:
        return list(analyzer(field, self._index.definition.language).analyze(text))

    def _equal(self, field: Field, value: Any) -> Query:
        value = self._value(field, value)
        if field.type == "TEXT":
            return self._exact_phrase(field, self._analyze(field, value))
        return Query.term_query(self._schema, self._index.columns[field.name], value)

    def _in(self, field: Field, values: Any) -> Query:
        if not isinstance(values, list):
            raise ReplyError("ERR $in takes an array")
        return _any_of([self._equal(field, value) for value in values])

    def _range(self, field: Field, name: str, value: Any) -> Query:
        column, bound = self._index.columns[field.name], self._value(field, value)
        if field.type == "KEYWORD":
            # The engine has no ranges of text: the terms there are, compared as bytes.
            compare = {"$gt": bytes.__gt__, "$gte": bytes.__ge__, "$lt": bytes.__lt__, "$lte": bytes.__le__}[
                name
            ]
            present = {values[field.name] for values in self._index.values.values() if field.name in values}
            terms = [term for term in present if compare(term.encode(), bound.encode())]
            return Query.term_set_query(self._schema, column, terms) if terms else Query.empty_query()
        if field.type not in _RANGE_TYPES:
            raise ReplyError(f"ERR {name} is not supported for the {field.type} field '{field.name}'")
        end = "lower" if name.startswith("$gt") else "upper"
        bounds = {f"{end}_bound": bound, f"include_{end}": name.endswith("e")}
        return Query.range_query(self._schema, column, _RANGE_TYPES[field.type], **bounds)

    def _phrase(self, field: Field, value: Any) -> Query:
        options = value if isinstance(value, dict) else {"value": value}
        slop = options.get("slop", 0)
        if field.type != "TEXT" or not isinstance(options.get("value"), str):
            raise ReplyError(f"ERR $phrase needs a string and a TEXT field, not '{field.name}'")
        if set(options) - {"value", "slop"} or not isinstance(slop, int):
            raise ReplyError("ERR not emulated: $phrase with other options than slop")
        return self._exact_phrase(field, self._analyze(field, options["value"]), slop)

    def _exact_phrase(self, field: Field, words: list[str], slop: int = 0) -> Query:
        column = self._index.columns[field.name]
        if not words:
            return Query.empty_query()
        if len(words) == 1:
            return Query.term_query(self._schema, column, words[0])
        return Query.phrase_query(self._schema, column, list(words), slop=slop)

    def _smart(self, field: Field, value: Any) -> Query:
        """A bare value: equality, or for text whatever comes near it."""
        if field.type != "TEXT":
            return self._equal(field, value)
        text = self._value(field, value)
        words = self._analyze(field, text)
        if not words:
            return Query.empty_query()
        if len(text) > 2 and text.startswith('"') and text.endswith('"'):
            return self._exact_phrase(field, words)
        column = self._index.columns[field.name]
        exact = [Query.term_query(self._schema, column, word) for word in words]
        fuzzy = [Query.fuzzy_term_query(self._schema, column, word, distance=1) for word in words]
        if len(words) == 1:
            prefix = Query.fuzzy_term_query(self._schema, column, words[0], distance=1, prefix=True)
            return _any_of([Query.boost_query(exact[0], _HIGH_BOOST), *fuzzy, prefix])
        return _any_of(
            [
                Query.boost_query(self._exact_phrase(field, words), _HIGHEST_BOOST),
                Query.boost_query(self._exact_phrase(field, words, _SMART_SLOP), _MEDIUM_BOOST),
                Query.boost_query(_any_of(exact), _MEDIUM_BOOST),
                *fuzzy,
            ]
        )
