"""`agentmem consolidate` as a process: it tells, asks, and does."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from integration_tests.cli.conftest import NO_MODEL, Terminal, agentmem, table
from integration_tests.longterm.test_consolidate import add
from langchain_agentmem import AgentMemory
from langchain_agentmem.longterm.redisearch.memory import LongTermMemory

TEA, HOME = "I like green tea", "my home is in Lisbon"


def near(*numbers: float) -> list[float]:
    return [*numbers, *[0.0] * (384 - len(numbers))]


@pytest.fixture
def ids(url: str) -> list[str]:
    """Two memories that say the same, and two that are near each other, of one user."""
    with AgentMemory(url) as memory:
        store = memory.long_term
        assert isinstance(store, LongTermMemory)
        return [
            add(store, TEA, "ada", embedding=near(1)),
            add(store, f"By the way, {TEA}", "ada", embedding=near(1)),
            add(store, HOME, "ada", embedding=near(0, 1)),
            add(store, "my home is in Porto", "ada", embedding=near(0, 1, 0.1)),
        ]


def test_it_tells_what_would_be_done_and_does_it_if_asked(url: str, ids: list[str]) -> None:
    for _ in range(2):
        done = agentmem("consolidate", "--user", "ada", url=url, **NO_MODEL)
        assert done.returncode == 0
        *rows, fact = done.stdout.splitlines()
        assert fact == "found      merge 1 memory of ada: add --apply to do it"
        keep, same = table("\n".join(rows))
        assert (keep["what"], keep["id"], keep["into"], keep["text"]) == ("keep", ids[0], "", TEA)
        assert (same["what"], same["id"], same["into"]) == ("same", ids[1], ids[0])
    refused = agentmem("consolidate", "--user", "ada", "--apply", url=url)
    assert (refused.returncode, refused.stdout) == (2, "")
    done = agentmem("consolidate", "--user", "ada", "--apply", "--yes", url=url, **NO_MODEL)
    assert done.stdout.splitlines()[-1] == "done       1 memory merged of ada"
    done = agentmem("consolidate", "--user", "ada", url=url, **NO_MODEL)
    assert done.stdout.splitlines()[-1] == "found      nothing: 3 memories of ada, and no two say the same"


def test_a_model_judges_what_is_near(url: str, ids: list[str]) -> None:
    model = ("--user", "ada", "--model", "stub:model", "--json")
    told = json.loads(agentmem("consolidate", *model, url=url).stdout)
    assert (told["dry_run"], told["merged"], told["superseded"], told["asked"]) == (True, 1, 1, 1)
    made = json.loads(agentmem("consolidate", *model, "--apply", "--yes", url=url).stdout)
    assert made["pairs"] == told["pairs"]
    assert [(one["kept"], one["other"]) for one in made["pairs"]] == [(ids[0], ids[1]), (ids[3], ids[2])]
    again = json.loads(agentmem("consolidate", *model, "--apply", "--yes", url=url).stdout)
    assert (again["pairs"], again["asked"]) == ([], 0)


def test_answers_that_are_of_no_use_are_told(url: str, ids: list[str]) -> None:
    with AgentMemory(url) as memory:
        memory.long_term.remember("fail", user="ada", embedding=near(0, 0, 0, 1))
        memory.long_term.remember("fail too", user="ada", embedding=near(0, 0, 0, 1, 0.1))
    done = agentmem("consolidate", "--user", "ada", "--model", "stub:model", url=url)
    assert done.returncode == 1
    assert "2 answers of the model could not be used." in done.stderr


def test_it_asks_on_a_terminal(url: str, ids: list[str], terminal: Callable[..., Terminal]) -> None:
    for answer, fact in (
        ("no", "kept       every memory of ada"),
        ("yes", "done       1 memory merged of ada"),
    ):
        asked = terminal("--user", "ada", "--apply", url=url, command="consolidate", columns=80)
        shown = asked.expect("Merge 1 memory of ada. Do it? [yes/no] ")
        assert f"keep  {ids[0][:8]}" in shown
        assert max(map(len, shown.splitlines())) <= 80
        asked.send(answer)
        asked.expect(fact)
        assert asked.end() == 0
    asked = terminal("--user", "ada", "--apply", url=url, command="consolidate")
    asked.expect("nothing: 3 memories of ada")
    assert asked.end() == 0


def test_wrong_usage(url: str) -> None:
    unknown = agentmem("consolidate", "--user", "ada", "--model", "none:such", url=url)
    assert (unknown.returncode, "error: --model none:such" in unknown.stderr) == (1, True)
