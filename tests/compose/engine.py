"""A Docker engine and compose, used like a person would; stand-ins for images that cannot be pulled."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FILES = (ROOT / "docker-compose.yml", Path(__file__).with_name("shared.yml"))
STAND_INS = Path(__file__).parent / "stand_ins"


def docker(*arguments: str, check: bool = True) -> str:
    """Run the command and return its output; raises with its errors."""
    return run(["docker", *arguments], dict(os.environ), check)


def run(command: list[str], environment: dict[str, str], check: bool = True, folder: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert not check or done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def compose_command() -> list[str]:
    """The compose plugin, or the program that it replaced."""
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True)
    if plugin.returncode == 0:
        return ["docker", "compose"]
    assert shutil.which("docker-compose"), "neither `docker compose` nor `docker-compose` is installed"
    return ["docker-compose"]


@dataclass(frozen=True)
class Project:
    """The stack under a project name of its own."""

    name: str
    settings: dict[str, str]
    command: list[str] = field(default_factory=compose_command)

    def __call__(self, *arguments: str, check: bool = True) -> str:
        """Run a command of compose."""
        return run([*self.command, *arguments], self.environment, check)

    @property
    def environment(self) -> dict[str, str]:
        place = {"COMPOSE_FILE": ":".join(map(str, FILES)), "COMPOSE_PROJECT_NAME": self.name}
        return {**os.environ, **self.settings, **place}

    def script(self, text: str, folder: Path) -> str:
        """Run commands of the documentation, whose project is named `cinemo`, in a folder."""
        own = text.replace("docker compose", " ".join(self.command)).replace("cinemo_", f"{self.name}_")
        return run(["bash", "-euo", "pipefail", "-c", own], self.environment, folder=folder)

    def images(self) -> dict[str, str]:
        """Images that are pulled, by service, of services without a profile."""
        services = yaml_of(self("config"))["services"]
        return {name: each["image"] for name, each in services.items() if not each.keys() & {"build", "profiles"}}

    def container(self, service: str) -> dict[str, Any]:
        """What the engine reports about a service's container."""
        labels = {"project": self.name, "service": service}
        chosen = [f"--filter=label=com.docker.compose.{name}={value}" for name, value in labels.items()]
        # By the engine: compose itself takes seconds to start, which is long for a wait that asks again and again.
        (found,) = json.loads(docker("inspect", docker("ps", "--all", "--quiet", *chosen).strip()))
        inspected: dict[str, Any] = found
        return inspected

    def healthy(self, service: str) -> bool:
        state = self.container(service)["State"]
        assert state["Status"] == "running", f"{service} is {state['Status']}:\n{self('logs', '--tail', '40', service)}"
        return bool(state["Health"]["Status"] == "healthy")


def yaml_of(text: str) -> dict[str, Any]:
    import yaml

    parsed: dict[str, Any] = yaml.safe_load(text)
    return parsed


def provide(images: dict[str, str]) -> list[str]:
    """Pull missing images; returns the services that need a stand-in."""
    stood_in = []
    for service, image in images.items():
        if docker("images", "--quiet", image) or can_pull(image):
            continue
        file = STAND_INS / f"{service}.Dockerfile"
        docker("build", "--network", "host", "--tag", image, "--file", str(file), str(STAND_INS))
        stood_in.append(service)
    return stood_in


def can_pull(image: str) -> bool:
    return subprocess.run(["docker", "pull", "--quiet", image], capture_output=True).returncode == 0
