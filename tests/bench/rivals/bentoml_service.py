"""BentoML's part: a task that keeps its photo. BentoML runs it in an environment without our packages."""

import shutil
import uuid
from pathlib import Path

import bentoml

FOLDER = Path("photos")


@bentoml.service(workers=1)
class Animator:
    """`POST /animate/submit` answers with the ID of a task."""

    @bentoml.task
    def animate(self, image: Path, prompt: str) -> str:
        FOLDER.mkdir(exist_ok=True)
        shutil.copy(image, FOLDER / uuid.uuid4().hex)
        return prompt
