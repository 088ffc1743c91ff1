"""Recall: the searches that bring candidates, in one round trip, and their ranking. No I/O of its own.

By `hybrid`, three searches: the nearest by vector, how many memories the scope has, and the best by words.
Of a candidate as little is read as ranks it; the winners alone become records.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence

from langchain_agentmem.core.operations import Argument, Command, Op, ok
from langchain_agentmem.longterm.hits import Candidate, Hit
from langchain_agentmem.longterm.question import Question
from langchain_agentmem.longterm.ranking import NEAREST, WORDED, rank
from langchain_agentmem.longterm.redisearch.document import Found, decode, fields_of, id_of
from langchain_agentmem.longterm.redisearch.filters import condition
from langchain_agentmem.longterm.redisearch.queries import Store, read, searched
from langchain_agentmem.longterm.results import how_many, rerank, result
from langchain_agentmem.longterm.types import MemoryRecord, Search, UnreadableDocument, report_unreadable
from langchain_agentmem.longterm.words import forms

_MAX_REPEATS = 10


def recall(
    store: Store, search: Search, query: str, vector: bytes | None, *, contexts: bool
) -> Op[list[MemoryRecord]]:
    """Return the memories of a scope that answer a query best, best first. One round trip.

    More if candidates have expired, or a winner was written by another program or the first version.

    Args:
        store: Where they are.
        search: What to recall.
        query: What is asked; empty if only its vector is known.
        vector: Its vector, of length one, in the index's number format; `None` to search by words alone.
        contexts: Whether the index holds contexts.
    """
    question = Question(query, store.language)
    where = search.condition or condition(search.scope)
    searches = [store.count(where)]
    if question.words:
        searches.append(_by_words(store, where, question, max(WORDED, search.k), contexts=contexts))
    if vector is not None:
        searches.append(store.recalling(where, vector, max(NEAREST, search.k)))
    if len(searches) == 1:
        return []
    (size, _), *replies = yield from searched(store, searches)
    matched = replies[0][0] if question.words else 0
    # Those found by vector come last, because they have a distance.
    rows = {key: fields for _, part in replies for key, fields in part if fields is not None}
    found: dict[Hashable, Found] = {key: Found.read(key, fields) for key, fields in rows.items()}
    for _ in range(_MAX_REPEATS):
        hits = rank(
            question,
            [_candidate(row) for row in found.values()],
            how_many(search),
            size=size,
            unread=max(0, matched - max(WORDED, search.k)),
            gated=search.gated and vector is not None,
            recency_weight=search.recency_weight,
            now=time.time(),
        )
        hits = [hit for hit in hits if _within(hit, search.distance_threshold, store.tolerance)]
        records = yield from _records(store, search, [found[hit.key] for hit in hits])
        if None not in records.values():
            break
        found = {key: row for key, row in found.items() if records.get(key, ...) is not None}
    results = [
        result(record, hit, explain=search.explain)
        for hit in hits
        if (record := records[hit.key]) is not None
    ]
    return (yield from rerank(search, query, results))


def _by_words(store: Store, where: str, question: Question, k: int, *, contexts: bool) -> Command:
    """Return the search for memories that share a word of the question, or whose context does, best first.

    The words are parameters, so that none of them is parsed. Names are optional: else all that a person ever
    said would be a candidate.
    """
    parameters: list[Argument] = []

    def any_of(words: Sequence[str]) -> str:
        names = []
        for word in (form for one in words for form in forms(one, question.language)):
            names.append(f"$w{len(parameters) // 2}")
            parameters.extend((names[-1][1:], word))
        return f"({'|'.join(names)})"

    required = any_of(question.required)
    query = f"@text:{required}"
    if contexts:
        query = f"(({query}) | ((@context:{required}) => {{ $weight: 0.5; }}))"
    optional = [word for word in question.words.values() if word not in question.required]
    if optional:
        query += f" ~@text:{any_of(optional)}"
    scoped = query if where == "*" else f"{where} {query}"
    return store.recalling_words(scoped, parameters, k)


def _candidate(row: Found) -> Candidate:
    return Candidate(row.key, row.text, row.context, row.similarity, row.created_ts)


def _within(hit: Hit, threshold: float | None, tolerance: float) -> bool:
    """Return whether a hit is within a distance; one that only its words found is not known to be."""
    if threshold is None:
        return True
    return hit.similarity is not None and 1 - hit.similarity <= threshold + tolerance


def _records(store: Store, search: Search, rows: Sequence[Found]) -> Op[dict[Hashable, MemoryRecord | None]]:
    """Return the records of rows by their keys, `None` for each that is no memory, or of another scope.

    Nothing is sent, unless a document has not all the members that this version writes: it is read again,
    member by member.
    """
    members = {row.key: row.fields for row in rows}
    rest = [row for row in rows if members[row.key] is None]
    replies = (yield [read(store, row.key) for row in rest]) if rest else []
    again = {row.key: ok(reply) for row, reply in zip(rest, replies, strict=True)}
    records: dict[Hashable, MemoryRecord | None] = {}
    for row in rows:
        try:
            fields = members[row.key]
            fields = fields_of(again[row.key]) if fields is None else fields
            record = decode(id_of(row.key, store.keys.memory_prefix), fields)
            records[row.key] = record if record in search.scope else None
        except UnreadableDocument as error:
            report_unreadable(row.key, error)
            records[row.key] = None
    return records
