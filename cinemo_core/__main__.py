"""Command line of the model library: animate a photo, train a model."""

from pathlib import Path
from typing import Annotated

import torch
import typer
from PIL import Image, UnidentifiedImageError

from cinemo_core import CinemoError, CinemoPipeline, DCTInit, write_poster, write_video

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, help="Image animation by motion residual diffusion."
)


@app.command()
def animate(
    photo: Annotated[Path, typer.Argument(help="JPEG, PNG or WebP.", exists=True, dir_okay=False)],
    prompt: Annotated[str, typer.Argument(help='What happens, such as "the camera pans left".')],
    output: Annotated[Path, typer.Option("--output", "-o", help="The MP4 to write.")] = Path("out.mp4"),
    poster: Annotated[Path | None, typer.Option(help="A JPEG of the middle frame to write.")] = None,
    negative_prompt: str = "",
    motion_intensity: Annotated[float, typer.Option(help="0 (still) to 19 (strong).")] = 10,
    seed: int = 0,
    steps: Annotated[int | None, typer.Option(help="Denoising steps; the model's own number if not given.")] = None,
    guidance_scale: Annotated[float | None, typer.Option(help="1 is none; the model's own if not given.")] = None,
    noise_refinement: Annotated[bool, typer.Option(help="DCTInit.")] = True,
    model: Annotated[str, typer.Option(help="tiny, a folder or a hub repository.")] = "tiny",
    fps: int = 8,
) -> None:
    """Turn a photo into a short video."""
    try:
        pipe = CinemoPipeline.from_pretrained(model, device=default_device())
        frames = pipe(
            Image.open(photo),
            prompt,
            negative_prompt,
            motion_intensity,
            seed,
            steps,
            guidance_scale,
            DCTInit() if noise_refinement else None,
        )
        write_video(output, frames, fps)
        if poster:
            write_poster(poster, frames[len(frames) // 2])
    except (CinemoError, UnidentifiedImageError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo(f"{output}: {len(frames)} frames of {frames.shape[2]}x{frames.shape[1]} pixels, {fps} a second")


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="TOML recipe.", exists=True, dir_okay=False)],
    run: Annotated[Path, typer.Option(help="Folder of the run: state, log, clips; an unfinished run resumes.")] = Path(
        "var/training"
    ),
    output: Annotated[
        Path | None, typer.Option(help="Where to write the checkpoint; beside the recipe if not given.")
    ] = None,
) -> None:
    """Carry out a training recipe and write the checkpoint."""
    from cinemo_core.training.config import Recipe
    from cinemo_core.training.loop import train as carry_out
    from cinemo_core.training.publish import publish

    plan = Recipe.read(recipe)
    publish(carry_out(plan, run / plan.name, default_device()), output or recipe.parent)


def default_device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


if __name__ == "__main__":
    app()
