"""What is written: `results.json`, the picture, and the tables of a page of the documentation."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import redis

from integration_tests.benchmarks import tables
from integration_tests.benchmarks.measure import Figure, Measured
from integration_tests.benchmarks.reach import Line, lines, markdown
from integration_tests.benchmarks.time_spent import Spent

KEPT = frozenset({"install"})  # measured on request only, because it downloads
_DATA = Path("performance", "results.json")
_MARKED = "<!-- {name} -->\n{text}\n<!-- end of {name} -->"
_PACKAGES = (
    *("redis", "hiredis", "langchain-core", "langchain-community", "upstash-redis", "redisvl", "orjson"),
    *("numpy", "onnxruntime", "tokenizers", "sentence-transformers", "torch"),
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


def machine_markdown(about: dict[str, str]) -> str:
    """The machine and the versions, in a sentence."""
    first, *others = about.items()
    return f"Measured on {first[1]}; " + ", ".join(f"{name} {version}" for name, version in others) + "."


@dataclass(frozen=True)
class Results:
    """Everything that a run measures on a server of its own.

    Attributes:
        environment: The machine and the versions.
        seed: What the order of the sides was drawn with.
        rows: The comparisons.
        figures: The numbers that are judged by themselves.
        spent: Where the time of the judged rows goes.
        bytes_per_memory: What a memory takes, by storage.
    """

    environment: dict[str, str]
    seed: int
    rows: list[Measured] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    spent: list[Spent] = field(default_factory=list)
    bytes_per_memory: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def lines(self) -> list[Line]:
        """The targets, with what was measured."""
        return lines(self.rows, self.figures)

    def keep_from(self, folder: Path) -> None:
        """Take figures that were not measured now from the last run that was written."""
        try:
            before = json.loads((folder / _DATA).read_text("utf-8")).get("figures", [])
        except OSError:
            return
        measured = {one.target for one in self.figures}
        self.figures.extend(Figure(**one) for one in before if one["target"] in KEPT - measured)


def write(folder: Path, results: Results) -> list[Path]:
    """Write the data, the picture and the page's tables; the files written."""
    from integration_tests.benchmarks.plot import plot

    data, page = folder / _DATA, folder / "performance.md"
    data.parent.mkdir(parents=True, exist_ok=True)
    data.write_text(json.dumps(asdict(results), indent=1, ensure_ascii=False) + "\n", "utf-8")
    written = [data, plot(results.lines, folder / "performance" / "reach.svg")]
    if page.exists():
        fill_page(
            page,
            reach=markdown(results.lines, results.spent),
            results=tables.rows_markdown(results.rows),
            figures=tables.figures_markdown(results.figures),
            spent=tables.spent_markdown(results.rows, results.spent),
            footprint=tables.footprint_markdown(results.bytes_per_memory),
            machine=machine_markdown(results.environment),
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
