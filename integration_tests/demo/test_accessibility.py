"""Everybody can use the page: axe-core finds nothing, it fits every size, and the keyboard reaches everything."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from integration_tests.demo.clicking import say, tab
from integration_tests.demo.conftest import Open, StartDemo
from integration_tests.upstash.node import install

_AXE = Path(__file__).with_name("axe")
_VIEWS = ("Recalled", "Map", "With and without", "All")
_LOGS = ("Events", "Commands")
_SIZES = {
    "a phone": {"width": 390, "height": 844},
    "320 px": {"width": 320, "height": 640},
    "200 %": {"width": 640, "height": 360},
    "a laptop": {"width": 1280, "height": 720},
    "a screen": {"width": 1440, "height": 900},
}
QUESTION = "Which theme should my editor use?"


@pytest.fixture(scope="module")
def axe() -> str:
    """The source of axe-core."""
    npm = shutil.which("npm")
    reason = install(npm, _AXE) if npm else "no npm on the PATH"
    if reason:
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return (_AXE / "node_modules" / "axe-core" / "axe.min.js").read_text()


def findings(page: Page, axe: str) -> list[str]:
    page.evaluate(axe)
    found = page.evaluate(
        """async () => {
            await Promise.all(document.getAnimations().map((one) => one.finished.catch(() => {})));
            const { violations } = await axe.run(document, { resultTypes: ["violations"] });
            return violations.flatMap(({ id, nodes }) => nodes.map((node) =>
                `${id}: ${node.html.slice(0, 160)} ${node.failureSummary}`));
        }"""
    )
    return [str(one) for one in found]


def fill(page: Page) -> None:
    say(page, QUESTION)
    say(page, "I use a light theme in my editor.")
    page.get_by_text("Goal and scratchpad").click()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_tab(open_page: Open, axe: str, scheme: Any, width: int) -> None:
    page = open_page(color_scheme=scheme, reduced_motion="reduce", viewport={"width": width, "height": 844})
    assert findings(page, axe) == []  # before anything is said
    fill(page)
    for name in (*_VIEWS, *_LOGS):
        tab(page, name)
        expect(page.get_by_role("tabpanel", name=name, exact=True)).to_be_visible()
        assert findings(page, axe) == [], name


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_dialogs_banners_and_toasts(open_page: Open, axe: str, scheme: Any) -> None:
    page = open_page(color_scheme=scheme, reduced_motion="reduce", requests_may_fail=True)
    page.get_by_role("button", name="Reset").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert findings(page, axe) == []
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Import", exact=True).click()
    page.get_by_label("File").set_input_files({"name": "x.zip", "mimeType": "", "buffer": b"PK broken"})
    expect(page.get_by_label("Whose it becomes")).to_have_value("x")
    page.get_by_role("dialog").get_by_role("button", name="Import").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_be_visible()
    assert findings(page, axe) == []
    page.keyboard.press("Escape")
    tab(page, "All")
    page.get_by_role("button", name="Delete: I am allergic").click()
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    page.route("**/*", lambda route: route.abort())
    page.get_by_role("button", name="New thread").click()
    expect(page.locator("#away")).to_be_visible()
    assert findings(page, axe) == []


def cut_off(page: Page) -> list[str]:
    """What is cut at the side, collides with a neighbor, or scrolls sideways."""
    found = page.evaluate(
        """() => {
            const told = [];
            const name = (one) => one.outerHTML.slice(0, 120);
            const sticky = (one) => one && (getComputedStyle(one).position === "sticky" || sticky(one.parentElement));
            const visible = (one) => one.checkVisibility({ visibilityProperty: true }) && !one.closest(".hidden");
            if (document.documentElement.scrollWidth > innerWidth) told.push("the page scrolls sideways");
            const controls = [...document.querySelectorAll("button, input, select, textarea, h1, h2, label, legend, .fact, [role=tab]")].filter(visible);
            for (const one of controls) {
                const box = one.getBoundingClientRect();
                if (!box.width || one.matches("input[type=radio]")) continue;
                if (box.left < -1 || box.right > innerWidth + 1) told.push(`beyond the side: ${name(one)}`);
                if (one.matches("button, h1, h2, legend, .fact, [role=tab]") && one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).display !== "inline")
                    told.push(`cut: ${name(one)}`);
            }
            const leaves = controls.filter((one) => one.matches("button, h1, h2, legend, .fact, input:not([type=radio]), select, textarea") && !one.closest("[role=tabpanel], .window, table") && !sticky(one));
            for (const [at, one] of leaves.entries())
                for (const other of leaves.slice(at + 1)) {
                    if (one.contains(other) || other.contains(one)) continue;
                    const [a, b] = [one.getBoundingClientRect(), other.getBoundingClientRect()];
                    const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
                    const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
                    if (wide > 1 && high > 1) told.push(`collide: ${name(one)} ${name(other)}`);
                }
            return told;
        }"""
    )
    return [str(one) for one in found]


@pytest.mark.parametrize("size", _SIZES)
def test_nothing_is_cut_or_collides(open_page: Open, size: str) -> None:
    page = open_page(viewport=_SIZES[size], device_scale_factor=2 if size == "200 %" else 1)
    assert cut_off(page) == []
    fill(page)
    for name in (*_VIEWS, *_LOGS):
        tab(page, name)
        assert cut_off(page) == [], name
    for name in ("Reset", "Import"):
        page.get_by_role("button", name=name, exact=True).click()
        expect(page.get_by_role("dialog")).to_be_visible()
        box = page.get_by_role("dialog").bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= _SIZES[size]["width"]
        page.keyboard.press("Escape")


@pytest.mark.parametrize("size", ["a laptop", "a screen"])
def test_send_and_the_result_are_visible_without_scrolling(open_page: Open, size: str) -> None:
    page = open_page(viewport=_SIZES[size])
    for _ in range(2):
        for seen in ("#send", "#say", "#tab-recalled", "#live"):
            expect(page.locator(seen)).to_be_in_viewport(ratio=0.99)
        assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
        fill(page)
    expect(page.locator("#changed")).to_be_in_viewport(ratio=0.99)
    expect(page.locator("#recalled .hit").first).to_be_in_viewport(ratio=0.99)
    expect(page.locator("#window > :not(#after)").last).to_be_in_viewport(ratio=0.99)


def test_on_a_phone_the_result_follows_the_bubble(open_page: Open) -> None:
    page = open_page(viewport=_SIZES["a phone"])
    say(page, QUESTION)
    for seen in ("#window > :nth-last-child(2)", "#changed", "#send"):
        expect(page.locator(seen)).to_be_in_viewport(ratio=0.99)
    places = [page.locator(one).bounding_box() for one in ("#window", "#changed", "#view-recalled")]
    tops = [box["y"] for box in places if box is not None]
    assert tops == sorted(tops)


def test_a_session_that_expired_says_so(start: StartDemo, open_url: Open) -> None:
    page = open_url(start("--session-ttl-seconds", "2").url)
    say(page, "hello", "skip")
    expect(page.locator("#window")).to_contain_text("expired")
    expect(page.locator("#events")).to_contain_text("hello")
    page.reload()
    expect(page.locator("#window")).to_contain_text("expired")
    page.get_by_role("button", name="New thread").click()
    expect(page.locator("#window")).not_to_contain_text("expired")


def test_the_focus_goes_through_the_page_in_its_order_and_is_seen(open_page: Open) -> None:
    page = open_page()
    say(page, QUESTION)
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Home")
    panels: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        where, outline = page.evaluate(
            """() => {
                const one = document.activeElement;
                const shown = one.closest("label:has(input[type=radio])") ?? one;
                return [one.closest(".top, .panel")?.className ?? "", getComputedStyle(shown).outlineStyle];
            }"""
        )
        if not where:
            continue
        assert outline != "none"
        if panels[-1:] != [where]:
            panels.append(where)
    order = [panels.index(one) for one in panels]
    assert len(set(panels)) == 4
    assert order[:4] == sorted(order[:4])


def test_a_dialog_gives_the_focus_back(open_page: Open) -> None:
    page = open_page()
    for name in ("Reset", "Import"):
        page.get_by_role("button", name=name, exact=True).focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("button", name=name, exact=True)).to_be_focused()


def test_nothing_moves_for_whoever_wants_it_still(open_page: Open) -> None:
    page = open_page(reduced_motion="reduce")
    say(page, "I live in Lisbon.")
    tab(page, "All")
    page.get_by_role("button", name="Delete: I am allergic").click()
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    assert page.evaluate("document.getAnimations().length") == 0
