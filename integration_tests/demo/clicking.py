"""What a person does on the page, and what is seen of it."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect


def say(page: Page, text: str, kind: str = "episodic") -> None:
    page.get_by_role("radio", name=kind).check()
    page.get_by_label("Your message").fill(text)
    page.get_by_role("button", name="Send").click()
    answered(page, text)


def answered(page: Page, text: str) -> None:
    """Wait until what was said has been answered, on a loaded machine too."""
    expect(page.locator("#query q")).to_have_text(text, timeout=15_000)
    expect(page.locator("#send")).to_be_enabled()


def tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()
    expect(page.get_by_role("tab", name=name, exact=True)).to_have_attribute("aria-selected", "true")


def become(page: Page, user: str) -> None:
    before = page.locator("#thread").input_value()
    page.get_by_label("User").fill(user)
    page.get_by_label("User").press("Enter")
    expect(page.locator("#thread")).not_to_have_value(before)
    expect(page.locator("#live")).to_have_text("live")


def slide(page: Page, threshold: float) -> None:
    with page.expect_response("**/recall"):
        page.get_by_label("Recall threshold").fill(str(threshold))


def recalled(page: Page) -> list[str]:
    return page.locator("#recalled .hit .text").all_text_contents()


def row(page: Page, text: str) -> Locator:
    """A memory in the table of all, which has to be shown."""
    return page.locator("#memories tr").filter(has_text=text)


def event_ids(page: Page) -> list[str]:
    """The ids of the events in the log, as it shows them."""
    ids = page.locator("#events .event").evaluate_all(
        "rows => rows.flatMap((row) => row.dataset.events.split(' '))"
    )
    return list(ids)
