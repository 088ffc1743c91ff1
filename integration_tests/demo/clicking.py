"""What a person does on the page."""

from __future__ import annotations

from playwright.sync_api import Page, expect


def say(page: Page, text: str, kind: str = "episodic") -> None:
    page.get_by_role("radio", name=kind).check()
    page.get_by_label("Your message").fill(text)
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#query q")).to_have_text(text)
    expect(page.locator("#send")).to_be_enabled()
