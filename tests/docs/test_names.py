"""Commands in the documentation use existing subcommands, options, targets, services and files.

Those in the midst of sentences do so, too, and those that nobody can run here.
"""

import re
import shlex
import subprocess

import pytest
import typer.main
import yaml

from deploy.cli import app
from tests.docs.pages import ROOT, all_pages, blocks_of, spans_of

SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
PROFILES = {profile for service in SERVICES.values() for profile in service.get("profiles", ())}
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
BEFORE = r"(?:^|[(]| exec \w+ | -- )"
OPTION = r"(?: --\w+(?: \d+)?)*"
FILE = r"(?<!exec )\b(?:deploy|tests|service|worker|cinemo_spec|cinemo_core)/[\w./*-]*\w"


def code_of(page: str) -> list[str]:
    """Lines of a page's shell blocks, and its inline code."""
    return [line for block in blocks_of(page) if block.language == "sh" for line in block.text.splitlines()] + [
        *spans_of(page)
    ]


def found(page: str, pattern: str) -> list[str]:
    return [each for code in code_of(page) for each in re.findall(pattern, code)]


@pytest.mark.parametrize("page", all_pages())
def test_documented_cinemo_commands_and_options_exist(page: str) -> None:
    for text in found(page, rf"{BEFORE}cinemo ([a-z][^|>#;)\\]+)"):
        command = typer.main.get_command(app)
        words = shlex.split(text)
        while words and (commands := getattr(command, "commands", {})):
            assert words[0] in commands, text
            command = commands[words.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("-")} <= known, text


@pytest.mark.parametrize("page", all_pages())
def test_documented_make_targets_exist(page: str) -> None:
    for text in found(page, rf"{BEFORE}make ([a-z-]+(?: [a-z-]+\b)*)"):
        assert set(text.split()) <= TARGETS, text


def test_make_help_lists_the_targets_that_newcomers_need() -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    pages = (ROOT / name for name in ("README.md", "CONTRIBUTING.md"))
    named = {target for page in pages for target in re.findall(r"make ([a-z-]+)", page.read_text())}
    assert {"demo", "test", "up"} <= named
    assert named <= {line.split()[0] for line in listed.splitlines()}


@pytest.mark.parametrize("page", all_pages())
def test_documented_compose_services_and_profiles_exist(page: str) -> None:
    assert set(found(page, r"docker compose --profile (\S+)")) <= PROFILES
    assert set(found(page, rf"docker compose (?:exec|logs|ps|run|create){OPTION} ([a-z0-9]+)")) <= set(SERVICES)


@pytest.mark.parametrize("page", all_pages())
def test_documented_files_exist_in_the_repository(page: str) -> None:
    missing = [path for path in found(page, FILE) if not any(ROOT.glob(path))]
    assert not missing
