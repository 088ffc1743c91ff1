"""Take the socket of a server, which the page and the MCP server do alike."""

from __future__ import annotations

import ipaddress
import socket

from langchain_agentmem.errors import ConfigurationError


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach a server bound to this host."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bound(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Args:
        host: The address.
        port: The port; 0 takes a free one.

    Raises:
        ConfigurationError: The address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named, the protocol lets asyncio turn Nagle's algorithm off, by which an answer waits 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"cannot bind to {host}:{port}: {error.strerror or error}. Choose another port with --port."
        ) from error
    return listener
