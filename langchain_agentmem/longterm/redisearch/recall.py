"""Recall: the searches that bring candidates, in one round trip, and their ranking. No I/O of its own.

By `hybrid`, two searches: the nearest by vector, and the best by words.
Of a candidate as little is read as ranks it; the winners alone become records.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence
from operator import attrgetter
from typing import NamedTuple

from langchain_agentmem.core.operations import Argument, Command, Op
from langchain_agentmem.longterm.hits import Candidate
from langchain_agentmem.longterm.question import Question
from langchain_agentmem.longterm.ranking import NEAREST, WORDED, rank
from langchain_agentmem.longterm.redisearch import queries
from langchain_agentmem.longterm.redisearch.filters import condition
from langchain_agentmem.longterm.redisearch.found import candidates
from langchain_agentmem.longterm.redisearch.queries import Store, searched
from langchain_agentmem.longterm.results import (
    by_distance,
    how_many,
    how_many_near,
    ranked,
    rerank,
    unranked,
)
from langchain_agentmem.longterm.types import MemoryRecord, Search
from langchain_agentmem.longterm.words import forms

_MAX_REPEATS = 10


def recall(store: Store, search: Search, query: str, vector: bytes | None) -> Op[list[MemoryRecord]]:
    """Return the memories of a scope that answer a query best, best first. One round trip.

    A question about everything that is known is answered by the newest.

    More if candidates have expired, or a winner was written by another program or the first version.

    Args:
        store: Where they are.
        search: What to recall.
        query: What is asked; empty if only its vector is known.
        vector: Its vector, of length one, in the index's number format; `None` to search by words alone.
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
        found = yield from _candidates(store, search, question, vector, more=2 * len(refused))
        rows: dict[Hashable, Candidate] = {row.key: row for row in found.rows if row.key not in refused}
        hits = rank(
            question,
            [*rows.values()],
            how_many(search),
            size=found.size,
            unread=found.unread,
            gated=search.gated and vector is not None,
            distance_threshold=None if threshold is None else threshold + store.tolerance,
            recency_weight=search.recency_weight,
            now=time.time(),
        )
        best = [(rows.pop(hit.key), ranked(hit, explain=search.explain)) for hit in hits]
        records = yield from queries.recorded(store, search.scope, best)
        if None not in records.values():
            break
        # Others may be no memories either. All that are make room for as many more candidates.
        records |= yield from queries.recorded(store, search.scope, [(row, {}) for row in rows.values()])
        refused.update(key for key, record in records.items() if record is None)
    results = [record for hit in hits if (record := records[hit.key]) is not None]
    return (yield from rerank(search, query, results))


def nearest(store: Store, search: Search, query: str, vector: bytes) -> Op[list[MemoryRecord]]:
    """Return the k nearest memories of a scope, nearest first, except those beyond the threshold.

    One round trip; more if some of the nearest have expired or cannot be read, or if another program or the
    first version wrote them.

    Args:
        store: Where they are.
        search: What to recall.
        query: What the reranker, if there is one, is asked.
        vector: The vector they are near to, of length one, in the index's number format.
    """
    where = search.condition or condition(search.scope)
    most = (2.0 if search.distance_threshold is None else search.distance_threshold) + store.tolerance
    count = asked = how_many_near(search)
    for _ in range(_MAX_REPEATS):
        ((_, found),) = yield from searched(store, [store.nearest(where, vector, asked)], search.scope)
        alive = {key: fields for key, fields in found.items() if fields is not None}
        now = time.time()
        near = [
            (one, by_distance(one, one.similarity, search, now))
            for one in candidates(alive, store.storage)
            if one.similarity is not None and 1 - one.similarity <= most
        ]
        records = yield from queries.recorded(store, search.scope, near)
        results = [record for record in records.values() if record is not None]
        lost = len(found) - len(alive) + len(near) - len(results)
        if not lost or len(results) >= count or len(found) < asked or len(near) < len(alive):
            break  # else what is left out made no room for others
        asked = count + 2 * lost
    results = sorted(results[:count], key=attrgetter("score"), reverse=True)[: how_many(search)]
    return (yield from rerank(search, query, results))


class _Candidates(NamedTuple):
    """Holds the candidates that searches have brought.

    Attributes:
        rows: The candidates, each once.
        size: How many memories the scope has.
        unread: How many memories the search by words has matched, and not returned.
    """

    rows: list[Candidate]
    size: int
    unread: int


def _candidates(
    store: Store, search: Search, question: Question, vector: bytes | None, *, more: int
) -> Op[_Candidates]:
    """Search by vector and by words. One round trip; more if candidates have expired.

    How many memories the scope has is asked beside if it was not within the last minute; and always if they
    were few and are searched by words alone, because nothing else tells how many they have become.

    Args:
        store: Where they are.
        search: What to recall.
        question: What is asked.
        vector: Its vector; `None` to search by words alone.
        more: How many candidates more than usual each search returns.
    """
    where = search.condition or condition(search.scope)
    worded = max(WORDED, search.k) + more
    nearest = max(NEAREST, search.k) + more
    known = store.knowledge.sizes.get(where)
    if vector is None and known is not None and known < NEAREST:
        known = None  # within a minute few can become many times as many
    searches = [] if known is not None else [store.count(where)]
    if question.words:
        searches.append(_by_words(store, where, question, worded, contexts=store.knowledge.contexts))
    if vector is not None:
        searches.append(store.nearest(where, vector, nearest))
    replies = yield from searched(store, searches, search.scope)
    size = replies.pop(0)[0] if known is None else known
    if known is None:
        store.knowledge.sizes.note(where, size)
    matched = replies[0][0] if question.words else 0
    if vector is not None:
        near = replies[-1][0]  # all there are, if fewer than were asked for
        size = near if near < nearest else max(near, size)
    # Those found by vector come last, because they have a distance.
    rows = {key: fields for _, part in replies for key, fields in part.items() if fields is not None}
    return _Candidates(candidates(rows, store.storage), size, max(0, matched - worded))


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
    return store.worded(scoped, parameters, k)


def _as_written(word: str, language: str) -> list[str]:
    """Return what to search for to find a word: the server leaves capitals beyond ASCII as they are."""
    spelled = forms(word, language)
    return [*spelled, *(form.capitalize() for form in spelled if not form[0].isascii())]
