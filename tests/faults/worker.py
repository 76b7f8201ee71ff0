"""The suite's worker: `python -m tests.faults.worker` is `python -m worker` except for the model.

The model is the one edge that is replaced: with it hundreds of jobs would take hours, and what is tried here is all
that stands around it. The one in its place does as a job's prompt says, and notes each time that it runs.
"""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from PIL import Image

import worker.models
from cinemo_core import Film
from cinemo_spec.formats import Sizes
from tests.faults.orders import RUNS_FILE, VISIBILITY_SECONDS, Orders
from worker.__main__ import main
from worker.app import app

FRAMES, HEIGHT, WIDTH = 4, 32, 32


class InstantPipeline:
    """Stands in for `CinemoPipeline`: returns a grey film after the requested number of steps."""

    revision = "0" * 12
    digest = "0" * 64
    device = torch.device("cpu")

    @classmethod
    def from_pretrained(cls, *_: object) -> Self:
        return cls()

    def set_progress_bar_config(self, **_: object) -> None:
        """Ignore it, as there is no bar."""

    def sizes(self, *_: object) -> Sizes:
        return Sizes((WIDTH, HEIGHT), (WIDTH, HEIGHT))

    def film(
        self,
        photo: Image.Image,
        prompt: str,
        *_: object,
        num_inference_steps: int,
        callback_on_step_end: Callable[..., Any],
        **__: object,
    ) -> Film:
        orders = Orders.model_validate_json(prompt)
        note_run(orders.number)
        for step in range(num_inference_steps):
            time.sleep(orders.seconds / num_inference_steps)
            if orders.deadly:
                os.kill(os.getpid(), signal.SIGKILL)
            callback_on_step_end(self, step, 0, {})
        return Film(np.full((FRAMES, HEIGHT, WIDTH, 3), orders.number % 256, np.uint8))


def note_run(number: int) -> None:
    """Append a line to a file, which survives whatever is killed."""
    with Path(os.environ[RUNS_FILE]).open("a") as runs:
        runs.write(json.dumps({"number": number, "process": os.getpid()}) + "\n")


if __name__ == "__main__":
    vars(worker.models)["CinemoPipeline"] = InstantPipeline
    if VISIBILITY_SECONDS in os.environ:
        patience = {"visibility_timeout": float(os.environ[VISIBILITY_SECONDS])}
        # Else it looks for such messages once in 100 seconds.
        often = {"unacked_restore_interval": 1, "unacked_restore_throttle": 1}
        app.conf.broker_transport_options |= patience | often
    main()
