"""Uses LiteLLM like a program, by its names for OpenAI and for vLLM. `python litellm_client.py TASK`."""

import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm

URL, PHOTO, FOLDER = os.environ["URL"], Path(os.environ["PHOTO"]), Path(os.environ["FOLDER"])
HERE: dict[str, Any] = {"api_base": f"{URL}/v1", "api_key": os.environ["KEY"]}
SMALL: dict[str, Any] = {"num_inference_steps": 2, "extra_body": {"detail": "off"}}


def create(model: str, here: dict[str, Any] = HERE, **more: Any) -> Any:
    with PHOTO.open("rb") as photo:
        fields = {"prompt": "the camera pans left", "input_reference": photo, "seconds": "4", "size": "96x64"}
        return litellm.video_generation(model=model, **{**fields, **SMALL, **more}, **here)


def poll(video: Any) -> Any:
    while video.status in ("queued", "in_progress"):
        time.sleep(0.5)
        video = litellm.video_status(video_id=video.id, **HERE)
    return video


def everything() -> None:
    """All its functions; it has none that deletes."""
    video = poll(create("openai/tiny"))
    assert (video.status, video.progress, video.error, video.size) == ("completed", 100, None, "96x64"), video
    (FOLDER / "video.mp4").write_bytes(litellm.video_content(video_id=video.id, **HERE))
    aliases: dict[str, Any] = {"num_frames": 9, "fps": 8, "seed": 1, "guidance_scale": 2.0, "negative_prompt": "blur"}
    other = create("hosted_vllm/tiny", **aliases)
    first = litellm.video_list(limit=1, custom_llm_provider="openai", **HERE)
    assert (first["has_more"], len(first["data"])) == (True, 1), first
    second = litellm.video_list(limit=1, after=first["last_id"], custom_llm_provider="openai", **HERE)
    assert second["data"][0]["id"] != first["data"][0]["id"]
    assert poll(other).status == "completed"


def errors() -> None:
    """One error of each kind, by status: the exception class is LiteLLM's choice."""
    fails(400, lambda: litellm.video_generation(prompt="waves", model="openai/tiny", **HERE))
    video = create("openai/tiny")
    for key, status in (("NO_KEY", 401), ("TRAIN_KEY", 403), ("FULL_KEY", 429)):
        here = {**HERE, "api_key": os.environ[key]}
        fails(status, lambda here=here: create("openai/tiny", here, max_retries=0))
    other = {**HERE, "api_key": os.environ["OTHER_KEY"]}
    for call in (litellm.video_status, litellm.video_content):
        fails(404, lambda call=call: call(video_id=video.id, **other))


def fails(status: int, call: Any) -> None:
    try:
        call()
    except Exception as error:
        assert getattr(error, "status_code", None) == status, repr(error)
        return
    raise AssertionError(f"no {status}")


if __name__ == "__main__":
    {task.__name__: task for task in (everything, errors)}[sys.argv[1]]()
