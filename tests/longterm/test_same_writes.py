"""The write by digest driven by hand: what is sent, and what a server answers that no test server can be made to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import redis

from langchain_agentmem.core.operations import Command, Op
from langchain_agentmem.errors import InvalidInputError, StoreError
from langchain_agentmem.longterm.redisearch import write_calls
from langchain_agentmem.longterm.redisearch.memory import LongTermMemory
from langchain_agentmem.longterm.types import MemoryRecord
from tests.longterm.test_schema import resp2

CROSSSLOT = StoreError("The server answered: CROSSSLOT Keys in request don't hash to the same slot.")
LOOK: list[Any] = [resp2(), 0]
SCRIPTS = {
    script.digest: name
    for name, script in {
        "remember": write_calls._REMEMBER,
        "store": write_calls._STORE,
        "renew": write_calls._RENEW,
        "point": write_calls._POINT,
        "supersede": write_calls._SUPERSEDE,
        "release": write_calls._RELEASE,
    }.items()
}
STORED: list[Any] = [0, b"d", 0]
SEEN: list[Any] = [1, b"d", 0]
TAKEN: list[Any] = [3, b""]
RENEWED: list[Any] = [1, 0, -1, 0]


@pytest.fixture
def memory() -> LongTermMemory:
    memory = LongTermMemory(client=redis.Redis())  # of no other connection, so that it knows nothing
    memory.index.knowledge.exists = True
    memory.index.knowledge.dimensions = 3
    return memory


def names(batch: Sequence[Command]) -> str:
    return " ".join(SCRIPTS.get(str(command.args[1]), str(command.args[0])) for command in batch)


def played(op: Op[Any], *answers: list[Any]) -> tuple[list[str], Any, list[Command]]:
    """What an operation sends when a server gives these answers, by script; its result; its commands."""
    sent: list[str] = []
    commands: list[Command] = []
    batch = next(op)
    try:
        for answer in answers:
            sent.append(names(batch))  # type: ignore[arg-type]
            commands.extend(batch)  # type: ignore[arg-type]
            assert len(answer) == len(batch), sent  # type: ignore[arg-type]
            batch = op.send(answer)
    except StopIteration as stop:
        return sent, stop.value, commands
    raise AssertionError(f"it wants more after {sent}: {names(batch)}")  # type: ignore[arg-type]


def remember(memory: LongTermMemory, text: str = "I like tea", **about: Any) -> Op[Any]:
    return memory.remember_op(text, embedding=[1, 2, 3], user="alice", **about)


def digest(memory: LongTermMemory, text: str = "I like tea") -> str:
    return memory.drafting.draft(text, user="alice").id


def test_a_write_is_one_command_on_two_keys(memory: LongTermMemory) -> None:
    sent, result, (command,) = played(remember(memory), [STORED])
    assert sent == ["remember"]
    assert (result.id, result.deduped, result.replaced) == ("d", False, None)
    key = f"agent:mem:{digest(memory)}"
    assert command.keys == (key, f"agent:same:{{{key}}}")
    assert not command.read_only


def test_the_index_is_only_looked_at_once_and_not_waited_for(memory: LongTermMemory) -> None:
    memory.index.knowledge.exists = False
    backfilling = [resp2(indexing=1), 1]
    assert played(remember(memory), backfilling, [STORED])[0] == ["FT.INFO EXISTS", "remember"]
    assert played(remember(memory), [SEEN])[0] == ["remember"]
    assert not memory.index.knowledge.checked, "whoever searches waits"


def test_what_stands_under_another_id_is_renewed_there(memory: LongTermMemory) -> None:
    sent, result, commands = played(remember(memory), [[2, b"x"]], [RENEWED])
    assert sent == ["remember", "renew"]
    assert (result.id, result.deduped) == ("x", True)
    assert commands[1].keys == ("agent:mem:x",)
    assert digest(memory) in commands[1].args


def test_a_pointer_that_leads_in_vain_is_named_to_the_server(memory: LongTermMemory) -> None:
    sent, result, commands = played(remember(memory), [[2, b"x"]], [[0]], [STORED])
    assert sent == ["remember", "renew", "remember"]
    assert (result.id, result.deduped) == ("d", False)
    assert "x" in commands[2].args
    assert "x" not in commands[0].args


def test_where_another_memory_has_the_digest_as_its_id_a_fresh_one_is_taken(memory: LongTermMemory) -> None:
    sent, result, commands = played(remember(memory), [TAKEN], [[0, b"fresh", 0]])
    assert sent == ["remember", "remember"]
    assert (result.id, result.deduped) == ("fresh", False)
    assert len(commands[1].keys) == 3
    assert commands[1].keys[:2] == commands[0].keys


def test_where_scripts_keep_to_a_slot_the_fresh_memory_is_stored_and_then_pointed_to(
    memory: LongTermMemory,
) -> None:
    op = remember(memory)
    next(op)
    op.send([TAKEN])
    store, point = op.send([CROSSSLOT])
    assert names([store, point]) == "store point"
    fresh = str(store.keys[0]).removeprefix("agent:mem:")
    assert {len(command.keys) for command in (store, point)} == {1, 2}
    with pytest.raises(StopIteration) as stop:
        op.send([[0, b""], fresh.encode()])
    assert (stop.value.value.id, stop.value.value.deduped) == (fresh, False)
    assert not memory.index.knowledge.spans_slots, "the refusal is remembered"


def test_whoever_was_slower_takes_back_what_it_stored(memory: LongTermMemory) -> None:
    memory.index.knowledge.spans_slots = False
    sent, result, commands = played(
        remember(memory), [TAKEN], [[0, b""], b"winner"], [1], [[2, b"winner"]], [RENEWED]
    )
    assert sent == ["remember", "store point", "UNLINK", "remember", "renew"]
    assert commands[3].keys == commands[1].keys, "its own"
    assert (result.id, result.deduped) == ("winner", True)


def test_superseding_is_one_command_and_in_steps_where_scripts_keep_to_a_slot(
    memory: LongTermMemory,
) -> None:
    sent, result, commands = played(remember(memory, replaces="old"), [[0, b"d", 1]])
    assert (sent, result.replaced) == (["remember"], "old")
    assert commands[0].keys[-1] == "agent:mem:old"
    sent, result, _ = played(remember(memory, replaces="old"), [CROSSSLOT], [1], [STORED], [1])
    assert sent == ["remember", "supersede", "remember", "supersede"], "looks, stores, supersedes"
    assert result.replaced == "old"
    sent, result, _ = played(remember(memory, replaces="old"), [1], [STORED], [0])
    assert (sent, result.replaced) == (["supersede", "remember", "supersede"], None)
    sent, result, _ = played(remember(memory, replaces="d"), [1], [SEEN])
    assert (sent, result.replaced) == (["supersede", "remember"], None)


def test_in_steps_nothing_is_stored_if_what_is_replaced_is_of_another(memory: LongTermMemory) -> None:
    memory.index.knowledge.spans_slots = False
    with pytest.raises(InvalidInputError, match="replaces belongs"):
        played(remember(memory, replaces="old"), [StoreError("FOREIGN the memory")])


def test_a_chosen_id_is_stored_with_its_pointer_and_in_steps_where_scripts_keep_to_a_slot(
    memory: LongTermMemory,
) -> None:
    sent, result, commands = played(remember(memory, id="x"), [[0, b""], [0]])
    assert sent == ["store FT.SEARCH"]
    assert len(commands[0].keys) == 3
    sent, result, _ = played(remember(memory, id="x"), [CROSSSLOT, [0]], [[0, b""], b"x"])
    assert sent == ["store FT.SEARCH", "store point"]
    assert (result.id, result.deduped) == ("x", False)
    taken = StoreError("The server answered: TAKEN the id belongs to another.")
    op = remember(memory, id="x")
    next(op)
    (release,) = op.send([taken, b"x", [0]])
    assert names([release]) == "release"
    with pytest.raises(InvalidInputError, match="another user"):
        op.send([1])


def known(memory: LongTermMemory, id: str, text: str = "I like tea!", distance: float = 0.1) -> MemoryRecord:
    return MemoryRecord(id, text, "alice", "default", "episodic", distance=distance)


def test_a_known_memory_is_renewed_in_place_of_the_write(memory: LongTermMemory) -> None:
    recalled = [known(memory, "y", "I like wine"), known(memory, "x")]
    sent, result, commands = played(remember(memory, known=recalled), [b"x", RENEWED])
    assert sent == ["point renew"]
    assert (result.id, result.deduped) == ("x", True)
    assert commands[1].keys == ("agent:mem:x",)
    sent, _, _ = played(remember(memory, known=recalled), [b"", [1, 0, 500, 1]], [b"x"])
    assert sent == ["point renew", "point"], "it got its digest"
    sent, result, _ = played(remember(memory, known=recalled), [b"", [0]], [STORED])
    assert (sent, result.deduped) == (["point renew", "remember"], False)


def test_a_known_memory_under_its_digest_costs_what_an_unknown_one_costs(memory: LongTermMemory) -> None:
    recalled = [known(memory, digest(memory)), known(memory, "x")]
    assert played(remember(memory, known=recalled), [SEEN])[0] == ["remember"]


def test_the_nearest_of_the_known_that_says_something_else_is_told(memory: LongTermMemory) -> None:
    recalled = [
        known(memory, "a", "I like wine", 0.3),
        known(memory, digest(memory)),
        known(memory, "b", "No", 0.2),
    ]
    _, result, _ = played(remember(memory, known=recalled), [SEEN])
    assert result.near is not None
    assert (result.near.id, result.near.distance, result.existing_distance) == ("b", 0.2, 0.2)


def test_a_batch_is_one_round_trip_and_goes_on_for_those_that_need_it(memory: LongTermMemory) -> None:
    texts = ["a", "b", "c", "d"]
    (batch,) = memory.write_batches(
        texts, user="alice", embeddings=[[1, 2, 3]] * 4, ids=[None, "x", None, "x"]
    )
    sent, results, _ = played(memory.store_op(batch), [STORED, [2, b"y"], [0, b""], [0]], [RENEWED])
    assert sent == ["remember remember store FT.SEARCH", "renew"]
    assert [(one.id, one.deduped) for one in results] == [
        ("d", False),
        ("x", False),
        ("y", True),
        ("x", False),
    ]


def test_a_failure_of_one_does_not_keep_the_others_of_a_batch_from_being_stored(
    memory: LongTermMemory,
) -> None:
    (batch,) = memory.write_batches(["a", "b"], user="alice", embeddings=[[1, 2, 3]] * 2)
    with pytest.raises(StoreError, match="full"):
        played(memory.store_op(batch), [StoreError("full"), [2, b"y"]], [RENEWED])


def test_writers_that_change_a_pointer_for_ever_are_an_error(memory: LongTermMemory) -> None:
    answers = [answer for number in range(1000) for answer in ([[2, f"x{number}".encode()]], [[0]])]
    with pytest.raises(StoreError, match="keep changing"):
        played(remember(memory), *answers)
