"""An environment for each client, created once from the package registries with exactly these versions."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "var" / "dialect"
CLIENTS = Path(__file__).parent / "clients"


@dataclass(frozen=True)
class Environment:
    """A client at some version, and a program that uses it as its users would."""

    requirement: str
    program: str

    @property
    def is_node(self) -> bool:
        return self.program.endswith(".mjs")

    def command(self) -> list[str]:
        """The command that runs the program; creates the environment if necessary."""
        folder = FOLDER / self.requirement
        ready = folder / ".ready"
        if not ready.exists():
            folder.mkdir(parents=True, exist_ok=True)
            for command in self.install(folder):
                subprocess.run(command, check=True, timeout=280)
            ready.touch()
        if self.is_node:
            # Modules are looked for beside the program.
            (folder / self.program).write_bytes((CLIENTS / self.program).read_bytes())
            return ["node", str(folder / self.program)]
        return [str(folder / "bin" / "python"), str(CLIENTS / self.program)]

    def install(self, folder: Path) -> list[list[str]]:
        """The commands that create it."""
        if self.is_node:
            return [["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), self.requirement]]
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        return [[sys.executable, "-m", "venv", str(folder)], [*pip, self.requirement]]


PYTHON_SDK = "python_sdk.py"
NEWEST = Environment("openai==3.57.0", PYTHON_SDK)
"""That still has `client.videos`."""
EARLIER = Environment("openai==2.24.0", PYTHON_SDK)
NODE = Environment("openai@7.59.0", "node_sdk.mjs")
LITELLM = Environment("litellm==1.110.2", "litellm_client.py")
SDKS = (NEWEST, EARLIER, NODE)
ALL = (*SDKS, LITELLM)
