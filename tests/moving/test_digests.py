"""Which digests are taken for the same: of equal contents whose expiries are a little apart."""

from __future__ import annotations

from importlib.resources import files

import pytest

from langchain_agentmem.moving import digests
from langchain_agentmem.moving.digests import alike, same_expiry


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("0123456789" + "000100", "0123456789" + "000100", True),
        ("0123456789" + "000100", "0123456789" + "000200", True),
        ("0123456789" + "000001", "0123456789" + "fffffe", True),  # the milliseconds begin anew in between
        ("0123456789" + "000000", "0123456789" + "001389", False),
        ("0123456789" + "000000", "0123456789" + "ffffff", False),  # never
        ("0123456789" + "000100", "9876543210" + "000100", False),
        ("", "0123456789" + "000100", False),
    ],
)
def test_the_same_content_that_expires_at_about_the_same_time(one: str, other: str, expected: bool) -> None:
    assert alike(one, other) is expected
    assert alike(other, one) is expected


def test_never_is_not_about_the_same_as_any_time() -> None:
    assert same_expiry(0, 0)
    assert same_expiry(1000, 6000)
    assert not same_expiry(1000, 6001)
    assert not same_expiry(0, 1)


def test_the_scripts_have_the_same_numbers() -> None:
    script = files("langchain_agentmem.moving").joinpath("moved.lua").read_text()
    assert f"local APART = {digests._APART_MS}" in script
    assert f"local NEVER = {digests._NEVER:#x}" in script
