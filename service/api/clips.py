"""What all jobs that make a clip are held to: how much of it the settings allow."""

from typing import TypeVar

from service.api.fields import wrong
from service.errors import FieldError
from service.jobs.requests import AnimateRequest, EditRequest
from service.settings import Settings

Clip = TypeVar("Clip", bound=AnimateRequest | EditRequest)


def within_limits(accepted: Clip, settings: Settings) -> Clip:
    """The request; raises `InvalidInput` where it asks for more than the settings allow."""
    pixels = (accepted.width or 0) * (accepted.height or 0)
    asked = {
        "num_inference_steps": (accepted.num_inference_steps, settings.max_num_inference_steps, "{:,}"),
        "frames": (accepted.total_frames, settings.max_frames, "{:,} frames over all clips"),
        "width": (pixels, settings.max_output_pixels, "{:,} pixels, width times height"),
    }
    errors = [
        FieldError(f"#/{name}", f"must be at most {words.format(most)}, got {value:,}")
        for name, (value, most, words) in asked.items()
        if value > most
    ]
    if errors:
        raise wrong(*errors)
    return accepted
