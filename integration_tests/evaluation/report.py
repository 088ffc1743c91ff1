"""What is written: `results.json`, the pictures, and the tables of the documentation."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from integration_tests.benchmarks.report import fill_page, machine_markdown
from integration_tests.evaluation import plot, tables
from integration_tests.evaluation.data import Data
from integration_tests.evaluation.latency import Timing
from integration_tests.evaluation.plot import Measured
from integration_tests.evaluation.tables import Rows


@dataclass
class Result:
    """What was measured on one set of data.

    Attributes:
        data: The set.
        systems: Figures by system, by group of questions; the package's own way last.
        by_conversation: Figures of the questions about conversations, by the package's modes, by conversation.
        by_category: The same, by LoCoMo's category.
        changed: Figures of the package's own way with one part of its ranking changed, by the change.
        rules: For each rule of deduplication, whether each pair was merged.
        problems: Why a peer did not run, by its name.
    """

    data: Data
    systems: Measured = field(default_factory=dict)
    by_conversation: Measured = field(default_factory=dict)
    by_category: Measured = field(default_factory=dict)
    changed: Measured = field(default_factory=dict)
    rules: dict[str, dict[str, list[bool]]] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    def tables(self) -> dict[str, Rows]:
        """Return the tables, by what they are about."""
        made: dict[str, Rows] = {}
        if self.data.conversations:
            made["questions about conversations"] = tables.chat(self.systems, self.problems)
        if self.data.facts is not None:
            made["questions about short facts"] = tables.facts(self.systems, self.problems)
        if self.data.conversations:
            made["by conversation"] = tables.parts(self.by_conversation)
            made["by category"] = tables.parts(self.by_category)
        if self.changed:
            made["ablation"] = tables.changes({**dict([[*self.systems.items()][-1]]), **self.changed})
        if self.data.pairs is not None:
            made["deduplication"] = tables.deduplication(self.rules, self.data.pairs)
        return made

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
            "ablation": plain(self.changed),
            "deduplication": {
                rule: {kind: {"pairs": len(found), "merged": sum(found)} for kind, found in kinds.items()}
                for rule, kinds in self.rules.items()
            },
            "not_run": self.problems,
        }


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
            made["latency"] = tables.timings(self.timings)
        if self.growth:
            made["growth"] = tables.growths(self.growth)
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
            texts = {title: tables.markdown(rows) for title, rows in self.tables().items()}
            texts["machine"] = machine_markdown(self.environment)
            fill_page(page, **{title: text for title, text in texts.items() if f"<!-- {title} -->" in whole})
            written.append(page)
        return written
