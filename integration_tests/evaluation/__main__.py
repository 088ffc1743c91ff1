"""`python -m integration_tests.evaluation`: fill, ask, count, show, write."""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import platformdirs
import redis
from langchain_core.embeddings import Embeddings
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from integration_tests.benchmarks.report import environment
from integration_tests.evaluation import data, latency, peers, rerankers, scores, systems
from integration_tests.evaluation.embedded import KeptEmbeddings
from integration_tests.evaluation.report import Report, Result, show
from integration_tests.evaluation.scores import Request
from langchain_agentmem import EmbeddedRedis, LongTermMemory
from langchain_agentmem.longterm.minilm import MiniLMEmbeddings

_DOCS = Path(__file__).parents[2] / "docs"
_CACHE = Path(platformdirs.user_cache_dir("agentmem")) / "evaluation"


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m integration_tests.evaluation", description=__doc__)
    add = parser.add_argument
    add("--own", action="store_true", help="the project's own data (the default if no file is given)")
    add("--locomo", type=Path, help="conversations with questions, a file of LoCoMo's schema")
    add("--personal", type=Path, help="short facts of one user, with questions and unrelated texts")
    add("--dedup", type=Path, help="pairs of texts that say different things, and that say the same")
    add("--all-categories", action="store_true", help="LoCoMo's unanswerable questions too")
    add("--language", help="of stemming and stop words")
    add("--rerank", metavar="MODEL", help="also with this reranker: a cross-encoder, or module:attribute")
    add("--embeddings", metavar="MODULE:CLASS", help="LangChain embeddings instead of all-MiniLM-L6-v2")
    add(
        "--peers",
        nargs="?",
        const=",".join(peers.PEERS),
        help=f"other libraries too: {','.join(peers.PEERS)}",
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
    add("--cache", type=Path, default=_CACHE, help="where vectors and peers are kept")
    chosen = parser.parse_args(words)
    chosen.peers = chosen.peers.split(",") if chosen.peers else []
    unknown = [key for key in chosen.peers if key not in peers.PEERS]
    if unknown:
        parser.error(f"unknown peers: {', '.join(unknown)}; there are {', '.join(peers.PEERS)}")
    return chosen


def _data(chosen: argparse.Namespace) -> list[data.Data]:
    files = {"conversations": chosen.locomo, "facts": chosen.personal, "pairs": chosen.dedup}
    given = any(files.values())
    found = [data.own(chosen.language)] if chosen.own or not given else []
    if given:
        options = {"all_categories": chosen.all_categories, "language": chosen.language}
        found.append(data.load("given", **files, **options))
    return found


class Run:
    """One run: its data, its embeddings and its progress bars."""

    def __init__(self, chosen: argparse.Namespace, progress: Progress) -> None:
        self.chosen = chosen
        self.progress = progress
        model: Embeddings = rerankers.imported(chosen.embeddings) if chosen.embeddings else MiniLMEmbeddings()
        name = chosen.embeddings.replace(":", ".") if chosen.embeddings else "minilm"
        self.embeddings = KeptEmbeddings(model, chosen.cache, name=name)
        self.reranker: Any = rerankers.named(chosen.rerank) if chosen.rerank else None
        self.misses: list[dict[str, Any]] = []

    @contextmanager
    def bar(self, title: str, total: int) -> Iterator[Any]:
        """Show a bar; what it gives is called after every step."""
        task = self.progress.add_task(title, total=total)
        try:
            yield lambda *_: self.progress.advance(task)
        finally:
            self.progress.remove_task(task)

    def embed(self, sets: Sequence[data.Data]) -> None:
        """Embed every text that no earlier run has embedded."""
        texts = [*dict.fromkeys(text for one in sets for text in one.texts())]
        task = self.progress.add_task("embedding", total=len(texts))
        self.embeddings.prepare(texts, lambda done, of: self.progress.update(task, completed=done, total=of))
        self.progress.remove_task(task)

    def evaluate(self, one: data.Data) -> Result:
        """Measure recall and deduplication on a set of data."""
        result, stored, asked = Result(one), scores.scopes(one), scores.requests(one)
        if asked:
            with EmbeddedRedis() as server:
                self._recall(server.url, result, stored, asked)
            self._peers(result, stored, asked)
            own = [*result.systems][-1 - len(self.chosen.peers) + len(result.problems)]
            result.systems[own] = result.systems.pop(own)  # the package's own way is the last row
        if one.pairs is not None:
            self._dedup(one.pairs, result)
        return result

    def _recall(
        self, url: str, result: Result, stored: Sequence[scores.Scope], asked: Sequence[Request]
    ) -> None:
        options = {"language": result.data.language} if result.data.language else {}
        memory = systems.open_memory(url, self.embeddings, **options)
        with self.bar(f"{result.data.name}: storing", systems.sessions(stored)) as advance:
            systems.fill(memory, stored, advance)
        for name, way in systems.ways(memory, self.reranker).items():
            with self.bar(f"{result.data.name}: {name}", len(asked)) as advance:
                found = systems.answers(memory, asked, way, advance)
            self._count(result, name, asked, found)
            self.misses += _misses(name, stored, asked, found) if self.chosen.misses else []
        memory.close()

    def _peers(self, result: Result, stored: Sequence[scores.Scope], asked: Sequence[Request]) -> None:
        for key in self.chosen.peers:
            with EmbeddedRedis() as server, self.bar(key, len(stored) + len(asked)) as advance:
                peer = peers.ask(
                    *(key, server.url, stored, asked),
                    vectors=self.embeddings.files,
                    folder=self.chosen.cache / "peers",
                    advance=advance,
                )
            if peer.problem:
                result.problems[peer.name] = peer.problem
            else:
                self._count(result, f"{peer.name} {peer.version}", asked, peer.found)

    def _count(
        self, result: Result, name: str, asked: Sequence[Request], found: Sequence[Sequence[int]]
    ) -> None:
        result.systems[name] = scores.grouped(asked, found)
        result.by_conversation[name] = scores.grouped(asked, found, "part", within="chat")
        result.by_category[name] = scores.grouped(asked, found, "category", within="chat")

    def _dedup(self, pairs: data.Pairs, result: Result) -> None:
        for rule in _rules():
            with EmbeddedRedis() as server:
                memory = systems.open_memory(server.url, self.embeddings, **rule)
                name = str(rule.get("dedup", "near"))
                with self.bar(f"dedup={name}", len(pairs.different) + len(pairs.restated)) as advance:
                    result.rules[name] = systems.merged(memory, pairs, advance)
                memory.close()

    def measure_times(self, sets: Sequence[data.Data], report: Report) -> None:
        """Measure latency, and growth if it is asked for."""
        chats = [chat for one in sets for chat in one.conversations]
        texts = [text for chat in chats for text in chat.texts]
        questions = [asked.text for chat in chats for asked in chat.questions]
        if questions and self.chosen.latency:
            with self.bar("latency", 650) as advance:
                report.timings = latency.measure(self.embeddings, texts, questions, advance=advance)
        if questions and self.chosen.growth:
            with self.bar("growth", 6200) as advance:
                report.growth = latency.growth(self.embeddings, texts, questions, advance=advance)


def _rules() -> list[dict[str, Any]]:
    """Return the rules of deduplication."""
    if "dedup" not in inspect.signature(LongTermMemory).parameters:
        return [{}]
    return [{"dedup": "near"}, {"dedup": "exact"}, {"dedup": "same"}]


def _misses(
    name: str, stored: Sequence[scores.Scope], asked: Sequence[Request], found: Sequence[Sequence[int]]
) -> Iterator[dict[str, Any]]:
    """Yield what is not as it should be: evidence not among the first five, or anything where nothing is known."""
    texts = {scope.name: scope.texts for scope in stored}
    for request, places in zip(asked, found, strict=True):
        if request.evidence - {*places[:5]} or (places and not request.evidence):
            yield {
                "system": name,
                "group": request.group,
                "question": request.text,
                "evidence": [texts[request.scope][at] for at in sorted(request.evidence)],
                "recalled": [texts[request.scope][at] for at in places[:5]],
            }


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
