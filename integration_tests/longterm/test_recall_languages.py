"""Words are found in any language: with the stems of one that is set, and as they are written in others."""

from __future__ import annotations

from typing import Any

import pytest

from integration_tests.conftest import Both
from integration_tests.longterm.conftest import Make
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory
from langchain_agentmem.errors import IndexMismatchError


@pytest.mark.parametrize("storage", ["json", "hash"])
@pytest.mark.parametrize(
    ("language", "text", "queries"),
    [
        ("german", "Die alten Häuser stehen am Fluss", ["Wo ist das Haus?", "Häuser", "Flüsse", "alte"]),
        ("german", "Das Haus ist in der großen Straße", ["HÄUSER", "Straßen", "Strasse", "groß"]),
        ("german", "Österreich ist schön, Äpfel gibt es auch", ["Wo ist Österreich?", "äpfel"]),
        ("spanish", "Mi canción favorita habla de árboles", ["canciones", "¿Qué canción?", "árbol"]),
        ("french", "Élodie a deux chevaux", ["cheval", "Où est Élodie ?", "élodie"]),
        ("russian", "Москва и книги", ["книга", "Где Москва?", "москва"]),
        ("turkish", "Kitaplar evde", ["kitap", "ev"]),
        ("english", "Zoë bought two houses in São Paulo", ["Who buys a house?", "Zoë", "são"]),
    ],
)
async def test_forms_of_a_word_find_each_other(
    make: Make, both: Both, storage: Any, language: str, text: str, queries: list[str]
) -> None:
    memory = make(storage=storage, language=language)
    await both(memory).aremember(text, user="alice")
    await both(memory).aremember("xyz", user="alice", context=text)
    for query in queries:
        (found, *around) = await both(memory).arecall(query, user="alice", mode="text")
        assert found.text == text, query
        assert found.matched_words, query
        assert [one.text for one in around] == ["xyz"], query
        (best, *_) = await both(memory).arecall(query, user="alice", distance_threshold=None)
        assert (best.text, best.matched_words) == (text, found.matched_words), query


async def test_words_that_mean_nothing_are_those_of_the_language(make: Make, both: Both) -> None:
    german = make(language="german", index_name="g", key_prefix="g:")
    await both(german).aremember("Wir haben die Katze bei uns", user="alice")
    assert await both(german).arecall("Was haben wir bei uns?", user="alice", mode="text") == []
    english = make(index_name="e", key_prefix="e:")
    await both(english).aremember("Wir haben die Katze bei uns", user="alice")
    (found,) = await both(english).arecall("Was haben wir bei uns?", user="alice", mode="text")
    assert found.matched_words == ["haben", "wir", "bei", "uns"]


@pytest.mark.parametrize("language", ["klingon", "czech", "esperanto"])
async def test_one_that_the_server_does_not_stem_is_searched_as_it_is_written(
    make: Make, both: Both, language: str
) -> None:
    memory = make(language=language)
    await both(memory).aremember("qapla running jagh", user="alice")
    assert len(await both(memory).arecall("QAPLA jagh", user="alice", mode="text")) == 1
    assert await both(memory).arecall("runs", user="alice", mode="text") == []
    (found,) = await both(memory).arecall("qapla jagh", user="alice")
    assert set(found.matched_words) == {"qapla", "jagh"}


async def test_an_index_of_another_language_is_an_error_until_it_is_rebuilt(make: Make, both: Both) -> None:
    await both(make()).aremember("Die Häuser sind alt", user="alice")
    german = make(language="german")
    with pytest.raises(IndexMismatchError, match=r"language: is english, wanted german[\s\S]*rebuild_index"):
        await both(german).arecall("Haus", user="alice", mode="text")
    await both(german).arebuild_index()
    assert len(await both(german).arecall("Haus", user="alice", mode="text")) == 1


def test_the_environment_sets_language_and_rule_of_duplicates(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTMEM_LANGUAGE", "german")
    monkeypatch.setenv("AGENTMEM_DEDUP", "exact")
    with AgentMemory(url, embeddings=WordEmbeddings()) as memory:
        memory.long_term.remember("Die Häuser sind alt", user="alice")
        assert memory.long_term.recall("Haus", user="alice", mode="text")
        assert not memory.long_term.remember("Die Häuser sind alt!", user="alice").deduped
        assert memory.long_term.remember("Die Häuser sind alt", user="alice").deduped
    with AgentMemory("https://example.invalid", token="t") as upstash:
        config = upstash.long_term.config
        assert (config.language, config.dedup) == ("german", "exact")
