"""The page by keyboard, with a screen reader, on a phone, in both themes, and with reduced motion."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from deploy.local.stack import Stack
from tests.page.browser import JOB_MS, Playground

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
TAPPED = ":is(button, a, select, textarea, label:has(input), input[type=range], input[type=text]):visible"
TAPPED_PIXELS = 24
"""The least that a finger finds (WCAG 2.2, 2.5.8)."""


def test_the_page_can_be_used_by_keyboard_alone(playground: Playground) -> None:
    page = playground.page
    for name in ("API reference", "Choose a photo", "Cup of coffee"):
        page.keyboard.press("Tab")
        expect(page.locator(":focus")).to_have_accessible_name(name)
        assert page.evaluate("document.activeElement.matches(':focus-visible')")
    page.keyboard.press("Enter")
    expect(page.get_by_alt_text("Your photo, coffee.jpg")).to_be_visible()
    for name in ("Astronaut", "Cat", "Rocket", "What happens"):
        page.keyboard.press("Tab")
        expect(page.locator(":focus")).to_have_accessible_name(name)
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("the camera pans left")
    for name in ("Negative prompt", "Motion"):
        page.keyboard.press("Tab")
        expect(page.locator(":focus")).to_have_accessible_name(name)
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Tab")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    noise = ("Noise", "Share of the photo's frequencies", "Noise timestep")
    for name in (
        "Guidance",
        "Seed",
        "Pick another seed",
        *noise,
        "Detail",
        "Frames per second",
        "Model",
        "Add an adapter",
        "More settings",
        "Animate",
    ):
        page.keyboard.press("Tab")
        expect(page.locator(":focus")).to_have_accessible_name(name)
    page.keyboard.press("Enter")
    playground.wait_for_video()
    request = playground.job()["request"]
    assert (request["prompt"], request["motion_intensity"]) == ("the camera pans left", 1)
    assert request["num_inference_steps"] == 2
    expect(page.locator(":focus")).to_have_accessible_name("Animate")

    # The parts of a player are stops of their own.
    reached: dict[str, None] = {}
    while "code" not in reached:
        page.keyboard.press("Tab")
        reached[page.evaluate("document.activeElement.id || document.activeElement.name")] = None
    assert list(reached) == ["video", "download", "language", "copy", "code"]


def test_control_enter_in_the_prompt_sends_the_request(playground: Playground) -> None:
    playground.button("Cat").click()
    playground.set("Steps", 2)
    playground.page.get_by_label("What happens").press("Enter")
    playground.page.get_by_label("What happens").press("ControlOrMeta+Enter")
    playground.wait_for_video()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_an_accessibility_checker_finds_nothing_before_and_after_a_job(
    browser: Browser, stack: Stack, theme: str
) -> None:
    with browser.new_context(color_scheme=theme, reduced_motion="reduce") as context:  # type: ignore[arg-type]
        playground = Playground(context.new_page(), stack.url)
        playground.open()
        assert Axe().run(playground.page).violations_count == 0, Axe().run(playground.page).generate_report()
        playground.button("Animate").click()
        expect(playground.page.get_by_text("Describe what happens")).to_be_visible()
        assert Axe().run(playground.page).violations_count == 0, Axe().run(playground.page).generate_report()
        playground.button("Cat").click()
        playground.button("Add an adapter").click()
        playground.ask("it breathes")
        expect(playground.page.get_by_role("link", name="Download")).to_be_visible(timeout=JOB_MS)
        assert Axe().run(playground.page).violations_count == 0, Axe().run(playground.page).generate_report()


def test_the_light_and_dark_themes_differ(browser: Browser, stack: Stack) -> None:
    grounds = set()
    for theme in ("light", "dark"):
        with browser.new_context(color_scheme=theme) as context:
            page = context.new_page()
            page.goto(stack.url)
            grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(grounds) == 2


def test_on_a_phone_nothing_overflows_and_all_targets_are_large_enough(browser: Browser, stack: Stack) -> None:
    with browser.new_context(**PHONE) as context:  # type: ignore[arg-type]
        playground = Playground(context.new_page(), stack.url)
        playground.open()
        playground.button("Cup of coffee").tap()
        playground.button("Add an adapter").tap()
        playground.ask("a " + "very" * 60 + " long word")
        expect(playground.result).to_be_in_viewport()
        playground.wait_for_video()
        page = playground.page
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        tapped = page.locator(
            "button:visible, a:visible, select:visible, textarea:visible, input:visible:not([type=radio])"
        )
        for each in tapped.all():
            box = each.bounding_box()
            assert box is not None
            assert "visually-hidden" in (each.get_attribute("class") or "") or box["height"] >= TAPPED_PIXELS
        photo, video = page.locator("#photo").bounding_box(), playground.video.bounding_box()
        assert photo is not None
        assert video is not None
        assert video["y"] > photo["y"] + photo["height"]


def test_on_a_wide_screen_photo_and_video_are_side_by_side(playground: Playground) -> None:
    playground.button("Cat").click()
    playground.ask("it breathes")
    playground.wait_for_video()
    photo, video = playground.page.locator("#photo").bounding_box(), playground.video.bounding_box()
    assert photo is not None
    assert video is not None
    assert (video["y"], video["width"], video["height"]) == (photo["y"], photo["width"], photo["height"])
    assert video["x"] > photo["x"] + photo["width"]


def test_with_reduced_motion_the_video_does_not_play_by_itself(browser: Browser, stack: Stack) -> None:
    with browser.new_context(reduced_motion="reduce") as context:
        playground = Playground(context.new_page(), stack.url)
        playground.open()
        playground.button("Cat").click()
        playground.ask("it breathes")
        expect(playground.page.get_by_role("link", name="Download")).to_be_visible(timeout=JOB_MS)
        assert playground.video.evaluate("video => video.paused && video.currentTime === 0 && video.poster !== ''")
        playground.video.evaluate("video => video.play()")
        playground.wait_for_video()


def test_each_quarter_of_the_progress_is_announced_to_screen_readers(playground: Playground) -> None:
    playground.page.evaluate(
        """window.reported = [];
        new MutationObserver(() => reported.push(announcer.textContent)).observe(announcer, { childList: true });"""
    )
    playground.button("Cat").click()
    playground.ask("it breathes", steps=20)
    playground.wait_for_video()
    reported = playground.page.evaluate("reported")
    assert reported[-1] == "The video is ready"
    steps = [each for each in reported if re.match("Step", each)]
    assert 1 <= len(steps) <= 4, "not each of the twenty"
