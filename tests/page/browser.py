"""A Chromium of this machine, and the page as a person uses it."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, TimeoutError, expect, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = (
    "there is no Chromium: install one that plays H.264, as by `apt install chromium`, or name it in CHROMIUM "
    f"(looked for {', '.join(NAMES)})"
)
JOB_MS = 120_000
"""A job of a few steps on a busy machine, at most."""
PLAYS_MS = 30_000
"""Until the browser has loaded a video, and shows a second frame."""
POLL_MS = 100
"""Else it is looked at with each frame that is drawn, of which a busy machine may draw none."""
STATE = """video => ({
  src: video.src, time: video.currentTime, paused: video.paused, hidden: video.hidden,
  ready: video.readyState, network: video.networkState, error: video.error?.message, shown: document.visibilityState,
  top: video.getBoundingClientRect().top, window: innerHeight, scrolled: scrollY,
})"""
"""What a video is doing, for whoever reads that it does not play."""


class ChromiumMissing(Exception):
    """No Chromium is installed under any of its names."""


def chromium_path() -> str:
    """Path of Chromium; raises `ChromiumMissing`."""
    found = next(filter(None, map(shutil.which, (os.environ.get("CHROMIUM", ""), *NAMES))), None)
    if found is None:
        raise ChromiumMissing(MISSING)
    return found


@contextmanager
def running_browser() -> Iterator[Browser]:
    """A headless Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path())
        yield browser
        browser.close()


@dataclass
class Playground:
    """The page, accessed by its accessible names."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)
    """What the browser has said in its console: errors of scripts, and what the policy has kept from loading."""

    def open(self, fragment: str = "") -> None:
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(f"{self.url}/{fragment}")
        expect(self.page.get_by_label("Model")).not_to_have_value("")

    def button(self, name: str | re.Pattern[str]) -> Locator:
        return self.page.get_by_role("button", name=name)

    def choose(self, photo: Path) -> None:
        self.page.get_by_label(re.compile("Choose .*photo")).set_input_files(photo)

    def set(self, slider: str, value: float) -> None:
        self.page.get_by_role("slider", name=slider).fill(str(value))

    def ask(self, prompt: str, steps: int = 2, detail: str = "off") -> None:
        """Fill the form except for the photo, and send it; without the photo's detail by default."""
        self.page.get_by_label("What happens").fill(prompt)
        self.page.get_by_label("Detail").select_option(detail)
        self.set("Steps", steps)
        self.button("Animate").click()

    @property
    def video(self) -> Locator:
        return self.page.get_by_label(re.compile("^Video: "))

    @property
    def result(self) -> Locator:
        return self.page.get_by_role("region", name="Video", exact=True)

    @property
    def announced(self) -> Locator:
        """Text announced to screen readers meanwhile."""
        return self.page.locator("#announcer")

    @property
    def code(self) -> str:
        return self.page.get_by_role("region", name="Code of this request").inner_text()

    def wait_for_video(self) -> None:
        """Wait until the video plays: its time advances."""
        expect(self.page.get_by_role("link", name="Download")).to_be_visible(timeout=JOB_MS)
        seen = self.video.evaluate("video => video.currentTime")
        moves = "([video, seen]) => video.currentTime !== seen"
        try:
            self.page.wait_for_function(
                moves, arg=[self.video.element_handle(), seen], polling=POLL_MS, timeout=PLAYS_MS
            )
        except TimeoutError as problem:
            raise AssertionError(f"the video does not play: {self.video.evaluate(STATE)}") from problem

    def job(self) -> dict[str, Any]:
        """The job that is shown, as returned by the service."""
        job_id = self.page.evaluate("location.hash.slice(1)")
        found: dict[str, Any] = self.page.request.get(f"{self.url}/jobs/{job_id}").json()
        return found

    def _hear(self, message: ConsoleMessage) -> None:
        # A refusal that the page goes on to show is told of in the console, too.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            self.complaints.append(message.text)
