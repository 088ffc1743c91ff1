"""Operations driven by hand: what is sent when a server answers what no test server can be made to."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from langchain_agentmem.core.operations import Command, Op
from langchain_agentmem.errors import (
    EmbeddingError,
    IndexMismatchError,
    IndexMissingError,
    StoreError,
    StoreTimeoutError,
)
from langchain_agentmem.longterm.redisearch.memory import LongTermMemory
from langchain_agentmem.longterm.redisearch.rebuild import rebuild
from langchain_agentmem.longterm.types import RememberResult
from tests.longterm.test_schema import resp2

MISSING = IndexMissingError("no such index")
FREE: list[Any] = [0, b"agent:mem:x", b"", 0]
STORED: list[Any] = [0, b""]  # in any case: it supersedes none, and was known by no digest
RENEWED: list[Any] = [1, 0, -1, 0]
LOOK: list[Any] = [resp2(), 0]  # the index, and that nobody is backfilling it


def operations(**changes: Any) -> LongTermMemory:
    # Of no other connection, so that it knows nothing.
    return LongTermMemory(client=redis.Redis(), **{"dedup": "near", **changes})


def played(op: Op[Any], *answers: list[Any]) -> tuple[list[str], Any]:
    """What an operation sends, by verb, when a server gives these answers; and its result."""
    sent: list[str] = []
    batch = next(op)
    try:
        for answer in answers:
            sent.append(" ".join(verb(command) for command in batch))
            assert len(answer) == len(batch), sent
            batch = op.send(answer)
    except StopIteration as stop:
        return sent, stop.value
    raise AssertionError(f"it wants more: {batch}")


def verb(command: Command) -> str:
    return str(command.args[0])


def remember(memory: LongTermMemory) -> Op[Any]:
    return memory.remember_op("tea", embedding=[1, 2, 3], user="alice")


def test_the_index_is_looked_at_once() -> None:
    memory = operations()
    assert played(remember(memory), LOOK, [FREE])[0] == ["FT.INFO EXISTS", "EVALSHA"]
    assert played(remember(memory), [FREE])[0] == ["EVALSHA"]


def test_a_missing_index_is_made_and_checked() -> None:
    sent, _ = played(remember(operations()), [MISSING, 0], [b"OK", b"OK", resp2()], [1], [FREE])
    assert sent == ["FT.INFO EXISTS", "SET FT.CREATE FT.INFO", "DEL", "EVALSHA"]


def test_losing_the_race_to_make_the_index_is_fine() -> None:
    raced = StoreError("The server answered: Index already exists.")
    _, result = played(remember(operations()), [MISSING, 0], [b"OK", raced, resp2()], [1], [FREE])
    assert result.id == "x"


def test_an_index_that_is_being_backfilled_is_waited_for_after_a_second_look() -> None:
    sent, _ = played(
        remember(operations()),
        [resp2(indexing=1), 0],
        [b"OK", resp2(indexing=1)],
        [b"OK", None, resp2(indexing=1)],
        [b"OK", None, resp2()],
        [1],
        [FREE],
    )
    assert sent == ["FT.INFO EXISTS", "SET FT.INFO", *["SET BLPOP FT.INFO"] * 2, "DEL", "EVALSHA"]


def test_an_index_that_is_never_backfilled_is_an_error() -> None:
    op = remember(operations())
    with pytest.raises(StoreTimeoutError, match="being backfilled"):
        played(
            op,
            [resp2(indexing=1), 0],
            [b"OK", resp2(indexing=1)],
            *[[b"OK", None, resp2(indexing=1)]] * 2000,
        )


def test_what_is_refused_while_the_index_is_filled_is_repeated_when_it_is_full() -> None:
    memory = operations()
    played(remember(memory), LOOK, [FREE])
    backfilling = StoreError(
        "The server answered: BACKFILLING the search index does not hold every memory yet."
    )
    sent, _ = played(remember(memory), [backfilling], [resp2(), 1], [1], [FREE])
    assert sent == ["EVALSHA", "FT.INFO EXISTS", "DEL", "EVALSHA"]


def test_an_index_that_went_missing_is_made_again_and_the_operation_repeated() -> None:
    memory = operations()
    played(remember(memory), LOOK, [FREE])
    sent, _ = played(remember(memory), [MISSING], [MISSING, 0], [b"OK", b"OK", resp2()], [1], [FREE])
    assert sent == ["EVALSHA", "FT.INFO EXISTS", "SET FT.CREATE FT.INFO", "DEL", "EVALSHA"]


def test_a_batch_goes_on_where_the_index_went_missing() -> None:
    memory = operations()
    (batch,) = memory.write_batches(["a", "b", "c"], user="alice", embeddings=[[1, 2, 3]] * 3)
    op = memory.store_op(batch)
    sent, results = played(op, LOOK, [FREE, MISSING, MISSING], LOOK, [[1, b"agent:mem:y", b"0.1", 0], FREE])
    assert sent == ["FT.INFO EXISTS", "EVALSHA EVALSHA EVALSHA", "FT.INFO EXISTS", "EVALSHA EVALSHA"]
    assert [(result.id, result.deduped) for result in results] == [("x", False), ("y", True), ("x", False)]


def test_nothing_is_sent_after_an_index_with_another_schema() -> None:
    op = operations().remember_op("tea", embedding=[1, 2, 3, 4], user="alice")
    with pytest.raises(IndexMismatchError):
        played(op, LOOK)


def test_a_vector_of_another_length_than_the_known_index_is_refused() -> None:
    memory = operations()
    played(remember(memory), LOOK, [FREE])
    with pytest.raises(EmbeddingError, match=r"has 4 numbers.*takes 3"):
        memory.remember_op("tea", embedding=[1, 2, 3, 4], user="alice")
    with pytest.raises(EmbeddingError, match=r"has 2 numbers.*takes 3"):
        memory.recall_op("tea", embedding=[1, 2], user="alice")


@pytest.mark.parametrize(
    "refusal",
    [
        "Cannot perform `FT.SEARCH`: Cannot block",
        "ERR Error running script: Blocking module command called from Lua script",
        "This Redis command is not allowed from script script: 4f, on @user_script:1.",
        "ERR Script attempted to access a non local key in a cluster node",
    ],
)
def test_a_server_that_allows_no_search_in_a_script_gets_a_lock_instead(refusal: str) -> None:
    memory = operations()
    row = [1, b"agent:mem:old", [b"distance", b"0.1", b"text", b"tea"]]
    sent, result = played(remember(memory), LOOK, [StoreError(refusal)], [b"OK"], [0, row], [RENEWED], [1])
    assert sent == ["FT.INFO EXISTS", "EVALSHA", "SET", "EXISTS FT.SEARCH", "EVALSHA", "EVALSHA"]
    assert (result.id, result.deduped, result.existing_distance) == ("old", True, 0.1)
    sent, result = played(remember(memory), [b"OK"], [0, [0]], [STORED], [1])
    assert sent == ["SET", "EXISTS FT.SEARCH", "EVALSHA", "EVALSHA"], "the refusal is remembered"
    assert (result.deduped, result.existing_distance) == (False, None)


def locked() -> LongTermMemory:
    memory = operations()
    played(remember(memory), LOOK, [FREE])
    memory.index.knowledge.searches_in_scripts = False
    return memory


def test_a_taken_lock_is_waited_for() -> None:
    sent, _ = played(
        remember(locked()), [None], [None, None], [None, None], [None, b"OK"], [0, [0]], [STORED], [1]
    )
    assert sent == ["SET", *["BLPOP SET"] * 3, "EXISTS FT.SEARCH", "EVALSHA", "EVALSHA"]


def test_a_lock_that_is_never_free_is_an_error() -> None:
    op = remember(locked())
    with pytest.raises(StoreTimeoutError, match="locked"):
        played(op, [None], *[[None, None]] * 2000)


def test_a_lock_is_given_back_after_an_error() -> None:
    op = remember(locked())
    next(op)
    op.send([b"OK"])
    (release,) = op.send([0, StoreError("no")])
    assert str(release.args[3]).startswith("agentmem:idx:lock:")
    with pytest.raises(StoreError, match="no"):
        op.send([1])


def test_a_known_memory_that_vanishes_meanwhile_is_looked_for_again() -> None:
    row = [1, b"agent:mem:old", [b"distance", b"0.1"]]
    sent, result = played(remember(locked()), [b"OK"], [0, row], [[0]], [0, [0]], [STORED], [1])
    assert sent == ["SET", "EXISTS FT.SEARCH", "EVALSHA", "EXISTS FT.SEARCH", "EVALSHA", "EVALSHA"]
    assert not result.deduped


def test_a_lock_is_left_to_expire_when_the_connection_broke() -> None:
    op = remember(locked())
    (take,) = next(op)
    assert take.args[3:5] == ("NX", "PX")
    op.send([b"OK"])
    op.close()  # what a driver does then; an operation that still had something to send would raise


def with_ids(memory: LongTermMemory, *ids: str | None) -> Op[list[RememberResult]]:
    texts = [f"text {at}" for at in range(len(ids))]
    vectors = [[1, 2, 3]] * len(ids)
    (batch,) = memory.write_batches(texts, user="alice", embeddings=vectors, ids=ids, batch_size=9)
    return memory.store_op(batch)


def test_what_has_an_id_is_written_under_the_lock_that_others_look_under() -> None:
    """Else it could change what another writer has just found to be the same as its own."""
    sent, results = played(with_ids(locked(), "x"), [None], [None, b"OK"], [STORED, [0]], [1])
    assert sent == ["SET", "BLPOP SET", "EVALSHA FT.SEARCH", "EVALSHA"]
    assert len(results) == 1


def test_only_what_has_an_id_is_followed_by_a_look_at_the_index() -> None:
    assert played(with_ids(operations(), "x", None), LOOK, [STORED, FREE, [0]])[0][-1] == (
        "EVALSHA EVALSHA FT.SEARCH"
    )
    assert played(with_ids(operations(), None, None), LOOK, [FREE, FREE])[0][-1] == "EVALSHA EVALSHA"


def test_after_a_refused_look_only_what_looks_takes_the_lock() -> None:
    refusal = StoreError("Cannot block")
    sent, results = played(
        with_ids(operations(), "x", None, "y"),
        LOOK,
        [STORED, refusal, STORED, [0]],
        *([b"OK"], [0, [0]], [STORED], [1]),
    )
    assert sent[1:] == [
        "EVALSHA EVALSHA EVALSHA FT.SEARCH",
        *("SET", "EXISTS FT.SEARCH", "EVALSHA", "EVALSHA"),
    ]
    assert len(results) == 3


@pytest.mark.parametrize("refusal", [StoreError("BACKFILLING the index"), MISSING])
def test_what_was_stored_behind_a_refusal_is_not_stored_again(refusal: StoreError) -> None:
    """The index may become full, or be made by another, while the server goes through a batch."""
    known = [1, b"agent:mem:known", b"0.1", 0]
    sent, results = played(
        with_ids(operations(), None, None, None), LOOK, [FREE, refusal, known], LOOK, [FREE]
    )
    assert sent[1:] == ["EVALSHA EVALSHA EVALSHA", "FT.INFO EXISTS", "EVALSHA"]
    assert [result.id for result in results] == ["x", "x", "known"]
    assert [result.deduped for result in results] == [False, False, True]


@pytest.mark.parametrize("there", [True, False])
def test_an_index_is_said_to_be_filled_before_it_is_dropped_and_made(there: bool) -> None:
    memory = operations()
    scanned: list[Any] = [[b"0", []]]
    sent, rebuilt = played(
        rebuild([(memory.store, memory.index)], 3, memory.drafting.digest),
        [resp2(stopwords_list=None) if there else MISSING, 0],
        scanned,
        [b"OK", b"OK" if there else MISSING, b"OK"],
        *([resp2(indexing=1), 1], [b"OK", resp2()], [1], [resp2()]),
    )
    assert sent == [
        *("FT.INFO EXISTS", "SCAN", "SET FT.DROPINDEX FT.CREATE"),
        *("FT.INFO EXISTS", "SET FT.INFO", "DEL", "FT.INFO"),
    ]
    assert (rebuilt.documents, rebuilt.failures) == (4, 1)


def test_an_index_over_another_prefix_is_neither_dropped_nor_its_memories_touched() -> None:
    memory = operations(key_prefix="other:")
    with pytest.raises(IndexMismatchError, match="prefix"):
        played(rebuild([(memory.store, memory.index)], 3, memory.drafting.digest), LOOK, [])
