"""Servers that are killed, or have no room left, while others write."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random

import redis
from langchain_core.messages import HumanMessage

from integration_tests.soak.trial import Clock, Figures, Ledger, Places, side_by_side
from integration_tests.waiting import wait_until
from integration_tests.words import WordEmbeddings
from langchain_agentmem import AgentMemory, EmbeddedRedis, WorkingMemory

_WRITERS = "abcd"
_KILLS, _KILLS_WITHIN_SECONDS = 5, 65.0  # more, and the supervisor gives the server up
_MEGABYTE = 1 << 20
_DIMENSIONS = 32


def killed_servers(clock: Clock, random: Random) -> Figures:
    """Kill a private Redis that syncs each write, under four writers: no acknowledged turn is lost or doubled."""
    return _kill_servers(clock, random, appendfsync="always")


def killed_servers_as_they_are(clock: Clock, random: Random) -> Figures:
    """The same with the default: the server hands each write to the kernel, and its supervisor syncs."""
    return _kill_servers(clock, random)


def _kill_servers(clock: Clock, random: Random, **options: str) -> Figures:
    turns, kills = Ledger(), []
    places = Places("t", 800)

    def write(url: str, writer: str) -> None:
        with WorkingMemory(url, max_turns=None) as working:
            while not clock.is_over():
                place = places.next()
                with turns.sending(place, writer) as entry:
                    working.append_turn(place, "user", entry)

    def kill(server: EmbeddedRedis) -> None:
        pids: set[int] = set()
        while not clock.is_over():
            pause = clock.gone_seconds + (0.2 + random.random()) * min(clock.seconds / 6, 2.0)
            wait_until(lambda: clock.gone_seconds > pause, 10)  # noqa: B023
            recent = [at for at in kills if clock.gone_seconds - at < _KILLS_WITHIN_SECONDS]
            pid = server.pid
            if len(recent) < _KILLS and pid is not None and pid not in pids and not clock.is_over():
                kills.append(clock.gone_seconds)
                pids.add(pid)
                os.kill(pid, signal.SIGKILL)

    with tempfile.TemporaryDirectory(prefix="am-", ignore_cleanup_errors=True) as folder:
        with EmbeddedRedis(Path(folder, "data"), search=False, options=options) as server:
            side_by_side(partial(kill, server), *(partial(write, server.url, name) for name in _WRITERS))
            with WorkingMemory(server.url, max_turns=None) as working:
                figures = turns.compare(lambda place: _contents(working, place))
        wait_until(lambda: not Path(folder, "data", "server.json").exists())
    return Figures({"kills": len(kills), **figures.counts}, figures.broken)


def full_servers(clock: Clock, random: Random) -> Figures:
    """Write until a server's memory is full, again and again: nothing is stored by half."""
    figures = Figures()
    with EmbeddedRedis() as server, redis.Redis.from_url(server.url) as bare:
        while not figures.counts or not clock.is_over():
            bare.flushall()
            bare.config_set(
                "maxmemory", bare.info("memory")["used_memory"] + random.randint(1, 5) * _MEGABYTE
            )
            with AgentMemory(server.url, embeddings=WordEmbeddings(_DIMENSIONS), max_turns=None) as memory:
                figures.add(_fill(memory, bare, random, lambda: bare.config_set("maxmemory", 0)))
            clock.is_over()
    return figures


def full_disks(clock: Clock, random: Random) -> Figures:
    """Write until the disk is full, make room, and start anew: nothing is lost or stored by half."""
    figures = Figures()
    with _small_disk() as folder:
        if folder is None:
            return Figures(skipped="no small file system can be mounted: it takes root")
        while not figures.counts or not clock.is_over():
            data, filler = folder / "data", folder / "filler"
            filler.write_bytes(b"x" * random.randint(1, 4) * _MEGABYTE)
            with EmbeddedRedis(data, search=False) as server:
                working = WorkingMemory(server.url, max_turns=None)
                with working:
                    figures.add(_fill_disk(working, server, random, filler))
            wait_until(lambda: not (data / "server.json").exists())  # noqa: B023
            shutil.rmtree(data)
            clock.is_over()
    return figures


def _fill(memory: AgentMemory, bare: redis.Redis, random: Random, make_room: Callable[[], object]) -> Figures:
    """Write in every tier until the server refuses often enough, make room, and look at what is there."""
    turns, facts, refusals = Ledger(), Ledger(), Counter[str]()
    sizes = [random.randint(10, 8000) for _ in range(50)]

    def write(writer: str) -> None:
        places, number, dice = Places(writer, 7), 0, Random(f"{sizes} {writer}")
        while refusals[writer] < 30:
            place, number = places.next(), number + 1
            padding = "x" * sizes[number % len(sizes)]
            with counting(writer), turns.sending(place, writer) as entry:
                memory.working.append(place, [HumanMessage(f"{entry} {padding}")], user=writer)
            with counting(writer), facts.sending(writer, writer) as entry:
                vector = [dice.gauss(0, 1) for _ in range(_DIMENSIONS)]  # far from all others
                memory.long_term.remember(
                    f"{entry} {padding}", user=writer, kind="episodic", embedding=vector
                )

    @contextmanager
    def counting(writer: str) -> Iterator[None]:
        before = _unknown(turns) + _unknown(facts)
        yield
        refusals[writer] += _unknown(turns) + _unknown(facts) > before

    side_by_side(partial(write, "a"), partial(write, "b"))
    make_room()
    figures = turns.compare(lambda place: _contents(memory.working, place))
    figures.add(facts.compare(lambda user: _texts(memory, user)))
    figures.broken.pop("disordered")  # facts have no order
    half = _half_written(memory.working, turns.places)
    for place in turns.places:
        key = memory.working.key(place)
        half += bool(bare.exists(key)) and int(bare.ttl(key)) <= 0
    for user in facts.places:
        half += sum(
            one.ttl_seconds is None for one in memory.long_term.list_memories(user=user, limit=100_000)
        )
    return Figures(figures.counts, figures.broken | {"half": half})


def _fill_disk(working: WorkingMemory, server: EmbeddedRedis, random: Random, filler: Path) -> Figures:
    """Append until the server refuses, make room, and look at what is there, then after a new start too."""
    turns, places = Ledger(), Places("t", 7)

    def append() -> None:
        place = places.next()
        with turns.sending(place, "a") as entry:
            working.append(place, [HumanMessage(f"{entry} {'x' * random.randint(10, 32_000)}")])

    while _unknown(turns) < 10:
        append()
    half = _half_written(working, turns.places)
    filler.unlink()

    def accepts() -> bool:
        before = _unknown(turns)
        append()
        return _unknown(turns) == before

    wait_until(accepts, 20)
    figures = turns.compare(lambda place: _contents(working, place))
    server.close()
    wait_until(lambda: not (server.data_dir / "server.json").exists())
    server.start()
    with WorkingMemory(server.url, max_turns=None) as anew:
        again = turns.compare(lambda place: _contents(anew, place))
        half += _half_written(anew, turns.places)
    broken = {name: count + again.broken[name] for name, count in figures.broken.items()}
    return Figures(figures.counts, broken | {"half": half})


def _unknown(ledger: Ledger) -> int:
    return sum(map(len, ledger.unknown.values()))


def _contents(working: WorkingMemory, thread: str) -> list[str]:
    return [str(message.content).partition(" ")[0] for message in working.messages(thread)]


def _texts(memory: AgentMemory, user: str) -> list[str]:
    return [one.text.partition(" ")[0] for one in memory.long_term.list_memories(user=user, limit=100_000)]


def _half_written(working: WorkingMemory, threads: Iterable[str]) -> int:
    """How many sessions do not hold as many turns as they count."""
    states = [working.load(thread) for thread in threads]
    return sum(state is not None and state.turn_count != len(state.recent_turns) for state in states)


@contextmanager
def _small_disk() -> Iterator[Path | None]:
    """A file system of 16 MB; `None` if none can be mounted."""
    with tempfile.TemporaryDirectory(prefix="am-") as folder:
        try:
            _run("mount", "-t", "tmpfs", "-o", "size=16m,mode=0700", "tmpfs", folder)
        except (OSError, subprocess.CalledProcessError):
            yield None
            return
        try:
            yield Path(folder)
        finally:
            _run("umount", "--lazy", folder)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
