"""The checks of clients: which protocol works, and what a library does to a client of the caller's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import redis

from integration_tests.benchmarks.peers.bench import Bench, Verdict
from integration_tests.benchmarks.peers.libraries.library import Library, NotOfferedError
from integration_tests.benchmarks.peers.material import exchange, fact

_SHORT = 80


def speaks_resp3(bench: Bench) -> Verdict:
    """A client with `protocol=3`."""
    library = bench.open(protocol=3, given_client=True)
    did = []
    with suppress(NotOfferedError):
        library.append("resp3", exchange(0))
        if len(library.read("resp3", 2)) != 2:
            return Verdict(False, "reads no messages")
        did.append("messages")
    library.remember("ann", fact(0))
    if library.recall("ann", fact(0), 1) != [fact(0)]:
        return Verdict(False, "recalls nothing")
    return Verdict(True, " and ".join([*did, "memories"]))


def client_unchanged(bench: Bench) -> Verdict:
    """A client of the caller's is as it was: its options, its attributes, its name at the server, its connection."""
    if not bench.open().takes_client:
        raise NotOfferedError("takes no client")
    with _watched_client(bench) as (library, changes):
        for act in (
            lambda: library.append("mine", exchange(0)),
            lambda: library.read("mine", 2),
            lambda: library.remember("ann", fact(0)),
            lambda: library.recall("ann", fact(0), 1),
            library.close,
        ):
            with suppress(NotOfferedError):
                act()
    found = changes()
    return Verdict(not found, "; ".join(found) or "options, names, connection as before")


@contextmanager
def _watched_client(bench: Bench) -> Iterator[tuple[Library, Callable[[], list[str]]]]:
    clients: list[redis.Redis] = []
    before: list[dict[str, str]] = []

    def look(client: redis.Redis) -> None:
        clients.append(client)
        before.append(_look(client))

    library = bench.open(given_client=True, on_client=look)

    def changes() -> list[str]:
        after = _look(clients[0])
        clients[0].close()
        return [
            f"{name} {was} → {now}" if len(was) + len(now) < _SHORT else f"{name} changed"
            for name in sorted({*before[0], *after})
            if (was := before[0].get(name) or "none") != (now := after.get(name) or "none")
        ]

    yield library, changes


def _look(client: redis.Redis) -> dict[str, str]:
    """Return what can be seen of a client, and of its connection at the server."""
    info: Any = client.client_info()
    info = {_text(name): _text(value) for name, value in info.items()}
    seen = {name: repr(value) for name, value in vars(client).items() if name != "response_callbacks"}
    seen |= {
        f"option {name}": repr(value) for name, value in client.connection_pool.connection_kwargs.items()
    }
    seen |= {name: info[name] for name in ("name", "lib-name", "lib-ver", "resp", "db") if name in info}
    seen["connection"] = f"connection {info['id']}"
    # How replies of a command are read: what the library adds, the caller's own commands get too.
    return seen | {"reply parsers": str(len(client.response_callbacks))}


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
