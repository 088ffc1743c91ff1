"""`agentmem doctor`: whether the server is fit for a memory. A check is a few commands and what they mean."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import typer
from rich import filesize

from langchain_agentmem.cli import options
from langchain_agentmem.cli.connect import open_store
from langchain_agentmem.cli.console import Screen, counted, milliseconds, one_line, show_json, span
from langchain_agentmem.core.operations import Command, Op, asks, call, gather, pairs, reads
from langchain_agentmem.core.operations import text as string
from langchain_agentmem.core.scan import scan
from langchain_agentmem.errors import (
    ConfigurationError,
    IndexMissingError,
    SearchUnavailableError,
    StoreError,
)

if TYPE_CHECKING:
    from langchain_agentmem.agent_memory import AgentMemory
    from langchain_agentmem.longterm.types import RebuiltIndex

_SIGNS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "broken": ("✗", "red")}

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


def doctor(
    redis: options.Redis = None,
    rebuild_index: Annotated[
        bool, typer.Option("--rebuild-index", help="Make the search index anew first; memories stay.")
    ] = False,
    yes: options.Yes = False,
    as_json: options.AsJson = False,
) -> None:
    """Look at the server: is it fit for a memory?

    Looks at version, modules, eviction, persistence, the search index, what each tier takes (memory is
    estimated from a sample of keys), latency, and the default embeddings. Changes nothing, except with
    --rebuild-index.

    ✓ is fine, ! could be better, or could not be checked (no permission), ✗ is broken: exit code 1.

    --rebuild-index makes the search index anew first, as when another program, or an older version, made it.
    Memories stay; users, namespaces, kinds and threads that the index cannot hold as another program wrote
    them are rewritten, so that their memories are found, and memories without one get the digest by which
    duplicates are known. Asks first; without a terminal, --yes is needed.

    \b
      agentmem doctor
      agentmem doctor --rebuild-index
      agentmem doctor --redis redis://localhost:6379 --json
    """
    screen, rebuilt = Screen(), None
    with open_store(redis, screen) as memory:
        if rebuild_index:
            rebuilt = _rebuild(memory, screen, yes)
        found = list(findings(memory))
    broken = any(finding.verdict == "broken" for finding in found)
    if as_json:
        done = {} if rebuilt is None else {"rebuilt": asdict(rebuilt)}
        show_json({"ok": not broken, **done, "checks": [asdict(finding) for finding in found]})
    else:
        if rebuilt is not None:
            screen.line(_told(rebuilt))
        for finding in found:
            sign, style = _SIGNS[finding.verdict]
            screen.line(f"{sign} {finding.name:<12}{finding.says}", style)
    if broken:
        raise typer.Exit(1)


def _rebuild(memory: AgentMemory, screen: Screen, yes: bool) -> RebuiltIndex | None:
    """Make the index anew, if a person agrees."""
    rebuilding = memory.long_term.rebuild_op()  # told at once where there is nothing to rebuild
    name = one_line(memory.settings.index_name, 60)
    if not screen.confirmed(f"Make the search index {name} anew? Memories stay; searches wait for it.", yes):
        return None
    with screen.busy(f"indexing {name} …"):
        return memory.transport.run(rebuilding)


def _told(rebuilt: RebuiltIndex) -> str:
    left = {
        "could not be indexed": rebuilt.failures,
        "are no memories": rebuilt.unreadable,
        "had scopes of another program's, and are found now": rebuilt.rewritten,
        "lacked the digest that duplicates are known by, and have it now": rebuilt.digested,
    }
    more = [f"{count} {what}" for what, count in left.items() if count]
    return "; ".join([f"rebuilt: the index holds {counted(rebuilt.documents, 'document')}", *more])


def findings(memory: AgentMemory) -> Iterator[Finding]:
    """Look at everything, one thing after the other; what the server refuses does not keep the others.

    Raises:
        StoreConnectionError: The server does not answer.
    """
    from langchain_agentmem.longterm.redisearch.document import REDIS_TYPES

    looks: dict[str, Op[Iterable[Finding]]] = {}
    if memory.long_term.supports_vectors:
        settings = memory.settings
        looks = {
            "server": _by_info(lambda info: [server(info)]),
            "replication": _by_info(replication),
            "modules": modules(settings.storage),
            "eviction": _by_info(lambda info: [eviction(info)]),
            "persistence": _persistence(),
            "index": index(memory),
            "working": size("working", settings.session_prefix, "hash"),
            "long-term": size("long-term", settings.memory_prefix, REDIS_TYPES[settings.storage]),
            "events": size("events", settings.events_prefix, "stream"),
        }
    else:
        yield Finding("server", "ok", "Upstash over REST: what runs there is not told")
    for name, look in {**looks, "latency": latency()}.items():
        try:
            yield from memory.transport.run(look)
        except ConnectionError:
            raise
        except StoreError as error:
            yield Finding(name, "warning", f"unknown: {one_line(str(error), 600)}")
    if memory.long_term.supports_vectors:
        yield embeddings()


def embeddings() -> Finding:
    """Look whether the default embeddings can be used, without loading them."""
    from langchain_agentmem.embeddings.minilm import check_installed

    try:
        check_installed()
    except ConfigurationError as error:
        return Finding("embeddings", "warning", one_line(str(error), 600))
    return Finding("embeddings", "ok", "all-MiniLM-L6-v2, its weights as published")


def _by_info(look: Callable[[Info], Iterable[Finding]]) -> Op[Iterable[Finding]]:
    """Look at what the server tells about itself."""
    lines = (line.partition(":") for line in string((yield from call(asks("INFO")))).splitlines())
    return list(look({name: value for name, colon, value in lines if colon}))


def server(info: Info) -> Finding:
    """Tell version, mode, uptime, memory."""
    used, most = info.get("used_memory_human", "?"), int(info.get("maxmemory", 0))
    limit = f"of {info.get('maxmemory_human')}" if most else "without a limit (maxmemory)"
    up = span(int(info.get("uptime_in_seconds", 0)))
    version = info.get("redis_version", "?")
    says = f"Redis {version}, {info.get('redis_mode', '?')}, up {up}, {used} {limit}"
    if tuple(int(part) for part in re.findall(r"\d+", version)[:2] or [99]) < _OLDEST:
        return Finding("server", "warning", f"{says}; older than Redis 6.2, which is needed: upgrade it")
    return Finding("server", "ok", says)


def replication(info: Info) -> Iterator[Finding]:
    """Tell whether it is a replica, which takes no writes."""
    if info.get("role") in ("slave", "replica"):
        primary = f"{info.get('master_host', '?')}:{info.get('master_port', '?')}"
        link = info.get("master_link_status", "?")
        lost = "" if link == "up" else f", to which its link is {link}, so that it may be behind"
        says = f"a replica of {primary}{lost}: it takes no writes. Connect to the primary, or with "
        yield Finding("replication", "broken", f"{says}redis+sentinel://, which follows it")


def modules(storage: str) -> Op[Iterable[Finding]]:
    """Tell whether Search and JSON are there, which servers have as modules or built in."""
    asked = (asks("FT._LIST"), reads("JSON.GET", "agentmem:no such key"), asks("MODULE", "LIST"))
    search, as_json, listed = yield from gather(call(each) for each in asked)
    there = [name for name, reply in (("Search", search), ("JSON", as_json)) if not _lacks(reply)]
    needed = ["Search", "JSON"] if storage == "json" else ["Search"]
    missing = [name for name in needed if name not in there]
    if missing:
        says = f"without {' and '.join(missing)}, which long-term memory needs: use Redis 8, Redis Stack, or "
        return [Finding("modules", "broken", f"{says}embedded://")]
    versions = "" if isinstance(listed, Exception) else _versions(listed)
    return [Finding("modules", "ok", versions or ", ".join(there))]


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
    """Tell what a full server does."""
    policy, limited = info.get("maxmemory_policy", "?"), int(info.get("maxmemory", 0)) > 0
    if policy.endswith("-lfu"):
        return Finding("eviction", "ok", f"{policy}: what is used least goes first")
    if not limited:
        says = f"{policy}, and no maxmemory: nothing is ever evicted. With a limit, {LFU}"
        return Finding("eviction", "ok", says)
    what = "a full server refuses every write" if policy == "noeviction" else "use does not decide what goes"
    return Finding("eviction", "warning", f"{policy}: {what}. {LFU[0].upper()}{LFU[1:]}")


def persistence(info: Info, saves: str | None) -> Iterator[Finding]:
    """Tell what a restart keeps, and whether the last write to disk worked."""
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


def _persistence() -> Op[Iterable[Finding]]:
    (found,) = yield [Command(("CONFIG", "GET", "save"))]  # not every server tells it
    saves = None if isinstance(found, StoreError) else string(dict(pairs(found)).get(b"save", b""))
    return (yield from _by_info(lambda info: persistence(info, saves)))


def index(memory: AgentMemory) -> Op[Iterable[Finding]]:
    """Tell whether the search index is there, fits, and holds everything."""
    name = memory.settings.index_name
    try:
        found = yield from memory.long_term.info_op()
    except IndexMissingError:
        return [Finding("index", "ok", f"{name} is not there yet: the first memory makes it")]
    except SearchUnavailableError:
        return [Finding("index", "broken", "none: the server lacks Search")]
    if found["mismatch"] is not None:
        return [Finding("index", "broken", one_line(found["mismatch"], 1000))]
    documents, schema = counted(found["documents"], "document"), found["schema"]
    about = f"{name}, {documents}, {schema['embedding']}, {schema['storage']} {schema['prefix']}"
    about += f", {found['memory_mb']:.1f} MB"
    if found["limits"]:
        about += f". {one_line(found['limits'], 1000)}"
    if found["failures"]:
        about += f"; {counted(found['failures'], 'document')} could not be indexed, and are never recalled"
    elif found["indexing"]:
        about += "; still being backfilled"
    fine = not (found["limits"] or found["failures"] or found["indexing"])
    return [Finding("index", "ok" if fine else "warning", about)]


def size(tier: str, prefix: str, kind: str) -> Op[Iterable[Finding]]:
    """Tell how much a tier holds: keys are counted, their memory is that of a sample."""
    count, sample = 0, list[bytes]()

    def visit(keys: list[bytes]) -> Op[bool]:
        nonlocal count
        yield from ()
        count += len(keys)
        sample.extend(keys[: _SAMPLED - len(sample)])
        return count >= _MOST_KEYS

    yield from scan(prefix, kind, visit)
    says = f"{'more than ' if count >= _MOST_KEYS else ''}{counted(count, 'key')}" if count else "no keys"
    asked = [Command(("MEMORY", "USAGE", key), (key,), True) for key in sample]
    used = [reply for reply in ((yield asked) if asked else []) if isinstance(reply, int)]
    if used:
        each = sum(used) / len(used)
        says += f", {filesize.decimal(int(each * count))}, {filesize.decimal(int(each))} each"
        says += "" if len(used) == count else f" (from a sample of {len(used)})"
    elif sample:
        says += ", of unknown size: the server does not tell"
    return [Finding(tier, "ok", says)]


def latency() -> Op[Iterable[Finding]]:
    """Measure how long a round trip takes."""
    took = []
    for _ in range(_PINGS):
        began = time.perf_counter()
        yield from call(asks("PING"))
        took.append(time.perf_counter() - began)
    slow = median(took) > _SLOW_SECONDS
    says = f"{milliseconds(median(took))} per round trip, {milliseconds(max(took))} the worst of {_PINGS}"
    says += "; an exchange needs two" if slow else ""
    return [Finding("latency", "warning" if slow else "ok", says)]
