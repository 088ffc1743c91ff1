"""`python -m integration_tests.evaluation`: fill, ask, count, show, write."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import platformdirs
import redis
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from integration_tests.benchmarks.report import environment
from integration_tests.evaluation import ablation, data
from integration_tests.evaluation.report import Report
from integration_tests.evaluation.run import Run
from integration_tests.evaluation.tables import show
from integration_tests.peers import environments
from langchain_agentmem import EmbeddedRedis

_DOCS = Path(__file__).parents[2] / "docs"
_CACHE = Path(platformdirs.user_cache_dir("agentmem")) / "evaluation"


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m integration_tests.evaluation", description=__doc__)
    add = parser.add_argument
    add("--own", action="store_true", help="the project's own data (the default if no file is given)")
    add("--locomo", type=Path, help="conversations with questions, a file of LoCoMo's schema")
    add("--personal", type=Path, help="short facts of one user, with questions and unrelated texts")
    add("--dedup", type=Path, help="pairs of texts that say different things, and that say the same")
    add(
        "--all-categories",
        action="store_true",
        help="LoCoMo's unanswerable questions too, in columns of their own",
    )
    add("--language", help="of the files that are given: stemming and stop words")
    add("--rerank", metavar="MODEL", help="also with this reranker: a cross-encoder, or module:attribute")
    add("--embeddings", metavar="MODULE:CLASS", help="LangChain embeddings instead of all-MiniLM-L6-v2")
    add("--ablation", action="store_true", help="also with each part of the ranking left out")
    add("--change", action="append", default=[], help="also with constants changed: module.NAME=VALUE,…")
    add(
        "--peers",
        nargs="?",
        const=",".join(environments.PEERS),
        help=f"other libraries too: {','.join(environments.PEERS)}",
    )
    add("--latency", action=argparse.BooleanOptionalAction, default=True, help="measure times")
    add("--growth", action="store_true", help="measure times with up to 100,000 memories, for minutes")
    add("--misses", type=Path, help="write what was not found, and what was found instead, to this file")
    add("--json", type=Path, help="write the figures to this file")
    add(
        "--write",
        action="store_true",
        help="write the data, the plots and the tables of docs/recall-quality.md",
    )
    add("--docs", type=Path, default=_DOCS, help="the folder that --write writes to")
    add("--cache", type=Path, default=_CACHE, help="where vectors and peers' answers are kept")
    chosen = parser.parse_args(words)
    chosen.peers = chosen.peers.split(",") if chosen.peers else []
    try:
        chosen.changes = {text: ablation.parsed(text) for text in chosen.change}
    except ValueError as error:
        parser.error(f"--change: {error}")
    chosen.changes |= ablation.CHANGES if chosen.ablation else {}
    unknown = [key for key in chosen.peers if key not in environments.PEERS]
    if unknown:
        parser.error(f"unknown peers: {', '.join(unknown)}; there are {', '.join(environments.PEERS)}")
    return chosen


def _data(chosen: argparse.Namespace) -> list[data.Data]:
    files = {"conversations": chosen.locomo, "facts": chosen.personal, "pairs": chosen.dedup}
    given = any(files.values())
    found = data.own() if chosen.own or not given else []
    if given:
        options = {"all_categories": chosen.all_categories, "language": chosen.language}
        found.append(data.load("given", **files, **options))
    return found


def main(words: list[str] | None = None) -> int:
    """Run the evaluation; the exit code."""
    chosen = _arguments(words)
    console = Console()
    if not console.is_terminal:
        console = Console(width=150)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with EmbeddedRedis() as server, redis.Redis.from_url(server.url) as client:
        report = Report(environment(client))
    with Progress(*columns, console=console, transient=True) as progress:
        run, sets = Run(chosen, progress), _data(chosen)
        run.embed(sets)
        for one in sets:
            report.results.append(run.evaluate(one))
        run.measure_times(sets, report)
    for title, rows in report.tables().items():
        show(console, title, rows)
    for result in report.results:
        for name, problem in result.problems.items():
            console.print(f"{name} did not run: {problem}", markup=False)
    if chosen.misses:
        chosen.misses.write_text(json.dumps(run.misses, indent=1, ensure_ascii=False) + "\n", "utf-8")
    if chosen.json:
        chosen.json.write_text(json.dumps(report.to_dict(), indent=1, ensure_ascii=False) + "\n", "utf-8")
    for path in report.write(chosen.docs) if chosen.write else ():
        console.print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
