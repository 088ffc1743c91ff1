"""Digests of what a key holds and of when it expires, and which of them are taken for the same.

`moved.lua` computes them: ten hexadecimal digits of the content, and six of the expiry, in milliseconds. An
entry of a stream never expires by itself, and has sixteen of the content.
"""

from __future__ import annotations

_CONTENT = 10
_NEVER = 0xFFFFFF
_APART_MS = 5000
"""How far two expiries may be apart. MIGRATE, by which slots move within a cluster, sends what is left of a
TTL, and not when it ends: so it ends later then, by the time on the way and by what the clocks of both nodes
differ."""


def alike(one: str, other: str) -> bool:
    """Return whether two digests are of the same content, which expires at about the same time.

    Of expiries that are further apart, one in 1,700 is taken for the same.
    """
    if one == other:
        return True
    if not one or not other or one[:_CONTENT] != other[:_CONTENT]:
        return False
    first, second = int(one[_CONTENT:], 16), int(other[_CONTENT:], 16)
    if _NEVER in (first, second):
        return False
    apart = abs(first - second)
    return min(apart, _NEVER - apart) <= _APART_MS


def same_expiry(one: int, other: int) -> bool:
    """Return whether two expiries, epoch milliseconds or 0 for never, are about the same."""
    return one == other or (bool(one and other) and abs(one - other) <= _APART_MS)
