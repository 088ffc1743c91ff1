"""`agentmem cluster`: a private Redis Cluster in the foreground, to try out what runs on one."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from langchain_agentmem.cli.console import CommandError, Screen, show_json
from langchain_agentmem.cli.options import AsJson
from langchain_agentmem.cli.text import counted

if TYPE_CHECKING:
    from langchain_agentmem.embedded.cluster import EmbeddedCluster
    from langchain_agentmem.embedded.cluster_setup import ClusterNode

_LOOK_SECONDS = 0.5


def cluster(
    primaries: Annotated[
        int, typer.Option("--primaries", metavar="N", min=1, max=16, help="How many share the data.")
    ] = 3,
    replicas: Annotated[
        int, typer.Option("--replicas", metavar="N", min=0, max=5, help="How many copies each of them has.")
    ] = 1,
    port: Annotated[
        int | None,
        typer.Option("--port", min=1, max=55_000, help="The first one's port; the others follow it."),
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", metavar="DIR", help="Keep the data there, for the next time.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a private Redis Cluster until Ctrl-C, and print its URL.

    The URL has its password. Without --data-dir, what it holds is gone when it ends.

    \b
      agentmem cluster                        three primaries, each with a replica
      agentmem cluster --replicas 0           half the processes, no fail-over
      agentmem cluster --port 7000            on ports 7000 to 7005 of 127.0.0.1
      agentmem cluster --data-dir ./cluster   the same data, the next time
      agentmem cluster --json                 {"url": …} for other programs

    It says when a server dies, and when a replica takes over: kill one and see. Ctrl-C or SIGTERM ends it
    with exit code 0.
    """
    from langchain_agentmem.embedded.cluster import EmbeddedCluster

    screen = Screen()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    made = EmbeddedCluster(data_dir, primaries=primaries, replicas=replicas, port=port)
    with screen.busy("starting a private cluster …"):
        made.start()
    with made:
        try:  # from before the URL is shown: whoever reads it may press Ctrl-C at once
            nodes = made.nodes
            if as_json:
                show_json({"url": made.url, "nodes": [_as_dict(node) for node in nodes]})
            else:
                _show(screen, made.url, nodes)
            _watch(made, screen, nodes)
        except KeyboardInterrupt:
            with screen.busy("ending it …"):
                made.close()
    screen.aside("Ended." if data_dir is None else f"Ended. The data stays in {data_dir}.")


def _as_dict(node: ClusterNode) -> dict[str, object]:
    return {"host": node.host, "port": node.port, "pid": node.pid, "role": node.role}


def _show(screen: Screen, url: str, nodes: list[ClusterNode]) -> None:
    """Print the URL, alone on standard output; beside it, what the cluster is, and how to use it."""
    screen.out.print(url, soft_wrap=True)  # whole, to be copied
    primaries = sum(node.role == "primary" for node in nodes)
    screen.aside(
        f"A cluster of {counted(primaries, 'primary')} and {counted(len(nodes) - primaries, 'replica')} on "
        "127.0.0.1:"
    )
    for node in nodes:
        of = f" of {node.primary_port}" if node.primary_port else ""
        screen.aside(f"  port {node.port}  pid {node.pid}  {node.role}{of}")
    screen.aside("To use it, in another terminal:")
    screen.aside(f"export AGENTMEM_URL='{url}'", is_command=True)
    screen.aside("Ctrl-C ends it.")


def _watch(cluster: EmbeddedCluster, screen: Screen, before: list[ClusterNode]) -> None:
    """Tell what becomes of the servers, until Ctrl-C.

    Raises:
        CommandError: They have ended.
    """
    pause = threading.Event()
    while True:
        pause.wait(_LOOK_SECONDS)
        now = cluster.nodes
        if all(node.role == "down" for node in now):
            raise CommandError("All servers of the cluster have ended.")
        for was, node in zip(before, now, strict=True):
            if was.role != node.role:
                screen.aside(f"port {node.port} was {_article(was.role)}, and is {_article(node.role)} now")
        before = now


def _article(role: str) -> str:
    return role if role == "down" else f"a {role}"
