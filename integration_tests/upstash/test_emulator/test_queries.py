"""What queries of the emulator find, in which order, with which scores."""

from __future__ import annotations

import json
import math
from typing import Any

import httpx
import numpy as np
import pytest
from upstash_redis import Redis
from upstash_redis.errors import UpstashError

from integration_tests.upstash.emulator import Emulator
from integration_tests.upstash.test_emulator.memories import create, found, remember

ODD_STRINGS = [
    "plain",
    "Plain",
    'a "quoted" name',
    "a, b",
    "*",
    "žluťoučký 🐎",
    "two words",
    "OR",
    "x:y",
    "",
    " ",
    "back\\slash",
    "{}",
    "-1",
]


@pytest.mark.parametrize("text", ODD_STRINGS)
def test_keywords_are_found_exactly(client: Redis, memories: Any, text: str) -> None:
    for number, user in enumerate(ODD_STRINGS):
        remember(client, str(number), userId=user)
    memories.wait_indexing()
    expected = [str(ODD_STRINGS.index(text))]
    assert found(memories, filter={"userId": text}) == expected
    assert found(memories, filter={"userId": {"$eq": text}}) == expected
    assert found(memories, filter={"userId": {"$in": [text]}}) == expected
    assert len(found(memories, filter={"userId": {"$ne": text}}, limit=100)) == len(ODD_STRINGS) - 1


@pytest.fixture
def shop(client: Redis, memories: Any) -> Any:
    texts = {
        "phrase": "these are wireless headphones for you",
        "near": "a wireless bluetooth headphone",
        "apart": "headphones, the old kind, and far later in the very same text something wireless",
        "one": "wireless mouse",
        "typo": "some weireless thing",
        "other": "a cable",
    }
    for number, (key, text) in enumerate(texts.items()):
        remember(
            client,
            key,
            text=text,
            createdAt=number,
            plain=number,
            userId="even" if number % 2 == 0 else "odd",
        )
    memories.wait_indexing()
    return memories


def test_several_words_rank_the_phrase_before_near_before_scattered_before_some(shop: Any) -> None:
    hits = found(shop, filter={"text": "wireless headphones"})
    assert hits[:2] == ["phrase", "near"]
    assert hits.index("apart") < hits.index("typo")
    assert set(hits) == {"phrase", "near", "apart", "one", "typo"}


def test_one_word_ranks_exact_before_fuzzy_before_the_start_of_a_word(client: Redis, memories: Any) -> None:
    for key, text in {
        "exact": "tabletop",
        "typo": "tabeltop",
        "start": "tabeltopping",
        "no": "chair",
    }.items():
        remember(client, key, text=text)
    memories.wait_indexing()
    assert found(memories, filter={"text": "tabletop"}) == ["exact", "typo", "start"]


def test_quotes_ask_for_the_phrase_alone_and_words_are_stemmed(shop: Any) -> None:
    assert found(shop, filter={"text": '"wireless headphone"'}) == ["phrase"]
    assert found(shop, filter={"text": {"$phrase": "wireless headphones"}}) == ["phrase"]
    near = {"$phrase": {"value": "wireless headphones", "slop": 1}}
    assert sorted(found(shop, filter={"text": near})) == ["near", "phrase"]
    assert found(shop, filter={"text": {"$eq": "CABLES"}}) == ["other"]


@pytest.mark.parametrize("text", ["", "*", "?!", '"', '""', '"*"', "()", " "])
def test_a_text_without_words_finds_nothing(shop: Any, text: str) -> None:
    assert found(shop, filter={"text": text}) == []


@pytest.mark.parametrize(
    "text", ["cable AND nothing", "-cable", "text:cable", "(cable", 'cable"', "cable OR *", "cable~1"]
)
def test_text_is_no_query_language(shop: Any, text: str) -> None:
    assert found(shop, filter={"text": text})[0] == "other"


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ({}, "phrase near apart one typo other"),
        ({"userId": "even", "createdAt": {"$gte": 2}}, "apart typo"),
        ({"createdAt": {"$gt": 1, "$lt": 4}}, "apart one"),
        ({"createdAt": {"$lte": 0}}, "phrase"),
        ({"createdAt": 3}, "one"),
        ({"createdAt": {"$in": [1, 5]}}, "near other"),
        ({"userId": {"$gt": "even"}}, "near one other"),
        ({"userId": {"$lte": "even"}}, "phrase apart typo"),
        ({"$must": {"userId": "odd", "plain": {"$lt": 3}}}, "near"),
        ({"$must": [{"userId": "odd"}, {"plain": {"$lt": 3}}]}, "near"),
        ({"$should": [{"createdAt": 0}, {"createdAt": 5}]}, "phrase other"),
        ({"$mustNot": {"userId": "odd"}}, "phrase apart typo"),
        ({"$must": {"userId": "odd"}, "$mustNot": [{"createdAt": 5}, {"createdAt": 1}]}, "one"),
        ({"text": "cable", "userId": "even"}, ""),
    ],
    ids=json.dumps,
)
def test_filters_find(shop: Any, filter: dict[str, Any], expected: str) -> None:
    assert sorted(found(shop, filter=filter)) == sorted(expected.split())
    assert shop.count(filter=filter).count == len(expected.split())


def test_should_beside_must_and_boosts_only_change_the_order(shop: Any) -> None:
    preferred = {"$must": {"userId": "odd"}, "$should": {"createdAt": 3}}
    assert found(shop, filter=preferred)[0] == "one"
    assert len(found(shop, filter=preferred)) == 3
    pair = [{"createdAt": {"$eq": 0}}, {"createdAt": {"$eq": 5, "$boost": 9}}]
    assert found(shop, filter={"$should": pair}) == ["other", "phrase"]


@pytest.mark.parametrize(
    ("filter", "error"),
    [
        ('{"nosuch": 1}', "nosuch"),
        ('{"text": {"$near": "x"}}', "ERR Unknown field operator: $near"),
        ('{"$nor": []}', "ERR Unknown field operator: $nor"),
        ('{"createdAt": "soon"}', "createdAt"),
        ("{", "ERR Invalid JSON"),
        ("[]", "ERR"),
    ],
)
def test_a_wrong_filter_is_an_error(http: httpx.Client, memories: Any, filter: str, error: str) -> None:
    response = http.post("/", json=["SEARCH.QUERY", "memories", filter])
    assert response.status_code == 400
    assert error in response.json()["error"]


def test_pages_orders_and_selections(client: Redis, shop: Any) -> None:
    newest = {"order_by": {"createdAt": "DESC"}}
    assert found(shop, **newest, limit=2) == ["other", "typo"]
    assert found(shop, **newest, limit=2, offset=2) == ["one", "apart"]
    assert found(shop, order_by={"createdAt": "ASC"}, limit=1) == ["phrase"]
    (hit,) = shop.query(filter={"text": "cable"}, select={"text": True, "createdAt": True})
    assert hit.data == {"text": "a cable", "createdAt": "5"}
    (hit,) = shop.query(filter={"text": "cable"})
    assert hit.data == {"text": "a cable", "createdAt": 5, "plain": 5, "userId": "odd"}
    (hit,) = shop.query(filter={"text": "cable"}, select={})
    assert hit.data is None
    client.delete("memory:other")
    assert found(shop, **newest, limit=2, offset=1) == ["one", "apart"]


def test_ten_hits_are_the_default_and_a_thousand_the_most(
    http: httpx.Client, client: Redis, memories: Any
) -> None:
    for number in range(12):
        remember(client, str(number), text="x")
    memories.wait_indexing()
    assert len(found(memories)) == 10
    assert len(found(memories, limit=1000)) == 12
    for limit in (0, 1001):
        response = http.post("/", json=["SEARCH.QUERY", "memories", "{}", "LIMIT", limit])
        assert response.json() == {"error": "ERR limit should be a positive number less than 1000"}


def test_only_fast_fields_sort_and_score(shop: Any) -> None:
    with pytest.raises(UpstashError, match=r"plain.*FAST"):
        shop.query(order_by={"plain": "ASC"})
    with pytest.raises(UpstashError, match=r"plain.*FAST"):
        shop.query(score_func="plain")
    with pytest.raises(UpstashError, match="SCOREFUNC cannot be combined with ORDERBY"):
        shop.query(score_func="createdAt", order_by={"createdAt": "ASC"})


@pytest.mark.parametrize(
    ("modifier", "expected"),
    [
        ("NONE", 6.0),
        ("LOG", math.log10(6)),
        ("LOG1P", math.log10(7)),
        ("LOG2P", math.log10(8)),
        ("LN", math.log(6)),
        ("LN1P", math.log(7)),
        ("LN2P", math.log(8)),
        ("SQUARE", 36.0),
        ("SQRT", math.sqrt(6)),
        ("RECIPROCAL", 1 / 6),
    ],
)
def test_a_field_modifies_the_score(shop: Any, modifier: str, expected: float) -> None:
    function = {"field": "createdAt", "modifier": modifier, "factor": 2, "scoreMode": "REPLACE"}
    (hit,) = shop.query(filter={"createdAt": 3}, score_func=function)
    assert hit.score == pytest.approx(expected, rel=1e-6)


def test_scores_are_combined_and_have_32_bits(client: Redis, memories: Any) -> None:
    now = 1_763_700_000_123
    remember(client, "1", createdAt=now)
    remember(client, "2", text="no date")
    memories.wait_indexing()
    first, last = memories.query(score_func={"field": "createdAt", "scoreMode": "SUM", "missing": 7})
    assert np.float32(first.score) == np.float32(now)
    assert (first.score != now + 1, last.score) == (True, 8.0)
    twice = [{"field": "createdAt", "factor": 1e-12}, {"field": "createdAt", "factor": 1e-12}]
    for mode, expected in (("SUM", 2 * now * 1e-12), ("MULTIPLY", (now * 1e-12) ** 2)):
        function = {"fields": twice, "combineMode": mode, "scoreMode": "REPLACE"}
        assert memories.query(score_func=function)[0].score == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", ["U64", "I64", "BOOL", "DATE"])
def test_other_types_are_found_by_value(
    http: httpx.Client, emulator: Emulator, client: Redis, kind: str
) -> None:
    low, high, wrong = {
        "U64": (1, 2**63 + 1, -1),
        "I64": (-5, 2**40, 1.5),
        "BOOL": (False, True, 1),
        "DATE": ("2024-01-01T00:00:00Z", "2024-01-01T01:00:00.5+01:00", "someday"),
    }[kind]
    create(client, schema={"field": {"type": kind, "fast": True}})
    index = client.search.index("memories")
    for key, value in {"low": low, "high": high, "wrong": wrong}.items():
        remember(client, key, field=value)
    index.wait_indexing()
    assert found(index, filter={"field": low}) == ["low"]
    assert found(index, filter={"field": {"$eq": high}}) == ["high"]
    assert found(index, order_by={"field": "DESC"}) == ["high", "low", "wrong"]
    if kind != "BOOL":
        assert found(index, filter={"field": {"$gt": low}}) == ["high"]
