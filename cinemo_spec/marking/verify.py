"""`verify`: what a file says of how it was made, in plain words, with an exit status for scripts.

Each kind of mark is looked for by a function of its own, whose words make a part of the answer.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from cinemo_spec.errors import SigningUnavailable
from cinemo_spec.marking.credentials import Credentials, State, has_credentials, read_credentials
from cinemo_spec.marking.files import source_types
from cinemo_spec.marking.statement import VOCABULARY, SourceType

MEANINGS = {
    SourceType.CREATED.value: "made by a generative model",
    SourceType.EDITED.value: "edited with a generative model",
}
UNCHECKED, UNMARKED, BROKEN, UNTRUSTED = 1, 2, 3, 4
BROKEN_WORDS = {
    State.CHANGED: "the file was changed after they were signed, or they are another file's",
    State.EXPIRED: "their certificate has expired, so nobody can tell any more when they were signed",
    State.INVALID: "they are not valid",
}


@dataclass(frozen=True)
class Finding:
    """What is said of one kind of mark; `status` is the exit status that it asks for, 0 for none."""

    kind: str
    text: str
    is_mark: bool = False
    status: int = 0


Reader = Callable[[Path], Iterator[Finding]]
"""Looks for one kind of mark in a file."""

File = Annotated[Path, typer.Argument(help="A video or picture of any kind.", exists=True, dir_okay=False)]
Trust = Annotated[
    Path | None, typer.Option(help="PEM file with certificates of authorities whose signers you trust.", exists=True)
]
CredentialsFile = Annotated[
    Path | None,
    typer.Option(help="The credentials, if not in FILE, nor beside it as NAME.c2pa.", exists=True, dir_okay=False),
]


def verifier(*more: Reader) -> Callable[..., None]:
    """The command, which also looks for kinds of marks that only other packages can read."""

    def verify(file: File, trust: Trust = None, credentials: CredentialsFile = None) -> None:
        """Say whether a file is marked as made with AI, and whether what it says is signed and unchanged.

        Exit status 0: it is marked, and its credentials, if any, are intact. 1: its credentials can't be checked here.
        2: it isn't marked. 3: its credentials don't fit the file or are invalid. 4: with --trust, nobody trusted
        signed it.
        """
        anchors = trust.read_text() if trust else None
        sidecar = credentials or beside(file)
        findings = [*plain_mark(file), *signed_credentials(file, sidecar, anchors)]
        findings += chain.from_iterable(read(file) for read in more)
        if any(each.is_mark for each in findings):
            typer.echo(f"{file}: marked as made with AI")
        else:
            typer.echo(f"{file}: not marked as made with AI, which doesn't prove that it wasn't")
        for each in findings:
            typer.echo(f"  {each.kind}: {each.text}")
        raise typer.Exit(exit_status(findings))

    return verify


def exit_status(findings: list[Finding]) -> int:
    """That of what is worst: broken credentials, then an untrusted signer, then what couldn't be checked."""
    asked = {each.status for each in findings}
    for status in (BROKEN, UNTRUSTED, UNCHECKED):
        if status in asked:
            return status
    return 0 if any(each.is_mark for each in findings) else UNMARKED


def beside(file: Path) -> Path | None:
    """The sidecar of a file that holds no credentials itself."""
    sidecar = file.with_suffix(".c2pa")
    return sidecar if sidecar != file and sidecar.is_file() and not has_credentials(file) else None


def plain_mark(file: Path) -> Iterator[Finding]:
    """What its metadata states."""
    if stated := source_types(file):
        told = " and ".join(MEANINGS[each.value] for each in stated)
        named = ", ".join(each.value for each in stated)
        yield Finding("metadata", f"{told} ({named}); this isn't signed and proves nothing", is_mark=True)


def signed_credentials(file: Path, sidecar: Path | None, anchors: str | None) -> Iterator[Finding]:
    """What its content credentials (C2PA) say, or why that is not known."""
    try:
        found = read_credentials(file, sidecar, anchors)
    except SigningUnavailable:
        if sidecar or has_credentials(file):
            reason = "there are some that can't be checked here, as c2pa-python isn't installed"
            yield Finding("credentials", reason, status=UNCHECKED)
            return
        found = None
    if found is None:
        yield Finding("credentials", "none (C2PA)", status=UNTRUSTED if anchors else 0)
        return
    yield Finding("credentials", words_of(found, sidecar), is_mark=is_mark(found), status=status_of(found))
    if found.state is State.INTACT:
        yield from details(found)


def is_mark(found: Credentials) -> bool:
    """Whether credentials that hold say that a model made the file."""
    return found.state is State.INTACT and any(each.removeprefix(VOCABULARY) in MEANINGS for each in found.source_types)


def status_of(found: Credentials) -> int:
    if found.state is not State.INTACT:
        return BROKEN
    return UNTRUSTED if found.trusted is False else 0


def words_of(found: Credentials, sidecar: Path | None) -> str:
    where = f" in {sidecar}" if sidecar else ""
    if found.state is not State.INTACT:
        return f"{BROKEN_WORDS[found.state]}{where} ({', '.join(found.problems)})"
    terms = [each.removeprefix(VOCABULARY) for each in found.source_types]
    told = " and ".join(MEANINGS.get(each, each) for each in terms) or "nothing of how it was made"
    return f"{told} ({', '.join(terms)}); signed, and unchanged since{where}"


def details(found: Credentials) -> Iterator[Finding]:
    """Who signed, and what was signed."""
    trust = {
        True: "trusted by the authorities that you gave",
        False: "not trusted by the authorities that you gave: anybody can make a certificate with that name",
        None: "whether to trust it is not checked; --trust FILE names the authorities that you do",
    }[found.trusted]
    yield Finding("signer", f"{found.signer}; {trust}")
    made = {"program": found.program, "model": found.model, "job": found.job, "made at": found.made_at}
    yield from (Finding(kind, text) for kind, text in made.items() if text)
    yield from (Finding("made from", each) for each in found.ingredients)
