"""Reads a job's picture."""

from PIL import Image

from cinemo_core.pictures import open_picture
from service.contract.record import Job
from worker.app import settings
from worker.dependencies import object_store


def read_photo(job: Job) -> Image.Image:
    """Decode a job's stored picture; raises `InvalidImage` if it is invalid or exceeds the limits.

    The API has checked it already, but perhaps with other settings, or in an earlier version.
    """
    assert job.input_key is not None
    return open_picture(
        object_store().get_bytes(job.input_key),
        settings.max_image_pixels,
        settings.max_image_scans,
        formats=("JPEG", "PNG"),
    )
