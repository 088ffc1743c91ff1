"""Changes of memories, all of them in one atomic step, with what became of each."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from integration_tests.conftest import Both, Counting, before_each_batch
from integration_tests.longterm.conftest import Make
from langchain_agentmem import Add, ChangeResult, Delete, Supersede, Update
from langchain_agentmem.core.operations import Batch
from langchain_agentmem.errors import InvalidInputError, StoreFullError, WrongKeyTypeError
from langchain_agentmem.longterm.redisearch.memory import LongTermMemory
from langchain_agentmem.longterm.types import MemoryRecord

LISBON, PORTO, ROME = "I live in Lisbon", "I live in Porto", "I live in Rome"
TEA, CAR, DOG = "green tea every morning", "red sports vehicle", "two dogs named Rex"
ANY: dict[str, Any] = {"mode": "vector", "distance_threshold": None}


@pytest.fixture(params=["json", "hash"])
def storage(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def memory(make_so: Make, storage: str) -> LongTermMemory:
    memory = make_so(storage=storage)
    memory.create_index()
    return memory


@pytest.fixture
def atomic(make: Make, storage: str) -> LongTermMemory:
    memory = make(storage=storage)
    memory.create_index()
    return memory


async def records(memory: LongTermMemory, both: Both, user: str = "alice") -> dict[str, MemoryRecord]:
    """Every memory of a user, also superseded ones, by its id."""
    found = await both(memory).alist_memories(user=user, include_superseded=True, namespace=None)
    return {one.id: one for one in found}


async def texts(memory: LongTermMemory, both: Both) -> set[str]:
    return {one.text for one in await both(memory).alist_memories(user="alice")}


async def test_each_change_is_made_and_said(memory: LongTermMemory, both: Both) -> None:
    tea, lisbon, car = [
        (await both(memory).aremember(text, user="alice", kind="semantic")).id for text in (TEA, LISBON, CAR)
    ]
    results = await both(memory).aapply(
        [
            Add(DOG, metadata={"a": 1}),
            Add(TEA),
            Supersede(lisbon, PORTO),
            Update(tea, "white coffee at noon"),
            Delete(car),
        ],
        user="alice",
        source_thread="t 1",
    )
    dog, merged, porto, updated, deleted = results
    assert (dog.outcome, dog.replaced, dog.reason) == ("stored", None, None)
    assert merged == ChangeResult("merged", tea)
    assert (porto.outcome, porto.replaced) == ("stored", lisbon)
    assert (updated, deleted) == (ChangeResult("updated", tea), ChangeResult("deleted", car))
    found = await records(memory, both)
    assert {one.text for one in found.values()} == {DOG, "white coffee at noon", LISBON, PORTO}
    assert (found[dog.id].metadata, found[dog.id].source_thread, found[dog.id].kind) == (
        {"a": 1},
        "t 1",
        "semantic",
    )
    assert (found[tea].hit_count, found[tea].updated_ts is not None) == (1, True)
    assert (found[lisbon].superseded_by, found[porto.id].superseded_by) == (porto.id, None)
    (recalled,) = await both(memory).arecall("white coffee at noon", user="alice", mode="vector")
    assert recalled.id == tea
    assert (await both(memory).aindex_info())["failures"] == 0


async def test_each_change_sees_those_before_it(memory: LongTermMemory, both: Both) -> None:
    tea = (await both(memory).aremember(TEA, user="alice", kind="semantic")).id
    results = await both(memory).aapply(
        [
            Add(DOG),
            Add(f"{DOG}."),  # said already
            Update(tea, CAR),
            Update(tea, ROME, if_text=CAR),
            Add(ROME),  # what the memory says now
            Supersede(tea, PORTO),
            Supersede(tea, LISBON),  # replaced already
            Add(TEA),  # as of now nothing says it
        ],
        user="alice",
    )
    assert [one.outcome for one in results] == [
        "stored",
        "merged",
        "updated",
        "updated",
        "merged",
        "stored",
        "stored",
        "stored",
    ]
    assert results[1].id == results[0].id
    assert results[4].id == tea
    assert [one.replaced for one in results[5:]] == [tea, None, None]
    found = await records(memory, both)
    assert (found[tea].text, found[tea].superseded_by, found[tea].hit_count) == (ROME, results[5].id, 1)
    assert found[results[0].id].hit_count == 1
    assert await texts(memory, both) == {DOG, PORTO, LISBON, TEA}
    assert await both(memory).aforget_user("alice") == 5


async def test_what_is_deleted_and_said_again_in_one_call_is_stored_anew(
    memory: LongTermMemory, bare: redis.Redis, both: Both
) -> None:
    old = await both(memory).aremember(TEA, user="alice", kind="semantic")
    await both(memory).aremember(TEA, user="alice", kind="semantic")
    deleted, stored = await both(memory).aapply([Delete(old.id), Add(TEA)], user="alice")
    assert (deleted.outcome, stored.outcome) == ("deleted", "stored")
    assert (await both(memory).aget(stored.id)).hit_count == 0
    stored, deleted = await both(memory).aapply([Add(DOG), Delete(stored.id)], user="alice")
    assert (stored.outcome, deleted.outcome) == ("stored", "deleted")
    assert await both(memory).aforget_user("alice") == 1
    assert bare.keys("agent:*") == []


async def test_what_cannot_be_changed_is_refused_and_the_rest_is_made(
    memory: LongTermMemory, bare: redis.Redis, both: Both
) -> None:
    about = {"kind": "semantic"}
    bobs = (await both(memory).aremember(LISBON, user="bob", **about)).id
    work = (await both(memory).aremember(LISBON, user="alice", namespace="work", **about)).id
    old = (await both(memory).aremember(PORTO, user="alice", **about)).id
    new = (await both(memory).aremember(ROME, user="alice", replaces=old, **about)).id
    before = {key: bare.dump(key) for key in bare.keys("agent:*")}
    changes = [
        *(change for one in (bobs, work) for change in (Update(one, TEA), Supersede(one, TEA), Delete(one))),
        Update("gone", TEA),
        Delete("gone"),
        Update(old, TEA),
        Update(new, TEA, if_text=PORTO),
    ]
    results = await both(memory).aapply(changes, user="alice")
    assert {one.outcome for one in results} == {"refused"}
    assert [one.id for one in results] == [change.id for change in changes]
    assert [one.reason for one in results] == [
        *["foreign"] * 6,
        "missing",
        "missing",
        "superseded",
        "text_changed",
    ]
    assert {key: bare.dump(key) for key in bare.keys("agent:*")} == before
    results = await both(memory).aapply([*changes, Add(DOG)], user="alice")
    assert [one.outcome for one in results] == ["refused"] * len(changes) + ["stored"]


async def test_what_supersedes_a_memory_that_is_gone_is_stored(memory: LongTermMemory, both: Both) -> None:
    (result,) = await both(memory).aapply([Supersede("gone", PORTO)], user="alice")
    assert (result.outcome, result.replaced) == ("stored", None)
    assert (await both(memory).aget(result.id)).kind == "semantic"


@pytest.mark.parametrize("kind", ["episodic", "semantic", "profile", "a kind, with blanks"])
async def test_what_supersedes_or_updates_a_memory_is_of_its_kind(
    memory: LongTermMemory, both: Both, kind: str
) -> None:
    lisbon, tea = [(await both(memory).aremember(text, user="alice", kind=kind)).id for text in (LISBON, TEA)]
    porto, _ = await both(memory).aapply([Supersede(lisbon, PORTO), Update(tea, CAR)], user="alice")
    found = await both(memory).aget(porto.id)
    assert (found.kind, found.ttl_seconds is None) == (kind, kind != "episodic")
    assert (await both(memory).aget(lisbon)).superseded_by == porto.id
    for text, one in ((PORTO, porto.id), (CAR, tea)):
        again = await both(memory).aremember(text, user="alice", kind=kind)
        assert (again.id, again.deduped) == (one, True)


async def test_an_added_memory_has_the_ttl_of_its_kind_or_its_own(memory: LongTermMemory, both: Both) -> None:
    results = await both(memory).aapply(
        [
            Add(TEA, kind="episodic"),
            Add(CAR),
            Add(DOG, ttl_seconds=100),
            Add(ROME, "episodic", ttl_seconds=None),
        ],
        user="alice",
    )
    ttls = [(await both(memory).aget(one.id)).ttl_seconds for one in results]
    assert ttls[0] > 600_000
    assert (ttls[1], ttls[3]) == (None, None)
    assert 90 < ttls[2] <= 100


async def test_changes_made_again_end_as_they_did(memory: LongTermMemory, both: Both) -> None:
    lisbon, tea, car = [
        (await both(memory).aremember(text, user="alice", kind="semantic")).id for text in (LISBON, TEA, CAR)
    ]
    changes = [Supersede(lisbon, PORTO), Update(tea, ROME, if_text=TEA), Delete(car), Add(DOG)]
    first = await both(memory).aapply(changes, user="alice")
    second = await both(memory).aapply(changes, user="alice")
    assert [one.outcome for one in second] == ["merged", "updated", "refused", "merged"]
    assert [one.id for one in second] == [one.id for one in first]
    assert second[0].replaced == lisbon
    assert second[2].reason == "missing"
    assert await texts(memory, both) == {PORTO, ROME, DOG}


async def test_what_was_updated_is_found_by_what_it_says_and_no_pointer_stays(
    memory: LongTermMemory, bare: redis.Redis, both: Both, way: str
) -> None:
    tea = (await both(memory).aremember(TEA, user="alice", kind="semantic", ttl_seconds=500)).id
    await both(memory).aapply([Update(tea, CAR)], user="alice")
    pointers = list(bare.keys("agent:same:*"))
    if way in ("same", "steps"):
        (pointer,) = pointers
        assert 490 < bare.ttl(pointer) <= 500
    (merged,) = await both(memory).aapply([Add(CAR)], user="alice")
    assert merged == ChangeResult("merged", tea)
    (stored,) = await both(memory).aapply([Add(TEA)], user="alice")
    assert (stored.outcome, stored.id != tea) == ("stored", True)
    await both(memory).aapply([Delete(tea), Delete(stored.id)], user="alice")
    assert bare.keys("agent:*") == []


async def test_many_updates_leave_nothing_behind(
    memory: LongTermMemory, bare: redis.Redis, both: Both
) -> None:
    old = (await both(memory).aremember("fact", user="alice", kind="semantic")).id
    for start in (0, 13):
        changes = [Update(old, f"fact {number}") for number in range(start, start + 13)]
        assert {one.outcome for one in await both(memory).aapply(changes, user="alice")} == {"updated"}
    assert len(bare.keys("agent:same:*")) <= 17
    (merged,) = await both(memory).aapply([Add("fact 25")], user="alice")
    assert merged.id == old
    await both(memory).aapply([Delete(old)], user="alice")
    assert bare.keys("agent:*") == []


async def test_what_is_said_again_after_it_was_superseded_is_stored_again(
    memory: LongTermMemory, both: Both
) -> None:
    old = (await both(memory).aremember(LISBON, user="alice", kind="semantic")).id
    (porto,) = await both(memory).aapply([Supersede(old, PORTO)], user="alice")
    (back,) = await both(memory).aapply([Supersede(porto.id, LISBON)], user="alice")
    assert (back.outcome, back.replaced, back.id not in (old, porto.id)) == ("stored", porto.id, True)
    (again,) = await both(memory).aapply([Add(LISBON)], user="alice")
    assert again == ChangeResult("merged", back.id)
    assert await texts(memory, both) == {LISBON}
    assert (await both(memory).aget(back.id)).id == back.id
    assert await both(memory).aforget_user("alice") == 3


@pytest.mark.parametrize("rule", [None, "exact"])
async def test_duplicates_are_what_the_setting_says(make: Make, both: Both, rule: Any) -> None:
    memory = make(dedup=rule)
    results = await both(memory).aapply([Add(TEA), Add(TEA), Add(f"{TEA}.")], user="alice")
    assert [one.outcome for one in results] == [
        "stored",
        "merged" if rule == "exact" else "stored",
        "stored",
    ]
    assert len(await both(memory).alist_memories(user="alice")) == (2 if rule == "exact" else 3)


async def test_no_changes_send_nothing(memory: LongTermMemory, counting: Counting, both: Both) -> None:
    before = counting.round_trips
    assert await both(memory).aapply([], user="alice") == []
    assert counting.round_trips == before


def test_one_round_trip_and_one_embedding_and_one_more_for_what_is_not_known(
    atomic: LongTermMemory, counting: Counting
) -> None:
    embedded: list[int] = []
    embed = atomic.embeddings.embed_documents

    def counted(texts: list[str]) -> list[list[float]]:
        embedded.append(len(texts))
        return embed(texts)

    atomic.embeddings.embed_documents = counted  # type: ignore[method-assign]
    lisbon = atomic.remember(LISBON, user="alice", kind="semantic").id
    car = atomic.remember(CAR, user="alice", kind="semantic").id
    rome = atomic.remember(ROME, user="alice").id

    def cost(*changes: Any, known: Any = ()) -> int:
        before = counting.round_trips
        op = atomic.apply_op(changes, user="alice", known=known)
        assert {one.outcome for one in atomic.transport.run(op)} <= {"stored", "merged", "updated", "deleted"}
        return counting.round_trips - before

    embedded.clear()
    assert cost(Add(TEA), Supersede(lisbon, PORTO), Update(car, DOG)) == 1
    assert embedded == [3]
    assert cost(Add(DOG)) == 2, "it says so under another id"
    assert cost(Delete(car)) == 2, "its pointer goes with it"
    assert cost(Supersede(rome, CAR)) == 2, "it is episodic"
    paris = atomic.remember("I live in Paris", user="alice").id
    (known,) = atomic.recall("Paris", user="alice", k=1, **ANY)
    assert known.id == paris
    assert cost(Update(paris, "I live in Nice"), known=[known]) == 1


def test_all_of_it_is_one_command(make: Make, storage: str) -> None:
    for rule in ("same", "near"):
        memory = make(storage=storage, dedup=rule, key_prefix=f"{rule}:", index_name=rule)
        memory.create_index()
        old = memory.remember(LISBON, user="alice", kind="semantic").id
        batches: list[Batch] = []
        op = memory.apply_op([Add(TEA), Supersede(old, CAR), Update(old, PORTO), Delete(old)], user="alice")
        memory.transport.run(before_each_batch(op, batches.append))
        assert [len(batch) for batch in batches] == [1]


def test_on_a_full_server_all_is_written_or_nothing(atomic: LongTermMemory, bare: redis.Redis) -> None:
    lisbon, tea, car = [
        atomic.remember(text, user="alice", kind="semantic").id for text in (LISBON, TEA, CAR)
    ]
    before = {key: bare.dump(key) for key in bare.keys("agent:*")}
    rest = [Supersede(lisbon, PORTO), Add(ROME)]
    bare.config_set("maxmemory", 1)
    try:
        for first in (Add(DOG), Update(tea, DOG), Supersede(lisbon, DOG)):
            with pytest.raises(StoreFullError):
                atomic.apply([first, *rest, Delete(car)], user="alice")
            assert {key: bare.dump(key) for key in bare.keys("agent:*")} == before
        deleted, *stored = atomic.apply([Delete(car), *rest], user="alice")  # makes room first
    finally:
        bare.config_set("maxmemory", 0)
    assert (deleted.outcome, [one.outcome for one in stored]) == ("deleted", ["stored", "stored"])
    assert {one.text for one in atomic.list_memories(user="alice")} == {TEA, PORTO, ROME}


@pytest.mark.parametrize("at", ["memory", "digest", "pointer"])
def test_a_key_that_holds_something_else_is_an_error_before_anything_is_written(
    atomic: LongTermMemory, bare: redis.Redis, at: str
) -> None:
    digest = atomic.drafting.draft(CAR, user="alice", kind="semantic").id
    keys = {
        "memory": "agent:mem:odd",
        "digest": f"agent:mem:{digest}",
        "pointer": f"agent:same:{{agent:mem:{digest}}}",
    }
    bare.rpush(keys[at], "x")
    with pytest.raises(WrongKeyTypeError):
        atomic.apply([Add(TEA), Add(CAR), Delete("odd")], user="alice")
    assert bare.keys("agent:*") == [keys[at].encode()]


@pytest.mark.parametrize("name", ["hit_count", "text", "user"])
def test_a_document_that_is_no_memory_is_never_changed(
    atomic: LongTermMemory, bare: redis.Redis, name: str
) -> None:
    atomic.remember(LISBON, user="alice", kind="semantic", id="x")
    if atomic.config.storage == "hash":
        bare.hdel("agent:mem:x", name)
    else:
        bare.execute_command("JSON.DEL", "agent:mem:x", f"$.{name}")
    before = bare.dump("agent:mem:x")
    updated, added = atomic.apply([Update("x", TEA), Add(DOG)], user="alice")
    assert (updated.reason, added.outcome) == ("foreign" if name == "user" else "unreadable", "stored")
    assert bare.dump("agent:mem:x") == before


@pytest.mark.parametrize("kind", ["a kind, as it is", "--", "", "x" * 129])
def test_a_kind_that_only_another_program_writes_keeps_no_change_from_being_made(
    atomic: LongTermMemory, bare: redis.Redis, kind: str
) -> None:
    for one in ("x", "y"):
        atomic.remember(f"{LISBON} {one}", user="alice", id=one)
        if atomic.config.storage == "hash":
            bare.hset(f"agent:mem:{one}", "kind", kind)
        else:
            bare.json().set(f"agent:mem:{one}", "$.kind", kind)
    updated, superseded, added = atomic.apply([Update("x", TEA), Supersede("y", CAR), Add(DOG)], user="alice")
    assert (updated.outcome, updated.reason) == ("refused", "missing")
    assert (superseded.outcome, superseded.replaced, added.outcome) == ("stored", "y", "stored")


def test_what_cannot_be_is_refused_before_anything_is_sent(
    atomic: LongTermMemory, counting: Counting
) -> None:
    before = counting.round_trips
    wrong: list[Any] = [
        Add(" "),
        Add("x" * 40_000),
        Add(TEA, kind=""),
        Add(TEA, metadata={"a": float("nan")}),
        Add(TEA, ttl_seconds=0),
        Update("", TEA),
        Update("x", ""),
        Update("x", None),  # type: ignore[arg-type]
        Update("x", TEA, if_text=1),  # type: ignore[arg-type]
        Supersede("", TEA),
        Supersede(None, TEA),  # type: ignore[arg-type]
        Supersede("x", ""),
        Delete(""),
        "Delete",
        {"id": "x"},
    ]
    for change in wrong:
        with pytest.raises(InvalidInputError, match=r"^changes\[1\]: "):
            atomic.apply([Add(CAR), change], user="alice")
    for arguments in (
        {"user": ""},
        {"user": "alice", "namespace": ""},
        {"user": "alice", "source_thread": 1},
    ):
        with pytest.raises(InvalidInputError):
            atomic.apply([Add(CAR)], **arguments)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="100"):
        atomic.apply([Delete("x")] * 101, user="alice")
    with pytest.raises(InvalidInputError, match="list of changes"):
        atomic.apply(Add(CAR), user="alice")  # type: ignore[arg-type]
    assert counting.round_trips == before


def test_as_many_as_may_be_are_made(atomic: LongTermMemory) -> None:
    results = atomic.apply([Add(f"fact {n} about{n}") for n in range(100)], user="alice")
    assert {one.outcome for one in results} == {"stored"}
    assert atomic.count_memories(user="alice") == 100
