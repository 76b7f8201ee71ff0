"""`make demo`: the main job on a real photo, over HTTP, through queue, worker, model and storage."""

import argparse
import hashlib
import importlib.util
import json
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.local.redis import RedisMissing
from deploy.local.stack import Interrupted, Stack, StackFailed, running_stack

JOB_SECONDS = 300
ENDED = ("succeeded", "failed", "canceled", "expired")
console = Console()


class DemoFailed(Exception):
    """The job did not end with a video, or the video is not what the job says."""


def main() -> int:
    """Run the demo; returns the exit code."""
    parser = argparse.ArgumentParser(description="Animate a photo through the whole service.")
    parser.add_argument("--image", type=Path, default=None, help="A photo; scikit-image's coffee cup if not given.")
    parser.add_argument("--prompt", default="the camera zooms in")
    parser.add_argument("--motion-intensity", type=int, default=10)
    parser.add_argument("--steps", type=int, default=None, help="Denoising steps; the service's default if not given.")
    parser.add_argument("--out", type=Path, default=Path("demo-output"))
    parser.add_argument("--folder", type=Path, default=Path("var/demo"))
    arguments = parser.parse_args()
    fields = {"prompt": arguments.prompt, "motion_intensity": str(arguments.motion_intensity), "seed": "1"}
    if arguments.steps is not None:
        fields["num_inference_steps"] = str(arguments.steps)
    try:
        with running_stack(arguments.folder, say=console.print) as stack:
            job = animate(stack, arguments.image or bundled_photo(), fields)
            console.print_json(json.dumps(job))
            save(job, arguments.out)
    except Interrupted as signal:
        console.print(f"stopped by {signal}")
        return 130
    except (DemoFailed, StackFailed, RedisMissing, httpx.HTTPError) as error:
        console.print(f"[red]the demo failed:[/red] {error}", markup=True)
        return 1
    return 0


def bundled_photo() -> Path:
    """A real photo that is on this machine anyway, found without importing its package."""
    package = importlib.util.find_spec("skimage")
    if package is None or package.origin is None:
        raise DemoFailed("scikit-image is not installed, give --image")
    return Path(package.origin).parent / "data" / "coffee.png"


def animate(stack: Stack, photo: Path, fields: dict[str, str]) -> dict[str, Any]:
    """POST the photo, show the job's own progress until it ends, and return it."""
    with httpx.Client(base_url=stack.url, timeout=30) as client, photo.open("rb") as file:
        console.print(f"POST {stack.url}/animate  {photo.name}  “{fields['prompt']}”")
        answer = client.post("/animate", data=fields, files={"image": file})
        if answer.status_code != 202:
            raise DemoFailed(f"POST /animate answered {answer.status_code}: {answer.text}")
        return follow(stack, client, answer.headers["Location"])


def follow(stack: Stack, client: httpx.Client, location: str) -> dict[str, Any]:
    """Poll the job until it ends."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    deadline = time.monotonic() + JOB_SECONDS
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("queued", total=1.0)
        while time.monotonic() < deadline:
            stack.check()
            job: dict[str, Any] = client.get(location).raise_for_status().json()
            done = job["progress"]["fraction"] if job["progress"] else 0
            progress.update(bar, completed=done, description=job["status"])
            if job["status"] == "succeeded":
                return job
            if job["status"] in ENDED:
                raise DemoFailed(f"the job ended as {job['status']}: {job['error']}")
            time.sleep(0.2)
    raise DemoFailed(f"the job did not end within {JOB_SECONDS} seconds")


def save(job: dict[str, Any], folder: Path) -> None:
    """Download the job's files and compare each with the checksum that the job gives."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, name in (("video", "video.mp4"), ("poster", "poster.jpg"), ("manifest", "manifest.json")):
        described = job["output"][kind]
        data = httpx.get(described["url"], timeout=30).raise_for_status().content
        if hashlib.sha256(data).hexdigest() != described["sha256"]:
            raise DemoFailed(f"the {kind} is not what the job describes: its SHA-256 differs")
        (folder / name).write_bytes(data)
        console.print(f"{folder / name}  {len(data):,} bytes")
    (folder / "job.json").write_text(json.dumps(job, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
