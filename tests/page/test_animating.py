"""From a photo to a video that plays, in a browser: sent, followed, canceled, reopened."""

import json
import re
from pathlib import Path

from playwright.sync_api import Browser, Route, expect

from tests.integration.conftest import running_over_s3
from tests.page.browser import JOB_MS, Playground
from tests.page.conftest import SIGNER, WATERMARK


def test_a_photo_becomes_a_video_that_plays_beside_the_form(
    playground: Playground, photo_path: Path, tmp_path: Path
) -> None:
    playground.choose(photo_path)
    expect(playground.page.get_by_alt_text(f"Your photo, {photo_path.name}")).to_be_visible()
    playground.ask("the camera zooms in", steps=12)
    bar = playground.page.get_by_role("progressbar", name="Progress of the video")
    expect(bar).to_be_visible()
    expect(playground.result.get_by_text(re.compile(r"^Step \d+ of 12"))).to_be_visible(timeout=JOB_MS)
    assert 0 < bar.evaluate("bar => bar.value") <= 1
    playground.wait_for_video()
    expect(bar).to_be_hidden()
    expect(playground.announced).to_have_text("The video is ready")
    marks = re.escape(f"marked as AI-generated (metadata, and credentials signed by {SIGNER}; watermark {WATERMARK})")
    facts = re.compile(f"192 × 128, 16 frames, 2 s, .* kB; made in .* s; {marks}$")
    expect(playground.result.get_by_text(facts)).to_be_visible()

    job = playground.job()
    assert job["request"]["prompt"] == "the camera zooms in"
    assert job["request"]["seed"] == int(playground.page.get_by_label("Seed", exact=True).input_value())
    with playground.page.expect_download() as downloading:
        playground.page.get_by_role("link", name="Download").click()
    download = downloading.value
    assert download.suggested_filename == f"{job['id']}.mp4"
    download.save_as(tmp_path / "video.mp4")
    assert (tmp_path / "video.mp4").stat().st_size == job["output"]["video"]["bytes"]


def test_previews_are_shown_while_the_model_runs(playground: Playground, photo_path: Path) -> None:
    playground.choose(photo_path)
    playground.ask("the camera zooms in", steps=200)
    preview = playground.result.get_by_alt_text("Preview of the video so far")
    expect(preview).to_be_visible(timeout=JOB_MS)
    assert preview.evaluate("image => image.decode().then(() => image.naturalWidth)") == 96
    playground.button("Cancel").click()
    expect(playground.result.get_by_text("Canceled.")).to_be_visible(timeout=JOB_MS)
    expect(preview).to_be_hidden()


def test_a_video_has_its_photos_size_and_progress_counts_frames(playground: Playground, photo_path: Path) -> None:
    playground.choose(photo_path)
    playground.page.get_by_label("Frames per second").select_option("16")
    playground.ask("the camera zooms in", detail="photo")
    expect(playground.result.get_by_text(re.compile(r"^Detail of frame \d+ of 31"))).to_be_visible(timeout=JOB_MS)
    playground.wait_for_video()
    expect(playground.result.get_by_text(re.compile(r"600 × 400, 31 frames, 1\.9 s"))).to_be_visible()
    first = playground.job()
    assert (first["request"]["detail"], first["request"]["frame_rate_factor"]) == ("photo", 2)

    playground.page.reload()
    expect(playground.page.get_by_text("The photo of an earlier job")).to_be_visible()
    expect(playground.page.get_by_label("Frames per second")).to_have_value("2")
    playground.ask("the camera zooms in")
    expect(playground.page).not_to_have_url(re.compile(first["id"]))
    expect(playground.page.get_by_label("Frames per second")).to_be_disabled()
    playground.wait_for_video()
    plain = playground.job()
    assert (plain["request"]["detail"], plain["request"]["frame_rate_factor"]) == ("off", None)
    assert plain["output"]["video"]["frames"] == 16


def test_an_example_suggests_its_prompt_but_never_replaces_the_users(playground: Playground) -> None:
    prompt = playground.page.get_by_label("What happens")
    playground.button("Rocket").click()
    expect(prompt).to_have_value("the camera rises")
    playground.button("Cat").click()
    expect(prompt).to_have_value("it breathes")
    expect(playground.button("Cat")).to_have_attribute("aria-pressed", "true")
    prompt.fill("my own words")
    playground.button("Cup of coffee").click()
    expect(playground.page.get_by_alt_text("Your photo, coffee.jpg")).to_be_visible()
    expect(prompt).to_have_value("my own words")


def test_an_example_can_be_sent_before_its_photo_has_loaded(playground: Playground) -> None:
    def hold(route: Route) -> None:
        if route.request.resource_type == "fetch":
            expect(playground.result.get_by_text("Sending the photo")).to_be_visible(timeout=JOB_MS)
        route.continue_()

    playground.page.route("**/web/photos/*", hold)
    playground.button("Cat").click()
    playground.ask("it breathes")
    playground.wait_for_video()


def test_a_photo_can_be_dropped_and_pasted(playground: Playground, photo: bytes) -> None:
    give = """([selector, event, name, bytes]) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([new Uint8Array(bytes)], name, { type: "image/jpeg" }));
        const options = { bubbles: true, cancelable: true };
        const given = event === "drop"
            ? new DragEvent(event, { ...options, dataTransfer: transfer })
            : new ClipboardEvent(event, { ...options, clipboardData: transfer });
        document.querySelector(selector).dispatchEvent(given);
    }"""
    for selector, event in (("#drop", "drop"), ("body", "paste")):
        playground.page.evaluate(give, [selector, event, f"{event}.jpg", list(photo)])
        expect(playground.page.get_by_alt_text(f"Your photo, {event}.jpg")).to_be_visible()


def test_a_running_job_is_canceled_once_and_the_page_is_ready_for_the_next(playground: Playground) -> None:
    playground.button("Cup of coffee").click()
    playground.ask("the camera zooms in", steps=100)
    cancel = playground.button(re.compile("^Cancel(ing…)?$"))
    expect(playground.result.get_by_text(re.compile(r"^Step \d+ of 100"))).to_be_visible(timeout=JOB_MS)
    expect(playground.button("Animating…")).to_have_attribute("aria-disabled", "true")
    playground.page.keyboard.press("Escape")
    assert playground.job()["status"] == "running", "Escape cancels nothing"
    cancel.click()
    expect(playground.result.get_by_text("Canceled.")).to_be_visible(timeout=JOB_MS)
    expect(cancel).to_be_hidden()
    expect(playground.button("Animate")).to_be_focused()
    assert playground.job()["status"] == "canceled"
    playground.ask("the camera zooms in")
    playground.wait_for_video()


def test_a_broken_stream_resumes_after_the_last_event(playground: Playground) -> None:
    seen: list[str] = []

    def break_off(route: Route) -> None:
        seen.append(route.request.headers["last-event-id"])
        if len(seen) == 1:
            event = {"at": "2026-01-01T00:00:00Z", "step": 1, "steps": 2, "fraction": 0.5, "message": ""}
            body = f": hello\n\nid: 7-0\nevent: progress\ndata: {json.dumps(event)}\n\nid: 8-0\nevent: progr"
            route.fulfill(content_type="text/event-stream", body=body)
        else:
            route.continue_()

    playground.page.route("**/events", break_off)
    playground.button("Cat").click()
    playground.ask("it breathes")
    playground.wait_for_video()
    assert seen[:2] == ["0", "7-0"], "the half of an event is not taken for one"


def test_a_recent_job_can_be_opened_and_rerun_with_other_settings(playground: Playground, browser: Browser) -> None:
    playground.button("Astronaut").click()
    playground.set("Motion", 3)
    playground.ask("the camera pans left")
    playground.wait_for_video()
    first = playground.job()

    with browser.new_context() as elsewhere:
        again = Playground(elsewhere.new_page(), playground.url)
        again.open()
        again.page.get_by_role("region", name="Recent").get_by_role("button").first.click()
        again.wait_for_video()
        assert again.job()["id"] == first["id"]
        expect(again.page.get_by_label("What happens")).to_have_value("the camera pans left")
        expect(again.page.get_by_role("slider", name="Motion")).to_have_value("3")
        expect(again.page.get_by_label("Seed", exact=True)).to_have_value(str(first["request"]["seed"]))
        expect(again.page.get_by_text("The photo of an earlier job")).to_be_visible()
        again.set("Motion", 4)
        again.button("Animate").click()
        expect(again.page).not_to_have_url(re.compile(first["id"]))
        again.wait_for_video()
        second = again.job()
        assert second["request"] == {**first["request"], "motion_intensity": 4}
        assert again.complaints == []


def test_a_link_to_a_job_opens_it(playground: Playground, browser: Browser) -> None:
    playground.button("Cat").click()
    playground.ask("it breathes")
    playground.wait_for_video()
    with browser.new_context() as elsewhere:
        linked = Playground(elsewhere.new_page(), playground.url)
        linked.open(playground.page.evaluate("location.hash"))
        linked.wait_for_video()
        assert linked.complaints == []


def test_a_repeated_request_says_that_its_output_was_reused(playground: Playground) -> None:
    playground.button("Cat").click()
    playground.ask("it breathes")
    playground.wait_for_video()
    playground.button("Animate").click()
    expect(playground.result.get_by_text(re.compile("reused from an identical request"))).to_be_visible(timeout=JOB_MS)


def test_a_video_in_a_bucket_plays_and_is_downloaded(browser: Browser, s3_endpoint: str, tmp_path: Path) -> None:
    with running_over_s3(s3_endpoint, tmp_path, {}) as service, browser.new_context() as context:
        playground = Playground(context.new_page(), service.stack.url)
        playground.open()
        playground.button("Cat").click()
        playground.ask("it breathes")
        playground.wait_for_video()
        video = playground.job()["output"]["video"]
        assert video["url"].startswith(s3_endpoint)
        with playground.page.expect_download() as downloading:
            playground.page.get_by_role("link", name="Download").click()
        downloading.value.save_as(tmp_path / "video.mp4")
        assert (tmp_path / "video.mp4").stat().st_size == video["bytes"]
        assert playground.complaints == []


def test_every_parameter_under_more_settings_can_be_set_and_is_restored_with_its_job(
    playground: Playground, browser: Browser
) -> None:
    playground.button("Cat").click()
    playground.page.get_by_text("More settings").click()
    playground.page.get_by_label("Cache interval").fill("2")
    playground.page.get_by_label("Fps").fill("12")
    expect(playground.page.get_by_label("Frames per second").locator("option").first).to_have_text("36")
    playground.ask("it breathes")
    playground.wait_for_video()
    first = playground.job()["request"]
    assert (first["cache_interval"], first["fps"], first["clips"]) == (2, 12, 1)
    with browser.new_context() as elsewhere:
        linked = Playground(elsewhere.new_page(), playground.url)
        linked.open(playground.page.evaluate("location.hash"))
        linked.wait_for_video()
        expect(linked.page.get_by_label("Cache interval")).to_have_value("2")
        linked.page.get_by_label("Fps").fill("")
        linked.page.get_by_label("Cache interval").fill("11")
        linked.button("Animate").click()
        interval = linked.page.get_by_label("Cache interval")
        expect(interval).to_have_accessible_description(re.compile("must be at most 10"))
        interval.fill("1")
        linked.button("Animate").click()
        expect(linked.page).not_to_have_url(re.compile(playground.page.evaluate("location.hash")))
        linked.wait_for_video()
        assert linked.job()["request"] == {**first, "cache_interval": 1, "fps": 8}
        assert linked.complaints == []
