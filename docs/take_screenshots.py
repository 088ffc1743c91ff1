"""Takes the pictures of the demo page in `docs/images`: the real page, in Chromium, after a few exchanges.

    python docs/take_screenshots.py

Needs the extra `demo`, playwright, and chromium on the PATH.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

IMAGES = Path(__file__).with_name("images")
SAID = (
    "I am learning to bake bread with rye flour.",
    "My sister Ana is coming to visit on Friday.",
    "I use a light theme in my browser.",
    "Which theme should my editor use?",
)


class Picture(NamedTuple):
    """A picture: the tabs that it shows, and the browser that it is taken in."""

    tabs: tuple[str, ...]
    browser: dict[str, Any]


DESKTOP = {"viewport": {"width": 1440, "height": 860}}
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 1.5}
PICTURES = {
    "demo-light": Picture(("Map", "Events"), {**DESKTOP, "color_scheme": "light"}),
    "demo-dark": Picture(("With and without", "Commands"), {**DESKTOP, "color_scheme": "dark"}),
    "demo-phone": Picture(("Recalled",), {**PHONE, "color_scheme": "light"}),
}


@contextmanager
def demo() -> Iterator[str]:
    """A demo of its own on a Redis of its own; its URL."""
    with TemporaryDirectory(prefix="agentmem-", ignore_cleanup_errors=True) as folder:
        command = [sys.executable, "-m", "langchain_agentmem.cli", "demo", "--port", "0"]
        process = subprocess.Popen(
            [*command, "--redis", f"embedded://{folder}", "--allow-reset"], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            if not url:
                raise SystemExit("the demo did not start; it says why above")
            yield url
        finally:
            process.terminate()
            process.wait()
            process.stdout.close()


def talk(page: Page) -> None:
    """Say a few things, one after the other."""
    for text in SAID:
        page.get_by_label("Your message").fill(text)
        page.get_by_role("button", name="Send").click()
        page.locator("#query q").filter(has_text=text).wait_for()
        page.locator("#send:not(:disabled)").wait_for()
    expect(page.locator("#events")).to_contain_text(SAID[-1])


def take(browser: Any, name: str, picture: Picture, url: str, into: Path) -> None:
    """Take one picture of a page."""
    with browser.new_context(reduced_motion="reduce", **picture.browser) as context:
        page = context.new_page()
        page.goto(url)
        page.locator("#live[data-state=on]").wait_for()
        talk(page)
        for tab in picture.tabs:
            page.get_by_role("tab", name=tab, exact=True).click()
        page.evaluate("document.activeElement.blur()")
        page.wait_for_load_state()
        page.wait_for_timeout(800)  # for what moves to its place
        page.evaluate("scrollTo(0, 0)")
        path = into / f"{name}.png"
        page.screenshot(path=path)
    with Image.open(path) as image:  # 256 colours are enough for it, in a third of the bytes
        image.convert("RGB").quantize(256, method=Image.Quantize.MAXCOVERAGE).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1024:.0f} KB")


def main() -> None:
    """Take every picture."""
    options = argparse.ArgumentParser()
    options.add_argument("--into", type=Path, default=IMAGES)
    given = options.parse_args()
    given.into.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, picture in PICTURES.items():
            with demo() as url:
                take(browser, name, picture, url, given.into)
        browser.close()


if __name__ == "__main__":
    main()
