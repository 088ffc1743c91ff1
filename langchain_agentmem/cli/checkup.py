"""What `agentmem doctor` looks at: each check is a few commands, and what their answers mean."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from langchain_agentmem.cli import text
from langchain_agentmem.core.operations import Command, Op, asks, call, ok, pairs, reads
from langchain_agentmem.core.operations import text as string
from langchain_agentmem.core.scan import scan
from langchain_agentmem.errors import AgentMemoryError, IndexMissingError, SearchUnavailableError, StoreError

if TYPE_CHECKING:
    from langchain_agentmem.agent_memory import AgentMemory

Verdict: TypeAlias = Literal["ok", "warning", "broken"]

LFU = (
    "volatile-lfu is recommended: what is used least goes first, and what has no expiry (semantic memories) "
    "stays; allkeys-lfu where even those may go"
)
_OLDEST = (6, 2)
_PINGS = 21
_SLOW_SECONDS = 0.05
_SAMPLED = 100
_MOST_KEYS = 100_000


@dataclass(frozen=True, slots=True)
class Finding:
    """A line of the report."""

    name: str
    verdict: Verdict
    says: str


Info: TypeAlias = dict[str, str]


def findings(memory: AgentMemory) -> Iterator[Finding]:
    """Look at everything, one thing after the other.

    Raises:
        AgentMemoryError: The server does not answer.
    """
    if not memory.long_term.supports_vectors:
        yield Finding("server", "ok", "Upstash over REST: what runs there is not told")
        yield from latency(memory)
        return
    info: Info = {}

    def told() -> Info:
        if not info:
            info.update(_info(string(memory.transport.run(call(asks("INFO"))))))
        return info

    looks: dict[str, Callable[[], Iterable[Finding]]] = {
        "server": lambda: [server(told())],
        "replication": lambda: replication(told()),
        "modules": lambda: [modules(memory)],
        "eviction": lambda: [eviction(told())],
        "persistence": lambda: persistence(told(), _saves(memory)),
        "index": lambda: [index(memory)],
        **{name: partial(size, memory, name) for name in ("working", "long-term", "events")},
        "latency": lambda: latency(memory),
    }
    for name, look in looks.items():
        yield from _looked(name, look)


def _looked(name: str, look: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """What a look finds; one that the server refuses does not keep the others."""
    try:
        return list(look())
    except StoreError as error:
        if isinstance(error, ConnectionError):
            raise
        return [Finding(name, "warning", f"unknown: {text.one_line(str(error), 600)}")]


def _info(reply: str) -> Info:
    lines = (line.partition(":") for line in reply.splitlines())
    return {name: value for name, colon, value in lines if colon}


def server(info: Info) -> Finding:
    """Version, mode, uptime, memory."""
    used, most = info.get("used_memory_human", "?"), int(info.get("maxmemory", 0))
    limit = f"of {info.get('maxmemory_human')}" if most else "without a limit (maxmemory)"
    up = text.span(int(info.get("uptime_in_seconds", 0)))
    version = info.get("redis_version", "?")
    says = f"Redis {version}, {info.get('redis_mode', '?')}, up {up}, {used} {limit}"
    if tuple(int(part) for part in re.findall(r"\d+", version)[:2] or [99]) < _OLDEST:
        return Finding("server", "warning", f"{says}; older than Redis 6.2, which is needed: upgrade it")
    return Finding("server", "ok", says)


def replication(info: Info) -> Iterator[Finding]:
    """Whether it is a replica, which takes no writes."""
    if info.get("role") in ("slave", "replica"):
        primary = f"{info.get('master_host', '?')}:{info.get('master_port', '?')}"
        link = info.get("master_link_status", "?")
        lost = "" if link == "up" else f", to which its link is {link}, so that it may be behind"
        says = f"a replica of {primary}{lost}: it takes no writes. Connect to the primary, or with "
        yield Finding("replication", "broken", f"{says}redis+sentinel://, which follows it")


def modules(memory: AgentMemory) -> Finding:
    """Whether Search and JSON are there, which servers have as modules or built in."""
    needed = ["Search"] + (["JSON"] if memory.settings.storage == "json" else [])
    asked: Op[list[Any]] = _batch(
        [asks("FT._LIST"), reads("JSON.GET", "agentmem:no such key"), asks("MODULE", "LIST")]
    )
    search, as_json, listed = memory.transport.run(asked)
    there = [name for name, reply in (("Search", search), ("JSON", as_json)) if not _lacks(reply)]
    missing = [name for name in needed if name not in there]
    if missing:
        return Finding(
            "modules",
            "broken",
            f"without {' and '.join(missing)}, which long-term memory needs: use Redis 8, Redis Stack, or "
            "embedded://",
        )
    versions = "" if isinstance(listed, Exception) else _versions(listed)
    return Finding("modules", "ok", versions or ", ".join(there))


def _batch(commands: list[Any]) -> Op[list[Any]]:
    replies: list[Any] = yield commands
    return replies


def _lacks(reply: Any) -> bool:
    return isinstance(reply, SearchUnavailableError) or "unknown command" in str(reply).lower()


def _versions(listed: Any) -> str:
    found = []
    for module in listed:
        about = {string(name): value for name, value in pairs(module)}
        version = int(about.get("ver", 0))
        number = f"{version // 10_000}.{version // 100 % 100}.{version % 100}"
        found.append(f"{string(about.get('name', '?'))} {number}")
    return ", ".join(found)


def eviction(info: Info) -> Finding:
    """What a full server does."""
    policy, limited = info.get("maxmemory_policy", "?"), int(info.get("maxmemory", 0)) > 0
    if policy.endswith("-lfu"):
        return Finding("eviction", "ok", f"{policy}: what is used least goes first")
    if not limited:
        return Finding(
            "eviction", "ok", f"{policy}, and no maxmemory: nothing is ever evicted. With a limit, {LFU}"
        )
    what = "a full server refuses every write" if policy == "noeviction" else "use does not decide what goes"
    return Finding("eviction", "warning", f"{policy}: {what}. {LFU[0].upper()}{LFU[1:]}")


def persistence(info: Info, saves: str | None) -> Iterator[Finding]:
    """What a restart keeps, and whether the last write to disk worked."""
    aof = info.get("aof_enabled") == "1"
    if aof:
        worked = info.get("aof_last_write_status", "ok") == "ok"
        says = "append-only file (AOF)" if worked else "the last write of the append-only file failed"
        yield Finding("persistence", "ok" if worked else "broken", says)
    if info.get("rdb_last_bgsave_status", "ok") != "ok":
        yield Finding("persistence", "broken", "the last snapshot (RDB) failed: writes may be refused")
    elif saves:
        yield Finding("persistence", "ok", f"snapshots (RDB), save {saves}")
    elif not aof and saves is None:
        yield Finding("persistence", "warning", "no append-only file; of snapshots, nothing is told")
    elif not aof:
        yield Finding("persistence", "warning", "none: a restart forgets everything. Set appendonly yes")


def _saves(memory: AgentMemory) -> str | None:
    """When snapshots are made; `None` where the server does not tell."""
    try:
        found = dict(pairs(memory.transport.run(call(Command(("CONFIG", "GET", "save"))))))
    except StoreError as error:
        if isinstance(error, ConnectionError):
            raise
        return None
    return string(next(iter(found.values()), b""))


def index(memory: AgentMemory) -> Finding:
    """The search index: is it there, does it fit, does it hold everything."""
    long_term: Any = memory.long_term
    settings = long_term.index.settings
    try:
        state = memory.transport.run(long_term.index.info())
    except IndexMissingError:
        return Finding("index", "ok", f"{settings.name} is not there yet: the first memory makes it")
    except SearchUnavailableError:
        return Finding("index", "broken", "none, for want of Search")
    about = (
        f"{settings.name}, {text.count(state.documents, 'document')}, {state.schema.get('embedding', '?')}"
    )
    about += f", {state.schema['storage']} {state.schema['prefix']}, {state.memory_mb:.1f} MB"
    try:
        state.check(settings, None)
    except AgentMemoryError as error:
        return Finding("index", "broken", text.one_line(str(error), 1000))
    if state.failures:
        failed = text.count(state.failures, "document")
        return Finding("index", "warning", f"{about}; {failed} could not be indexed, and are never recalled")
    if state.indexing:
        return Finding("index", "warning", f"{about}; still being backfilled")
    return Finding("index", "ok", about)


def size(memory: AgentMemory, tier: str) -> Iterator[Finding]:
    """How much a tier holds: keys are counted, their memory is that of a sample."""
    settings = memory.settings
    kinds = {"json": "ReJSON-RL", "hash": "hash"}
    prefix, kind = {
        "working": (settings.session_prefix, "hash"),
        "long-term": (settings.memory_prefix, kinds[settings.storage]),
        "events": (settings.events_prefix, "stream"),
    }[tier]
    yield Finding(tier, "ok", memory.transport.run(_size(prefix, kind)))


def _size(prefix: str, kind: str) -> Op[str]:
    count, sample = 0, list[bytes]()

    def visit(keys: list[bytes]) -> Op[bool]:
        nonlocal count
        yield from ()
        count += len(keys)
        sample.extend(keys[: _SAMPLED - len(sample)])
        return count >= _MOST_KEYS

    yield from scan(prefix, kind, visit)
    keys = f"{'more than ' if count >= _MOST_KEYS else ''}{text.count(count, 'key')}"
    if not sample:
        return "no keys"
    replies = yield [Command(("MEMORY", "USAGE", key), (key,), True) for key in sample]
    known = [reply for reply in replies if isinstance(reply, int)]
    if not known:
        return f"{keys}, of unknown size: the server does not tell"
    each = sum(known) / len(known)
    how = "" if len(known) == count else f" (from a sample of {len(known)})"
    return f"{keys}, {_bytes(each * count)}, {_bytes(each)} each{how}"


def _bytes(size: float) -> str:
    for unit in ("B", "KB", "MB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:,.1f} GB"


def latency(memory: AgentMemory, clock: Callable[[], float] = time.perf_counter) -> Iterator[Finding]:
    """How long a round trip takes."""
    took = []
    for _ in range(_PINGS):
        began = clock()
        ok(memory.transport.run(call(asks("PING"))))
        took.append(clock() - began)
    middle = median(took)
    says = f"{text.milliseconds(middle)} a round trip, {text.milliseconds(max(took))} the worst of {_PINGS}"
    slow = middle > _SLOW_SECONDS
    yield Finding("latency", "warning" if slow else "ok", says + ("; a turn needs two" if slow else ""))
