"""Servers on free ports of 127.0.0.1 that a test plays itself, and proxies that break connections."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from random import Random

from typing_extensions import Self


class Listener:
    """Accepts connections, each served in a thread of its own until its server or its peer has enough.

    Attributes:
        port: Where it listens.
        ended: Set when it is closed.
    """

    def __init__(self) -> None:
        self.ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._connections: set[socket.socket] = set()
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def serve(self, near: socket.socket) -> None:
        """Serve a connection; it is closed when this returns, or raises an `OSError`."""
        raise NotImplementedError

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                thread = threading.Thread(target=self._serve, args=(near,), daemon=True)
                self._threads = [one for one in self._threads if one.is_alive()] + [thread]
                thread.start()

    def _serve(self, near: socket.socket) -> None:
        self._connections.add(near)
        with near, suppress(OSError):
            self.serve(near)
        self._connections.discard(near)

    def close(self) -> None:
        self.ended.set()
        # Whoever waits in accept() is only woken by a connection.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for near in list(self._connections):
            with suppress(OSError):  # it is closed already
                near.shutdown(socket.SHUT_RDWR)  # its thread may wait for a peer that keeps it open
        for thread in self._threads:
            thread.join(5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Proxy(Listener):
    """Stands before a server; cuts the connection when `cut_reply_to` has been forwarded, before the reply.

    With `reply_bytes`, so many bytes of the reply pass before the cut.
    """

    def __init__(self, port: int) -> None:
        self.target = port
        self.cut_reply_to: bytes | None = None
        self.reply_bytes = 0
        self.cuts = 0
        super().__init__()

    def serve(self, near: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self.target)) as far:
            while request := near.recv(1 << 20):
                far.sendall(request)
                reply = far.recv(1 << 20)
                if self.cut_reply_to is not None and self.cut_reply_to in request:
                    self.cut_reply_to = None
                    self.cuts += 1
                    near.sendall(reply[: self.reply_bytes])
                    return
                near.sendall(reply)


class CuttingProxy(Listener):
    """Stands before a server; cuts each connection after some bytes in one direction or the other.

    Args:
        port: The server's.
        random: Draws where each connection is cut, and whether politely.
        most_bytes: The most that passes in the direction that is cut.

    Attributes:
        cuts: How many connections were cut.
    """

    def __init__(self, port: int, random: Random, *, most_bytes: int = 30_000) -> None:
        self.target = port
        self.cuts = 0
        self._random = random
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        super().__init__()

    def serve(self, near: socket.socket) -> None:
        with self._lock:
            limits = [1 << 60, int(self._most_bytes ** self._random.random())]
            self._random.shuffle(limits)
            rudely = self._random.random() < 0.5
        with socket.create_connection(("127.0.0.1", self.target)) as far:
            # What is left unsent is thrown away, and the peer gets a reset instead of an end.
            linger = struct.pack("ii", int(rudely), 0)

            def cut() -> None:
                with self._lock:
                    self.cuts += 1
                for end in (near, far):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

            back = threading.Thread(target=_forward, args=(far, near, limits[0], cut), daemon=True)
            back.start()
            _forward(near, far, limits[1], cut)
            back.join()


def _forward(source: socket.socket, target: socket.socket, limit: int, cut: Callable[[], None]) -> None:
    """Pass bytes on, as many as the limit allows, and end both directions."""
    with suppress(OSError):
        while piece := source.recv(1 << 16):
            target.sendall(piece[:limit])
            if len(piece) >= limit:
                cut()
                break
            limit -= len(piece)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
