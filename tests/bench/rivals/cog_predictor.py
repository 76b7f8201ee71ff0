"""Cog's part: a prediction that keeps its photo. Cog runs it in an environment without our packages."""

import shutil
import uuid
from pathlib import Path as Folder

from cog import BasePredictor, Path

FOLDER = Folder("photos")


class Predictor(BasePredictor):
    """`POST /predictions` with `Prefer: respond-async` answers with the ID of a prediction."""

    def predict(self, image: Path, prompt: str) -> str:
        FOLDER.mkdir(exist_ok=True)
        shutil.copy(image, FOLDER / uuid.uuid4().hex)
        return prompt
