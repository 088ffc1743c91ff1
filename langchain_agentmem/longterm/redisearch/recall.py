"""Recall: the searches that bring candidates, in one round trip, and their ranking. No I/O of its own.

By `hybrid`, three searches: the nearest by vector, how many memories the scope has, and the best by words.
Of a candidate as little is read as ranks it; the winners alone become records.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence
from typing import NamedTuple

from langchain_agentmem.core.operations import Argument, Command, Op, ok
from langchain_agentmem.longterm.hits import Candidate
from langchain_agentmem.longterm.question import Question
from langchain_agentmem.longterm.ranking import NEAREST, WORDED, rank
from langchain_agentmem.longterm.redisearch import queries
from langchain_agentmem.longterm.redisearch.document import Found, decode, fields_of, id_of
from langchain_agentmem.longterm.redisearch.filters import condition
from langchain_agentmem.longterm.redisearch.queries import Store, read, searched
from langchain_agentmem.longterm.results import how_many, rerank, result, unranked
from langchain_agentmem.longterm.types import MemoryRecord, Search, UnreadableDocument, report_unreadable
from langchain_agentmem.longterm.words import forms

_MAX_REPEATS = 10


def recall(
    store: Store, search: Search, query: str, vector: bytes | None, *, contexts: bool
) -> Op[list[MemoryRecord]]:
    """Return the memories of a scope that answer a query best, best first. One round trip.

    A question about everything that is known is answered by the newest.

    More if candidates have expired, or a winner was written by another program or the first version.

    Args:
        store: Where they are.
        search: What to recall.
        query: What is asked; empty if only its vector is known.
        vector: Its vector, of length one, in the index's number format; `None` to search by words alone.
        contexts: Whether the index holds contexts.
    """
    question = Question(query, store.language)
    if search.mode == "hybrid" and question.is_about_everything:
        newest = yield from queries.newest(store, search)
        return (yield from rerank(search, query, [unranked(one, explain=search.explain) for one in newest]))
    if vector is None and not question.words:
        return []
    threshold = search.distance_threshold
    refused: set[Hashable] = set()
    for _ in range(_MAX_REPEATS):
        found = yield from _candidates(
            store, search, question, vector, contexts=contexts, more=2 * len(refused)
        )
        rows: dict[Hashable, Found] = {row.key: row for row in found.rows if row.key not in refused}
        hits = rank(
            question,
            [_candidate(row) for row in rows.values()],
            how_many(search),
            size=found.size,
            unread=found.unread,
            gated=search.gated and vector is not None,
            distance_threshold=None if threshold is None else threshold + store.tolerance,
            recency_weight=search.recency_weight,
            now=time.time(),
        )
        records = yield from _records(store, search, [rows.pop(hit.key) for hit in hits])
        if None not in records.values():
            break
        # Others may be no memories either. All that are make room for as many more candidates.
        records |= yield from _records(store, search, list(rows.values()))
        refused.update(key for key, record in records.items() if record is None)
    results = [
        result(record, hit, explain=search.explain)
        for hit in hits
        if (record := records[hit.key]) is not None
    ]
    return (yield from rerank(search, query, results))


class _Candidates(NamedTuple):
    """Holds the candidates that searches have brought.

    Attributes:
        rows: The candidates, each once.
        size: How many memories the scope has.
        unread: How many memories the search by words has matched, and not returned.
    """

    rows: list[Found]
    size: int
    unread: int


def _candidates(
    store: Store, search: Search, question: Question, vector: bytes | None, *, contexts: bool, more: int
) -> Op[_Candidates]:
    """Search by vector and by words. One round trip; more if candidates have expired.

    Args:
        store: Where they are.
        search: What to recall.
        question: What is asked.
        vector: Its vector; `None` to search by words alone.
        contexts: Whether the index holds contexts.
        more: How many candidates more than usual each search returns.
    """
    where = search.condition or condition(search.scope)
    worded = max(WORDED, search.k) + more
    searches = [store.count(where)]
    if question.words:
        searches.append(_by_words(store, where, question, worded, contexts=contexts))
    if vector is not None:
        searches.append(store.recalling(where, vector, max(NEAREST, search.k) + more))
    (size, _), *replies = yield from searched(store, searches, search.scope)
    matched = replies[0][0] if question.words else 0
    # Those found by vector come last, because they have a distance.
    rows = {key: fields for _, part in replies for key, fields in part if fields is not None}
    found = [Found.read(key, fields) for key, fields in rows.items()]
    return _Candidates(found, size, max(0, matched - worded))


def _by_words(store: Store, where: str, question: Question, k: int, *, contexts: bool) -> Command:
    """Return the search for memories that share a word of the question, or whose context does, best first.

    The words are parameters, so that none of them is parsed. Names are optional: else all that a person ever
    said would be a candidate.
    """
    parameters: list[Argument] = []

    def any_of(words: Sequence[str]) -> str:
        names = []
        for word in (written for one in words for written in _as_written(one, question.language)):
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


def _as_written(word: str, language: str) -> list[str]:
    """Return what to search for to find a word: the server leaves capitals beyond ASCII as they are."""
    spelled = forms(word, language)
    return [*spelled, *(form.capitalize() for form in spelled if not form[0].isascii())]


def _candidate(row: Found) -> Candidate:
    return Candidate(row.key, row.text, row.context, row.similarity, row.created_ts)


def _records(store: Store, search: Search, rows: Sequence[Found]) -> Op[dict[Hashable, MemoryRecord | None]]:
    """Return the records of rows by their keys, `None` for each that is none to recall.

    That is what is no memory, is of another scope, or is gone or superseded meanwhile. Nothing is sent,
    unless a document has not all the members that this version writes: it is read again, member by member.
    """
    members = {row.key: row.fields for row in rows}
    rest = [row for row in rows if members[row.key] is None]
    replies = (yield [read(store, row.key) for row in rest]) if rest else []
    again = {row.key: ok(reply) for row, reply in zip(rest, replies, strict=True)}
    records: dict[Hashable, MemoryRecord | None] = {}
    for row in rows:
        records[row.key] = None
        try:
            fields = members[row.key]
            fields = fields_of(again[row.key]) if fields is None else fields
            if not fields:
                continue  # gone meanwhile
            record = decode(id_of(row.key, store.keys.memory_prefix), fields)
            if record in search.scope and record.superseded_by is None:
                records[row.key] = record
        except UnreadableDocument as error:
            report_unreadable(row.key, error)
    return records
