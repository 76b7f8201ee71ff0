"""Translates bodies of the dialect into those of POST /animate and POST /edit, and lengths into frames and clips."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from pydantic import Field

from cinemo_spec.ranges import RANGES
from service.api.animate import AnimateFields
from service.api.bodies import MAX_TEXT_CHARS, Body, BodyRules
from service.api.fields import in_one_line, invalid_fields, pointer_to
from service.api.pictures import SOURCES
from service.api.strict_json import PICTURE, parse_json
from service.api.v1.references import translate_reference
from service.contract.problems import FieldError, MalformedBody, Problem
from service.contract.requests import MAX_CLIPS
from service.contract.settings import Settings

REFERENCES = ("input_reference", "image_reference")
"""Names of the picture; the second is vLLM-Omni's, which sends it as JSON in a form."""
EXTRAS = "extra_params"
NESTED = (*REFERENCES, EXTRAS, "video")
"""Objects, which forms contain with bracketed names or as JSON."""
BRACKETS = re.compile(r"([a-z_]+)\[([a-z_]+)\]")
SIZE = re.compile(r"(\d{1,5})x(\d{1,5})", re.ASCII)
HOSTED_MODELS = re.compile(r"sora-2(-[a-z0-9-]+)?")
"""OpenAI's models; clients that still name one get the default model."""
MAX_LENGTH = 1_000_000
"""In seconds or frames: far beyond any video, and few enough digits for floats. The settings' limit follows."""
NO_PICTURE = "is required: the models animate a photo"
PICTURE_NAMES = dict.fromkeys(SOURCES, "input_reference")


class VideoFields(AnimateFields):
    """Fields that a client may send with the picture: those of POST /animate, and two ways to set the length."""

    seconds: int | None = Field(None, ge=1, le=MAX_LENGTH)
    num_frames: int | None = Field(None, ge=1, le=MAX_LENGTH)


@dataclass(frozen=True)
class Translated:
    """A translated body; `client_names` maps names of our fields to those that the client used."""

    body: Body
    client_names: Mapping[str, str]


def body_rules(settings: Settings) -> BodyRules:
    """Allow for pictures in `data:` URLs."""
    base64_chars = settings.max_image_bytes * 4 // 3
    return BodyRules(
        file_or_text=REFERENCES[:1], max_text_chars=base64_chars + MAX_TEXT_CHARS, pictures=("image_url", PICTURE)
    )


def translate(body: Body) -> Translated:
    """Translate a body.

    Raises:
        InvalidInput: a field is duplicated or can't be translated.
    """
    fields = merge_extras(parse_nested(body.fields))
    files = dict(body.files)
    client_names = dict(PICTURE_NAMES)
    for name in REFERENCES:
        given = [each.pop(name) for each in (fields, files) if name in each]
        for value in given:
            if value not in ("", b""):
                own_name, picture = translate_reference(name, value)
                target: dict[str, Any] = files if own_name == "image" else fields
                require_absent(own_name, {**fields, **files}, name)
                target[own_name] = picture
                client_names |= dict.fromkeys(SOURCES, name)
    if "size" in fields:
        fields["width"], fields["height"] = parse_size(fields, fields.pop("size"))
        client_names |= {"width": "size", "height": "size"}
    if HOSTED_MODELS.fullmatch(str(fields.get("model", ""))):
        del fields["model"]
    if "frames" not in fields:
        client_names["frames"] = "num_frames" if "num_frames" in fields else "seconds"
    if isinstance(fields.get("prompt"), tuple):
        fields.setdefault("clips", len(fields["prompt"]))
    return Translated(Body(fields, files, typed=False), client_names)


def require_picture(body: Body) -> None:
    """Raise `InvalidInput` if there is no picture."""
    if not any(name in SOURCES for name in (*body.fields, *body.files)):
        raise invalid_fields(FieldError("#/input_reference", NO_PICTURE))


def parse_nested(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields with objects in place of bracketed names and JSON."""
    found: dict[str, Any] = {}
    for full_name, value in fields.items():
        match = BRACKETS.fullmatch(full_name)
        name = match[1] if match and match[1] in NESTED else full_name
        if match and name == match[1]:
            holder = found.setdefault(name, {})
            if not isinstance(holder, dict):
                raise duplicate(name)
            require_absent(match[2], holder, name)
            holder[match[2]] = value
        elif name in NESTED and isinstance(value, str) and value.lstrip().startswith("{"):
            require_absent(name, found, name)
            found[name] = parse_json_field(name, value)
        else:
            require_absent(name, found, name)
            found[name] = value
    return found


def merge_extras(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields merged with those in `extra_params`."""
    extras = fields.pop(EXTRAS, None) or {}
    if not isinstance(extras, dict):
        raise invalid_fields(FieldError(pointer_to(EXTRAS), "must be an object"))
    for name, value in extras.items():
        require_absent(name, fields, name)
        if isinstance(value, memoryview):
            # A large picture, which only a reference may be.
            raise invalid_fields(FieldError(pointer_to(EXTRAS, name), "is too long"))
    return {**fields, **{name: value for name, value in extras.items() if value is not None}}


def parse_size(fields: Mapping[str, Any], size: Any) -> tuple[int, int]:
    """Return width and height."""
    match = SIZE.fullmatch(size) if isinstance(size, str) else None
    if match is None:
        raise invalid_fields(FieldError("#/size", "must be WIDTHxHEIGHT in pixels, such as 1280x720"))
    for name in ("width", "height"):
        require_absent(name, fields, "size")
    return int(match[1]), int(match[2])


def apply_length(given: VideoFields, settings: Settings) -> VideoFields:
    """Return the request with the number of clips that comes closest to the requested length; `clips` has precedence.

    Raises:
        InvalidInput: it exceeds the longest video allowed.
    """
    name = "num_frames" if given.num_frames is not None else "seconds"
    requested = requested_frames(given)
    if requested is None or "clips" in given.model_fields_set:
        return given
    if name == "num_frames" and "frames" not in given.model_fields_set and RANGES["frames"].holds(requested):
        return given.model_copy(update={"frames": int(requested)})
    clips = max(1, round((requested - 1) / (given.frames - 1)))
    max_clips = min(MAX_CLIPS, (settings.max_frames - 1) // (given.frames - 1))
    if clips > max_clips:
        longest = given.model_copy(update={"clips": max_clips})
        allowed = f"{longest.video_frames / longest.video_fps:.0f}" if name == "seconds" else f"{longest.total_frames}"
        raise invalid_fields(FieldError(pointer_to(name), f"must be at most {allowed}, got {getattr(given, name):,}"))
    return given.model_copy(update={"clips": clips})


def requested_frames(given: VideoFields) -> float | None:
    """Return how many frames the model would generate for the requested length; None if none is requested."""
    if given.num_frames is not None:
        return given.num_frames
    if given.seconds is not None:
        # Each of the model's frames but the first gives `factor` frames of the video.
        return 1 + (given.seconds * given.video_fps - 1) / given.factor
    return None


@contextmanager
def client_field_names(names: Mapping[str, str]) -> Iterator[None]:
    """Make problems point at the fields that the client sent, and name them."""
    try:
        yield
    except Problem as problem:
        errors = [replace(each, pointer=renamed(each.pointer, names)) for each in problem.errors]
        if problem.errors and problem.detail == in_one_line(*problem.errors):
            # Width and height have the same errors, and come from the same field.
            errors = list(dict.fromkeys(errors))
            problem.detail = in_one_line(*errors)
        problem.errors = errors
        raise


def renamed(pointer: str, names: Mapping[str, str]) -> str:
    first, *rest = pointer.removeprefix("#/").split("/")
    return "#/" + "/".join((names.get(first, first), *rest))


def require_absent(name: str, fields: Mapping[str, Any], client_name: str) -> None:
    """Raise `InvalidInput` if a field is present already."""
    if name in fields:
        raise duplicate(client_name)


def duplicate(name: str) -> Problem:
    return invalid_fields(FieldError(pointer_to(name), "is given more than once"))


def parse_json_field(name: str, text: str) -> Any:
    try:
        return parse_json(text)
    except MalformedBody as problem:
        raise invalid_fields(FieldError(pointer_to(name), str(problem))) from problem
