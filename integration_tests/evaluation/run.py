"""One run of the evaluation: embed, store, ask, count."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from langchain_core.embeddings import Embeddings
from rich.progress import Progress

from integration_tests.evaluation import ablation, data, latency, peers, rerankers, scores, systems
from integration_tests.evaluation.embedded import KeptEmbeddings
from integration_tests.evaluation.report import Report, Result
from integration_tests.evaluation.scores import Request
from langchain_agentmem import EmbeddedRedis
from langchain_agentmem.embeddings.minilm import MiniLMEmbeddings


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
            if one.language is None:  # the others compare no words, so a language is nothing to them
                self._peers(result, stored, asked)
            with EmbeddedRedis() as server:
                self._recall(server.url, result, stored, asked)
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
            result.systems[name] = scores.grouped(asked, found)
            result.by_conversation[name] = scores.grouped(asked, found, "part", within="chat")
            result.by_category[name] = scores.grouped(asked, found, "category", within="chat")
            self.misses += _misses(name, stored, asked, found) if self.chosen.misses else []
        for name, change in self.chosen.changes.items():
            with ablation.changed(change), self.bar(f"{result.data.name}: {name}", len(asked)) as advance:
                result.changed[name] = scores.grouped(asked, systems.answers(memory, asked, {}, advance))
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
                result.systems[f"{peer.name} {peer.version}"] = scores.grouped(asked, peer.found)

    def _dedup(self, pairs: data.Pairs, result: Result) -> None:
        for rule in ("near", "exact", "same"):
            with EmbeddedRedis() as server:
                memory = systems.open_memory(server.url, self.embeddings, dedup=rule)
                with self.bar(f"dedup={rule}", len(pairs.different) + len(pairs.restated)) as advance:
                    result.rules[rule] = systems.merged(memory, pairs, advance)
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
