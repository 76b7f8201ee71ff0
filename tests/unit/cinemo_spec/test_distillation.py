"""What a student may lose, and what not."""

from typing import Any

import pytest

from cinemo_spec.distillation import ClipFigures, flow_ratios, shortfalls

TEACHER = ClipFigures(
    recognized_share=1,
    intensity_correlation=1,
    flow=6.0,
    flow_by_prompt={"pan left": 10.0, "shake": 2.0, "brighten": 0.1},
    sharpness=0.9,
    consistency=0.6,
    late_ssim=0.995,
)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"flow": 5.5, "recognized_share": 0.95, "sharpness": 0.85, "consistency": 0.59, "late_ssim": 0.99}, ()),
        ({"flow": 6.5, "recognized_share": 1, "sharpness": 1.2, "consistency": 0.7}, ()),
        ({"flow": 5.3}, ("mean flow 5.30 pixels, the teacher's is 6.00 (within 10%)",)),
        ({"flow": 6.7}, ("mean flow 6.70 pixels, the teacher's is 6.00 (within 10%)",)),
        ({"recognized_share": 0.9}, ("recognized_share 0.900, the teacher's is 1.000 (at most 0.05 lower)",)),
        ({"intensity_correlation": 0.5}, ("intensity_correlation 0.500, the teacher's is 1.000 (at most 0.05 lower)",)),
        ({"sharpness": 0.8}, ("sharpness 0.800, the teacher's is 0.900 (at most 0.09 lower)",)),
        ({"consistency": 0.5}, ("consistency 0.500, the teacher's is 0.600 (at most 0.02 lower)",)),
        ({"late_ssim": 0.9}, ("late_ssim 0.900, the teacher's is 0.995 (at most 0.01 lower)",)),
        ({"late_ssim": None}, ()),
        (
            {"flow_by_prompt": {"pan left": 10.0, "shake": 1.2, "brighten": 0.0}},
            ("flow of 'shake' 0.60 of the teacher's (within 25%)",),
        ),
    ],
)
def test_a_student_that_loses_more_than_allowed_falls_short(changes: dict[str, Any], told: tuple[str, ...]) -> None:
    assert shortfalls(TEACHER, TEACHER.model_copy(update=changes)) == told


def test_motion_is_compared_only_where_the_teacher_moves_something() -> None:
    assert flow_ratios(TEACHER, TEACHER) == {"pan left": 1.0, "shake": 1.0}
