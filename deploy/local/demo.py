"""`make demo`: the main job on a real photo, over HTTP, through queue, worker, model and storage."""

import argparse
import importlib.util
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from cinemo_client import CinemoError, Client, JobHandle, WaitTimedOut
from cinemo_client.handles import FileName
from cinemo_client.models import AnimateJob
from deploy.local.redis import RedisMissing
from deploy.local.stack import Interrupted, Stack, StackFailed, running_stack

JOB_SECONDS = 300
FILES: dict[FileName, str] = {"video": "video.mp4", "poster": "poster.jpg", "manifest": "manifest.json"}
console = Console()


class DemoFailed(Exception):
    """There is no photo, or the job did not end in time."""


def main() -> int:
    """Run the demo; returns the exit code."""
    parser = argparse.ArgumentParser(description="Animate a photo through the whole service.")
    parser.add_argument("--image", type=Path, default=None, help="The photo; defaults to scikit-image's coffee cup.")
    parser.add_argument("--prompt", default="the camera zooms in")
    parser.add_argument("--motion-intensity", type=int, default=10)
    parser.add_argument("--steps", type=int, default=None, help="Denoising steps; defaults to the service's setting.")
    parser.add_argument("--out", type=Path, default=Path("demo-output"))
    parser.add_argument("--folder", type=Path, default=Path("var/demo"))
    arguments = parser.parse_args()
    parameters = {"motion_intensity": arguments.motion_intensity, "seed": 1}
    if arguments.steps is not None:
        parameters["num_inference_steps"] = arguments.steps
    try:
        with running_stack(arguments.folder, say=console.print) as stack, Client(stack.url) as client:
            job = animate(stack, client, arguments.image or bundled_photo(), arguments.prompt, parameters)
            console.print_json(job.job.model_dump_json())
            save(job, arguments.out)
    except Interrupted as signal:
        console.print(f"stopped by {signal}")
        return 130
    except (DemoFailed, StackFailed, RedisMissing) as error:
        console.print(f"[red]the demo failed:[/red] {error}", markup=True)
        return 1
    except CinemoError as error:
        console.print(f"[red]the demo failed:[/red] {error.code}: {error}", markup=True)
        return 1
    return 0


def bundled_photo() -> Path:
    """A real photo that is on this machine anyway, found without importing its package."""
    package = importlib.util.find_spec("skimage")
    if package is None or package.origin is None:
        raise DemoFailed("scikit-image is not installed, give --image")
    return Path(package.origin).parent / "data" / "coffee.png"


def animate(
    stack: Stack, client: Client, photo: Path, prompt: str, parameters: dict[str, Any]
) -> JobHandle[AnimateJob]:
    """Send the photo and show the job's own progress until it has succeeded."""
    console.print(f"POST {stack.url}/animate  {photo.name}  “{prompt}”")
    job = client.animate(photo, prompt, **parameters)
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
            try:
                job.wait(timeout=1)
            except WaitTimedOut as waited:
                done = waited.job.progress.fraction if waited.job.progress else 0
                progress.update(bar, completed=done, description=waited.job.status)
            else:
                progress.update(bar, completed=1, description=job.job.status)
                return job
    raise DemoFailed(f"the job did not end within {JOB_SECONDS} seconds")


def save(job: JobHandle[AnimateJob], folder: Path) -> None:
    """Download the job's files, each of which is compared with the checksum that the job gives."""
    for file, name in FILES.items():
        path = job.download(folder / name, file)
        console.print(f"{path}  {path.stat().st_size:,} bytes")
    (folder / "job.json").write_text(job.job.model_dump_json(indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
