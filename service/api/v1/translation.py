"""What clients of the dialect send, in our own words: a body as for POST /animate or POST /edit, and a length."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from pydantic import Field

from cinemo_spec.parameters import RANGES
from service.api.animate import AnimateFields
from service.api.bodies import MOST_TEXT, Body, Leeway
from service.api.fields import pointer_to, wrong
from service.api.pictures import SOURCES
from service.api.strict_json import PICTURE, parse_json
from service.api.v1.references import picture_of
from service.contract.problems import FieldError, MalformedBody, Problem
from service.contract.requests import MAX_CLIPS
from service.contract.settings import Settings

REFERENCES = ("input_reference", "image_reference")
"""The picture. The second is vLLM-Omni's name for it, JSON in a form."""
EXTRAS = "extra_params"
NESTED = (*REFERENCES, EXTRAS, "video")
"""Objects, which forms have in brackets or as JSON."""
BRACKETS = re.compile(r"([a-z_]+)\[([a-z_]+)\]")
SIZE = re.compile(r"(\d{1,5})x(\d{1,5})", re.ASCII)
HOSTED_MODELS = re.compile(r"sora-2(-[a-z0-9-]+)?")
"""Models of the API that the dialect is of; whoever still names one gets the service's own."""
NO_PICTURE = "is required: the models here animate a photo, so send one"
PICTURE_NAMES = dict.fromkeys(SOURCES, "input_reference")


class VideoFields(AnimateFields):
    """What a client may send beside the picture: all of POST /animate, and the length in one of two more ways."""

    seconds: int | None = Field(None, ge=1)
    num_frames: int | None = Field(None, ge=1)


@dataclass(frozen=True)
class Translated:
    """A body in our words; `sent_as` has for our names of fields those that the client has used."""

    body: Body
    sent_as: Mapping[str, str]


def leeway(settings: Settings) -> Leeway:
    """Pictures come as URLs, too, of which one may hold all of its bytes."""
    most = settings.max_image_bytes * 4 // 3
    return Leeway(either=REFERENCES[:1], most_text=most + MOST_TEXT, pictures=("image_url", PICTURE))


def translate(body: Body) -> Translated:
    """The body in our words.

    Raises:
        InvalidInput: a field is given twice, or is nothing that could be translated.
    """
    fields = with_extras(unfolded(body.fields))
    files = dict(body.files)
    sent_as = dict(PICTURE_NAMES)
    for name in REFERENCES:
        given = [each.pop(name) for each in (fields, files) if name in each]
        for value in given:
            if value not in ("", b""):
                place, picture = picture_of(name, value)
                into: dict[str, Any] = files if place == "image" else fields
                require_free(place, {**fields, **files}, name)
                into[place] = picture
                sent_as |= dict.fromkeys(SOURCES, name)
    if "size" in fields:
        fields["width"], fields["height"] = size_of(fields, fields.pop("size"))
        sent_as |= {"width": "size", "height": "size"}
    if HOSTED_MODELS.fullmatch(str(fields.get("model", ""))):
        del fields["model"]
    if "frames" not in fields:
        sent_as["frames"] = "num_frames" if "num_frames" in fields else "seconds"
    if isinstance(fields.get("prompt"), tuple):
        fields.setdefault("clips", len(fields["prompt"]))
    return Translated(Body(fields, files, typed=False), sent_as)


def require_picture(body: Body) -> None:
    """Raise `InvalidInput` where there is no picture."""
    if not any(name in SOURCES for name in (*body.fields, *body.files)):
        raise wrong(FieldError("#/input_reference", NO_PICTURE))


def unfolded(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields, with objects for what a form has in brackets, or as JSON."""
    found: dict[str, Any] = {}
    for written, value in fields.items():
        match = BRACKETS.fullmatch(written)
        name = match[1] if match and match[1] in NESTED else written
        if match and name == match[1]:
            holder = found.setdefault(name, {})
            if not isinstance(holder, dict):
                raise twice(name)
            require_free(match[2], holder, name)
            holder[match[2]] = value
        elif name in NESTED and isinstance(value, str) and value.lstrip().startswith("{"):
            require_free(name, found, name)
            found[name] = parsed(name, value)
        else:
            require_free(name, found, name)
            found[name] = value
    return found


def with_extras(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields, with those of `extra_params` among them."""
    extras = fields.pop(EXTRAS, None) or {}
    if not isinstance(extras, dict):
        raise wrong(FieldError(pointer_to(EXTRAS), "must be an object"))
    for name, value in extras.items():
        require_free(name, fields, name)
        if isinstance(value, memoryview):
            # The text of a large picture, which only a reference has.
            raise wrong(FieldError(pointer_to(EXTRAS, name), "is too long"))
    return {**fields, **{name: value for name, value in extras.items() if value is not None}}


def size_of(fields: Mapping[str, Any], size: Any) -> tuple[int, int]:
    """Width and height."""
    match = SIZE.fullmatch(size) if isinstance(size, str) else None
    if match is None:
        raise wrong(FieldError("#/size", "must be WIDTHxHEIGHT in pixels, such as 1280x720"))
    for name in ("width", "height"):
        require_free(name, fields, "size")
    return int(match[1]), int(match[2])


def lengthened(given: VideoFields, settings: Settings) -> VideoFields:
    """The request with as many clips as come closest to the length that is asked for; clips go before all else.

    Raises:
        InvalidInput: no video may be so long.
    """
    name = "num_frames" if given.num_frames is not None else "seconds"
    asked = frames_asked(given)
    if asked is None or "clips" in given.model_fields_set:
        return given
    if name == "num_frames" and "frames" not in given.model_fields_set and RANGES["num_frames"].holds(asked):
        return given.model_copy(update={"frames": int(asked)})
    clips = max(1, round((asked - 1) / (given.frames - 1)))
    most = min(MAX_CLIPS, (settings.max_frames - 1) // (given.frames - 1))
    if clips > most:
        longest = given.model_copy(update={"clips": most})
        allowed = f"{longest.video_frames / longest.video_fps:.0f}" if name == "seconds" else f"{longest.total_frames}"
        raise wrong(FieldError(pointer_to(name), f"must be at most {allowed}, got {getattr(given, name):,}"))
    return given.model_copy(update={"clips": clips})


def frames_asked(given: VideoFields) -> float | None:
    """How many frames the model would make for the length that is asked for; none where it is left open."""
    if given.num_frames is not None:
        return given.num_frames
    if given.seconds is not None:
        # The video has some frames for each of the model's but the first.
        return 1 + (given.seconds * given.video_fps - 1) / given.factor
    return None


@contextmanager
def named_as_sent(names: Mapping[str, str]) -> Iterator[None]:
    """Let problems point at the fields that the client has sent."""
    try:
        yield
    except Problem as problem:
        problem.errors = [replace(each, pointer=renamed(each.pointer, names)) for each in problem.errors]
        raise


def renamed(pointer: str, names: Mapping[str, str]) -> str:
    first, *rest = pointer.removeprefix("#/").split("/")
    return "#/" + "/".join((names.get(first, first), *rest))


def require_free(name: str, fields: Mapping[str, Any], told: str) -> None:
    """Raise `InvalidInput` where a field has been given already."""
    if name in fields:
        raise twice(told)


def twice(name: str) -> Problem:
    return wrong(FieldError(pointer_to(name), "is given more than once"))


def parsed(name: str, text: str) -> Any:
    try:
        return parse_json(text)
    except MalformedBody as problem:
        raise wrong(FieldError(pointer_to(name), str(problem))) from problem
