"""Changes driven by hand: what is sent, and what a server answers that no test server can be made to."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from redis.crc import key_slot

from langchain_agentmem import Add, ChangeResult, Delete, Supersede, Update
from langchain_agentmem.core.embed import Embed
from langchain_agentmem.core.operations import Command, Op
from langchain_agentmem.errors import InvalidInputError, StoreError, StoreFullError
from langchain_agentmem.longterm.history import versions
from langchain_agentmem.longterm.redisearch import apply
from langchain_agentmem.longterm.redisearch.memory import LongTermMemory
from langchain_agentmem.longterm.types import MemoryRecord, Scope
from tests.longterm.test_same_writes import CROSSSLOT, SCRIPTS, STORED, memory, names

__all__ = ["memory"]  # the fixture

TEA, CAR = "I like tea", "I drive a car"
NEW: list[Any] = [b"new", b"d", 0]
NO_SEARCH = StoreError("The server answered: Blocking module command called from Lua script")


@pytest.fixture(autouse=True)
def _named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SCRIPTS, apply._APPLY.digest, "apply")


def applying(memory: LongTermMemory, *changes: Any, known: Any = ()) -> Op[Any]:
    return memory.apply_op(changes, user="alice", source_thread="t1", known=known)


def played(op: Op[Any], *answers: Any) -> tuple[list[str], Any, list[Command]]:
    """What an operation sends when a server gives these answers; its result; its commands."""
    sent: list[str] = []
    commands: list[Command] = []
    waiting = list(answers)
    try:
        step = next(op)
        while True:
            if isinstance(step, Embed):
                sent.append(f"embed {len(step.texts)}")
                step = op.send([[1.0, 2.0, 3.0]] * len(step.texts))
                continue
            sent.append(names(step))  # type: ignore[arg-type]
            commands.extend(step)  # type: ignore[arg-type]
            answer = waiting.pop(0)
            assert len(answer) == len(step), sent  # type: ignore[arg-type]
            step = op.send(answer)
    except StopIteration as stop:
        assert not waiting
        return sent, stop.value, commands


def digest(memory: LongTermMemory, text: str, kind: str = "semantic") -> str:
    return str(memory.drafting.digest(Scope("alice", "default", kind), text))


def keys(*ids: str) -> list[str]:
    return [f"agent:mem:{one}" for one in ids]


def test_all_changes_are_one_command_that_names_every_key(memory: LongTermMemory) -> None:
    tea, car = digest(memory, TEA), digest(memory, CAR)
    changes = [Add(TEA), Supersede("old", TEA), Update("x", CAR), Delete("y")]
    replies = [b"done", NEW, [b"known", b"d", 1], [b"updated", b"x", b""], [b"deleted", b"y"]]
    sent, results, (command,) = played(applying(memory, *changes), [replies])
    assert sent == ["embed 3", "apply"]
    assert results == [
        ChangeResult("stored", "d"),
        ChangeResult("merged", "d", "old"),
        ChangeResult("updated", "x"),
        ChangeResult("deleted", "y"),
    ]
    assert set(command.keys) >= {*keys("old", "x", "y", tea, car)}
    assert {f"agent:same:{{agent:mem:{one}}}" for one in (tea, car)} <= {*command.keys}
    assert len(command.keys) == len({*command.keys}) == 7 + 2, "and two fresh ids"
    assert not command.read_only


def test_with_a_hash_tag_in_the_prefix_all_keys_are_of_one_cluster_slot() -> None:
    memory = LongTermMemory(client=redis.Redis(), key_prefix="{agent}:mem:")
    memory.index.knowledge.exists = True
    memory.index.knowledge.dimensions = 3
    changes = [Add(TEA), Supersede("old", TEA), Update("x", CAR), Delete("y")]
    op = applying(memory, *changes)
    next(op)
    (command,) = op.send([[1.0, 2.0, 3.0]] * 3)  # type: ignore[misc]
    assert len({key_slot(str(key).encode()) for key in command.keys}) == 1


def test_only_deleting_embeds_nothing_and_needs_no_index(memory: LongTermMemory) -> None:
    memory.index.knowledge.exists = False
    sent, results, _ = played(applying(memory, Delete("y")), [[b"done", [b"refused", b"y", b"missing"]]])
    assert sent == ["apply"]
    assert results == [ChangeResult("refused", "y", reason="missing")]


def test_what_the_script_needs_is_passed_and_the_kind_taken_into_account(memory: LongTermMemory) -> None:
    need = [b"need", [b"old", b"profile"], [b"other"], [b"0" * 32]]
    done = [b"done", [b"new", b"d", 1], [b"deleted", b"y"]]
    sent, results, commands = played(applying(memory, Supersede("old", TEA), Delete("y")), [need], [done])
    assert sent == ["embed 1", "apply", "apply"]
    assert results[0].replaced == "old"
    first, second = commands
    assert keys(digest(memory, TEA))[0] in first.keys
    assert keys(digest(memory, TEA, "profile"))[0] in second.keys
    assert {*keys("other"), f"agent:same:{{agent:mem:{'0' * 32}}}"} <= {*second.keys} - {*first.keys}


def test_the_kinds_of_known_memories_are_not_asked_for(memory: LongTermMemory) -> None:
    known = MemoryRecord("x", "I like wine", "alice", "default", "profile")
    op = applying(memory, Update("x", TEA), known=[known])
    _, _, (command,) = played(op, [[b"done", [b"updated", b"x", b""]]])
    assert keys(digest(memory, TEA, "profile"))[0] in command.keys


def test_pointers_that_a_memory_cannot_note_are_deleted_afterwards(memory: LongTermMemory) -> None:
    lost = b"1" * 32 + b" " + b"2" * 32
    sent, _, _ = played(applying(memory, Update("x", TEA)), [[b"done", [b"updated", b"x", lost]]], [1, 1])
    assert sent == ["embed 1", "apply", "release release"]


def test_where_scripts_keep_to_a_slot_changes_are_steps_in_their_order(memory: LongTermMemory) -> None:
    missing = [None, -2]
    sent, results, _ = played(
        applying(memory, Add(TEA), Delete("y")),
        [CROSSSLOT],
        missing,
        [STORED],
        [0],
    )
    assert sent == ["embed 1", "apply", "JSON.GET TTL", "remember", "EVALSHA"]
    assert [one.outcome for one in results] == ["stored", "refused"]
    assert not memory.index.knowledge.spans_slots, "the refusal is remembered"
    sent, _, _ = played(applying(memory, Add(TEA)), [STORED])
    assert sent == ["embed 1", "remember"]


def test_where_no_script_may_search_what_is_near_is_looked_for_in_steps(memory: LongTermMemory) -> None:
    near = LongTermMemory(transport=memory.transport, dedup="near")
    near.index.share({})
    knowledge = near.index.knowledge
    knowledge.exists = knowledge.checked = True
    knowledge.dimensions = 3
    op = applying(near, Add(TEA))
    embed = next(op)
    assert isinstance(embed, Embed)
    op.send([[1.0, 2.0, 3.0]])
    (first,) = op.send([NO_SEARCH])  # type: ignore[misc]
    assert not knowledge.searches_in_scripts
    assert first.args[0] == "SET", "the lock of the scope"


def test_an_error_of_the_server_is_raised(memory: LongTermMemory) -> None:
    with pytest.raises(StoreFullError):
        played(applying(memory, Add(TEA)), [StoreFullError("full")])


def test_memories_that_change_for_ever_are_an_error(memory: LongTermMemory) -> None:
    answers = [[[b"need", [], [f"x{number}".encode()], []]] for number in range(1000)]
    with pytest.raises(StoreError, match="keep changing"):
        played(applying(memory, Add(TEA)), *answers)


def test_a_change_is_checked_when_the_operation_is_made(memory: LongTermMemory) -> None:
    with pytest.raises(InvalidInputError, match=r"changes\[0\]: text"):
        applying(memory, Add(""))
    with pytest.raises(InvalidInputError, match="str is no change"):
        applying(memory, "Add")


def test_versions_are_told_by_their_links() -> None:
    links = {"a": "b", "b": "c", "x": "c", "other": "one"}
    for one in "abcx":
        assert versions(one, links) == {"c": 0, "b": 1, "x": 1, "a": 2}
    assert versions("alone", links) == {"alone": 0}
    assert set(versions("a", {"a": "gone"})) == {"a", "gone"}
    assert set(versions("a", {"a": "b", "b": "a"})) == {"a", "b"}, "damaged links end"
