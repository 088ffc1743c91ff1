"""What is shown and written: the table on the screen, `results.json`, and the table in the documentation."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import redis
from rich.console import Console
from rich.table import Table

from integration_tests.benchmarks.measure import Compared, Measured

_MARKED = "<!-- {name} -->\n{text}\n<!-- end of {name} -->"
_PACKAGES = (
    *("redis", "hiredis", "langchain-core", "langchain-redis", "langchain-community", "upstash-redis"),
    *("redisvl", "orjson", "numpy"),
)


def environment(client: redis.Redis) -> dict[str, str]:
    """The machine and the versions."""
    info: Any = client.info("server")
    modules: Any = client.module_list()
    loaded = {_text(module[_of(module, "name")]): module[_of(module, "ver")] for module in modules}
    said = {
        "machine": f"{_processor()}, {os.cpu_count()} CPUs, {platform.system()}",
        "Python": platform.python_version(),
        "Redis": str(info["redis_version"]),
        "Search": str(loaded.get("search", "")),
        "JSON": str(loaded.get("ReJSON", "")),
    }
    return said | {name: _version(name) for name in _PACKAGES}


def _of(module: Any, name: str) -> Any:
    return name if name in module else name.encode()


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    found = re.search(r"model name\s*:\s*(.+)", _read("/proc/cpuinfo"))
    return found.group(1).strip() if found else platform.processor() or platform.machine()


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _milliseconds(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.3f}"


def _sent(one: Measured | Compared) -> list[str]:
    return ["" if count is None else f"{count:,}" for count in (one.round_trips, one.sent_bytes)]


def _verdict(one: Compared) -> str:
    if one.reached is None:
        return ""
    return ("reached" if one.reached else "missed") if one.judged else ("yes" if one.reached else "no")


def missed(rows: Iterable[Measured]) -> list[str]:
    """The targets that were not reached."""
    return [
        f"{row.what}, against {one.name}: {one.ratio:.2f} instead of {one.reach}"
        for row in rows
        for one in row.others
        if one.judged and not one.reached
    ]


def show(console: Console, rows: Sequence[Measured]) -> None:
    """The table on the screen."""
    table = Table(title="median times of both sides, interleaved")
    table.add_column("what, and against what", ratio=1)
    for heading in ("ms", "trips", "bytes", "ratio", "from-to", "target", ""):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_section()
        table.add_row(f"[bold]{row.what}[/]\n  {row.ours}", _milliseconds(row.milliseconds), *_sent(row))
        for one in row.others:
            style = "" if not one.judged else "green" if one.reached else "red"
            table.add_row(
                f"  vs {one.name}",
                _milliseconds(one.milliseconds),
                *_sent(one),
                f"[{style or 'default'}]{one.ratio:.2f}[/]",
                f"{one.lowest:.2f}-{one.highest:.2f}",
                "" if one.reach is None else f"<= {one.reach}",
                f"[{style or 'default'}]{_verdict(one)}[/]",
            )
    console.print(table)


def markdown(rows: Sequence[Measured]) -> str:
    """The table of the documentation."""
    lines = [
        "| what, and against what | ms | round trips | bytes sent | ratio | from–to | target | |",
        "|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    for row in rows:
        sent = " | ".join(_sent(row))
        lines.append(f"| **{row.what}**: `{row.ours}` | {_milliseconds(row.milliseconds)} | {sent} | | | | |")
        for one in row.others:
            sent = " | ".join(_sent(one))
            target = "" if one.reach is None else f"≤ {one.reach}"
            mark = "**" if one.judged else ""
            lines.append(
                f"| against {one.name} | {_milliseconds(one.milliseconds)} | {sent} | {mark}{one.ratio:.2f}{mark} "
                f"| {one.lowest:.2f}–{one.highest:.2f} | {target} | {mark}{_verdict(one)}{mark} |"
            )
    return "\n".join(lines)


def footprint_markdown(footprints: dict[str, dict[str, float]]) -> str:
    """The table of memory by storage."""
    lines = ["| storage | the key, KB | with its part of the index, KB |", "|---|---:|---:|"]
    for name, sizes in footprints.items():
        lines.append(f"| {name} | {sizes['key'] / 1024:.1f} | {sizes['total'] / 1024:.1f} |")
    return "\n".join(lines)


def machine_markdown(about: dict[str, str]) -> str:
    """The machine and the versions, in a sentence."""
    first, *others = about.items()
    return f"Measured on {first[1]}; " + ", ".join(f"{name} {version}" for name, version in others) + "."


def write(
    folder: Path, about: dict[str, str], rows: Sequence[Measured], footprints: dict[str, dict[str, float]]
) -> list[Path]:
    """Write the data, the plot and the page's tables; the files written."""
    from integration_tests.benchmarks.plot import plot

    data, page = folder / "performance" / "results.json", folder / "performance.md"
    data.parent.mkdir(parents=True, exist_ok=True)
    results = {
        "environment": about,
        "rows": [asdict(row) for row in rows],
        "bytes_per_memory": footprints,
    }
    data.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", "utf-8")
    written = [data, plot(rows, folder / "performance" / "ratios.svg")]
    if page.exists():
        fill_page(
            page,
            results=markdown(rows),
            footprint=footprint_markdown(footprints),
            machine=machine_markdown(about),
        )
        written.append(page)
    return written


def fill_page(page: Path, **texts: str) -> None:
    """Put texts between their markers."""
    whole = page.read_text("utf-8")
    for name, text in texts.items():
        begin, end = _MARKED.format(name=name, text="").split("\n\n")
        before, found, rest = whole.partition(begin)
        _, ended, after = rest.partition(end)
        if not (found and ended):
            raise ValueError(f"{page} has no markers for {name!r}")
        whole = before + _MARKED.format(name=name, text=text) + after
    page.write_text(whole, "utf-8")
