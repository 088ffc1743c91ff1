"""Provides a private Redis Cluster, to try out and to test what is to run on one.

This module is the user's side: it chooses ports, has `cluster_supervisor` start the servers, and
`cluster_setup` make a cluster of them. Unlike a private Redis, it belongs to one user and
listens on ports, since nodes find each other, and clients the nodes, by address.
"""

from __future__ import annotations

import json
import os
import random
import re
import secrets
import shutil
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from langchain_agentmem.embedded import binaries
from langchain_agentmem.embedded.cluster_setup import ClusterNode, form, look_at, wait_until_ready
from langchain_agentmem.embedded.folders import absolute, durable_folder, ephemeral_folder
from langchain_agentmem.embedded.launch import (
    check_options,
    check_platform,
    failure,
    render_node_config,
    run_program,
)
from langchain_agentmem.embedded.protocol import (
    end_of_log,
    read_private,
    supervisor_is_gone,
    write_private,
)
from langchain_agentmem.errors import ConfigurationError, EmbeddedRedisError
from langchain_agentmem.fork_safe_lock import ForkSafeLock

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

_STATE, _NODES = "cluster.json", "nodes.conf"
_MOST_NODES = 100
_BUS = 10_000
"""How far a node's port for the other nodes is from that for clients."""
# Below the ports that systems give to connections: one of those would be in the way of a node's return.
_PORTS = range(11_000, 22_000)
_ATTEMPTS = 5
_PORT_IN_USE = "Failed listening on port"
_ANSWER_SECONDS = 15.0
_END_SECONDS = 10.0


class EmbeddedCluster:
    """Runs a private Redis Cluster with Search and JSON on ports of 127.0.0.1, which ends with this object.

    It starts in about two seconds. Without `data_dir` it is ephemeral: nothing is kept, and its temporary
    folder is removed with it. With `data_dir` it is durable (append-only files, synced every second), and
    starts again with its data, at the same URL unless a port has been taken meanwhile.

    It ends with `close()`, or with the process that started it, however that ends; a forked child shares its
    parent's hold. A server that dies is not brought back: a replica takes over from a primary, after about
    twice `node_timeout_ms`. That takes a majority of the primaries, so at least three of them.

    Args:
        data_dir: A local folder, made if need be; `~` is expanded. One cluster uses it at a time.
        primaries: How many servers share the data.
        replicas: How many copies each of them has.
        port: The port of the first server; the others follow it. Each also needs the port 10,000 above its
            own. Without it: free ones.
        password: What the servers ask of clients and of each other. Without it: a random one.
        options: More directives of redis.conf, for every server.
        node_timeout_ms: After how many milliseconds of silence a server counts as dead.
        on_progress: Gets a short sentence at each step of a start.
        start_timeout_seconds: How long each step of a start may take.

    Raises:
        ConfigurationError: An argument or the folder cannot be right.
    """

    def __init__(
        self,
        data_dir: str | os.PathLike[str] | None = None,
        *,
        primaries: int = 3,
        replicas: int = 1,
        port: int | None = None,
        password: str | None = None,
        options: Mapping[str, str] | None = None,
        node_timeout_ms: int = 2000,
        on_progress: Callable[[str], None] | None = None,
        start_timeout_seconds: float = 30.0,
    ) -> None:
        size = primaries * (1 + replicas)
        if primaries < 1 or replicas < 0 or size > _MOST_NODES:
            raise ConfigurationError(
                "primaries must be 1 or more, replicas 0 or more, and all servers together at most "
                f"{_MOST_NODES}, not {primaries} and {replicas}"
            )
        if port is not None and not 1 <= port <= 65_536 - _BUS - size:
            raise ConfigurationError(f"port must be from 1 to {65_536 - _BUS - size}, not {port}")
        if password is not None and not re.fullmatch(r"[\x21-\x7e]{1,500}", password):
            raise ConfigurationError("password must be 1 to 500 ASCII characters without spaces")
        if node_timeout_ms < 1 or not start_timeout_seconds > 0:
            raise ConfigurationError("node_timeout_ms and start_timeout_seconds must be above 0")
        self._options = dict(options or {})
        check_options(self._options, cluster=True)
        self._named_dir = None if data_dir is None else absolute(data_dir)
        self._primaries, self._replicas, self._size = primaries, replicas, size
        self._first_port, self._given_password = port, password
        self._node_timeout_ms = node_timeout_ms
        self._report_progress = on_progress or (lambda sentence: None)
        self._timeout_seconds = start_timeout_seconds
        self._mutex = ForkSafeLock()
        # Set while this object has a cluster.
        self._servers: _Servers | None = None
        self._ports: list[int] = []
        self._password = ""

    def start(self) -> Self:
        """Start the cluster; return when all servers know each other and every replica has its data.

        Does nothing while this object has one.

        Raises:
            EmbeddedRedisError: It could not be started, or not in time.
            ConfigurationError: The folder cannot be used, or holds another kind of data or another number of
                servers, or is in use; or the servers refuse an option.
        """
        with self._mutex.held():
            if self._servers is None or self._servers.are_gone():
                self.close()
                try:
                    self._open()
                except OSError as error:
                    raise EmbeddedRedisError(
                        f"no private cluster could be started: {error}",
                        plain=f"No private cluster could be started: {error.strerror or error}.",
                    ) from error
        return self

    @property
    def url(self) -> str:
        """Return its URL, `redis+cluster://…`, with the password and all servers; start it if need be.

        Raises:
            EmbeddedRedisError, ConfigurationError: As `start`.
        """
        self.start()
        servers = ",".join(f"127.0.0.1:{port}" for port in self._ports)
        return f"redis+cluster://:{quote(self._password, safe='')}@{servers}"

    @property
    def password(self) -> str:
        """Return what its servers ask of clients; start it if need be.

        Raises:
            EmbeddedRedisError, ConfigurationError: As `start`.
        """
        self.start()
        return self._password

    @property
    def nodes(self) -> list[ClusterNode]:
        """Return what its servers are just now, in the order of their ports; none while it is not started.

        Asks each of them.
        """
        return [look_at(port, self._password) for port in self._ports]

    @property
    def data_dir(self) -> Path | None:
        """Return the folder that was named, or that of an ephemeral cluster while it is started."""
        return self._named_dir or (self._servers.folder if self._servers else None)

    def close(self) -> None:
        """End the cluster; `start()` may follow. Return when its servers have ended, or after 10 s."""
        with self._mutex.held():
            servers, self._servers, self._ports = self._servers, None, []
        if servers is not None:
            servers.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        where = "ephemeral" if self.data_dir is None else repr(str(self.data_dir))
        size = f"primaries={self._primaries}, replicas={self._replicas}"
        return f"EmbeddedCluster({where}, {size}, started={self._servers is not None})"

    # Starting ----------------------------------------------------------------------------------------

    def _open(self) -> None:
        check_platform()
        folder = ephemeral_folder() if self._named_dir is None else durable_folder(self._named_dir)
        servers = _Servers(folder, durable=self._named_dir is not None, timeout_seconds=self._timeout_seconds)
        try:
            known = self._known(folder)
            self._password = self._given_password or known.get("password") or secrets.token_urlsafe(32)
            self._report_progress(f"starting {self._size} servers in {folder}")
            self._ports = self._start_servers(servers, known.get("ports"))
            self._report_progress("making a cluster of them")
            limits: dict[str, Any] = {"primaries": self._primaries, "timeout_seconds": self._timeout_seconds}
            if not known:
                form(self._ports, self._password, **limits)
            wait_until_ready(self._ports, self._password, **limits)
            self._write_state(folder, whole=True)
        except BaseException:
            self._ports = []
            servers.close()
            raise
        self._servers = servers
        self._report_progress("the private cluster is ready")

    def _known(self, folder: Path) -> dict[str, Any]:
        """Return what is known of the cluster that the folder holds; {} if a new one is to begin."""
        known = read_private(folder / _STATE)
        if not known:
            if (folder / "appendonlydir").exists() or (folder / "node-1").exists():
                raise ConfigurationError(
                    f"data_dir: {folder} holds other data, or a cluster without {_STATE}"
                )
            self._write_state(folder, whole=False)
        if known.get("whole") is not True:  # nobody could use it yet
            return {}
        ports = known.get("ports")
        same_size = (known.get("primaries"), known.get("replicas")) == (self._primaries, self._replicas)
        if not same_size or not isinstance(ports, list) or len(ports) != self._size:
            raise ConfigurationError(
                f"data_dir: {folder} holds a cluster with primaries={known.get('primaries')} and "
                f"replicas={known.get('replicas')}: it can only be opened as that"
            )
        return known

    def _write_state(self, folder: Path, *, whole: bool) -> None:
        state = {"primaries": self._primaries, "replicas": self._replicas, "ports": self._ports}
        write_private(folder, _STATE, json.dumps({**state, "password": self._password, "whole": whole}))

    def _start_servers(self, servers: _Servers, known_ports: Sequence[int] | None) -> list[int]:
        """Start all servers, of the first candidate that fits; return their ports."""
        folders = [servers.folder / f"node-{number + 1}" for number in range(self._size)]
        candidates = binaries.find_candidates(search=True)
        failures: dict[str, str] = {}
        for candidate in candidates:
            try:
                files = binaries.make_runnable(candidate)
            except (OSError, EmbeddedRedisError) as error:
                failures[candidate.name] = f"it has no run bit, and no copy could be made: {error}"
                continue
            for _ in range(_ATTEMPTS):
                ports = self._choose_ports(known_ports)
                if known_ports is None:
                    for each in folders:  # what another candidate, or a start that was broken off, has left
                        shutil.rmtree(each, ignore_errors=True)
                else:
                    _tell_ports(folders, ports)
                reason = servers.start(files, self._password, self._configs(files, folders, ports))
                if reason is None:
                    binaries.note_choice(candidates, candidate.name)
                    return ports
                failures[candidate.name] = reason
                if _PORT_IN_USE not in reason or self._first_port is not None:
                    break
        raise failure(folders[0], self._options, failures)

    def _configs(
        self, files: binaries.Candidate, folders: Sequence[Path], ports: Sequence[int]
    ) -> list[dict[str, Any]]:
        """Return what the supervisor is told of each server."""
        nodes = []
        for named, port in zip(folders, ports, strict=True):
            folder = durable_folder(named)
            config = render_node_config(
                folder,
                port,
                self._password,
                node_timeout_ms=self._node_timeout_ms,
                durable=self._named_dir is not None,
                modules=files.modules,
                options=self._options,
            )
            nodes.append({"folder": str(folder), "port": port, "config": config})
        return nodes

    def _choose_ports(self, known: Sequence[int] | None) -> list[int]:
        if (first := self._first_port) is not None:
            ports = list(range(first, first + self._size))
            if taken := [port for port in ports if not _is_free(port)]:
                raise EmbeddedRedisError(
                    f"port {taken[0]}, or port {taken[0] + _BUS} that goes with it, is in use: choose another"
                )
            return ports
        if known and all(map(_is_free, known)):
            return list(known)
        return free_ports(self._size)


def free_ports(count: int) -> list[int]:
    """Return so many free ports in a row, whose ports for other nodes are free, too.

    Raises:
        EmbeddedRedisError: There are none.
    """
    for _ in range(1000):
        first = random.choice(_PORTS[:-count])
        ports = list(range(first, first + count))
        if all(map(_is_free, ports)):
            return ports
    raise EmbeddedRedisError(f"no {count} free ports in a row were found")


def _is_free(port: int) -> bool:
    for each in (port, port + _BUS):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Redis does
            try:
                probe.bind(("127.0.0.1", each))
            except OSError:
                return False
    return True


def _tell_ports(folders: Sequence[Path], ports: Sequence[int]) -> None:
    """Write the nodes' ports to what each of them knows of the others, before they start.

    Raises:
        ConfigurationError: A node's file is not there, or not as Redis writes it.
    """
    texts = {folder: _text_of(folder / _NODES) for folder in folders}
    ids = [re.search(r"^([0-9a-f]{40}) \S+ \S*myself\b", text, re.MULTILINE) for text in texts.values()]
    port_of = {found[1]: port for found, port in zip(ids, ports, strict=True) if found}
    if len(port_of) != len(folders):
        raise ConfigurationError(f"data_dir: the nodes in {folders[0].parent} are incomplete")

    def placed(line: re.Match[str]) -> str:
        port = port_of.get(line[1])
        return line[0] if port is None else f"{line[1]} 127.0.0.1:{port}@{port + _BUS}"

    for folder, text in texts.items():
        write_private(folder, _NODES, re.sub(r"^([0-9a-f]{40}) [^\s,]+", placed, text, flags=re.MULTILINE))


def _text_of(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return ""


class _Servers:
    """The servers of a folder, through the supervisor that has them; they end with this object's process.

    Args:
        folder: The folder of the cluster.
        durable: Whether its data is kept; else the folder is removed with them.
        timeout_seconds: How long each answer may take.

    Raises:
        EmbeddedRedisError: The supervisor cannot be started.
        ConfigurationError: The folder is in use.
    """

    def __init__(self, folder: Path, *, durable: bool, timeout_seconds: float) -> None:
        self.folder = folder
        self._durable, self._timeout_seconds, self._pid = durable, timeout_seconds, os.getpid()
        self.files: binaries.Candidate | None = None  # that the servers are of
        process, self._supervisor = run_program(folder, "cluster_supervisor")
        self._supervisor.settimeout(_ANSWER_SECONDS)
        try:
            with process:  # which forks, and ends
                answer = self._ask(ephemeral=not durable)
            if "failed" in answer:
                raise ConfigurationError(f"data_dir: {answer['failed']}: {folder}")
        except BaseException:
            self._supervisor.close()
            raise

    def start(
        self, files: binaries.Candidate, password: str, nodes: Sequence[Mapping[str, Any]]
    ) -> str | None:
        """Start these servers; return why that failed, after which none of them runs, or None.

        Raises:
            EmbeddedRedisError: The supervisor is gone, or does not answer.
        """
        self._supervisor.settimeout(None)  # it keeps to the time, unless it is killed
        answer = self._ask(
            server=str(files.server), password=password, nodes=nodes, timeout_seconds=self._timeout_seconds
        )
        reason: str | None = answer["failed"]
        self.files = files if reason is None else self.files
        return reason

    def are_gone(self) -> bool:
        """Return whether their supervisor has ended, and so have they."""
        return supervisor_is_gone(self.folder)

    def close(self) -> None:
        """Let go of them; wait until they have ended. In a forked child, only let go."""
        self._supervisor.close()
        if os.getpid() != self._pid:
            return
        deadline = time.monotonic() + _END_SECONDS
        while self.folder.exists() and time.monotonic() < deadline:
            if supervisor_is_gone(self.folder):
                if not self._durable:  # the supervisor was killed, as else it would have removed it
                    shutil.rmtree(self.folder, ignore_errors=True)
                return
            time.sleep(0.005)

    def _ask(self, **words: object) -> dict[str, Any]:
        """Send a line, and return the one that answers it."""
        answer = b""
        try:
            self._supervisor.sendall(json.dumps(words).encode() + b"\n")
            while not answer.endswith(b"\n") and (part := self._supervisor.recv(65_536)):
                answer += part
        except OSError as error:
            raise EmbeddedRedisError(f"the supervisor of the private cluster: {error}") from error
        if not answer:
            said = end_of_log(self.folder)
            raise EmbeddedRedisError(
                f"the supervisor of the private cluster ended without a word:\n{said}",
                plain="The private cluster ended as it started. Try again.",
            )
        found: dict[str, Any] = json.loads(answer)
        return found
