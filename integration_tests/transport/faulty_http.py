"""An HTTP server that answers with whatever bytes a test wants, at the pace it wants."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

from integration_tests.listening import Listener

Script = Callable[[socket.socket], object]
"""Answers one request on its connection; when it returns `True`, the connection is closed."""

OK = b'[{"result":"T0s="}]'  # "OK" in base64, so a string of its own


def response(body: bytes, *headers: bytes, status: bytes = b"200 OK", length: int | None = None) -> bytes:
    """The bytes of a response."""
    size = b"Content-Length: %d" % (len(body) if length is None else length)
    return b"\r\n".join([b"HTTP/1.1 " + status, size, *headers, b"", body])


def says(raw: bytes, *, close: bool = False) -> Script:
    """A script that sends these bytes at once."""

    def script(near: socket.socket) -> bool:
        near.sendall(raw)
        return close

    return script


class FaultyServer(Listener):
    """Each request takes the next script, and is answered well when there is none.

    Attributes:
        requests: The heads of what came, in order.
    """

    def __init__(self) -> None:
        self.scripts: list[Script] = []
        self.requests: list[bytes] = []
        super().__init__()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def drip(self, raw: bytes, seconds: float = 0.05) -> Script:
        """A script that sends a byte at a time, until the client has had enough."""

        def script(near: socket.socket) -> bool:
            for number in range(len(raw)):
                near.sendall(raw[number : number + 1])
                if self.ended.wait(seconds):
                    break
            return True

        return script

    def serve(self, near: socket.socket) -> None:
        for head in _requests(near):
            self.requests.append(head)
            script = self.scripts.pop(0) if self.scripts else says(response(OK))
            if script(near):
                return


def _requests(near: socket.socket) -> Iterator[bytes]:
    """The head of each request, when its body has been read."""
    waiting = b""
    while True:
        while b"\r\n\r\n" not in waiting:
            if not (more := near.recv(1 << 16)):
                return
            waiting += more
        head, _, waiting = waiting.partition(b"\r\n\r\n")
        (length,) = [
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        ]
        while len(waiting) < length:
            if not (more := near.recv(1 << 16)):
                return
            waiting += more
        waiting = waiting[length:]
        yield head
