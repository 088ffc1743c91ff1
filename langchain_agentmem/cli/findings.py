"""What `agentmem doctor` looks at, and what it makes of it. A check is a few commands and what they mean."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from statistics import median
from typing import TYPE_CHECKING, Any, TypeAlias

from rich import filesize

from langchain_agentmem.cli.cluster_findings import cluster, of_each
from langchain_agentmem.cli.finding import Finding
from langchain_agentmem.cli.text import counted, milliseconds, one_line, span
from langchain_agentmem.core.operations import Command, Op, asks, call, gather, nothing, pairs, reads
from langchain_agentmem.core.operations import text as string
from langchain_agentmem.core.partition_count import of_all, without_partitions
from langchain_agentmem.core.scan import scan
from langchain_agentmem.errors import (
    ClusterNodeError,
    ConfigurationError,
    IndexMissingError,
    SearchUnavailableError,
    StoreConnectionError,
    StoreError,
)

if TYPE_CHECKING:
    from langchain_agentmem.agent_memory import AgentMemory

LFU = (
    "volatile-lfu is recommended: what is used least goes first, and what has no expiry (semantic memories) "
    "stays; allkeys-lfu where even those may go"
)
_FAILED = "see the server's log; often the disk is full"
_KEEP = "To keep memories, set appendonly yes"
_OLDEST = (6, 2)
_PINGS = 21
_SLOW_SECONDS = 0.05
_SAMPLED = 100
_MOST_KEYS = 100_000


Info: TypeAlias = dict[str, str]


def findings(memory: AgentMemory) -> Iterator[Finding]:
    """Look at everything, one thing after the other; what the server refuses does not keep the others.

    Raises:
        StoreConnectionError: The server, or every node of the cluster, does not answer.
    """
    if not memory.transport.cluster:
        yield from _of_server(memory)
    else:
        nodes = _of_nodes(memory)
        if not any(finding.verdict == "broken" for finding in nodes):  # else all that needs them would wait
            others = list(_of_server(memory))
            yield from _of_nodes(memory)  # another node may have taken over meanwhile
            yield from others
        else:
            yield from nodes
    if memory.long_term.supports_vectors:
        yield embeddings()


def _of_nodes(memory: AgentMemory) -> list[Finding]:
    try:
        return list(memory.transport.run_about_server(cluster()))
    except StoreConnectionError:
        raise
    except StoreError as error:
        return [_unknown("cluster", error)]


def _unknown(name: str, error: StoreError) -> Finding:
    return Finding(name, "warning", f"unknown: {one_line(error.plain, 600)}")


def _of_server(memory: AgentMemory) -> Iterator[Finding]:
    from langchain_agentmem.longterm.redisearch.document import REDIS_TYPES

    looks: dict[str, Op[Iterable[Finding]]] = {}
    if memory.long_term.supports_vectors:
        settings = memory.settings
        on_server: dict[str, Callable[[str | None], Op[Iterable[Finding]]]] = {
            "server": lambda node: _by_info(lambda info: [server(info)], node),
            "replication": lambda node: _by_info(replication, node),
            "modules": lambda node: modules(settings.storage, node),
            "eviction": lambda node: _by_info(lambda info: [eviction(info)], node),
            "persistence": _persistence,
        }
        looks = {
            name: of_each(look) if memory.transport.cluster else look(None)
            for name, look in on_server.items()
        }
        looks |= {
            "partitions": partitions(memory),
            "index": index(memory),
            "long-term": size("long-term", settings.memory_prefix, REDIS_TYPES[settings.storage], "memory"),
            "working": size("working", settings.session_prefix, "hash", "conversation"),
            "events": size("events", settings.events_prefix, "stream", "event log"),
        }
    else:
        yield Finding("server", "ok", "Upstash over REST: what runs there is not told", "Upstash")
    looks["tasks"] = tasks(memory)
    for name, look in {**looks, "latency": latency()}.items():
        try:
            yield from memory.transport.run(look)
        except StoreConnectionError as error:
            if not memory.transport.cluster:
                raise
            yield Finding(name, "broken", one_line(error.plain, 600))
            break  # whatever else needs all nodes would wait for them, too
        except ClusterNodeError as error:
            yield Finding("cluster", "broken", one_line(error.plain, 600))
            break  # whatever else needs all nodes would say the same
        except StoreError as error:
            yield _unknown(name, error)


def embeddings() -> Finding:
    """Look whether the default embeddings can be used, without loading them."""
    from langchain_agentmem.embeddings.minilm import check_installed

    try:
        check_installed()
    except ConfigurationError as error:
        return Finding("embeddings", "warning", one_line(error.plain, 600))
    return Finding("embeddings", "ok", "all-MiniLM-L6-v2, its weights as published")


def _by_info(look: Callable[[Info], Iterable[Finding]], node: str | None) -> Op[Iterable[Finding]]:
    """Look at what the server, or a node of a cluster, tells about itself."""
    told = yield from call(asks("INFO")._replace(node=node))
    lines = (line.partition(":") for line in string(told).splitlines())
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
    return Finding("server", "ok", says, f"Redis {version}")


def replication(info: Info) -> Iterator[Finding]:
    """Tell whether it is a replica, which takes no writes."""
    if info.get("role") in ("slave", "replica"):
        primary = f"{info.get('master_host', '?')}:{info.get('master_port', '?')}"
        link = info.get("master_link_status", "?")
        lost = "" if link == "up" else f", to which its link is {link}, so that it may be behind"
        says = f"a replica of {primary}{lost}: it takes no writes. Connect to the primary, or with "
        yield Finding("replication", "broken", f"{says}redis+sentinel://, which follows it")


def modules(storage: str, node: str | None = None) -> Op[Iterable[Finding]]:
    """Tell whether Search and JSON are there, which servers have as modules or built in."""
    # A node of a cluster answers for keys of its own only, so there it is asked for the command.
    document = (
        reads("JSON.GET", "agentmem:no such key") if node is None else asks("COMMAND", "INFO", "JSON.GET")
    )
    asked = [one._replace(node=node) for one in (asks("FT._LIST"), document, asks("MODULE", "LIST"))]
    search, as_json, listed = yield from gather(map(call, asked))
    there = [name for name, reply in (("Search", search), ("JSON", as_json)) if not _lacks(reply)]
    needed = ["Search", "JSON"] if storage == "json" else ["Search"]
    missing = [name for name in needed if name not in there]
    if missing:
        says = f"without {' and '.join(missing)}, which long-term memory needs: use Redis 8, Redis Stack, or "
        return [Finding("modules", "broken", f"{says}embedded://")]
    versions = "" if isinstance(listed, Exception) else _versions(listed)
    return [Finding("modules", "ok", versions or ", ".join(there), "Search")]


def _lacks(reply: Any) -> bool:
    return (
        reply in ([None], {})
        or isinstance(reply, SearchUnavailableError)
        or "unknown command" in str(reply).lower()
    )


def _versions(listed: Any) -> str:
    found = []
    for module in listed:
        about = {string(name): value for name, value in pairs(module)}
        version = int(about.get("ver", 0))
        number = f"{version // 10_000}.{version // 100 % 100}.{version % 100}"
        found.append(f"{string(about.get('name', '?'))} {number}")
    return ", ".join(sorted(found, key=str.lower))


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
        says = (
            "append-only file (AOF)"
            if worked
            else f"the last write of the append-only file failed: {_FAILED}"
        )
        yield Finding("persistence", "ok" if worked else "broken", says)
    if info.get("rdb_last_bgsave_status", "ok") != "ok":
        yield Finding(
            "persistence", "broken", f"the last snapshot (RDB) failed, and writes may be refused: {_FAILED}"
        )
    elif saves:
        yield Finding("persistence", "ok", f"snapshots (RDB), save {saves}")
    elif not aof and saves is None:
        yield Finding(
            "persistence", "warning", f"no append-only file; of snapshots, nothing is told. {_KEEP}"
        )
    elif not aof:
        yield Finding("persistence", "warning", f"none: a restart forgets everything. {_KEEP}")


def _persistence(node: str | None) -> Op[Iterable[Finding]]:
    (found,) = yield [Command(("CONFIG", "GET", "save"), node=node)]  # not every server tells it
    saves = None if isinstance(found, StoreError) else string(dict(pairs(found)).get(b"save", b""))
    return (yield from _by_info(lambda info: persistence(info, saves), node))


def index(memory: AgentMemory) -> Op[Iterable[Finding]]:
    """Tell whether the search index is there, fits, and holds everything."""
    from langchain_agentmem.longterm.redisearch.inexact import plainly

    name = memory.settings.index_name
    try:
        found = yield from memory.long_term.info_op()
    except IndexMissingError:
        return [Finding("index", "ok", f"{name} is not there yet: the first memory makes it")]
    except SearchUnavailableError:
        return [Finding("index", "broken", "none: the server lacks Search, see modules")]
    if found["mismatch"] is not None:
        return [Finding("index", "broken", one_line(plainly(found["mismatch"]), 1000))]
    documents, schema = counted(found["documents"], "document"), found["schema"]
    about = f"{name}, {documents}, {schema['embedding']}, {schema['storage']} {schema['prefix']}"
    about += f", {found['memory_mb']:.1f} MB"
    if found["limits"]:
        about += f". {one_line(plainly(found['limits']), 1000)}"
    if found["failures"]:
        about += f"; {counted(found['failures'], 'document')} could not be indexed, and are never recalled: "
        about += "another model made them, or they are no memories. Remember them anew"
    elif found["indexing"]:
        about += "; still being backfilled: look again in a moment"
    fine = not (found["limits"] or found["failures"] or found["indexing"])
    return [Finding("index", "ok" if fine else "warning", about)]


def size(tier: str, prefix: str, kind: str, noun: str) -> Op[Iterable[Finding]]:
    """Tell how much a tier holds: keys are counted, their memory is that of a sample.

    Args:
        tier: Its name.
        prefix: What its keys begin with.
        kind: Their Redis type.
        noun: What a key is to people.
    """
    count, sample = 0, list[bytes]()

    def visit(keys: list[bytes]) -> Op[bool]:
        nonlocal count
        yield from ()
        count += len(keys)
        sample.extend(keys[: _SAMPLED - len(sample)])
        return count >= _MOST_KEYS

    yield from scan(prefix, kind, visit)
    more = "more than " if count >= _MOST_KEYS else ""
    says = f"{more}{counted(count, 'key')}" if count else "no keys"
    asked = [Command(("MEMORY", "USAGE", key), (key,), True) for key in sample]
    used = [reply for reply in ((yield asked) if asked else []) if isinstance(reply, int)]
    if used:
        each = sum(used) / len(used)
        says += f", {filesize.decimal(int(each * count))}, {filesize.decimal(int(each))} each"
        says += "" if len(used) == count else f" (from a sample of {len(used)})"
    elif sample:
        says += ", of unknown size: the server does not tell"
    return [Finding(tier, "ok", says, more + counted(count, noun))]


def partitions(memory: AgentMemory) -> Op[Iterable[Finding]]:
    """Tell whether data is in partitions that the settings do not have; nothing if it is not."""
    settings = memory.settings
    counts = of_all(settings.keys(cluster=memory.transport.cluster), settings.index_name)
    try:
        yield from without_partitions(nothing(), counts)
    except ConfigurationError as error:
        return [Finding("partitions", "broken", one_line(error.plain, 600))]
    return []


def tasks(memory: AgentMemory) -> Op[Iterable[Finding]]:
    """Tell what waits for workers, and what they have set aside; nothing if there is neither."""
    waiting = yield from memory.tasks.waiting_op()
    says = f"{counted(waiting.queues, 'thread')} with work for `agentmem worker`"
    if waiting.failed:
        aside = f"{counted(waiting.failed, 'task')} set aside: agentmem worker --failed lists them"
        return [Finding("tasks", "warning", f"{says}, {aside}")]
    return [Finding("tasks", "ok", says)] if waiting.queues else []


def latency() -> Op[Iterable[Finding]]:
    """Measure how long a round trip takes."""
    took = []
    for _ in range(_PINGS):
        began = time.perf_counter()
        yield from call(asks("PING"))
        took.append(time.perf_counter() - began)
    slow = median(took) > _SLOW_SECONDS
    brief = f"{milliseconds(max(median(took), 0.0001))} per round trip"
    says = f"{brief}, {milliseconds(max(took))} the worst of {_PINGS}"
    says += "; an exchange needs two: move the server nearer to the program" if slow else ""
    return [Finding("latency", "warning" if slow else "ok", says, brief)]
