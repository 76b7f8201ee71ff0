"""Checks the limits of all jobs that make a clip, and describes them in the OpenAPI document."""

from collections.abc import Iterator
from typing import Any, TypeVar

from cinemo_spec.formats import MAX_SIDE, Size, vanishes, video_size
from service.api.fields import invalid_fields
from service.contract.problems import FieldError
from service.contract.requests import MAX_PROMPT_CODE_POINTS, AnimateRequest, EditRequest
from service.contract.settings import MEBIBYTE, Settings

Clip = TypeVar("Clip", bound=AnimateRequest | EditRequest)


def check_limits(accepted: Clip, settings: Settings, photo: Size | None = None) -> Clip:
    """Return the request; raises `InvalidInput` if it exceeds the settings' limits.

    Sizes that depend on the photo's shape are checked only if it is given.
    """
    requested = [
        ("num_inference_steps", accepted.num_inference_steps, settings.max_num_inference_steps, "{:,}"),
        ("frames", accepted.total_frames, settings.max_frames, "{:,} frames across all clips"),
        *requested_sizes(accepted, settings, photo),
    ]
    errors = [
        FieldError(f"#/{name}", f"must be at most {limit_format.format(limit)}, got {value:,}")
        for name, value, limit, limit_format in requested
        if value > limit
    ]
    if photo is not None and accepted.fit == "pad" and vanishes(photo, padded_size(accepted, photo, settings)):
        size = f"{photo[0]}x{photo[1]}"
        errors.append(
            FieldError("#/fit", f"padding would reduce this {size} picture to nothing; crop it, or use `crop`")
        )
    if errors:
        raise invalid_fields(*errors)
    return accepted


def requested_sizes(accepted: Clip, settings: Settings, photo: Size | None) -> Iterator[tuple[str, int, int, str]]:
    """Yield the field, value, limit and the limit's format of each of the video's sizes."""
    off = accepted.detail == "off"
    limit = settings.max_model_pixels if off else settings.max_output_pixels
    if accepted.width is not None and accepted.height is not None:
        width, height = accepted.width, accepted.height
    elif photo is None or off:
        return
    else:
        width, height = video_size(photo, accepted.width, accepted.height, max_pixels=limit)
        yield "height" if accepted.width else "width", max(width, height), MAX_SIDE, "{:,}, given the photo's shape"
    yield "width" if accepted.width else "height", width * height, limit, "{:,} pixels, width times height"
    total = width * height * accepted.video_frames
    yield "frames", total, settings.max_total_pixels, "{:,} pixels in all frames together"


def padded_size(accepted: Clip, photo: Size, settings: Settings) -> Size:
    """Return the video's size; if the model decides it, the one in which the photo is largest."""
    return video_size(photo, accepted.width, accepted.height, max_pixels=settings.max_output_pixels)


def describe_limits(fields: dict[str, dict[str, Any]], settings: Settings) -> None:
    """Add the limits of these settings to the schemas of a body's fields."""
    prompt_limit = f"At most {MAX_PROMPT_CODE_POINTS} code points."
    limits = {
        "image": f"At most {format_bytes(settings.max_image_bytes)}, {settings.max_image_pixels:,} pixels and "
        f"{settings.max_image_side:,} a side.",
        "video": f"At most {format_bytes(settings.max_video_bytes)} and {settings.max_video_pixels:,} pixels a frame.",
        "negative_prompt": prompt_limit,
        "source_prompt": prompt_limit,
        "frames": f"At most {settings.max_frames:,} per job.",
        "width": f"At most {settings.max_output_pixels:,} pixels, width times height, and "
        f"{settings.max_total_pixels:,} in all frames together.",
        "detail": f"With `off`, at most {settings.max_model_pixels:,} pixels, width times height.",
    }
    for name, limit in limits.items():
        if name in fields:
            fields[name]["description"] += f" {limit}"
    fields["num_inference_steps"]["maximum"] = settings.max_num_inference_steps


def format_bytes(count: int) -> str:
    return f"{count:,} bytes" if count % MEBIBYTE else f"{count // MEBIBYTE:,} MiB"
