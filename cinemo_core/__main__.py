"""Command line of the model library: animate a photo, edit a video, evaluate or convert a model, train one."""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
import typer

from cinemo_core import (
    CinemoPipeline,
    MotionScale,
    convert,
    write_video,
)
from cinemo_core.arguments import arguments_of
from cinemo_core.checkpoint import Codec, locate
from cinemo_core.clips import naming, read_clip
from cinemo_core.console import check_output, check_video_output, report_errors
from cinemo_core.devices import dtype_of, require_device
from cinemo_core.encoding import frame_rate, frames_written, with_poster
from cinemo_core.film import Film
from cinemo_core.options import option_of, with_options
from cinemo_core.pictures import open_picture
from cinemo_core.training.commands import look_at_dataset, new_model, render_clips, train_model
from cinemo_core.watermark.verify import watermark
from cinemo_spec.card import ModelCard
from cinemo_spec.marking.statement import SourceType
from cinemo_spec.marking.verify import verifier
from cinemo_spec.parameters import ANIMATE, AnimateParameters, DecodingParameters, EditParameters

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
Dtype = Literal["float32", "float16", "bfloat16"]
AnyDtype = Literal["auto", "float32", "float16", "bfloat16"]

PhotoPath = Annotated[Path, typer.Argument(help="JPEG, PNG, WebP, AVIF or HEIC.", exists=True, dir_okay=False)]
Output = Annotated[Path, typer.Option("--output", "-o", help="Output video: .mp4, .webm, .gif or .webp.")]
Model = Annotated[str, typer.Option(help="tiny, a folder or a Hub repository; an adapter is loaded with its base.")]
DtypeOption = Annotated[AnyDtype, typer.Option(help="Number type of the computation; auto is float16 on a GPU.")]
CodecOption = Annotated[Codec, typer.Option(help="Which VAE to use if the checkpoint has two.")]
UNetWeights = Annotated[
    Path | None,
    typer.Option(help="A bare state dict to use instead of the model's own UNet.", exists=True, dir_okay=False),
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, …; auto uses a GPU if available.")]
Steps = Annotated[int | None, option_of(AnimateParameters, "num_inference_steps")]
Interval = Annotated[int, option_of(EditParameters, "frame_interval")]
Poster = Annotated[Path | None, typer.Option(help="Also write the middle frame to this JPEG.")]
Offload = Annotated[
    bool, typer.Option(help="Keep only the active model component on the GPU; slower, but needs less memory.")
]

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, help="Image animation by motion residual diffusion."
)


@app.command()
@with_options(given=AnimateParameters, decoding=DecodingParameters)
def animate(
    photo: PhotoPath,
    prompt: Annotated[str, typer.Argument(help='What happens in the video, for example "the camera pans left".')],
    given: AnimateParameters,
    decoding: DecodingParameters,
    output: Output = Path("out.mp4"),
    poster: Poster = None,
    model: Model = "tiny",
    codec: CodecOption = "auto",
    unet_weights: UNetWeights = None,
    dtype: DtypeOption = "auto",
    device: DeviceOption = "auto",
    cpu_offload: Offload = False,
) -> None:
    """Turn a photo into a short video."""
    with report_errors():
        check_video_output(output)
        check_output(poster)
        arguments = arguments_of(given)
        pipe = adapted(load(model, dtype, device, cpu_offload, codec, unet_weights), given)
        film = pipe.film(open_picture(photo), prompt, **decoding.model_dump(), **arguments)
        save(pipe, film, output, poster, given.video_fps, SourceType.CREATED)


@app.command()
@with_options(given=EditParameters, decoding=DecodingParameters)
def edit(
    video: Annotated[Path, typer.Argument(help="The video that provides the motion.", exists=True, dir_okay=False)],
    photo: PhotoPath,
    given: EditParameters,
    decoding: DecodingParameters,
    prompt: Annotated[str, typer.Argument(help="What happens in the video; optional.")] = "",
    output: Output = Path("out.mp4"),
    poster: Poster = None,
    model: Model = "tiny",
    codec: CodecOption = "auto",
    unet_weights: UNetWeights = None,
    dtype: DtypeOption = "auto",
    device: DeviceOption = "auto",
    cpu_offload: Offload = False,
) -> None:
    """Apply a video's motion to another first frame: its own, edited, or any photo."""
    with report_errors():
        check_video_output(output)
        check_output(poster)
        arguments = arguments_of(given)
        rates: list[float] = []
        with naming(video.name):
            source = np.stack(list(read_clip(video, given.frames, given.frame_interval, on_rate=rates.append)))
        pipe = adapted(load(model, dtype, device, cpu_offload, codec, unet_weights), given)
        film = pipe.edit_film(source, open_picture(photo), prompt, **decoding.model_dump(), **arguments)
        save(pipe, film, output, poster, given.fps_after(rates[0]), SourceType.EDITED)


@app.command("evaluate")
def evaluate_model(
    model: Model = "tiny",
    output: Annotated[Path, typer.Option("--output", "-o", help="Output JSON file.")] = Path("evaluation.json"),
    cases: Annotated[
        Path | None, typer.Option(help="JSON lines with image, prompt, motion_intensity, seed.", exists=True)
    ] = None,
    seeds: Annotated[int, typer.Option(help="Seeds per built-in case, if no cases are given.")] = 1,
    steps: Steps = None,
    reference: Annotated[
        Path | None, typer.Option(help="A folder of real videos, for FVD and FID.", exists=True, file_okay=False)
    ] = None,
    frame_interval: Interval = 1,
    fvd_network: Annotated[Path | None, typer.Option(help="I3D as TorchScript.", exists=True)] = None,
    fid_network: Annotated[
        Path | None, typer.Option(help="Inception as TorchScript; also for IS.", exists=True)
    ] = None,
    clip_model: Annotated[
        str | None, typer.Option(help="CLIP model for CLIPSIM: a folder or a Hub repository.")
    ] = None,
    codec: CodecOption = "auto",
    unet_weights: UNetWeights = None,
    dtype: DtypeOption = "auto",
    device: DeviceOption = "auto",
) -> None:
    """Evaluate a model: requested vs. actual motion, smoothness, consistency; with networks, also FVD, FID, IS,
    CLIPSIM."""
    from cinemo_core.metrics import (
        Extractors,
        clip_similarity,
        default_cases,
        evaluate,
        picture_network,
        read_cases,
        reference_clips,
        video_network,
    )

    with report_errors():
        check_output(output)
        target = require_device(device)
        features, classes = picture_network(fid_network, target) if fid_network else (None, None)
        extractors = Extractors(
            video=video_network(fvd_network, target) if fvd_network else None,
            picture=features,
            classes=classes,
            similarity=clip_similarity(clip_model, target) if clip_model else None,
        )
        evaluation = evaluate(
            load(model, dtype, device, False, codec, unet_weights),
            read_cases(cases) if cases else default_cases(seeds),
            extractors,
            reference_clips(reference, ANIMATE.frames, frame_interval) if reference else (),
            steps,
        )
        output.write_text(evaluation.to_json() + "\n")
    typer.echo(evaluation.table())


@app.command("convert")
def convert_checkpoint(
    source: Annotated[str, typer.Argument(help="tiny, a folder or a Hub repository.")],
    target: Annotated[Path, typer.Argument(help="A new or empty folder.")],
    dtype: Annotated[Dtype | None, typer.Option(help="Number type of the weights; by default as stored.")] = None,
    codec: CodecOption = "auto",
    unet_weights: UNetWeights = None,
    bucket_at_zero: Annotated[
        float | None, typer.Option(help="Motion bucket of intensity 0; defaults to the source's own.")
    ] = None,
    bucket_per_intensity: Annotated[
        float | None, typer.Option(help="Bucket increment per intensity; defaults to the source's own.")
    ] = None,
) -> None:
    """Convert a checkpoint to safetensors with its motion scale; merge an adapter into its base."""
    with report_errors():
        stored = DTYPES[dtype] if dtype else None
        scale = ModelCard.read(locate(source)).motion_scale
        scale = MotionScale(
            scale.at_zero if bucket_at_zero is None else bucket_at_zero,
            scale.per_intensity if bucket_per_intensity is None else bucket_per_intensity,
            scale.strong_score,
        )
        convert(source, target, stored, codec, unet_weights, motion_scale=scale)
    typer.echo(f"{target}: converted from {source}")


app.command("verify")(verifier(watermark))
app.command("train")(train_model)
app.command("preflight")(look_at_dataset)
app.command("new-model")(new_model)
app.command("render-clips")(render_clips)


def load(
    model: str, dtype: AnyDtype, device: str, cpu_offload: bool, codec: Codec, unet_weights: Path | None
) -> CinemoPipeline:
    """Load the pipeline on a device; with offloading, only its active part."""
    wanted = require_device(device)
    pipe = CinemoPipeline.from_pretrained(
        model, dtype_of(dtype, wanted), "cpu" if cpu_offload else wanted, codec, unet_weights
    )
    if cpu_offload:
        pipe.enable_model_cpu_offload(device=wanted)
    return pipe


def adapted(pipe: CinemoPipeline, given: AnimateParameters | EditParameters) -> CinemoPipeline:
    """The pipeline with the requested adapters."""
    return pipe.with_adapters([(each.model, each.weight) for each in given.adapters]) if given.adapters else pipe


def save(pipe: CinemoPipeline, film: Film, output: Path, poster: Path | None, rate: float, source: SourceType) -> None:
    """Generate the frames, write video and poster, both marked as made with AI, and print a summary."""
    write_video(output, with_poster(pipe.progress_bar(film), poster, len(film) // 2, source), rate, source)
    width, height = film.size
    count = frames_written(output, len(film), rate)
    typer.echo(f"{output}: {count} frames of {width}x{height} pixels, {frame_rate(output, rate):g} a second")


if __name__ == "__main__":
    app()
