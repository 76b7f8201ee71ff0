"""`make page-pictures`: takes the screenshots in docs/playground.md, each of a finished job."""

import io
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, expect

from deploy.local.stack import running_stack
from tests.page.browser import JOB_MS, ChromiumMissing, Playground, running_browser

DOCS = Path(__file__).parents[2] / "docs"
MAX_BYTES = 300_000
COLOURS = 192
WIDE: dict[str, Any] = {"viewport": {"width": 1280, "height": 960}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "is_mobile": True}
PICTURES: dict[str, dict[str, Any]] = {
    "playground-light.png": {**WIDE, "color_scheme": "light"},
    "playground-dark.png": {**WIDE, "color_scheme": "dark"},
    "playground-phone.png": {**PHONE, "color_scheme": "light"},
}
EARLIER, SEEN = ("Rocket", "Cat", "Astronaut"), "Cup of coffee"
"""Examples: those that only the list of recent jobs shows, and the one that is seen."""
MOTION = 6
SHOWN_SECOND = 0.8


def main() -> int:
    """Take all screenshots; returns the exit code."""
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            running_browser() as browser,
            running_stack(Path(folder)) as stack,
        ):
            with browser.new_context() as context:
                playground = Playground(context.new_page(), stack.url)
                playground.open()
                for example in EARLIER:
                    animate(playground, example, seed=7)
            for seed, (name, device) in enumerate(PICTURES.items()):
                take(browser, stack.url, device, seed, DOCS / name)
    except ChromiumMissing as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def animate(playground: Playground, example: str, seed: int) -> None:
    """Animate an example."""
    playground.button(example).click()
    playground.set("Motion", MOTION)
    playground.page.get_by_label("Seed", exact=True).fill(str(seed))
    playground.button("Animate").click()
    expect(playground.page.get_by_role("link", name="Download")).to_be_visible(timeout=JOB_MS)


def take(browser: Browser, url: str, device: dict[str, Any], seed: int, path: Path) -> None:
    """Take one screenshot of the whole page, always at the same frame; a new seed makes a new job."""
    with browser.new_context(reduced_motion="reduce", locale="en-GB", **device) as context:
        playground = Playground(context.new_page(), url)
        playground.open()
        animate(playground, SEEN, seed)
        playground.video.evaluate(
            """async (video, second) => {
                // Played once: until then Chromium's controls show a ring, as if the video were still loading.
                await video.play();
                video.pause();
                video.currentTime = second;
                do await new Promise(requestAnimationFrame); while (video.seeking || video.readyState < 4);
            }""",
            SHOWN_SECOND,
        )
        expect(playground.page.locator("#recent img")).to_have_count(len(EARLIER) + 1 + seed)
        playground.page.mouse.move(0, 0)
        playground.page.screenshot(path=path, full_page=True)
        shrink(path)


def shrink(path: Path) -> None:
    """Save a screenshot with a palette, which is enough for flat pages."""
    with Image.open(path) as picture:
        small = io.BytesIO()
        picture.convert("RGB").quantize(COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(
            small, "PNG", optimize=True
        )
    assert small.tell() <= MAX_BYTES, f"{path.name} has {small.tell():,} bytes"
    path.write_bytes(small.getvalue())


if __name__ == "__main__":
    sys.exit(main())
