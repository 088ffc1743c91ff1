from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from langchain_agentmem.errors import IndexMismatchError
from langchain_agentmem.longterm.redisearch.schema import IndexSettings, IndexState

JSON = IndexSettings("agentmem:idx", "agent:mem:", "json", "hnsw", "float32")
HASH = IndexSettings("i", "m:", "hash", "flat", "float16")


def test_the_index_is_created_without_stop_words_and_with_exact_tags() -> None:
    command = " ".join(map(str, JSON.create(384).args))
    assert command.startswith(
        "FT.CREATE agentmem:idx ON JSON PREFIX 1 agent:mem: LANGUAGE english STOPWORDS 0 SCHEMA "
    )
    for name in ("user", "namespace", "kind", "source_thread"):
        assert f"$.{name} AS {name} TAG SEPARATOR , CASESENSITIVE" in command
    for name in ("created_ts", "hit_count"):
        assert f"$.{name} AS {name} NUMERIC SORTABLE" in command
    for name in ("text", "context"):
        assert f"$.{name} AS {name} TEXT WEIGHT 1" in command
    assert "$.embedding AS embedding VECTOR HNSW" in command
    assert "TYPE FLOAT32 DIM 384 DISTANCE_METRIC COSINE" in command


def test_a_hash_index_has_no_paths() -> None:
    command = " ".join(map(str, HASH.create(8).args))
    assert "ON HASH PREFIX 1 m: LANGUAGE english STOPWORDS 0" in command
    assert "embedding VECTOR FLAT 8" in command
    assert "TYPE FLOAT16 DIM 8" in command
    assert "$" not in command


def field(name: str, kind: bytes, *rest: Any) -> list[Any]:
    return [b"identifier", f"$.{name}".encode(), b"attribute", name.encode(), b"type", kind, *rest]


def resp2(**changes: Any) -> list[Any]:
    """What a server answers to FT.INFO for `JSON` with 3 dimensions, over RESP2."""
    tags = [
        field(name, b"TAG", b"SEPARATOR", b",", b"CASESENSITIVE")
        for name in ("user", "namespace", "kind", "source_thread")
    ]
    numbers = [field(name, b"NUMERIC", b"SORTABLE", b"UNF") for name in ("created_ts", "hit_count")]
    texts = [field(name, b"TEXT", b"WEIGHT", b"1") for name in ("text", "context")]
    vector = field(
        *("embedding", b"VECTOR", b"algorithm", b"HNSW", b"data_type", b"FLOAT32", b"dim", 3),
        *(b"distance_metric", b"COSINE", b"M", 16),
    )
    info: dict[str, Any] = {
        "index_name": b"agentmem:idx",
        "index_definition": [b"key_type", b"JSON", b"prefixes", [b"agent:mem:"], b"default_score", b"1"],
        "attributes": [*texts, *tags, *numbers, vector],
        "num_docs": 4,
        "hash_indexing_failures": 1,
        "indexing": 0,
        "total_index_memory_sz_mb": b"0.5",
        "stopwords_list": [],
        **changes,
    }
    return [part for name, value in info.items() if value is not None for part in (name.encode(), value)]


def resp3() -> dict[bytes, Any]:
    reply = resp2()
    info = dict(zip(reply[::2], reply[1::2], strict=True))
    definition = info[b"index_definition"]
    info[b"index_definition"] = dict(zip(definition[::2], definition[1::2], strict=True))
    attributes = []
    for found in info[b"attributes"]:
        flags = [part for part in found if part in (b"CASESENSITIVE", b"SORTABLE", b"UNF")]
        rest = [part for part in found if part not in flags]
        attributes.append({**dict(zip(rest[::2], rest[1::2], strict=True)), b"flags": flags})
    info[b"attributes"] = attributes
    info[b"total_index_memory_sz_mb"] = 0.5
    return info


@pytest.mark.parametrize("reply", [resp2(), resp3()], ids=["resp2", "resp3"])
def test_both_protocols_say_the_same(reply: Any) -> None:
    state = IndexState.read(reply)
    assert state.schema == JSON.schema(3)
    assert (state.dimensions, state.documents, state.failures, state.indexing) == (3, 4, 1, False)
    state.check(JSON, 3)
    state.check(JSON, None)


def test_further_fields_on_the_server_are_fine() -> None:
    more = [b"identifier", b"$.x", b"attribute", b"x", b"type", b"TAG", b"SEPARATOR", b","]
    attributes = dict(zip(*[iter(resp2())] * 2, strict=True))[b"attributes"]
    IndexState.read(resp2(attributes=[*attributes, more])).check(JSON, 3)


@pytest.mark.parametrize(
    ("settings", "dimensions", "changes", "is_", "wanted"),
    [
        (JSON, 4, {}, "DIM 3", "DIM 4"),
        (
            replace(JSON, vector_type="float16"),
            None,
            {},
            "FLOAT32",
            "FLOAT16",
        ),
        (
            replace(JSON, storage="hash"),
            3,
            {},
            "is JSON",
            "wanted HASH",
        ),
        (replace(JSON, prefix="other:"), 3, {}, "agent:mem:", "other:"),
        (replace(JSON, language="dutch"), 3, {"stopwords_list": None}, "the server's own", "none"),
        (JSON, 3, {"stopwords_list": [b"the", b"tea"]}, "is tea the", "none"),
        (JSON, 3, {"attributes": []}, "missing", "TAG CASESENSITIVE"),
    ],
)
def test_another_shape_is_an_error_that_shows_both(
    settings: IndexSettings, dimensions: int | None, changes: dict[str, Any], is_: str, wanted: str
) -> None:
    with pytest.raises(IndexMismatchError) as raised:
        IndexState.read(resp2(**changes)).check(settings, dimensions)
    said = str(raised.value)
    assert is_ in said
    assert wanted in said
    assert ("rebuild_index()" if "stopwords_list" in changes else "drop_index()") in said
    assert "index_name" in said


def test_an_index_of_the_first_version_serves_without_contexts() -> None:
    attributes = dict(zip(*[iter(resp2())] * 2, strict=True))[b"attributes"]
    state = IndexState.read(resp2(attributes=[one for one in attributes if b"context" not in one]))
    assert "context" not in state.schema
    state.check(JSON, 3)


def test_a_language_without_stemming_on_the_server_has_none() -> None:
    command = " ".join(map(str, replace(JSON, language="klingon").create(3).args))
    assert "LANGUAGE" not in command
    assert "$.text AS text TEXT WEIGHT 1 NOSTEM" in command


@pytest.mark.parametrize(
    ("algorithm", "options"),
    [("flat", "DISTANCE_METRIC COSINE BLOCK_SIZE 256"), ("hnsw", "EF_CONSTRUCTION 200 EF_RUNTIME 100")],
)
def test_each_algorithm_is_created_with_options_of_its_own(algorithm: Any, options: str) -> None:
    command = " ".join(map(str, replace(JSON, algorithm=algorithm).create(8).args))
    assert f"VECTOR {algorithm.upper()} " in command
    assert options in command
    assert ("BLOCK_SIZE" in command, "EF_RUNTIME" in command) == (algorithm == "flat", algorithm == "hnsw")


@pytest.mark.parametrize("algorithm", ["FLAT", "HNSW", "SVS-VAMANA"])
def test_any_algorithm_serves_whatever_would_be_created(algorithm: str) -> None:
    *others, vector = dict(zip(*[iter(resp2())] * 2, strict=True))[b"attributes"]
    vector = [algorithm.encode() if part == b"HNSW" else part for part in vector]
    state = IndexState.read(resp2(attributes=[*others, vector]))
    assert state.schema["embedding"] == f"$.embedding VECTOR {algorithm} FLOAT32 COSINE DIM 3"
    for wanted in ("flat", "hnsw"):
        state.check(replace(JSON, algorithm=wanted), 3)


def test_of_another_length_neither_algorithm_serves() -> None:
    with pytest.raises(IndexMismatchError, match="DIM 3, wanted"):
        IndexState.read(resp2()).check(replace(JSON, algorithm="flat"), 4)


def without(*flags: bytes) -> list[Any]:
    attributes = dict(zip(*[iter(resp2())] * 2, strict=True))[b"attributes"]
    return [[part for part in attribute if part not in flags] for attribute in attributes]


@pytest.mark.parametrize(
    ("changes", "is_exact"),
    [
        ({}, True),
        ({"attributes": without(b"SORTABLE")}, True),
        ({"stopwords_list": None}, False),
        ({"stopwords_list": [b"the", b"will"]}, False),
        ({"attributes": without(b"CASESENSITIVE")}, False),
        ({"attributes": without(b"CASESENSITIVE", b"SORTABLE"), "stopwords_list": None}, False),
    ],
)
def test_an_index_of_another_program_serves_as_far_as_it_is_exact(
    changes: dict[str, Any], is_exact: bool
) -> None:
    state = IndexState.read(resp2(**changes))
    state.check(JSON, 3)
    assert state.is_exact is is_exact


@pytest.mark.parametrize(
    "rest",
    [
        (b"SEPARATOR", b",", b"SORTABLE"),
        (b"SEPARATOR", b",", b"NOINDEX"),
        (b"SEPARATOR", b"-"),
        (b"SEPARATOR", b"#"),
    ],
)
def test_tags_that_cannot_be_told_from_others_do_not_serve(rest: tuple[bytes, ...]) -> None:
    """Those that a search returns in lower case, that no search finds, and that are split where values are plain."""
    others = [one for one in without() if b"user" not in one]
    with pytest.raises(IndexMismatchError, match=r"user: is \$\.user TAG \w"):
        IndexState.read(resp2(attributes=[*others, field("user", b"TAG", *rest)])).check(JSON, 3)


def test_the_place_is_compared_alone() -> None:
    other = replace(JSON, algorithm="flat", vector_type="float16")
    IndexState.read(resp2(stopwords_list=None)).check_place(other)
    for change in ({"prefix": "other:"}, {"storage": "hash"}):
        with pytest.raises(IndexMismatchError, match=r"drop_index\(\)"):
            IndexState.read(resp2()).check_place(replace(JSON, **change))  # type: ignore[arg-type]
