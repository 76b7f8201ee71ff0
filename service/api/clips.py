"""What all jobs that make a clip are held to: how much of it the settings allow."""

from collections.abc import Iterator
from typing import TypeVar

from cinemo_spec.formats import MOST_SIDE, Size, vanishes, video_size
from service.api.fields import wrong
from service.contract.problems import FieldError
from service.contract.requests import AnimateRequest, EditRequest
from service.contract.settings import Settings

Clip = TypeVar("Clip", bound=AnimateRequest | EditRequest)


def within_limits(accepted: Clip, settings: Settings, photo: Size | None = None) -> Clip:
    """The request; raises `InvalidInput` where it asks for more than the settings allow.

    What the photo's shape decides is looked at only where it is known.
    """
    asked = [
        ("num_inference_steps", accepted.num_inference_steps, settings.max_num_inference_steps, "{:,}"),
        ("frames", accepted.total_frames, settings.max_frames, "{:,} frames over all clips"),
        *sizes_asked(accepted, settings, photo),
    ]
    errors = [
        FieldError(f"#/{name}", f"must be at most {words.format(most)}, got {value:,}")
        for name, value, most, words in asked
        if value > most
    ]
    if photo is not None and accepted.fit == "pad" and vanishes(photo, padded_into(accepted, photo, settings)):
        size = f"{photo[0]}x{photo[1]}"
        errors.append(FieldError("#/fit", f"a picture of {size} pixels would vanish between bars; cut it, or use crop"))
    if errors:
        raise wrong(*errors)
    return accepted


def sizes_asked(accepted: Clip, settings: Settings, photo: Size | None) -> Iterator[tuple[str, int, int, str]]:
    """Of the video: field, value, limit, and how that is said."""
    off = accepted.detail == "off"
    most = settings.max_model_pixels if off else settings.max_output_pixels
    if accepted.width is not None and accepted.height is not None:
        width, height = accepted.width, accepted.height
    elif photo is None or off:
        return
    else:
        width, height = video_size(photo, accepted.width, accepted.height, most=most)
        yield "height" if accepted.width else "width", max(width, height), MOST_SIDE, "{:,} by the photo's shape"
    yield "width" if accepted.width else "height", width * height, most, "{:,} pixels, width times height"
    total = width * height * accepted.video_frames
    yield "frames", total, settings.max_total_pixels, "{:,} pixels in all of the video's frames together"


def padded_into(accepted: Clip, photo: Size, settings: Settings) -> Size:
    """The size of the video; where the model decides that, one in which a photo would vanish the last."""
    return video_size(photo, accepted.width, accepted.height, most=settings.max_output_pixels)
