"""Recall on Upstash: one search by words brings candidates, which are ranked here. No I/O of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, TypeAlias

from langchain_agentmem.core.operations import Argument, Command, Op
from langchain_agentmem.longterm.hits import Candidate, Hit
from langchain_agentmem.longterm.question import Question
from langchain_agentmem.longterm.ranking import rank
from langchain_agentmem.longterm.results import how_many, ranked, rerank
from langchain_agentmem.longterm.types import MemoryRecord, Search
from langchain_agentmem.longterm.upstash.document import records
from langchain_agentmem.longterm.upstash.queries import PAGE, UpstashStore, condition, rows_of
from langchain_agentmem.longterm.words import WORD, forms, related, stem

_CANDIDATES = 100
_SIZE = 1000  # of a scope; to count it gains nothing
_RELATED, _CONTEXT = 0.5, 0.5  # what words that state what is asked, and words around a memory, count there
_POINT = 0.01  # of the server's score, in cosine similarity: a shared word is worth about 10 there, .1 here
_ALIKE = 0.85  # two words of which one may be misspelt: a letter in six
_DAY_MS = 86_400_000
_Filter: TypeAlias = dict[str, Any]

_PHRASE = re.compile(r'\s*"(.+)"\s*', re.DOTALL)


def recall(store: UpstashStore, search: Search, query: str) -> Op[list[MemoryRecord]]:
    """Return the memories of a scope that answer a query best, best first. One round trip.

    Two more, once per connection, if the index holds no contexts.

    Args:
        store: Where they are.
        search: What to recall.
        query: What is asked. In double quotes it is a phrase.
    """
    question = Question(query, store.index.language)
    phrase = _PHRASE.fullmatch(query) is not None
    if not question.words and not phrase:
        return []
    any_of = [{"text": {"$smart": query.strip()}}] if phrase else _sharing_a_word(question)
    around = [] if phrase else _around(question)
    rows = yield from _candidates(store, search, any_of, around)
    found = {
        record.id: record
        for record in records(rows, store.prefix)
        if record in search.scope and record.superseded_by is None
    }
    if not question.words:
        hits = [Hit(key, None, 0.0) for key in found][: how_many(search)]
    else:
        hits = _ranked(store, search, question, found, gated=search.gated and not phrase)
        if not hits and (spelt := _spelt(query, question, found.values())) != query:
            hits = _ranked(store, search, Question(spelt, question.language), found, gated=search.gated)
    results = [replace(found[str(hit.key)], **ranked(hit, explain=search.explain)) for hit in hits]
    return (yield from rerank(search, query, results))


def _sharing_a_word(question: Question) -> list[_Filter]:
    """Return filters for the words of a question, misspelt ones too, and for what states what it asks."""
    words = question.words.values()
    others = [form for word in words for form in forms(word, question.language)[1:]]
    states = [said.removesuffix(" X") for word in words for said in related(word, question.language)]
    return [
        {"text": {"$smart": " ".join(words)}},
        *({"text": {"$eq": word}} for word in dict.fromkeys(others)),
        *({"text": {"$eq": said, "$boost": _RELATED}} for said in dict.fromkeys(states)),
    ]


def _around(question: Question) -> list[_Filter]:
    """Return filters for the words of a question in what was said before a memory."""
    words = [form for word in question.required for form in forms(word, question.language)]
    return [{"context": {"$eq": word, "$boost": _CONTEXT}} for word in dict.fromkeys(words)]


def _candidates(
    store: UpstashStore, search: Search, any_of: list[_Filter], around: list[_Filter]
) -> Op[list[Any]]:
    limit = min(PAGE, max(_CANDIDATES, how_many(search)))
    recency: tuple[Argument, ...] = ()
    if store.recency_per_day:
        # Upstash's documentation names two different defaults of SCOREMODE, so it is always sent.
        factor = f"{store.recency_per_day / _DAY_MS:.25f}"
        recency = ("SCOREFUNC", "SCOREMODE", "SUM", "FIELDVALUE", "createdAt", "FACTOR", factor)

    def query(filters: list[_Filter]) -> Command:
        filter = condition(search.scope, None, search.narrowed, filters)
        return store.query(filter, "LIMIT", limit, *recency)

    plain = query(any_of)
    if not (around and store.index.knowledge.contexts):
        return rows_of(store, plain)
    return rows_of(store, query([*any_of, *around]), without_contexts=plain)


def _ranked(
    store: UpstashStore, search: Search, question: Question, found: Mapping[str, MemoryRecord], *, gated: bool
) -> list[Hit]:
    return rank(
        question,
        [Candidate(key, one.text, one.context, None, one.created_ts) for key, one in found.items()],
        how_many(search),
        size=_SIZE,
        unread=0,
        gated=gated,
        recency_weight=search.recency_weight,
        recency_per_day=store.recency_per_day * _POINT,
    )


def _spelt(query: str, question: Question, found: Iterable[MemoryRecord]) -> str:
    """Return a query with words that no memory has as those are spelt that they are alike."""
    there = {word for record in found for word in WORD.findall(record.text.lower())}
    stems = {stem(word, question.language) for word in there}
    for wanted, word in question.words.items():
        if wanted not in stems:
            near = [other for other in there if other[0] == word[0]]
            for other in get_close_matches(word, near, 1, _ALIKE):
                query = re.sub(rf"\b{word}\b", other, query, flags=re.IGNORECASE)
    return query
