"""What a move has brought, kept at the target.

A move that was ended goes on by it, and what is deleted at the source is deleted at the target by it. It
takes about 72 bytes per key there, and none here. It is spread over many small Hashes, which a server keeps
in a compact form.
"""

from __future__ import annotations

import hashlib
import struct
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple

from langchain_agentmem.core.operations import Command, Op, call, ok, pairs, reads, writes
from langchain_agentmem.errors import StoreError

PREFIX = "agentmem:move:"
_TTL_SECONDS = 7 * 86_400  # a move that nobody goes on with for so long begins anew
_PER_SHARD = 64  # Redis keeps Hashes of up to 128 fields compact
_MOST_SHARDS = 1 << 20
_VALUE = struct.Struct(">8s8sHB")
_NONE = b"\0" * 8
_NO_PARTITION = 0xFFFF


class How(IntEnum):
    """How a unit came to be as it is at the target."""

    EQUAL = 0  # its content and expiry are the source's
    CONVERTED = 1  # a memory in another layout
    JOINED = 2  # what both sides had is in it
    KEPT = 3  # the target's was newer


class Brought(NamedTuple):
    """Holds what is known of a unit that was brought.

    Attributes:
        source: The digest that it had at the source; empty if it is to be brought again.
        target: The digest that it had at the target then, or has if it is being written; empty if that is not
            known, or it had expired.
        partition: In which partition of the target it is; `None` for none.
        how: How it came to be as it is.
    """

    source: str
    target: str
    partition: int | None
    how: How = How.EQUAL

    def encode(self) -> bytes:
        """Return it as the record holds it."""
        partition = _NO_PARTITION if self.partition is None else self.partition
        return _VALUE.pack(_packed(self.source), _packed(self.target), partition, self.how)

    @classmethod
    def decode(cls, stored: bytes) -> Brought:
        """Return what `encode` wrote.

        Raises:
            StoreError: It is something else.
        """
        try:
            source, target, partition, how = _VALUE.unpack(stored)
            part = None if partition == _NO_PARTITION else partition
            return cls(_unpacked(source), _unpacked(target), part, How(how))
        except (struct.error, ValueError) as error:
            raise StoreError("The record of the move at the target cannot be read.") from error


class MoveRecord:
    """Reads and writes the record of a move, as operations without I/O.

    Args:
        source: Where from, without secrets.
        target: Where to, without secrets.
        options: What else makes it another move.
    """

    def __init__(self, source: str, target: str, options: Sequence[object]) -> None:
        named = "\n".join([source, target, *map(str, options)])
        self.id = hashlib.sha256(named.encode()).hexdigest()[:16]
        self.key = f"{PREFIX}{self.id}"
        self.shards = 1

    def begin_op(self, units: int) -> Op[bool]:
        """Begin the record, or go on with it. Two round trips.

        Args:
            units: About how many units there are at the source.

        Returns:
            Whether there is one already.
        """
        found = yield from self.open_op()
        if not found:
            while self.shards * _PER_SHARD < units and self.shards < _MOST_SHARDS:
                self.shards *= 2
            for reply in (
                yield [
                    writes("HSET", self.key, "shards", self.shards, "began", f"{time.time():.3f}"),
                    writes("EXPIRE", self.key, _TTL_SECONDS),
                ]
            ):
                ok(reply)
        return found

    def open_op(self) -> Op[bool]:
        """Return whether there is a record, and know how it is spread. One round trip."""
        stored = yield from call(reads("HGET", self.key, "shards"))
        if stored is not None:
            self.shards = int(stored)
        return stored is not None

    def drop_op(self) -> Op[None]:
        """Delete a record that was begun and has nothing in it. One round trip."""
        yield from call(writes("UNLINK", self.key))

    def read_op(self, names: Sequence[bytes]) -> Op[list[Brought | None]]:
        """Return what is known of units, in their order. One round trip."""
        replies = yield [reads("HGET", self._shard(name), name) for name in names]
        return [None if ok(reply) is None else Brought.decode(reply) for reply in replies]

    def write_op(self, brought: Mapping[bytes, Brought]) -> Op[None]:
        """Note what was brought, by the units' names. One round trip; none for nothing."""
        shards: dict[str, list[bytes]] = {}
        for name, one in brought.items():
            shards.setdefault(self._shard(name), []).extend([name, one.encode()])
        if shards:  # `key` again, should its server have failed just after it was begun
            shards[self.key] = [b"shards", b"%d" % self.shards]
        yield from _send(Command(("HSET", shard, *parts), (shard,)) for shard, parts in shards.items())
        yield from _send(writes("EXPIRE", shard, _TTL_SECONDS) for shard in shards)

    def forget_op(self, names: Iterable[bytes]) -> Op[None]:
        """Forget units. One round trip; none for no units."""
        yield from _send(writes("HDEL", self._shard(name), name) for name in names)

    def pages_op(self, first: int, count: int) -> Op[dict[bytes, Brought]]:
        """Return the units in some shards, by name. One round trip."""
        replies = yield [reads("HGETALL", self._name(at)) for at in self.range(first, count)]
        return {name: Brought.decode(one) for reply in replies for name, one in pairs(ok(reply))}

    def range(self, first: int, count: int) -> Iterator[int]:
        """Yield the numbers of at most `count` shards."""
        yield from range(first, min(first + count, self.shards))

    def _shard(self, name: bytes) -> str:
        return self._name(zlib.crc32(name) % self.shards)

    def _name(self, at: int) -> str:
        return f"{self.key}:{at}"


def _send(commands: Iterable[Command]) -> Op[None]:
    batch = list(commands)
    for reply in (yield batch) if batch else ():
        ok(reply)


def _packed(digest: str) -> bytes:
    return bytes.fromhex(digest) if digest else _NONE


def _unpacked(stored: bytes) -> str:
    return "" if stored == _NONE else stored.hex()
