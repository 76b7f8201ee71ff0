"""The command `verify`: reports how a file says it was made, with an exit status for scripts.

Each kind of mark has a reader, which contributes its findings.
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
    State.EXPIRED: "their certificate has expired, so it is unknown when they were signed",
    State.INVALID: "they are not valid",
}


@dataclass(frozen=True)
class Finding:
    """A line of the report; `status` is the exit status it requires, 0 if none."""

    kind: str
    text: str
    is_mark: bool = False
    status: int = 0


Reader = Callable[[Path], Iterator[Finding]]
"""Reports one kind of mark in a file."""

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
    """The status of the worst finding: broken credentials, then an untrusted signer, then unchecked credentials."""
    asked = {each.status for each in findings}
    for status in (BROKEN, UNTRUSTED, UNCHECKED):
        if status in asked:
            return status
    return 0 if any(each.is_mark for each in findings) else UNMARKED


def beside(file: Path) -> Path | None:
    """The sidecar of a file without embedded credentials."""
    sidecar = file.with_suffix(".c2pa")
    return sidecar if sidecar != file and sidecar.is_file() and not has_credentials(file) else None


def plain_mark(file: Path) -> Iterator[Finding]:
    """Report the source types in the metadata."""
    if stated := source_types(file):
        meaning = " and ".join(MEANINGS[each.value] for each in stated)
        named = ", ".join(each.value for each in stated)
        yield Finding("metadata", f"{meaning} ({named}); this isn't signed and proves nothing", is_mark=True)


def signed_credentials(file: Path, sidecar: Path | None, anchors: str | None) -> Iterator[Finding]:
    """Report the content credentials (C2PA), or why they can't be checked."""
    try:
        found = read_credentials(file, sidecar, anchors)
    except SigningUnavailable:
        if sidecar or has_credentials(file):
            reason = "present, but can't be checked here because c2pa-python isn't installed"
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
    """Whether intact credentials say that a model made the file."""
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
    meaning = " and ".join(MEANINGS.get(each, each) for each in terms) or "without a statement of how it was made"
    return f"{meaning} ({', '.join(terms)}); signed, and unchanged since{where}"


def details(found: Credentials) -> Iterator[Finding]:
    """Report the signer and the signed facts."""
    trust = {
        True: "trusted: its certificate is from an authority that you named",
        False: "not trusted: its certificate is not from an authority that you named, and anyone can make one",
        None: "trust not checked; use --trust FILE to name authorities that you trust",
    }[found.trusted]
    yield Finding("signer", f"{found.signer}; {trust}")
    made = {"program": found.program, "model": found.model, "job": found.job, "made at": found.made_at}
    yield from (Finding(kind, text) for kind, text in made.items() if text)
    yield from (Finding("made from", each) for each in found.ingredients)
