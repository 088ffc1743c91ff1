"""Launches a supervisor: writes its order and the server's configuration, and follows its reports."""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from langchain_agentmem.embedded import binaries
from langchain_agentmem.embedded.folders import place_socket
from langchain_agentmem.embedded.protocol import LOG, end_of_log, open_log, read_state
from langchain_agentmem.errors import ConfigurationError, EmbeddedRedisError

_LOG_KEPT_BYTES = 1_000_000

# All that a server needs from its environment; a daemon has no business with its starter's API keys.
_ENVIRONMENT = ("PATH", "HOME", "TMPDIR", "TZ", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")

# Isolated (-I -S), and with this package's place spelled out: whatever the user's process imports from, the
# supervisor finds this very version, and the standard library before anything beside it.
_PROGRAM = (
    "import sys; sys.path.append(sys.argv.pop(1)); "
    "from langchain_agentmem.embedded.{module} import main; main()"
)
_PACKAGE_PARENT = Path(__file__).resolve().parents[2]

# Who forks waits the milliseconds that this takes: the child would have copies of the pipe and socket by
# whose end this process learns how it went, and would keep them open.
_running_program = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_running_program.acquire,
        after_in_parent=_running_program.release,
        after_in_child=_running_program.release,
    )

# What Redis says of a directive it refuses: without modules, and with (it might have been one of theirs).
_BAD_DIRECTIVE = ("FATAL CONFIG FILE ERROR", "Unresolved Configuration(s) Detected")

_ADVICE = (
    'Install the wheels that bring one: pip install "langchain-agentmem[embedded]"\n'
    "Or use a server of your own that has Search and JSON (Redis 8, Redis Stack), by its URL."
)


def check_platform() -> None:
    """Refuse a system that cannot run a private Redis.

    Raises:
        EmbeddedRedisError: It is Windows.
    """
    try:
        import fcntl  # noqa: F401
    except ImportError as error:
        raise EmbeddedRedisError(
            "a private Redis needs Linux or macOS (on Windows: WSL); use the URL of a server instead"
        ) from error


def launch(
    folder: Path,
    *,
    search: bool,
    durable: bool,
    options: Mapping[str, str],
    on_progress: Callable[[str], None],
    timeout_seconds: float,
) -> None:
    """Have a new supervisor start a server in this folder; return when that is ready for use.

    The caller holds start.lock, and users.lock as a user: else the supervisor would end the server at once.

    Args:
        folder: Where the data, the locks and the log are.
        search: Whether the modules Search and JSON are needed.
        durable: Whether data is kept; else the folder is removed with the server.
        options: More directives of redis.conf.
        on_progress: Gets a short sentence at each step.
        timeout_seconds: How long to wait for a sign of life.

    Raises:
        EmbeddedRedisError: No candidate starts; the message holds what each one said.
        ConfigurationError: The server refuses one of the options.
    """
    candidates = binaries.find_candidates(search=search)
    order, failures = _order(folder, candidates, search=search, durable=durable, options=options)
    on_progress(f"starting a private Redis in {folder}")
    started = False
    for words in _run_supervisor(folder, order, timeout_seconds) if order["candidates"] else ():
        if "loaded_percent" in words:
            on_progress(f"loading its data: {words['loaded_percent']:.0f} %")
        elif "started" in words:
            binaries.note_choice(candidates, words["started"])
            on_progress(f"the private Redis is ready ({words['started']})")
            started = True
        else:
            failures[words["failed"]] = words["reason"].strip()
            on_progress(f"{words['failed']}: does not start")
    if started:
        return
    raise failure(folder, options, failures)


def failure(
    folder: Path, options: Mapping[str, str], failures: Mapping[str, str]
) -> EmbeddedRedisError | ConfigurationError:
    """Return the error for a start that none of the candidates managed.

    Args:
        folder: Where the log is.
        options: What the caller has added to the configuration.
        failures: Why each candidate did not start, by its name.
    """
    said = "".join(f"\n- {name}: {reason}" for name, reason in failures.items())
    if options and any(words in said for words in _BAD_DIRECTIVE):
        return ConfigurationError(
            f"the server refuses one of the options {sorted(options)}:{said}",
            plain=f"The private Redis refuses one of these options: {', '.join(sorted(options))}. "
            f"{_log_of(folder)}",
        )
    if not failures:
        return EmbeddedRedisError(f"no redis-server was found on this machine.\n{_ADVICE}")
    return EmbeddedRedisError(
        f"no private Redis could be started in {folder}:{said}\n{_ADVICE}",
        plain=f"No private Redis could be started in {folder}: none of {', '.join(failures)} works here.\n"
        f"{_log_of(folder)}\n{_ADVICE}",
    )


def _log_of(folder: Path) -> str:
    return f"Its log says why: {folder / LOG}."


def _order(
    folder: Path,
    candidates: list[binaries.Candidate],
    *,
    search: bool,
    durable: bool,
    options: Mapping[str, str],
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what the supervisor is told, and the candidates it is not told of, each with the reason."""
    # What a crash has left is used again, so that the clients of other users find the server once more.
    left = read_state(folder)
    password = left["password"] if left else secrets.token_urlsafe(32)
    # A name of its own: should someone delete the folder of a running server, then that one, when it
    # ends, must not remove the socket of its successor.
    socket_name = os.path.basename(left["socket"]) if left else f"redis-{secrets.token_hex(3)}.sock"
    socket_path = place_socket(folder, socket_name)
    runnable, failures = [], {}
    for candidate in candidates:
        try:
            files = binaries.make_runnable(candidate)
        except (OSError, EmbeddedRedisError) as error:
            failures[candidate.name] = f"it has no run bit, and no copy could be made: {error}"
            continue
        config = render_config(
            folder, socket_path, password, durable=durable, modules=files.modules, options=options
        )
        runnable.append({"name": candidate.name, "server": str(files.server), "config": config})
    order = {"candidates": runnable, "socket": socket_path, "password": password, "search": search}
    return {**order, "ephemeral": not durable, "syncs": durable and supervisor_syncs(options)}, failures


def _run_supervisor(folder: Path, order: dict[str, Any], timeout_seconds: float) -> Iterator[dict[str, Any]]:
    """Launch it, and yield what it reports; ends with its last word.

    The time starts anew with each report: a server that loads much data is reported on as it does.
    """
    _begin_log(folder)
    process, ours = run_program(folder, "supervisor")
    with ours:
        ours.settimeout(timeout_seconds)
        with process, ours.makefile("rb") as reports:
            try:
                ours.sendall(json.dumps({**order, "timeout_seconds": timeout_seconds}).encode() + b"\n")
                # Its first process has forked and ended by now, so leaving `with process` does not wait.
                while (words := json.loads(reports.readline() or b"{}")) and "done" not in words:
                    yield words
            except (BrokenPipeError, ConnectionResetError):
                words = {}
            except TimeoutError as error:
                process.kill()
                tail = end_of_log(folder, hide=order["password"])
                raise EmbeddedRedisError(
                    f"no private Redis in {folder} within start_timeout_seconds:\n{tail}",
                    plain=f"The private Redis in {folder} did not start in time. {_log_of(folder)}",
                ) from error
        if not words:
            tail = end_of_log(folder, hide=order["password"])
            raise EmbeddedRedisError(
                f"the supervisor ended without a word:\n{tail}",
                plain=f"The private Redis in {folder} ended as it started. {_log_of(folder)}",
            )


def run_program(folder: Path, module: str) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Run the first process of a supervisor; return it, and the socket to talk to it.

    Args:
        folder: Its folder, where its log is.
        module: The module of this package whose `main` it runs.
    """
    program = _PROGRAM.format(module=module)
    with _running_program:
        ours, theirs = socket.socketpair()
        with theirs, open_log(folder) as log:
            try:
                process = subprocess.Popen(
                    [_python(), "-I", "-S", "-c", program, str(_PACKAGE_PARENT), str(folder)],
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=log,
                    cwd="/",
                    env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
                    start_new_session=True,
                )
            except OSError as error:
                ours.close()
                raise EmbeddedRedisError(f"cannot run Python for the supervisor: {error}") from error
    return process, ours


def _python() -> str:
    """Return a Python that runs `-c`: `sys.executable` may be empty, or a server that embeds it (uWSGI)."""
    if os.path.basename(sys.executable or "").startswith(("python", "pypy")):
        return sys.executable
    return os.path.join(sys.prefix, "bin", "python3")


def _begin_log(folder: Path) -> None:
    path = folder / LOG
    if path.exists() and path.stat().st_size > _LOG_KEPT_BYTES:
        path.replace(path.with_suffix(".log.1"))


# The configuration, in the words of redis.conf ----------------------------------------------------------

_OPTION_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")

# Whoever changes one of these could no longer reach the server, or would open it to others.
_FIXED = {
    "aclfile",
    "appenddirname",
    "bind",
    "daemonize",
    "dir",
    "include",
    "logfile",
    "pidfile",
    "port",
    "requirepass",
    "supervised",
    "tls-port",
    "unixsocket",
    "unixsocketperm",
    "user",
}


# Likewise for a node of a cluster.
_FIXED_OF_NODES = _FIXED | {
    "cluster-announce-bus-port",
    "cluster-announce-hostname",
    "cluster-announce-ip",
    "cluster-announce-port",
    "cluster-announce-tls-port",
    "cluster-config-file",
    "cluster-enabled",
    "cluster-node-timeout",
    "cluster-port",
    "masterauth",
    "masteruser",
    "replicaof",
    "slaveof",
    "tls-cluster",
}


def check_options(options: Mapping[str, str], *, cluster: bool = False) -> None:
    """Refuse what would break the configuration file apart; the server judges the rest.

    Args:
        options: The directives that are added.
        cluster: Whether they are for the nodes of a cluster.

    Raises:
        ConfigurationError: A name or value cannot stand in redis.conf, or is set by this package itself.
    """
    fixed, whose = (_FIXED_OF_NODES, "EmbeddedCluster") if cluster else (_FIXED, "EmbeddedRedis")
    for name, value in options.items():
        if not isinstance(name, str) or not _OPTION_NAME.fullmatch(name):
            raise ConfigurationError(f"options: {name!r} is no name of a redis.conf directive")
        if name.lower() in fixed:
            raise ConfigurationError(
                f"options: {name!r} is set by {whose} itself",
                plain=f"The option {name} cannot stand in the URL of a private Redis, which sets it itself.",
            )
        if not isinstance(value, str) or re.search(r"[\r\n\0]", value):
            raise ConfigurationError(
                f"options: the value of {name!r} must be one line of text, not {value!r}"
            )


def supervisor_syncs(options: Mapping[str, str]) -> bool:
    """Return whether the supervisor syncs the append-only file: no option says when the server does."""
    return "appendfsync" not in map(str.lower, options)


def render_config(
    folder: Path,
    socket_path: str,
    password: str,
    *,
    durable: bool,
    modules: Sequence[Path],
    options: Mapping[str, str],
) -> str:
    """Return a whole configuration, in ASCII; with only a first part of it, a server does not listen.

    Args:
        folder: Where the server keeps its data.
        socket_path: The unix socket it listens on.
        password: What it asks of its clients.
        durable: Whether it keeps an append-only file.
        modules: The modules it loads, in this order.
        options: More directives; one that stands above is overridden.
    """
    lines = _common_lines(folder, password, durable=durable, modules=modules)
    lines += ["unixsocketperm 700", *_option_lines(options), f"unixsocket {_quote(socket_path)}"]
    return "\n".join(lines) + "\n"


def render_node_config(
    folder: Path,
    port: int,
    password: str,
    *,
    node_timeout_ms: int,
    durable: bool,
    modules: Sequence[Path],
    options: Mapping[str, str],
) -> str:
    """Return the whole configuration of a cluster's node, likewise.

    Args:
        folder: Where the node keeps its data, and what it knows of the cluster.
        port: The port of 127.0.0.1 that it listens on.
        password: What it asks of its clients, and tells its primary.
        node_timeout_ms: After how many milliseconds of silence it takes another node for dead.
        durable: Whether it keeps an append-only file.
        modules: The modules it loads, in this order.
        options: More directives; one that stands above is overridden.
    """
    lines = _common_lines(folder, password, durable=durable, modules=modules)
    lines += [
        f"masterauth {_quote(password)}",
        "cluster-enabled yes",
        "cluster-config-file nodes.conf",
        "cluster-announce-ip 127.0.0.1",
        f"cluster-node-timeout {node_timeout_ms}",
        "repl-diskless-sync-delay 0",  # or a replica waits five seconds for others that might come
        *_option_lines(options),
        f"port {port}",
    ]
    return "\n".join(lines) + "\n"


def _common_lines(folder: Path, password: str, *, durable: bool, modules: Sequence[Path]) -> list[str]:
    return [
        "port 0",
        f"requirepass {_quote(password)}",
        f"dir {_quote(str(folder))}",
        "daemonize no",
        'logfile ""',  # stdout: so its words and the loader's are in one place, also when it cannot start
        'save ""',
        f"appendonly {'yes' if durable else 'no'}",
        # The kernel has each write before its answer; the supervisor syncs. See `append_only_sync`.
        "appendfsync no",
        "maxmemory-policy noeviction",
        *(f"loadmodule {_quote(str(module))}" for module in modules),
    ]


def _option_lines(options: Mapping[str, str]) -> list[str]:
    # A directive's value may be several arguments, so it is not quoted; the last line for a directive counts.
    return [f"{name} {value or _quote('')}" for name, value in options.items()]


def _quote(text: str) -> str:
    def escape(byte: int) -> str:
        plain = 0x20 <= byte < 0x7F and byte not in b'"\\'
        return chr(byte) if plain else f"\\x{byte:02x}"

    return f'"{"".join(map(escape, os.fsencode(text)))}"'
