"""The picture that a job was given."""

import io

from PIL import Image, UnidentifiedImageError

from cinemo_core import InvalidImage
from service.jobs.model import Job
from worker.parts import object_store


def read_photo(job: Job) -> Image.Image:
    """Decode a job's stored picture; raises `InvalidImage` where it is none."""
    assert job.input_key is not None
    try:
        photo = Image.open(io.BytesIO(object_store().get_bytes(job.input_key)))
        photo.load()
    except (UnidentifiedImageError, OSError) as error:
        raise InvalidImage(f"the stored input cannot be decoded: {error}") from error
    return photo
