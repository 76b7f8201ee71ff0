"""The API reference at `/docs`: accessible, on any screen, and without content from other hosts."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from deploy.local.stack import Stack

SCREENS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 740}, "is_mobile": True},
}


@pytest.mark.parametrize("screen", SCREENS)
def test_the_reference_is_accessible_and_loads_nothing_from_other_hosts(
    browser: Browser, stack: Stack, screen: str
) -> None:
    with browser.new_context(**SCREENS[screen]) as context:
        page, asked, complaints = context.new_page(), [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.goto(f"{stack.url}/docs")
        assert Axe().run(page).violations_count == 0, Axe().run(page).generate_report()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert all(url.startswith(stack.url) for url in asked)
        assert complaints == []


def test_an_operation_is_found_in_the_contents_and_names_do_not_wrap(browser: Browser, stack: Stack) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{stack.url}/docs")
        page.get_by_role("navigation", name="Contents").get_by_role("link", name="Edit a video").click()
        expect(page.get_by_role("heading", name="Edit a video")).to_be_in_viewport()
        name = page.get_by_role("rowheader", name="num_inference_steps").first.locator("code")
        assert name.evaluate("code => code.getClientRects().length") == 1
