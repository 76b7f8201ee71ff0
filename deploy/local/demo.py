"""`make demo`: animates a real photo over HTTP, through queue, worker, model and storage."""

import importlib.util
import time
from pathlib import Path
from typing import Annotated, Any

import typer
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
    """There is no photo, or the job has timed out."""


def demo(
    image: Annotated[Path | None, typer.Option(help="The photo; by default, scikit-image's cup of coffee.")] = None,
    prompt: str = "the camera zooms in",
    motion_intensity: int = 10,
    steps: Annotated[int | None, typer.Option(help="Denoising steps; by default, the model's.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the video.")] = Path("demo-output"),
    folder: Annotated[Path, typer.Option(help="Folder for the service's data and logs.")] = Path("var/demo"),
) -> None:
    """Animate a photo with the whole service."""
    parameters = {"motion_intensity": motion_intensity, "seed": 1}
    if steps is not None:
        parameters["num_inference_steps"] = steps
    try:
        with running_stack(folder, say=console.print) as stack, Client(stack.url) as client:
            job = animate(stack, client, image or bundled_photo(), prompt, parameters)
            console.print_json(job.job.model_dump_json())
            save(job, out)
    except Interrupted as signal:
        console.print(f"stopped by {signal}")
        raise typer.Exit(130) from signal
    except (DemoFailed, StackFailed, RedisMissing) as error:
        console.print(f"[red]the demo failed:[/red] {error}", markup=True)
        raise typer.Exit(1) from error
    except CinemoError as error:
        console.print(f"[red]the demo failed:[/red] {error.code}: {error}", markup=True)
        raise typer.Exit(1) from error


def bundled_photo() -> Path:
    """The path of a photo in an installed package, found without importing it."""
    package = importlib.util.find_spec("skimage")
    if package is None or package.origin is None:
        raise DemoFailed("scikit-image is not installed; pass --image")
    return Path(package.origin).parent / "data" / "coffee.png"


def animate(
    stack: Stack, client: Client, photo: Path, prompt: str, parameters: dict[str, Any]
) -> JobHandle[AnimateJob]:
    """Send the photo and show the job's progress until it has succeeded."""
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
    """Download the job's files; the client verifies their checksums."""
    for file, name in FILES.items():
        path = job.download(folder / name, file)
        console.print(f"{path}  {path.stat().st_size:,} bytes")
    (folder / "job.json").write_text(job.job.model_dump_json(indent=2) + "\n")


if __name__ == "__main__":
    typer.run(demo)
