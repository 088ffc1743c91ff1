"""The package as a whole: its names, its layers, what importing it costs, its errors."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis.exceptions

import langchain_agentmem
from langchain_agentmem import errors
from langchain_agentmem.transport.redis_errors import answered, unreachable

PACKAGE = Path(langchain_agentmem.__file__).parent
# A module may import from its own layer and from those that stand before it.
TIERS = ("working", "longterm", "events")
LAYERS = [
    ("errors", "fork_safe_lock", "asking", "stop_signals"),
    "core",
    ("embedded", "embeddings"),
    "transport",
    "tasks",
    TIERS,
    "settings",
    ("user_data", "extraction"),
    "chain",
    ("agents", "importing", "moving"),
    "agent_memory",
    ("demo", "mcp_server", "worker"),
    "cli",
]
RANK = {
    name: rank
    for rank, layer in enumerate(LAYERS)
    for name in ((layer,) if isinstance(layer, str) else layer)
}


def imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("langchain_agentmem"):
            found.add((node.module or "").split(".")[1] if "." in (node.module or "") else "")
        if isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("langchain_agentmem.")}
    return found - {""}


def test_imports_go_downward_only() -> None:
    violations = []
    for path in PACKAGE.rglob("*.py"):
        own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if path != PACKAGE / "__init__.py":
            violations += [
                f"{path.relative_to(PACKAGE)} imports {other}"
                for other in imports(path) - {own}
                if RANK[other] > RANK[own] or (own in TIERS and other in TIERS)
            ]
    assert violations == []


def modules_imported(path: Path) -> set[Path]:
    """The package's modules that a module imports, also where only types are checked."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("langchain_agentmem"):
            names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.startswith("langchain_agentmem.")]
        for name in names:
            module = PACKAGE.joinpath(*name.split(".")[1:]).with_suffix(".py")
            found |= {module} if module.exists() and module.name != "__init__.py" else set()
    return found


def in_a_circle(graph: dict[Path, set[Path]]) -> set[str]:
    """The nodes that can be reached from themselves."""

    def reachable(start: Path) -> set[Path]:
        seen, waiting = set[Path](), [start]
        while waiting:
            for other in graph[waiting.pop()] - seen:
                seen.add(other)
                waiting.append(other)
        return seen

    return {str(node.relative_to(PACKAGE)) for node in graph if node in reachable(node)}


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert in_a_circle({path: modules_imported(path) for path in PACKAGE.rglob("*.py")}) == set()


def test_no_packages_import_each_other_in_a_circle() -> None:
    """A module at the top counts as a package of its own; `cli` and `demo` put their parts together."""
    graph: dict[Path, set[Path]] = {}
    for path in PACKAGE.rglob("*.py"):
        if RANK.get(path.relative_to(PACKAGE).parts[0].removesuffix(".py"), 99) <= RANK["agent_memory"]:
            own = package_of(path)
            graph.setdefault(own, set()).update({*map(package_of, modules_imported(path))} - {own})
    assert in_a_circle(graph) == set()


def package_of(path: Path) -> Path:
    return path if path.parent == PACKAGE else path.parent


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the dotted name of whatever is imported from the package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.partition(".")[0] == "langchain_agentmem")


@pytest.mark.parametrize(("folder", "own"), [("cli/chat", "cli"), ("demo", "demo")])
def test_what_people_look_at_uses_the_public_api_only(folder: str, own: str) -> None:
    """So whatever it shows, a program of the user's own can, too."""
    allowed = {*langchain_agentmem.__all__, *(["__version__"] if own == "cli" else [])}
    for path in (PACKAGE / folder).rglob("*.py"):
        for name in imported(ast.parse(path.read_text("utf-8"))):
            module, _, member = name.rpartition(".")
            of_its_own = name.startswith(f"langchain_agentmem.{own}.")
            error = module == "langchain_agentmem.errors"
            public = module == "langchain_agentmem" and member in allowed
            assert of_its_own or error or public, (path, name)


def test_a_private_import_would_be_found() -> None:
    tree = ast.parse(
        "def f():\n    from langchain_agentmem.core.keys import Keys\nimport langchain_agentmem.cli"
    )
    assert {*imported(tree)} == {"langchain_agentmem.core.keys.Keys", "langchain_agentmem.cli"}


def test_core_does_no_io() -> None:
    for path in (PACKAGE / "core").glob("*.py"):
        names = {
            a.name.split(".")[0]
            for n in ast.walk(ast.parse(path.read_text()))
            if isinstance(n, ast.Import)
            for a in n.names
        }
        names |= {
            (n.module or "").split(".")[0]
            for n in ast.walk(ast.parse(path.read_text()))
            if isinstance(n, ast.ImportFrom)
        }
        assert not names & {"redis", "redisvl", "asyncio", "socket", "threading"}, path


def test_every_public_name_can_be_imported_and_they_are_sorted() -> None:
    assert langchain_agentmem.__all__ == sorted(langchain_agentmem.__all__)
    assert set(langchain_agentmem.__all__) == set(langchain_agentmem._MODULES)
    for name in langchain_agentmem.__all__:
        assert getattr(langchain_agentmem, name).__name__ == name
    with pytest.raises(AttributeError, match="Nothing"):
        _ = langchain_agentmem.Nothing  # type: ignore[attr-defined]


def test_every_error_is_public_and_of_one_tree() -> None:
    defined = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception) and value.__module__ == errors.__name__
    }
    assert defined == set(errors.__all__)
    assert all(issubclass(getattr(errors, name), errors.AgentMemoryError) for name in defined)


HEAVY = [
    "onnxruntime",
    "tokenizers",
    "torch",
    "sentence_transformers",
    "transformers",
    "redisvl",
    "numpy",
    "starlette",
    "uvicorn",
    "typer",
    "rich",
    "scipy",
    "langchain",
    "langgraph",
    "mcp",
]


@pytest.mark.parametrize(
    "statement",
    [
        "import langchain_agentmem",
        "from langchain_agentmem import *",
        "import langchain_agentmem as own; own.AgentMemory('redis://localhost:1').wrap(lambda x: x)",
    ],
    ids=["package", "names", "wrap"],
)
def test_nothing_heavy_is_loaded_before_it_is_used(statement: str) -> None:
    code = f"{statement}\nimport sys\nprint(*sorted(set(sys.modules) & set({HEAVY!r})))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert [name for name in loaded if name != "numpy" or statement.endswith("agentmem")] == []


def subclasses(cls: type[Exception]) -> set[type[Exception]]:
    return {cls}.union(*(subclasses(sub) for sub in cls.__subclasses__()))


@pytest.mark.parametrize("cls", sorted(subclasses(redis.exceptions.RedisError), key=lambda cls: cls.__name__))
def test_every_error_of_redis_py_becomes_one_of_ours(cls: type[Exception]) -> None:
    error = cls("3999 127.0.0.1:6381") if issubclass(cls, redis.exceptions.AskError) else cls("it said so")
    for ours in (answered(error), unreachable(error, "localhost:6379")):
        assert isinstance(ours, errors.StoreError)
        assert ours.__cause__ is error


def test_only_the_command_line_and_the_demo_use_the_packages_of_the_extra_cli() -> None:
    for path in PACKAGE.rglob("*.py"):
        if path.relative_to(PACKAGE).parts[0] not in ("cli", "demo"):
            assert not re.search(r"^\s*(?:import|from) (?:typer|rich)\b", path.read_text("utf-8"), re.M), path
