"""Model servers that also answer with an ID before a model runs, each in an environment of its own below `var/rivals`.

As their documentation describes, they accept a photo and a prompt, store the photo, and return an ID.
"""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from deploy.local.redis import free_port
from deploy.lock import ROOT
from tests.bench.load import Server, post_json_request, post_request
from tests.processes import answers, running

FOLDER = ROOT / "var" / "rivals"
PROGRAMS = Path(__file__).parent


@dataclass(frozen=True)
class Rival:
    """A model server.

    Attributes:
        requirement: its package, in the version measured.
        program: what it serves.
        command: how, in its environment's folder of programs, given the port.
        ready: whether the server at a URL takes requests.
        request: a POST of a photo with a prompt.
    """

    name: str
    requirement: str
    program: str
    command: Callable[[str], list[str]]
    ready: Callable[[str], bool]
    request: Callable[[bytes, str], bytes]

    def install(self) -> Path:
        """Create the environment unless it exists; returns its folder of programs."""
        folder = FOLDER / self.requirement
        ready, programs = folder / ".ready", folder / "bin"
        if not ready.exists():
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
            pip = [str(programs / "python"), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
            subprocess.run([*pip, self.requirement], check=True)
            ready.touch()
        return programs

    @contextmanager
    def serving(self, folder: Path, pin: list[str]) -> Iterator[Server]:
        """Run the server, with its data in an empty folder."""
        programs, port = self.install(), free_port()
        folder.mkdir()
        (folder / self.program).write_bytes((PROGRAMS / self.program).read_bytes())
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
            "PATH": f"{programs}:{os.environ['PATH']}",
            "HOME": str(folder),
            "PORT": str(port),
            "BENTOML_DO_NOT_TRACK": "1",
            "COG_PREDICT_TYPE_STUB": f"{self.program}:Predictor",
        }
        command = ["env", "-C", str(folder), *pin, *self.command(str(port))]
        url = f"http://127.0.0.1:{port}"
        with running(command, folder.with_suffix(".log"), lambda: self.ready(url), environment) as process:
            yield Server(port, process.pid)


def cog_is_ready(url: str) -> bool:
    try:
        return bool(httpx.get(f"{url}/health-check").json()["status"] == "READY")
    except httpx.HTTPError:
        return False


def cog_request(photo: bytes, prompt: str) -> bytes:
    """Cog accepts files only as URLs."""
    image = f"data:image/jpeg;base64,{base64.b64encode(photo).decode()}"
    body = json.dumps({"input": {"image": image, "prompt": prompt}}).encode()
    return post_json_request("/predictions", body, "Prefer: respond-async")


RIVALS = (
    Rival(
        "BentoML",
        "bentoml==1.4.40",
        "bentoml_service.py",
        lambda port: ["bentoml", "serve", "bentoml_service:Animator", "--host", "127.0.0.1", "--port", port],
        lambda url: answers(f"{url}/readyz"),
        lambda photo, prompt: post_request("/animate/submit", photo, {"prompt": prompt}),
    ),
    Rival(
        "Cog",
        "cog==0.23.1",
        "cog_predictor.py",
        lambda port: ["python", "-m", "cog.server.http", "--host", "127.0.0.1"],
        cog_is_ready,
        cog_request,
    ),
)
