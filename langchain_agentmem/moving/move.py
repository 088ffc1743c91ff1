"""`move_memory`: everything of a memory from one server to another."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing, closing
from dataclasses import replace
from functools import partial
from typing import NamedTuple, TypeAlias

from langchain_agentmem.core.checks import positive
from langchain_agentmem.core.keys import index_keys, store_index
from langchain_agentmem.core.partition_count import of_all
from langchain_agentmem.core.partitions import MAX_PARTITIONS
from langchain_agentmem.core.redaction import redact_secrets
from langchain_agentmem.errors import ConfigurationError, InvalidInputError
from langchain_agentmem.longterm.types import Storage, VectorType
from langchain_agentmem.moving.mover import Mover
from langchain_agentmem.moving.record import PREFIX, MoveRecord
from langchain_agentmem.moving.report import MoveReport
from langchain_agentmem.moving.steps import Steps, arun, run
from langchain_agentmem.moving.target import Target
from langchain_agentmem.moving.units import Layout
from langchain_agentmem.settings import AgentMemorySettings
from langchain_agentmem.transport.connections import SharedConnection, Transport
from langchain_agentmem.transport.urls import is_rest

OnProgress: TypeAlias = Callable[[MoveReport], None]
_PASSES = 5


class _Options(NamedTuple):
    partitions: int | None
    from_partitions: int | None
    storage: Storage | None
    vector_type: VectorType | None
    into: bool
    passes: int
    dry_run: bool


def move_memory(
    source: str,
    target: str,
    *,
    partitions: int | None = None,
    from_partitions: int | None = None,
    storage: Storage | None = None,
    vector_type: VectorType | None = None,
    into: bool = False,
    passes: int = _PASSES,
    dry_run: bool = False,
    on_progress: OnProgress | None = None,
) -> MoveReport:
    """Copy everything of a memory from one server to another, while the source is in use; then compare.

    That is sessions, records of threads, memories, events, items of the LangGraph store, queues of tasks and
    tasks that were set aside. Ids, times, vectors and what is left of each TTL stay as they are. The source
    is only read. A pass copies what has changed since the one before, and deletes at the target what was
    deleted at the source; the last one changes nothing. Called again, it goes on where it was, also if it was
    killed: which keys it brought is noted at the target, for a week.

    The settings of the environment (`AGENTMEM_…`) hold for both sides. The search index at the target is
    created by whoever uses it first.

    Args:
        source: The URL of the memory: redis://, rediss://, unix://, redis+cluster://, embedded:// ….
        target: The URL of where it goes. A database that holds a memory already is refused.
        partitions: In how many partitions memories are at the target, 0 for none; `None` for the setting, or
            256 on a cluster.
        from_partitions: The same of the source.
        storage: How memories are stored at the target: as `json` or as `hash`; `None` for as they are.
        vector_type: Of what numbers vectors are at the target, `float32` or `float16`; `None` for the same.
        into: Whether the target may hold a memory. What both have is joined, or the newer one stays.
        passes: After how many passes to stop at the latest, though the last one has still changed something.
        dry_run: Count only; write nothing.
        on_progress: Called with the report, now and then; it is always the same object.

    Raises:
        ConfigurationError: A URL cannot be used, source and target are the same database, the target is not
            empty, or the source has partitions that were not named.
        StoreError: One of the servers refused something, or did not answer. Call it again to go on.
    """
    options = _Options(partitions, from_partitions, storage, vector_type, into, passes, dry_run)
    with closing(_connection(source, "source")) as one, closing(_connection(target, "target")) as other:
        steps, report = _move(source, target, one, other, options)
        run(steps, one, other, partial(_tell, on_progress, report))
        return report


async def amove_memory(
    source: str,
    target: str,
    *,
    partitions: int | None = None,
    from_partitions: int | None = None,
    storage: Storage | None = None,
    vector_type: VectorType | None = None,
    into: bool = False,
    passes: int = _PASSES,
    dry_run: bool = False,
    on_progress: OnProgress | None = None,
) -> MoveReport:
    """Async version of `move_memory`."""
    options = _Options(partitions, from_partitions, storage, vector_type, into, passes, dry_run)
    async with (
        aclosing(_connection(source, "source")) as one,
        aclosing(_connection(target, "target")) as other,
    ):
        steps, report = _move(source, target, one, other, options)
        await arun(steps, one, other, partial(_tell, on_progress, report))
        return report


def _move(
    source: str, target: str, one: Transport, other: Transport, options: _Options
) -> tuple[Steps[None], MoveReport]:
    settings = AgentMemorySettings.load(url=source)
    before = _layout(settings, one, options.from_partitions, "from_partitions")
    after = _layout(settings, other, options.partitions, "partitions")
    positive("passes", options.passes)
    vectors = options.vector_type or settings.vector_type
    writing = Target(after, options.storage, vectors, settings.vector_type)
    identity = (before.keys, after.keys, options.storage, vectors)
    record = MoveRecord(redact_secrets(source), redact_secrets(target), identity)
    report = MoveReport()
    mover = Mover(before, writing, record, report, into=options.into, passes=options.passes)
    return mover.count() if options.dry_run else mover.move(), report


def _layout(settings: AgentMemorySettings, transport: Transport, wanted: int | None, name: str) -> Layout:
    if wanted is not None and not (isinstance(wanted, int) and 0 <= wanted <= MAX_PARTITIONS):
        raise InvalidInputError(f"{name} must be from 0 to {MAX_PARTITIONS}, not {wanted!r}.")
    keys = settings.keys(cluster=transport.cluster)
    if wanted is not None:
        keys = replace(keys, partitions=wanted)
    indexes = (index_keys(settings.index_name), index_keys(store_index(settings.index_name)))
    others = (*indexes, keys.threads_prefix, keys.tasks_prefix, keys.store_prefix, PREFIX)
    lists = settings.session_storage == "list"
    return Layout(keys, others, lists, tuple(of_all(keys, settings.index_name)))


def _connection(url: str, name: str) -> Transport:
    settings = AgentMemorySettings.load(url=url)
    if is_rest(url):
        raise ConfigurationError(
            f"The {name} is Upstash's REST API, which move cannot read or write. Use export_user and "
            "import_lines.",
            plain=f"The {name} is Upstash's REST API, which move cannot read or write: use agentmem export "
            "and agentmem import; or Upstash's rediss:// URL.",
        )
    return SharedConnection(url, settings.socket_timeout_seconds)


def _tell(on_progress: OnProgress | None, report: MoveReport) -> None:
    if on_progress is not None:
        on_progress(report)
