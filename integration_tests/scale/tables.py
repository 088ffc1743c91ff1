"""The tables of docs/scale.md."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from integration_tests.benchmarks.reach import Line
from integration_tests.scale.at_once import AtOnce
from integration_tests.scale.growth import Measured, Results
from integration_tests.scale.people import MEMORIES, MESSAGES, SESSIONS
from integration_tests.scale.plan import Assumptions, Plan, Unit
from integration_tests.scale.worlds import OPERATIONS, where

_MB, _GB, _TB = 1e6, 1e9, 1e12
_MANY_SERVERS = 100
_NONE = "Not measured yet."


def reach(found: Sequence[Line]) -> str:
    """Return the targets, with what was measured."""
    if not found:
        return _NONE
    rows = ["| what | against | measured | target | |", "|---|---|---:|---:|---|"]
    for line in found:
        what, against, value, _, target, verdict = line.cells()
        mark = "**" if line.reached is False else ""
        rows.append(f"| {what} | {against} | **{value}** | {target} | {mark}{verdict}{mark} |")
    return "\n".join(rows)


def times(results: Sequence[Results]) -> str:
    """Return the median time of each operation and that of the slowest hundredth, by size."""
    return _by_size(results, lambda one: f"{_milliseconds(one.p50)} / {_milliseconds(one.p99)}")


def cpu(results: Sequence[Results]) -> str:
    """Return the CPU of each operation, of the client and of all primaries together, by size."""
    return _by_size(results, lambda one: f"{_milliseconds(one.client)} / {_milliseconds(one.server)}")


def _by_size(results: Sequence[Results], show: Callable[[Measured], str]) -> str:
    cells: dict[tuple[str, str, int], str] = {}
    for one in (each for result in results for each in result.measured):
        cells.setdefault((one.operation, one.on, one.memories), show(one))  # of the largest run that has it
    sizes = sorted({size for _, _, size in cells})
    if not sizes:
        return _NONE
    rows = [
        "| what | on | " + " | ".join(f"{size:,}" for size in sizes) + " |",
        "|---|---|" + "---:|" * len(sizes),
    ]
    for operation, title in ((name, one.title) for name, one in OPERATIONS.items()):
        for on in dict.fromkeys(on for name, on, _ in cells if name == operation):
            shown = " | ".join(cells.get((operation, on, size), "") for size in sizes)
            rows.append(f"| {title} | {where(on)} | {shown} |")
    return "\n".join(rows)


def memory(results: Sequence[Results]) -> str:
    """Return what memories, conversations and events take."""
    footprints = {
        (one.on, one.memories, one.vector_type): one for result in results for one in result.footprints
    }
    if not footprints:
        return _NONE
    rows = [
        "| on | memories | users | vectors | a memory, bytes | a conversation, bytes | its events, bytes "
        "| a user, KB | all, GB | stored per second |",
        "|---|---:|---:|---|---:|---:|---:|---:|---:|---:|",
    ]
    for one in sorted(footprints.values(), key=lambda one: (one.memories, one.on != "standalone", one.on)):
        users = one.memories // MEMORIES
        whole = one.empty + one.long_term + one.sessions
        rows.append(
            f"| {where(one.on)} | {one.memories:,} | {users:,} | {one.vector_type.upper()} "
            f"| {one.long_term / one.memories:,.0f} | {one.sessions / (users * SESSIONS):,.0f} "
            f"| {one.events:,.0f} | {(one.long_term + one.sessions) / users / 1e3:,.0f} "
            f"| {whole / _GB:.2f} | {one.memories_per_second:,.0f} |"
        )
    left_out = {name: why for result in results for name, why in result.left_out.items()}
    return "\n".join([*rows, *(f"\n{name}: not measured, {why}." for name, why in left_out.items())])


def at_once(found: Sequence[AtOnce]) -> str:
    """Return what came of many conversations at once."""
    if not found:
        return _NONE
    rows = [
        "| conversations | recall | garbage collection | turns/s | p50, ms | p99, ms | fairness "
        "| client, ms of CPU a turn | of it collecting | server, ms of CPU a turn |",
        "|---:|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for one in (each for each in found if not each.profile):
        how = "as it is" if one.collections == "usual" else "rare"
        rows.append(
            f"| {one.conversations:,} | {one.mode} | {how} | **{one.turns_per_second:,.0f}** | {one.p50:,.0f} "
            f"| {one.p99:,.0f} | {one.fairness:.3f} | {one.client:.2f} | {one.collecting:.0%} | {one.server:.2f} |"
        )
    return "\n".join(rows)


def profile(found: Sequence[AtOnce]) -> str:
    """Return where the client's CPU went, besides collecting garbage."""
    sampled = next((one for one in found if one.profile), None)
    if sampled is None:
        return _NONE
    return (
        f"{sampled.conversations:,} conversations, {sampled.mode}: "
        + ", ".join(f"{_name(folder)} {part:.0%}" for folder, part in sampled.profile.items())
        + "."
    )


def _name(folder: str) -> str:
    return folder if folder in ("other", "the benchmark itself") else f"`{folder}`"


def plans(found: Sequence[Plan], unit: Unit | None, assumed: Assumptions) -> str:
    """Return what so many users need, and what that was computed from."""
    if unit is None:
        return _NONE
    rows = [
        "| users | memories | data | turns/s at the peak | servers | for the data | for the CPU | first "
        "bottleneck | client cores | set |",
        "|---:|---:|---:|---:|---|---:|---:|---|---:|---|",
    ]
    rows += [_plan(one, assumed) for one in found]
    common = (
        'All with `storage="hash"`, `algorithm="flat"`, `maxmemory-policy volatile-lfu` and '
        f"`events_ttl_seconds={assumed.event_days * 86_400:.0f}`."
    )
    return "\n".join([*rows, "", common, "", _sources(unit), "", _assumed(assumed)])


def _plan(one: Plan, assumed: Assumptions) -> str:
    replicas = one.servers - one.primaries
    servers = (
        f"{one.primaries:,} × {one.server_gb} GB, and {replicas:,} replica{'' if replicas == 1 else 's'}"
    )
    return (
        f"| {one.users:,} | {one.users * MEMORIES:,} | {_size(one.bytes)} | {one.turns_per_second:,.0f} "
        f"| {servers} | {_share(one.by_memory)} | {_share(one.by_cpu)} | {one.bottleneck} "
        f"| {one.client_cores:,} | {_settings(one)} |"
    )


def _settings(one: Plan) -> str:
    said = [f'`vector_type="{one.vector_type}"`']
    if one.partitions is None:
        return ", ".join([*said, "`redis+sentinel://`"])
    timeout = 5000 if one.servers < _MANY_SERVERS else 15000
    return ", ".join(
        [*said, "`redis+cluster://`", f"`partitions={one.partitions}`", f"node timeout {timeout} ms"]
    )


def _share(servers: float) -> str:
    return f"{servers:,.0f}" if servers >= 10 else f"{servers:.1f}" if servers >= 1 else f"{servers:.0%} of 1"


def _size(size: float) -> str:
    return (
        f"{size / _TB:,.1f} TB"
        if size >= _TB
        else f"{size / _GB:,.0f} GB"
        if size >= _GB
        else f"{size / _MB:,.0f} MB"
    )


def _sources(unit: Unit) -> str:
    return (
        f"Measured ({unit.sources}): a memory {unit.memory:,.0f} bytes, with 16-bit vectors "
        f"{unit.memory_float16:,.0f}; a conversation of {MESSAGES} messages {unit.session:,.0f} bytes, its events "
        f"{unit.events:,.0f}; a turn {unit.server * 1000:.2f} ms of the servers' CPU and {unit.client * 1000:.2f} ms "
        "of the client's."
    )


def _assumed(assumed: Assumptions) -> str:
    return (
        f"Assumed: {MEMORIES} memories per user, {assumed.turns_per_day:g} turns per user and day, "
        f"{assumed.peak:g} times as many in the busiest hour, conversations kept for {assumed.session_hours:g} h "
        f"after their last message and events for {assumed.event_days:g} days, servers and cores used to "
        f"{assumed.utilisation:.0%}, {assumed.replicas} replica of each primary. Reasoned, not measured: whatever is "
        "above the largest number of memories and of primaries in the tables above."
    )


def _milliseconds(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
