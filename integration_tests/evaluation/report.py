"""What is shown and written: tables on the screen and in the documentation, `results.json`, and the pictures."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from integration_tests.benchmarks.report import fill_page, machine_markdown
from integration_tests.evaluation import plot
from integration_tests.evaluation.data import Data, Pairs
from integration_tests.evaluation.latency import Timing
from integration_tests.evaluation.plot import Measured
from integration_tests.evaluation.scores import Figures, K

Rows = tuple[list[str], list[list[str]]]
"""A table: its headings and its rows."""


@dataclass
class Result:
    """What was measured on one set of data.

    Attributes:
        data: The set.
        systems: Figures by system, by group of questions; the package's own way last.
        by_conversation: Figures of the questions about conversations, by system, by conversation.
        by_category: The same, by LoCoMo's category.
        rules: For each rule of deduplication, whether each pair was merged.
        problems: Why a peer did not run, by its name.
    """

    data: Data
    systems: Measured = field(default_factory=dict)
    by_conversation: Measured = field(default_factory=dict)
    by_category: Measured = field(default_factory=dict)
    rules: dict[str, dict[str, list[bool]]] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    def tables(self) -> dict[str, Rows]:
        """Return the tables, by what they are about."""
        made: dict[str, Rows] = {}
        if self.data.conversations:
            made["questions about conversations"] = self._chat()
        if self.data.facts is not None:
            made["questions about short facts"] = self._facts()
        if self.data.conversations:
            made["by conversation"] = _parts(self.by_conversation)
            made["by category"] = _parts(self.by_category)
        if self.data.pairs is not None:
            made["deduplication"] = _pairs(self.rules, self.data.pairs)
        return made

    def _chat(self) -> Rows:
        heads = [
            "",
            *(f"R@{k}" for k in (1, 5, 10, K)),
            "MRR",
            "false recalls",
            "lower case: R@5",
            "false recalls",
        ]
        rows = []
        for name, groups in self.systems.items():
            found = groups["chat"]
            rows.append(
                [
                    name,
                    *map(_figure, found.recall.values()),
                    _figure(found.mrr),
                    _share(groups.get("chat, not known")),
                    _figure(groups["chat, lower case"].recall[5]),
                    _share(groups.get("chat, lower case, not known")),
                ]
            )
        return heads, rows + self._not_run(len(heads))

    def _facts(self) -> Rows:
        heads = ["", "R@1", "R@5", "lower case: R@5", "among chat: R@5"]
        heads += ["false: unrelated", "false: another's chat", "false: never said"]
        rows = []
        for name, groups in self.systems.items():
            rows.append(
                [
                    name,
                    *(_figure(groups["facts"].recall[k]) for k in (1, 5)),
                    *(_recall_at_5(groups.get(group)) for group in ("facts, lower case", "facts among chat")),
                    *(
                        _share(groups.get(f"facts, {group}"))
                        for group in ("unrelated", "another's chat", "never said")
                    ),
                ]
            )
        return heads, rows + self._not_run(len(heads))

    def _not_run(self, columns: int) -> list[list[str]]:
        return [[f"{name}: not run"] + [""] * (columns - 1) for name in self.problems]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form: figures, and no text of the data."""

        def plain(measured: Measured) -> dict[str, Any]:
            return {
                name: {group: one.to_dict() for group, one in groups.items()}
                for name, groups in measured.items()
            }

        return {
            "conversations": len(self.data.conversations),
            "systems": plain(self.systems),
            "by_conversation": plain(self.by_conversation),
            "by_category": plain(self.by_category),
            "deduplication": {
                rule: {kind: {"pairs": len(found), "merged": sum(found)} for kind, found in kinds.items()}
                for rule, kinds in self.rules.items()
            },
            "not_run": self.problems,
        }


def _figure(value: float) -> str:
    return f"{value:.3f}"


def _share(figures: Figures | None) -> str:
    return "" if figures is None else f"{100 * figures.answered:.1f} %"


def _recall_at_5(figures: Figures | None) -> str:
    return "" if figures is None else _figure(figures.recall[5])


def _parts(measured: Measured) -> Rows:
    """Return R@5 by part, a row for each system."""
    parts = [*dict.fromkeys(part for groups in measured.values() for part in groups)]
    sizes = {part: one.questions for groups in measured.values() for part, one in groups.items()}
    heads = ["R@5", *(f"{part} ({sizes[part]})" for part in sorted(parts))]
    return heads, [
        [name, *(_recall_at_5(groups.get(part)) for part in sorted(parts))]
        for name, groups in measured.items()
    ]


def _pairs(rules: dict[str, dict[str, list[bool]]], pairs: Pairs) -> Rows:
    heads = ["dedup", "changed facts lost", "restatements merged", "of which kinds changed facts are lost"]
    rows = []
    for rule, kinds in rules.items():
        lost = Counter(
            pair.category for pair, one in zip(pairs.different, kinds["different"], strict=True) if one
        )
        rows.append(
            [
                rule,
                f"{sum(kinds['different'])} of {len(kinds['different'])}",
                f"{sum(kinds['restated'])} of {len(kinds['restated'])} "
                f"({100 * sum(kinds['restated']) / max(1, len(kinds['restated'])):.0f} %)",
                ", ".join(f"{category} {count}" for category, count in lost.most_common(6)),
            ]
        )
    return heads, rows


def timings(measured: Sequence[Timing]) -> Rows:
    """Return the table of times."""
    heads = ["", "ms", "ratio", "ms on the client", "round trips"]
    return heads, [
        [
            one.name,
            f"{one.milliseconds:.3f}",
            f"{one.ratio:.2f}",
            f"{one.client:.3f}",
            f"{one.round_trips:.0f}",
        ]
        for one in measured
    ]


def growths(measured: dict[int, dict[str, list[Timing]]]) -> Rows:
    """Return the table of times by how many memories there are."""
    names = [one.name for users in measured.values() for one in users["fixed"]]
    heads = ["memories in the index", "of the user", *dict.fromkeys(f"{name}: ms" for name in names)]
    return heads, [
        [f"{size:,}", user, *(f"{one.milliseconds:.3f}" for one in found)]
        for size, users in measured.items()
        for user, found in users.items()
    ]


def show(console: Console, title: str, rows: Rows) -> None:
    """Show a table on the screen."""
    table = Table(title=title, title_justify="left")
    for at, heading in enumerate(rows[0]):
        table.add_column(heading, justify="right" if at else "left")
    for row in rows[1]:
        table.add_row(*row)
    console.print(table)


def markdown(rows: Rows) -> str:
    """Return a table as the documentation has it; the last row, the package's own way, is bold."""
    heads, body = rows
    lines = [f"| {' | '.join(heads)} |", "|---|" + "---:|" * (len(heads) - 1)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in body)])


@dataclass
class Report:
    """Everything of one run."""

    environment: dict[str, str]
    results: list[Result] = field(default_factory=list)
    timings: list[Timing] = field(default_factory=list)
    growth: dict[int, dict[str, list[Timing]]] = field(default_factory=dict)

    def tables(self) -> dict[str, Rows]:
        """Return every table, by its title."""
        made = {
            f"{result.data.name}: {about}": rows
            for result in self.results
            for about, rows in result.tables().items()
        }
        if self.timings:
            made["latency"] = timings(self.timings)
        if self.growth:
            made["growth"] = growths(self.growth)
        return made

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "environment": self.environment,
            "data": {result.data.name: result.to_dict() for result in self.results},
            "latency": [asdict(one) for one in self.timings],
            "growth": {
                size: {user: [asdict(one) for one in found] for user, found in users.items()}
                for size, users in self.growth.items()
            },
        }

    def write(self, folder: Path) -> list[Path]:
        """Write the data and the pictures, and fill the page if there is one; return the files written."""
        name = "recall-quality"
        data, page = folder / name / "results.json", folder / f"{name}.md"
        data.parent.mkdir(parents=True, exist_ok=True)
        data.write_text(json.dumps(self.to_dict(), indent=1, ensure_ascii=False) + "\n", "utf-8")
        measured = [(result.data.name, result.systems) for result in self.results]
        written = [
            data,
            plot.recall_at_k(measured, folder / name / "recall-at-k.svg"),
            plot.recall_and_false_recalls(measured, folder / name / "false-recalls.svg"),
        ]
        if page.exists():
            whole = page.read_text("utf-8")
            texts = {title: markdown(rows) for title, rows in self.tables().items()}
            texts["machine"] = machine_markdown(self.environment)
            fill_page(page, **{title: text for title, text in texts.items() if f"<!-- {title} -->" in whole})
            written.append(page)
        return written
