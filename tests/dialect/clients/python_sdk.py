"""Uses OpenAI's SDK for Python like a program. `python python_sdk.py TASK`; the rest is in the environment."""

import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

# That the hosted API is gone, which is why this is here.
warnings.simplefilter("ignore", DeprecationWarning)

import openai  # noqa: E402
from openai import OpenAI  # noqa: E402

URL, PHOTO, FOLDER = os.environ["URL"], Path(os.environ["PHOTO"]), Path(os.environ["FOLDER"])
SMALL: dict[str, Any] = {"detail": "off", "num_inference_steps": 2}


def client_of(key: str, retries: int = 2) -> OpenAI:
    return OpenAI(base_url=f"{URL}/v1", api_key=os.environ[key], max_retries=retries, webhook_secret="whsec_AAAA")


def create(client: OpenAI, poll: bool = False, **extra: Any) -> Any:
    make = client.videos.create_and_poll if poll else client.videos.create
    with PHOTO.open("rb") as photo:
        return make(
            prompt="the camera pans left",
            model="sora-2",
            input_reference=photo,
            seconds="4",
            size="96x64",
            extra_body={**SMALL, **extra},
        )


def everything() -> None:
    """All methods of `client.videos`."""
    client = client_of("KEY")
    video = create(client, poll=True, metadata={"order": "4711"}, webhook_events=["job.failed"])
    assert (video.status, video.progress, video.error) == ("completed", 100, None), video
    assert (video.size, video.model, video.object) == ("96x64", "tiny", "video"), video
    assert client.videos.retrieve(video.id).prompt == "the camera pans left"

    content = client.videos.download_content(video.id)
    content.write_to_file(FOLDER / "video.mp4")
    for variant in ("thumbnail", "spritesheet"):
        picture = client.videos.download_content(video.id, variant=variant).read()
        assert picture.startswith(b"\xff\xd8"), (variant, picture[:10])

    ids = [create(client, seed=seed).id for seed in (1, 2, 3, 4)]
    assert len(set(ids)) == 4
    found = [each.id for each in client.videos.list(limit=2)]
    assert found[:5] == [*ids[::-1], video.id], found
    oldest = [each.id for each in client.videos.list(limit=3, order="asc")]
    assert oldest == found[::-1]

    for each in (*ids, video.id):
        deleted = client.videos.delete(each)
        assert (deleted.id, deleted.deleted, deleted.object) == (each, True, "video.deleted")
    fails(openai.NotFoundError, lambda: client.videos.download_content(video.id))
    assert [model.id for model in client.models.list()] == ["tiny", "tiny-turbo"]


def errors() -> None:
    """One error of each kind, and no access to other tenants."""
    client, other = client_of("KEY"), client_of("OTHER_KEY")
    nothing = fails(openai.BadRequestError, lambda: client.videos.create(prompt="waves"))
    assert (nothing.param, "photo" in nothing.message) == ("input_reference", True), nothing.body
    wrong = fails(openai.BadRequestError, lambda: create(client, motion_intensity=99))
    assert (wrong.param, wrong.code) == ("motion_intensity", "INPUT.INVALID"), wrong.body
    unready = create(client)
    fails(openai.BadRequestError, lambda: client.videos.download_content(unready.id))
    fails(openai.AuthenticationError, lambda: client_of("NO_KEY").videos.list())
    fails(openai.PermissionDeniedError, lambda: create(client_of("TRAIN_KEY")))
    limited = fails(openai.RateLimitError, lambda: create(client_of("FULL_KEY", retries=0)))
    assert int(limited.response.headers["retry-after"]) > 0
    fails(openai.NotFoundError, lambda: client.videos.remix(unready.id, prompt="again"))
    for refused in (other.videos.retrieve, other.videos.delete, other.videos.download_content):
        fails(openai.NotFoundError, lambda call=refused: call(unready.id))
    assert list(other.videos.list()) == []
    assert client.videos.retrieve(unready.id).status in ("queued", "in_progress", "completed")
    client.videos.delete(unready.id)


def fails(kind: Any, call: Any) -> Any:
    """Return the error, which must have exactly this class."""
    try:
        call()
    except openai.APIStatusError as error:
        assert type(error) is kind, repr(error)
        return error
    raise AssertionError(f"no {kind.__name__}")


def once() -> None:
    """Create a video; retries are left to the SDK."""
    print(create(client_of("KEY")).id)


def outlast() -> None:
    """Create a video, print it, and poll it when told to continue."""
    client = client_of("KEY", retries=8)
    video = create(client)
    print(video.id, flush=True)
    input()
    assert client.videos.poll(video.id).status == "completed"


def unwrap() -> None:
    """Verify and parse a webhook."""
    client = client_of("KEY")
    received = json.loads(os.environ["RECEIVED"])
    secret = os.environ["SECRET"]
    client.webhooks.verify_signature(received["body"], received["headers"], secret=secret)
    event: Any = client.webhooks.unwrap(received["body"], received["headers"], secret=secret)
    print(event.type, event.data.id)
    try:
        client.webhooks.unwrap(received["body"] + " ", received["headers"], secret=secret)
    except openai.InvalidWebhookSignatureError:
        return
    raise AssertionError("a body that was changed is taken")


if __name__ == "__main__":
    tasks = (everything, errors, once, outlast, unwrap)
    {task.__name__: task for task in tasks}[sys.argv[1]]()
