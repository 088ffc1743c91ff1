"""Takes the pictures of the demo page in `docs/images`: the real page, in Chromium, after a few turns.

    python docs/take_screenshots.py

Needs the extra `demo`, playwright, and chromium on the PATH. `--url` takes a demo that runs already.
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
from typing import Any

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

IMAGES = Path(__file__).with_name("images")
TURNS = (
    ("episodic", "My favorite color is teal."),
    ("semantic", "I use a light theme in my browser."),
    ("episodic", "Which theme should my editor use?"),
)
PICTURES: dict[str, dict[str, Any]] = {
    "demo-light": {"viewport": {"width": 1440, "height": 1080}, "color_scheme": "light"},
    "demo-dark": {"viewport": {"width": 1440, "height": 1080}, "color_scheme": "dark"},
    "demo-phone": {
        "viewport": {"width": 390, "height": 844},
        "color_scheme": "light",
        "device_scale_factor": 1.5,
    },
}


@contextmanager
def demo() -> Iterator[str]:
    """A demo of its own on a Redis of its own; its URL."""
    with TemporaryDirectory(prefix="agentmem-", ignore_cleanup_errors=True) as folder:
        command = [sys.executable, "-m", "langchain_agentmem.cli", "demo", "--port", "0"]
        process = subprocess.Popen(
            [*command, "--redis", f"embedded://{folder}"], stdout=subprocess.PIPE, text=True
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
    """A goal, and a few turns."""
    page.get_by_label("Goal").fill("Set up my new laptop")
    page.get_by_label("Goal").press("Tab")
    for kind, text in TURNS:
        page.get_by_role("radio", name=kind).check()
        page.get_by_label("Your message").fill(text)
        page.get_by_role("button", name="Send").click()
        page.locator("#query q").filter(has_text=text).wait_for()
        page.locator("#send:not(:disabled)").wait_for()
    page.locator("#recalled .hit summary").first.click()
    page.evaluate("document.activeElement.blur()")
    page.locator("#events li", has_text="turn_start").nth(len(TURNS) - 1).wait_for()


def main() -> None:
    """Take every picture."""
    options = argparse.ArgumentParser()
    options.add_argument("--url")
    options.add_argument("--into", type=Path, default=IMAGES)
    given = options.parse_args()
    given.into.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, how in PICTURES.items():
            if given.url:
                picture(browser, name, how, given.url, given.into)
            else:
                with demo() as url:
                    picture(browser, name, how, url, given.into)
        browser.close()


def picture(browser: Any, name: str, how: dict[str, Any], url: str, into: Path) -> None:
    """One picture of a page that was just reset."""
    with browser.new_context(reduced_motion="reduce", **how) as context:
        page = context.new_page()
        page.goto(url)
        page.locator("#live[data-state=on]").wait_for()
        before = page.locator("#thread").input_value()
        page.once("dialog", lambda asked: asked.accept())
        page.get_by_role("button", name="Reset").click()
        expect(page.locator("#thread")).not_to_have_value(before)
        talk(page)
        path = into / f"{name}.png"
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=path)
        with Image.open(path) as image:  # 256 colours are enough for it, in a third of the bytes
            image.convert("RGB").quantize(256).save(path, optimize=True)
        print(f"{path}: {path.stat().st_size / 1024:.0f} KB")


if __name__ == "__main__":
    main()
