"""Compares a distilled student with its teacher, and says where it falls short. Knows no torch."""

from typing import Annotated

from pydantic import Field

from cinemo_spec.strict import StrictModel

FLOW_CHANGE = 0.1
"""Of the mean over all clips. Losing motion is what distillation does first."""

PROMPT_FLOW_CHANGE = 0.25
"""Of each prompt, of which there are only a few clips."""

SHARPNESS_LOSS = 0.1
"""As a share of the teacher's sharpness; its own seeds differ by half of that."""

RECOGNIZED_LOSS, CORRELATION_LOSS, LATE_SSIM_LOSS, CONSISTENCY_LOSS = 0.05, 0.05, 0.01, 0.02

Share = Annotated[float, Field(ge=0, le=1)]


class ClipFigures(StrictModel):
    """What was measured of one model's clips of the same photos, prompts and seeds."""

    recognized_share: Share | None = Field(
        description="Clips that show the requested motion more clearly than any other known one; null if the prompts "
        "don't name known motions."
    )
    intensity_correlation: float = Field(
        description="Spearman correlation of the requested intensity with the measured motion."
    )
    flow: float = Field(description="Mean length of the flow back to the photo, in pixels of a picture of 192x128.")
    flow_by_prompt: dict[str, float] = Field(description="The same for each prompt.")
    sharpness: float = Field(description="Mean gradient of the last frames, as a share of the first frame's.")
    consistency: float = Field(description="Mean SSIM of consecutive frames.")
    late_ssim: float | None = Field(
        description="Mean SSIM of the last frames of pans and zooms with the photo under the nearest pure pan or zoom; "
        "null if no prompt names one."
    )


class Comparison(StrictModel):
    """A student and its teacher, side by side."""

    teacher: ClipFigures
    student: ClipFigures
    passes: int = Field(description="Network evaluations that the student needs for a clip.")
    teacher_passes: int = Field(description="Network evaluations that the teacher needs.")
    shortfalls: tuple[str, ...] = Field(description="What the student loses more of than is accepted.")


STILL_FLOW = 1.5
"""Mean flow of the teacher's below which a prompt asks for something else, such as more light; in pixels of a picture
of 192x128."""


def flow_ratios(teacher: ClipFigures, student: ClipFigures) -> dict[str, float]:
    """The student's flow as a share of the teacher's, by prompt, of prompts that move something."""
    return {
        prompt: student.flow_by_prompt[prompt] / flow
        for prompt, flow in teacher.flow_by_prompt.items()
        if flow >= STILL_FLOW
    }


def shortfalls(teacher: ClipFigures, student: ClipFigures) -> tuple[str, ...]:
    """What a student loses more of than is accepted, one phrase each with both figures."""
    found = []
    if abs(student.flow - teacher.flow) > FLOW_CHANGE * teacher.flow:
        found.append(
            f"mean flow {student.flow:.2f} pixels, the teacher's is {teacher.flow:.2f} (within {FLOW_CHANGE:.0%})"
        )
    found += [
        f"flow of '{prompt}' {ratio:.2f} of the teacher's (within {PROMPT_FLOW_CHANGE:.0%})"
        for prompt, ratio in flow_ratios(teacher, student).items()
        if abs(ratio - 1) > PROMPT_FLOW_CHANGE
    ]
    least = {
        "recognized_share": RECOGNIZED_LOSS,
        "intensity_correlation": CORRELATION_LOSS,
        "sharpness": SHARPNESS_LOSS * teacher.sharpness,
        "consistency": CONSISTENCY_LOSS,
        "late_ssim": LATE_SSIM_LOSS,
    }
    for name, loss in least.items():
        had, has = getattr(teacher, name), getattr(student, name)
        # A share of clips may be lost that rounding makes a little more than it is.
        if had is not None and has is not None and had - has > loss + 1e-9:
            found.append(f"{name} {has:.3f}, the teacher's is {had:.3f} (at most {loss:.2g} lower)")
    return tuple(found)
