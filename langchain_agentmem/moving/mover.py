"""A move: passes over everything at the source, each of which writes what differs, and a verification.

What a unit was like when it was brought is in the record at the target (`record`). So a pass can tell who
has changed a unit since: only the source, and it is written again; only the target, and it is left; both,
and they are joined, or the newer one stays. Nothing but a batch is held here, however much there is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_agentmem.agents.store import documents as items
from langchain_agentmem.core.operations import Op, asks, call, ok, reads
from langchain_agentmem.errors import ConfigurationError, InvalidInputError, StoreError, WrongKeyTypeError
from langchain_agentmem.moving import documents, source
from langchain_agentmem.moving.digests import alike, same_expiry
from langchain_agentmem.moving.record import Brought, How, MoveRecord
from langchain_agentmem.moving.report import MoveReport
from langchain_agentmem.moving.source import Seen, Taken
from langchain_agentmem.moving.steps import Steps, Told, at_source, at_target
from langchain_agentmem.moving.target import Destination, Target, outcome
from langchain_agentmem.moving.units import Layout, Unit, has_partition, pages, refuse_tag

_BYTES = 8_000_000  # that are read before they are written
_UNITS = 256
_SHARDS = 8  # of the record, in one round trip
_JOINED = ("threads", "events", "queue")
_NAMED = 100


class Mover:
    """Moves everything, as steps.

    Args:
        layout: The names of the keys at the source.
        target: What writes at the target.
        record: What was brought.
        report: Where it is told what was done.
        into: Whether the target may hold something already.
        passes: After how many passes it ends at the latest.
    """

    def __init__(
        self,
        layout: Layout,
        target: Target,
        record: MoveRecord,
        report: MoveReport,
        *,
        into: bool,
        passes: int,
    ) -> None:
        self._from, self._target, self._to = layout, target, target.layout
        self._record, self.report = record, report
        self._into, self._most_passes = into, passes
        self._unreadable = dict[bytes, str]()
        self._differing = set[Unit]()

    def move(self) -> Steps[None]:
        """Move, until a pass changes nothing, and verify."""
        yield from self._begin()
        while self.report.passes < self._most_passes:
            yield from self._pass()
            if not self.report.changed:
                break
        yield from self._verify()

    def count(self) -> Steps[None]:
        """Count what is on both sides, and write nothing."""
        yield from self._check_servers()
        yield from self._count_at_target()
        yield from self._source_units()
        self.report.phase = "done"

    # --- before it begins

    def _begin(self) -> Steps[None]:
        yield from self._check_servers()
        begun = yield from at_target(self._record.open_op())
        if not begun and not self._into and (found := (yield from self._first_at_target())):
            raise ConfigurationError(
                f"The target is not empty: it holds {found!r}. Use into=True to move into it: what is "
                "newer there is kept.",
                plain="The target is not empty. Use --into to move into it: what is newer there is kept.",
            )
        self.report.keys = yield from at_source(source.size_op())
        self.report.resumed = yield from at_target(self._record.begin_op(self.report.keys))
        if (yield from at_source(call(reads("EXISTS", self._record.key)))):
            if not self.report.resumed:
                yield from at_target(self._record.drop_op())
            raise ConfigurationError("Source and target are the same database.")
        if self._to.keys.partitions:
            fixing = [each for one in self._to.counts for each in one.fixing()]
            for reply in (yield from at_target(_batch_op(fixing))):
                ok(reply)

    def _check_servers(self) -> Steps[None]:
        for at, layout, name in (
            (at_source, self._from, "from_partitions"),
            (at_target, self._to, "partitions"),
        ):
            asking = [each for one in layout.counts for each in one.asking()]
            replies = yield from at(_batch_op(asking))
            stored = [one.stored([reply]) for one, reply in zip(layout.counts, replies, strict=True)]
            told = {one for one in stored if one is not None}
            side, option = (name.startswith("from") and "source") or "target", name.replace("_", "-")
            if others := sorted(told - {str(layout.keys.partitions)}):
                raise ConfigurationError(
                    f"The {side} has {others[0]} partitions: use {name}={others[0]}.",
                    plain=f"The {side} has {others[0]} partitions: use --{option} {others[0]}.",
                )
            if side == "source" and layout.keys.partitions and not told:
                yield from self._check_that_it_is_empty()
        now: list[float] = []
        for at in (at_source, at_target):
            found, server_time = yield from at(_probe_op(self._record.key))
            if isinstance(found, StoreError):
                raise StoreError(
                    f"A move needs Redis 7 or newer on both sides: {found}",
                    plain="A move needs Redis 7 or newer on both sides.",
                ) from found
            now.append(int(server_time[0]) + int(server_time[1]) / 1e6)
        self.report.clock_difference_seconds = round(now[1] - now[0], 3)

    def _check_that_it_is_empty(self) -> Steps[None]:
        """Refuse a source that has data, of which no number of partitions is known."""
        if int((yield from at_source(call(asks("DBSIZE"))))):
            raise ConfigurationError(
                "The source has no data in partitions: use from_partitions=0.",
                plain="The source has no data in partitions: use --from-partitions 0.",
            )

    def _first_at_target(self) -> Steps[str]:
        cursor: Any = 0
        while True:
            cursor, keys = yield from at_target(source.page_op(cursor))
            for key in keys:
                if (unit := self._to.unit(key)) is not None and unit.kind != "list":
                    return key[:_NAMED].decode("utf-8", "replace")
            if cursor == 0:
                return ""

    # --- a pass

    def _pass(self) -> Steps[None]:
        self.report.passes += 1
        self.report.phase = "moving"
        self.report.changed = 0
        yield from self._source_units(self._bring)
        yield from self._drop_deleted()

    def _source_units(self, visit: Any = None) -> Steps[None]:
        """Go through all units of the source, in batches; count them."""
        self.report.found = Counter()
        cursor: Any = 0
        while True:
            cursor, keys = yield from at_source(source.page_op(cursor))
            units = [unit for key in keys if (unit := self._from.unit(key)) is not None]
            for unit in units:
                if not self._from.partitioned:
                    refuse_tag(unit)
            whole = [unit for unit in units if unit.kind != "failed"]
            for at in range(0, len(whole), _UNITS):
                yield from self._look(whole[at : at + _UNITS], visit)
            for unit in units:
                if unit.kind == "failed":
                    yield from self._entries(unit, visit)
            yield Told()
            if cursor == 0:
                return

    def _look(self, units: Sequence[Unit], visit: Any) -> Steps[None]:
        replies = yield from at_source(source.look_op(units))
        found: list[tuple[Unit, Seen]] = []
        for unit, seen in zip(units, replies, strict=True):
            if isinstance(seen, WrongKeyTypeError):
                self._cannot(unit, seen.plain)
            elif seen is not None:
                found.append((unit, seen))
        if not self._from.lists:  # else SCAN names them
            prefix = len(self._from.keys.list_prefix.encode())
            lists = [Unit("list", seen.list, seen.list[prefix:]) for _, seen in found if seen.list]
            more = yield from at_source(source.look_op(lists))
            found += [(unit, seen) for unit, seen in zip(lists, more, strict=True) if isinstance(seen, Seen)]
        yield from self._visit(found, visit)

    def _entries(self, unit: Unit, visit: Any) -> Steps[None]:
        after = b""
        while page := (yield from at_source(source.entries_op(unit, after))):
            after = page[-1][0].entry
            yield from self._visit(page, visit)

    def _visit(self, found: list[tuple[Unit, Seen]], visit: Any) -> Steps[None]:
        self.report.found.update(unit.kind for unit, _ in found)
        if visit is not None and found:
            known = yield from at_target(self._record.read_op([unit.name for unit, _ in found]))
            yield from visit(found, known)

    def _bring(self, found: list[tuple[Unit, Seen]], known: list[Brought | None]) -> Steps[None]:
        changed = {
            unit: (seen, before)
            for (unit, seen), before in zip(found, known, strict=True)
            if before is None or before.source != seen.digest
        }
        sizes = [seen.size for seen, _ in changed.values()]
        for page in pages(list(changed), sizes, _BYTES):
            yield from self._bring_page(page, {unit: changed[unit][1] for unit in page})

    def _bring_page(self, page: list[Unit], before: dict[Unit, Brought | None]) -> Steps[None]:
        parts = self._target.converts
        taken = yield from at_source(source.take_op(self._from, page, parts=parts))
        places = yield from self._destinations(taken)
        taken = [one for one in taken if one.unit in places]
        # What is noted as begun was not there: should this end in the middle, it is known whose it is.
        unknown = [one.unit for one in taken if before[one.unit] is None]
        # A target without a memory may still have keys of other programs where lists go.
        unsure = unknown if self._into else [unit for unit in unknown if unit.kind == "list"]
        there = yield from at_target(_there_op(unsure, [places[unit].key for unit in unsure]))
        begun = {}
        for one in taken:
            if before[one.unit] is None and one.unit not in there:
                copied = "" if self._converts(one.unit) else one.digest
                begun[one.unit.name] = Brought("", copied, places[one.unit].partition)
        yield from at_target(self._record.write_op(begun))
        expected = [_expected(before[one.unit]) for one in taken]
        commands, writable = [], []
        for one, digest in zip(taken, expected, strict=True):
            try:
                commands.append(self._target.write(one, places[one.unit], digest))
            except StoreError as error:
                self._cannot(one.unit, error.plain)
            else:
                writable.append(one)
        replies = (yield from at_target(_batch_op(commands))) if commands else []
        brought: dict[bytes, Brought] = {}
        for one, reply in zip(writable, replies, strict=True):
            to = places[one.unit]
            if isinstance(reply, WrongKeyTypeError):
                self._cannot(one.unit, reply.plain)
                continue
            noted = yield from self._settle(one, to, reply, one.unit in there)
            if noted is not None:
                brought[one.unit.name] = noted
        yield from at_target(self._record.write_op(brought))

    def _settle(self, taken: Taken, to: Destination, reply: Any, was_there: bool) -> Steps[Brought | None]:
        """Return what is to be noted of a unit, given the reply to its write.

        If something else is at the target, the two are joined, or weighed.
        """
        how = How.CONVERTED if self._converts(taken.unit) else How.EQUAL
        if taken.unit.entry:
            ok(reply)
            self._count_brought(taken.unit)
            return Brought(taken.digest, taken.digest, to.partition, How.KEPT if was_there else how)
        done = outcome(reply, taken.digest)
        if done.written:
            self._count_brought(taken.unit)
            return Brought(taken.digest, done.digest, to.partition, how)
        if alike(done.digest, taken.digest) and how == How.EQUAL:
            return Brought(taken.digest, done.digest, to.partition, How.KEPT if was_there else how)
        if how == How.CONVERTED and (yield from self._is_converted(taken, to)):
            return Brought(taken.digest, done.digest, to.partition, How.KEPT if was_there else how)
        if taken.unit.kind in _JOINED and (taken.unit.kind != "queue" or to.place):
            members = yield from at_source(source.members_op(taken.unit))
            digest = yield from at_target(self._target.join_op(taken, to, members))
            self.report.joined += 1
            self.report.changed += 1
            return Brought(taken.digest, digest, to.partition, How.JOINED)
        if was_there and not self._into:
            self._cannot(taken.unit, "the target has another key of that name")
            return None
        if taken.unit.kind != "pointer" and (yield from self._is_newer(taken.unit, to)):
            command = self._target.write(taken, to, done.digest)
            (reply,) = yield from at_target(_batch_op([command]))
            again = outcome(reply, taken.digest)
            if not again.written:
                return None  # changed once more meanwhile: the next pass looks again
            self._count_brought(taken.unit)
            return Brought(taken.digest, again.digest, to.partition, how)
        self.report.kept += 1
        return Brought(taken.digest, done.digest, to.partition, How.KEPT)

    def _is_converted(self, taken: Taken, to: Destination) -> Steps[bool]:
        """Return whether the target has this very memory: written by a run that ended before it was noted."""
        there = yield from at_target(source.take_op(self._to, [taken.unit._replace(key=to.key)], parts=True))
        return any(same_expiry(one.expiry, taken.expiry) and self._are_equal(taken, one) for one in there)

    def _is_newer(self, unit: Unit, to: Destination) -> Steps[bool]:
        ours = yield from at_source(source.weigh_op(unit))
        theirs = yield from at_target(source.weigh_op(unit._replace(key=to.key)))
        return ours > theirs

    def _converts(self, unit: Unit) -> bool:
        """Return whether a unit gets another layout, whose digest is known only when it is written."""
        return unit.kind == "memory" and self._target.converts

    def _count_brought(self, unit: Unit) -> None:
        self.report.brought[unit.kind] += 1
        self.report.changed += 1

    # --- where units go

    def _destinations(self, taken: list[Taken]) -> Steps[dict[Unit, Destination]]:
        """Return where units go; what cannot be moved is noted, and left out."""
        users = yield from self._pointed(taken)
        found: dict[Unit, Destination] = {}
        for one in taken:
            unit = one.unit
            try:
                to = self._destination(one, users.get(unit))
            except InvalidInputError as error:
                self._cannot(unit, error.plain)
                continue
            if to is None and unit.kind == "pointer":
                continue  # it leads nowhere
            if to is None:
                self._cannot(unit, "it does not say whose it is")
            else:
                found[unit] = to
        return found

    def _destination(self, taken: Taken, pointed: str | None) -> Destination | None:
        unit, to = taken.unit, self._to
        if unit.kind == "item":
            try:
                item = items.decode(taken.about or b"")
            except StoreError:
                return None
            at = to.of_item(item.namespace, item.user)
            return Destination(to.key(unit, at), at, (item.namespace, item.key), item.user)
        if unit.kind == "session" and to.keys.beside_list and set(b"{}") & set(unit.rest):
            raise InvalidInputError("on a Redis Cluster, the id of a session in a list has no braces")
        place = tuple(taken.about or ()) if unit.kind in ("queue", "failed") else ()
        if not has_partition(unit.kind) or not to.partitioned:
            return Destination(to.key(unit, None), None, place)
        user = pointed
        if unit.kind == "threads":
            user = unit.rest.decode("utf-8", "replace")
        elif unit.kind == "memory":
            user = documents.owner_of(taken.type, taken.about)
        elif place:
            user = place[2].decode("utf-8", "replace")
        if user is None:
            return None
        at = to.of_user(user)
        return Destination(to.key(unit, at), at, place)

    def _pointed(self, taken: list[Taken]) -> Steps[dict[Unit, str | None]]:
        """Return whose the memories are that pointers lead to, if that is needed."""
        units = [one for one in taken if one.unit.kind == "pointer" and one.about]
        if not units or not self._to.partitioned:
            return {}
        keys = [self._from.memory_key(one.about, one.unit.partition) for one in units]
        owners = yield from at_source(source.whose_op(keys))
        return {one.unit: owner for one, owner in zip(units, owners, strict=True)}

    def _cannot(self, unit: Unit, why: str) -> None:
        """Note that a unit cannot be moved; once, however often it is met."""
        name = unit.name[:_NAMED].decode("utf-8", "replace")
        if len(self._unreadable) < _NAMED:
            self._unreadable[unit.name] = f"{name}: {why}"
            self.report.unreadable = list(self._unreadable.values())

    # --- what is gone at the source

    def _drop_deleted(self) -> Steps[None]:
        first = 0
        while first < self._record.shards:
            known = yield from at_target(self._record.pages_op(first, _SHARDS))
            first += _SHARDS
            units = {self._named(name): before for name, before in known.items()}
            there = yield from at_source(_there_op(list(units), [unit.key for unit in units]))
            gone = {unit: before for unit, before in units.items() if unit not in there}
            # What is deleted is forgotten in the next pass only: a server that fails may lose the deletion.
            yield from at_target(self._record.write_op(_to_bring_again(gone)))
            forgotten = []
            for unit, before in gone.items():
                if not (yield from self._drop(unit, before)):
                    forgotten.append(unit.name)
            yield from at_target(self._record.forget_op(forgotten))
            yield Told()

    def _named(self, name: bytes) -> Unit:
        """Return the unit of that name."""
        if (unit := self._from.unit(name)) is not None:
            return unit
        key, _, entry = name.rpartition(b" ")
        if (unit := self._from.unit(key)) is not None and unit.kind == "failed":
            return unit._replace(entry=entry)
        return Unit("list", name, name[len(self._from.keys.list_prefix.encode()) :])

    def _drop(self, unit: Unit, before: Brought) -> Steps[bool]:
        """Delete at the target what is gone at the source, unless somebody else has changed it there.

        Return whether it was deleted.
        """
        if before.how in (How.JOINED, How.KEPT):
            return False
        key = self._to.key(unit, before.partition)
        dropped: bool | None
        if unit.kind == "item":
            dropped = yield from self._drop_item(unit._replace(key=key), before)
        else:
            dropped = yield from at_target(
                self._target.drop_op(unit, key, before.partition, before.target or "*")
            )
        if dropped:
            self.report.deleted += 1
            self.report.changed += 1
        elif dropped is None:
            self.report.kept += 1
        return bool(dropped)

    def _drop_item(self, unit: Unit, before: Brought) -> Steps[bool | None]:
        found = yield from at_target(source.take_op(self._to, [unit], parts=False))
        if not found:
            return False
        (taken,) = found
        if not alike(taken.digest, before.target or taken.digest) or not taken.about:
            return None
        item = items.decode(taken.about)
        yield from at_target(self._target.drop_item_op(before.partition, item.namespace, item.key, item.user))
        return True

    # --- the verification

    def _verify(self) -> Steps[None]:
        self.report.phase = "verifying"
        self.report.pending = self.report.verified = self.report.differing = 0
        self.report.names = []
        yield from self._source_units(self._compare)
        yield from self._count_at_target()
        self.report.phase = "done"
        yield Told()

    def _compare(self, found: list[tuple[Unit, Seen]], known: list[Brought | None]) -> Steps[None]:
        brought: list[tuple[Unit, Seen, Brought]] = []
        for (unit, seen), before in zip(found, known, strict=True):
            if before is not None and before.source == seen.digest:
                brought.append((unit, seen, before))
            elif unit.name not in self._unreadable and unit.kind != "pointer":
                self.report.pending += 1
        here = [unit._replace(key=self._to.key(unit, before.partition)) for unit, _, before in brought]
        there = yield from at_target(source.look_op(here))
        converted: list[tuple[Unit, Unit]] = []
        differing = self._differing = set[Unit]()
        missing: list[Unit] = []
        for (unit, seen, before), at, other in zip(brought, here, there, strict=True):
            if not isinstance(other, Seen):
                missing += [unit] * bool(before.target)  # else it had expired when it came
            elif before.how == How.CONVERTED:
                converted.append((unit, at))
            elif before.how == How.EQUAL and not alike(other.digest, seen.digest):
                self._differs(unit, "it has another content, or another expiry, at the target")
            else:
                self.report.verified += 1
        if converted:
            yield from self._compare_members(converted)
        for unit in (yield from at_source(_there_op(missing, [unit.key for unit in missing]))):
            self._differs(unit, "it is missing at the target")  # and has not just expired on both sides
        again = {unit: before for unit, _, before in brought if unit in differing}
        yield from at_target(self._record.write_op(_to_bring_again(again)))

    def _compare_members(self, pairs: list[tuple[Unit, Unit]]) -> Steps[None]:
        ours = yield from at_source(source.take_op(self._from, [one for one, _ in pairs], parts=True))
        theirs = yield from at_target(source.take_op(self._to, [one for _, one in pairs], parts=True))
        copies = {one.unit.key: one for one in theirs}
        originals = {one.unit: one for one in ours}
        for unit, copy in pairs:
            if unit not in originals:
                continue
            one, other = originals[unit], copies.get(copy.key)
            if other is None:
                self._differs(unit, "it is missing at the target")
            elif not same_expiry(one.expiry, other.expiry) or not self._are_equal(one, other):
                self._differs(unit, "it has another content, or another expiry, at the target")
            else:
                self.report.verified += 1

    def _are_equal(self, one: Taken, other: Taken) -> bool:
        target = self._target
        mine = documents.read(one.payload, _storage(one), target.source_vector_type)
        yours = documents.read(other.payload, _storage(other), target.vector_type)
        return documents.same(mine, yours, target.vector_type)

    def _differs(self, unit: Unit, why: str) -> None:
        self._differing.add(unit)
        self.report.differs(f"{unit.name[:_NAMED].decode('utf-8', 'replace')}: {why}")

    def _count_at_target(self) -> Steps[None]:
        self.report.at_target = Counter()
        cursor: Any = 0
        while True:
            cursor, keys = yield from at_target(source.page_op(cursor))
            units = [unit for key in keys if (unit := self._to.unit(key)) is not None]
            self.report.at_target.update(unit.kind for unit in units if unit.kind != "failed")
            for unit in units:
                if unit.kind == "failed":
                    self.report.at_target["failed"] += yield from at_target(call(reads("XLEN", unit.key)))
            if cursor == 0:
                return


def _expected(before: Brought | None) -> str:
    """Return the digest of what may be replaced at the target: only what this move alone has written."""
    return before.target if before is not None and before.how in (How.EQUAL, How.CONVERTED) else ""


def _to_bring_again(units: Mapping[Unit, Brought]) -> dict[bytes, Brought]:
    """Return what to note of units which, should the source have them, are to be brought by the next pass."""
    return {unit.name: before._replace(source="") for unit, before in units.items()}


def _storage(taken: Taken) -> Any:
    return "hash" if taken.type == "hash" else "json"


def _probe_op(key: str) -> Op[list[Any]]:
    replies: list[Any] = yield [reads("PEXPIRETIME", key), asks("TIME")]
    return [replies[0], ok(replies[1])]


def _there_op(units: Sequence[Unit], keys: Sequence[bytes]) -> Op[set[Unit]]:
    """Return the units that are there, given their keys on this side. One round trip; none for no units."""
    commands = [
        reads("XRANGE", key, unit.entry, unit.entry) if unit.entry else reads("EXISTS", key)
        for unit, key in zip(units, keys, strict=True)
    ]
    replies = (yield commands) if commands else ()
    return {unit for unit, reply in zip(units, replies, strict=True) if ok(reply)}


def _batch_op(commands: Sequence[Any]) -> Op[list[Any]]:
    replies: list[Any] = yield list(commands)
    return replies
