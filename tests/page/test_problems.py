"""Problems are shown where they occur, in the service's own words, and can be corrected there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, expect

from service.store.tenants import Scope, Tenant, TenantStore
from tests.conftest import Api, api_running
from tests.page.browser import JOB_MS, Playground


def field(playground: Playground, label: str) -> Locator:
    return playground.page.get_by_label(label, exact=True)


def test_an_invalid_picture_is_reported_beside_the_photo(playground: Playground, tmp_path: Path) -> None:
    bad = tmp_path / "holiday.jpg"
    bad.write_text("<html>no picture</html>")
    playground.choose(bad)
    playground.ask("the camera zooms in")
    photo = field(playground, "Choose another photo")
    expect(photo).to_have_attribute("aria-invalid", "true")
    expect(photo).to_have_accessible_description(re.compile("The picture cannot be used: .*INPUT.IMAGE.UNSUPPORTED"))
    expect(photo).to_be_focused()
    expect(playground.page.get_by_text("INPUT.IMAGE.UNSUPPORTED")).to_be_visible()
    expect(playground.result.get_by_text("Your video appears here.")).to_be_visible()

    playground.button("Cat").click()
    expect(photo).not_to_have_attribute("aria-invalid", "true")
    playground.button("Animate").click()
    playground.wait_for_video()


def test_a_file_that_is_too_large_is_rejected_before_it_is_sent(playground: Playground, tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    with large.open("wb") as file:
        file.truncate(16 * 1024 * 1024 + 1)
    playground.choose(large)
    expect(playground.page.get_by_text("the file has 16,777,217 bytes; the limit is 16,777,216")).to_be_visible()


def test_missing_values_are_reported_at_their_fields_until_corrected(playground: Playground) -> None:
    playground.button("Animate").click()
    photo, prompt = field(playground, "Choose a photo"), field(playground, "What happens")
    expect(photo).to_be_focused()
    expect(photo).to_have_accessible_description(re.compile("Choose a photo or an example"))
    expect(prompt).to_have_accessible_description("Describe what happens in the video.")
    prompt.fill("waves")
    expect(prompt).not_to_have_attribute("aria-invalid", "true")
    expect(photo).to_have_attribute("aria-invalid", "true")


@pytest.mark.parametrize(
    ("label", "value", "said"),
    [("Seed", "-1", "must be at least 0"), ("Seed", "seven", "integer"), ("What happens", "x" * 1001, "1000")],
)
def test_an_invalid_value_is_reported_beside_its_field(
    playground: Playground, label: str, value: str, said: str
) -> None:
    playground.button("Cat").click()
    field(playground, label).fill(value)
    playground.button("Animate").click()
    expect(field(playground, label)).to_have_accessible_description(re.compile(f"{said}.*INPUT.INVALID"))
    expect(field(playground, label)).to_be_focused()


def test_an_unreachable_service_is_reported_and_retried(playground: Playground) -> None:
    playground.button("Cat").click()
    playground.page.context.set_offline(True)
    playground.button("Animate").click()
    expect(playground.page.get_by_role("alert")).to_have_text(re.compile("The service cannot be reached"))
    playground.page.context.set_offline(False)
    playground.button("Animate").click()
    expect(playground.page.get_by_role("alert")).to_be_hidden()
    playground.wait_for_video()


def test_a_failed_job_shows_the_reason(playground: Playground) -> None:
    playground.page.route(
        re.compile("/jobs/job_[0-9a-f]+$"),
        lambda route: route.fulfill(
            json={
                **route.fetch().json(),
                "status": "failed",
                "output": None,
                "error": {"code": "MODEL.OUT_OF_MEMORY", "message": "the device is full", "retryable": False},
            }
        ),
    )
    playground.button("Cat").click()
    playground.button("Animate").click()
    alert = playground.page.get_by_role("alert")
    expect(alert).to_have_text("The job failed: the device is full MODEL.OUT_OF_MEMORY", timeout=JOB_MS)
    expect(playground.button("Animate")).to_have_attribute("aria-disabled", "false")


def test_a_link_to_an_unknown_job_shows_a_problem(playground: Playground) -> None:
    playground.page.goto("about:blank")
    playground.page.goto(f"{playground.url}/#job_{'0' * 32}")
    expect(playground.page.get_by_role("alert")).to_have_text(re.compile("Not found: .*NOT_FOUND"))


@pytest.fixture
def guarded(redis_port: int, tmp_path: Path) -> Iterator[Api]:
    """An API that requires keys, without a worker."""
    with api_running(tmp_path, redis_port, {"CINEMO_AUTH": "keys"}) as api:
        api.redis.flushall()
        yield api


def test_a_service_with_keys_asks_for_one_which_only_the_tab_keeps(browser: Browser, guarded: Api) -> None:
    tenants = TenantStore(guarded.redis)
    tenants.put(Tenant(name="acme"))
    _, key = tenants.create_key("acme", frozenset({Scope.ANIMATE}))
    with browser.new_context() as context:
        page = context.new_page()
        playground = Playground(page, guarded.url)
        page.goto(guarded.url)
        dialog = page.get_by_role("dialog", name="API key")
        given = dialog.get_by_label("Key", exact=True)
        expect(given).to_be_focused()
        assert given.get_attribute("type") == "password"

        given.fill("cin_00000000_guess")
        given.press("Enter")
        expect(dialog.get_by_role("alert")).to_have_text(re.compile("A valid API key is required"))
        given.fill(key)
        dialog.get_by_role("button", name="Use this key").click()
        expect(dialog).to_be_hidden()
        expect(page.get_by_label("Model")).to_have_value("tiny")

        playground.button("Cat").click()
        playground.ask("it breathes")
        expect(playground.result.get_by_text("Position 1 in the queue")).to_be_visible()
        assert key not in playground.code
        assert "$CINEMO_API_KEY" in playground.code
        assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
        assert key not in page.url

        page.reload()
        expect(page.get_by_label("Model")).to_have_value("tiny")
        expect(dialog).to_be_hidden()
        other = context.new_page()
        other.goto(guarded.url)
        expect(other.get_by_role("dialog", name="API key")).to_be_visible()

        playground.button("Forget API key").click()
        expect(dialog).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("alert")).to_have_text(re.compile("A valid API key is required.*AUTH.KEY_INVALID"))
