"""What was measured, in files: a phase each; and the page that is made of all of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from integration_tests.benchmarks.reach import Line
from integration_tests.benchmarks.report import fill_page, machine_markdown
from integration_tests.scale import plan, tables, targets
from integration_tests.scale.at_once import AtOnce
from integration_tests.scale.growth import Measured, Results
from integration_tests.scale.pictures import draw
from integration_tests.scale.worlds import Footprint

_CONVERSATIONS = "conversations"


class Folder:
    """The results of all phases, in `scale/` of the documents' folder.

    Args:
        docs: The documents' folder.
    """

    def __init__(self, docs: Path) -> None:
        self._docs = docs
        self._data = docs / "scale"

    def results(self, phase: str) -> Results | None:
        """Return what came of a phase; `None` if it was not measured."""
        found = self._read(phase)
        return None if found is None else _results(found)

    def all_results(self) -> list[Results]:
        """Return what came of all phases, those with most worlds first."""
        names = (path.stem for path in self._data.glob("*.json") if path.stem != _CONVERSATIONS)
        found = [results for name in sorted(names) if (results := self.results(name))]
        return sorted(found, key=lambda one: -len(one.measured))

    def keep(self, results: Results) -> Path:
        """Write what came of a phase."""
        return self._write(results.phase, asdict(results))

    def conversations(self) -> tuple[list[AtOnce], dict[str, Any]]:
        """Return what came of conversations at once, and with what options; nothing if not measured."""
        found = self._read(_CONVERSATIONS) or {"measured": [], "options": {}}
        return [AtOnce(**one) for one in found["measured"]], found["options"]

    def keep_conversations(self, found: Sequence[AtOnce], options: dict[str, Any]) -> Path:
        """Write what came of conversations at once."""
        return self._write(_CONVERSATIONS, {"options": options, "measured": [asdict(one) for one in found]})

    def lines(self) -> list[Line]:
        """Return the targets, with what was measured."""
        return targets.lines(self.all_results(), self.conversations()[0])

    def write_page(self) -> list[Path]:
        """Write the tables and the picture from all that there is; the files written."""
        results, (conversations, _) = self.all_results(), self.conversations()
        assumed = plan.Assumptions()
        unit = plan.unit(
            [one for each in results for one in each.footprints],
            [one for each in results for one in each.measured],
        )
        plans = [plan.plan(users, unit, assumed) for users in plan.USERS] if unit else []
        written = []
        if any(one.measured for one in results):
            images = self._docs / "images"
            images.mkdir(exist_ok=True)
            written.append(draw(results, images / "scale-growth.svg"))
        page = self._docs / "scale.md"
        fill_page(
            page,
            reach=tables.reach(self.lines()),
            times=tables.times(results),
            cpu=tables.cpu(results),
            memory=tables.memory(results),
            conversations=tables.at_once(conversations),
            profile=tables.profile(conversations),
            plan=tables.plans(plans, unit, assumed),
            machine=machine_markdown(results[0].environment) if results else "",
        )
        return [*written, page]

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads((self._data / f"{name}.json").read_text("utf-8"))
        except FileNotFoundError:
            return None
        return found

    def _write(self, name: str, what: dict[str, Any]) -> Path:
        self._data.mkdir(parents=True, exist_ok=True)
        path = self._data / f"{name}.json"
        path.write_text(json.dumps(what, indent=1, ensure_ascii=False) + "\n", "utf-8")
        return path


def _results(found: dict[str, Any]) -> Results:
    footprints = [Footprint(**one) for one in found.pop("footprints")]
    measured = [Measured(**one) for one in found.pop("measured")]
    return Results(**found, footprints=footprints, measured=measured)
