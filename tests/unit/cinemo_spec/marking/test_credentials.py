"""C2PA's own library finds signed files valid, and altered, stripped or re-encoded ones not."""

import io
import os
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from PIL import Image
from typer.testing import CliRunner

from cinemo_core import read_video, write_poster, write_video
from cinemo_core.encoding import FORMATS
from cinemo_spec.errors import SigningUnavailable
from cinemo_spec.marking.keys import CLAIM_SIGNING, KeyMismatch, SigningKey, read_key
from cinemo_spec.marking.signing import CONTENT_TYPES, sign
from cinemo_spec.marking.statement import SourceType
from deploy.cli import app
from tests.absence import REFUSING
from tests.signing import PHOTO, UNTRUSTED, VIDEO, Verdict, claim, expired_key, new_key, verdict

FRAMES = np.random.default_rng(1).integers(0, 256, (9, 48, 64, 3), np.uint8)
KEY = new_key()
SIGNING = read_key(KEY.chain, KEY.private_key, None)
ALL = (*FORMATS, ".jpg")
EMBEDDING = tuple(each for each in ALL if each != ".webm")


def written(path: Path, source: SourceType = SourceType.CREATED) -> Path:
    if path.suffix == ".jpg":
        write_poster(path, FRAMES[0], source)
    else:
        write_video(path, FRAMES, source=source)
    return path


def signed(path: Path, key: SigningKey = SIGNING, source: SourceType = SourceType.CREATED) -> Path:
    sign(written(path, source), claim(source), key)
    return path


def judged(path: Path) -> Verdict:
    sidecar = path.with_suffix(".c2pa")
    return verdict(path, CONTENT_TYPES[path.suffix], sidecar.read_bytes() if sidecar.exists() else None)


def verified(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["verify", *map(str, arguments)])
    return done.exit_code, done.output


@pytest.mark.parametrize("suffix", ALL)
@pytest.mark.parametrize("source", SourceType)
def test_the_published_library_finds_each_format_valid_with_an_unknown_signer(
    tmp_path: Path, suffix: str, source: SourceType
) -> None:
    path = signed(tmp_path / f"a{suffix}", source=source)
    found = judged(path)
    assert (found.state, found.failures) == ("Valid", {UNTRUSTED})
    assert found.manifest["signature_info"]["common_name"] == "Tester"
    assert found.manifest["claim_generator_info"][0]["name"] == "Cinemo"
    made = found.actions[-1]
    assert (made["digitalSourceType"], made["parameters"]["cinemo.job"]) == (source.url, "job_1")
    assert made["softwareAgent"] == {"name": "tiny", "version": "0123456789ab"}
    names = [each["action"] for each in found.actions]
    assert names == (["c2pa.opened", "c2pa.edited"] if source is SourceType.EDITED else ["c2pa.created"])


@pytest.mark.parametrize("suffix", ALL)
def test_a_signed_file_plays_as_before_and_is_little_larger(tmp_path: Path, suffix: str) -> None:
    plain, path = written(tmp_path / f"plain{suffix}"), signed(tmp_path / f"a{suffix}")
    sidecar = path.with_suffix(".c2pa")
    more = path.stat().st_size - plain.stat().st_size + (sidecar.stat().st_size if sidecar.exists() else 0)
    assert 0 < more < 5000
    assert sidecar.exists() == (suffix == ".webm")
    if suffix == ".jpg":
        with Image.open(plain) as picture, Image.open(path) as same:
            assert picture.tobytes() == same.tobytes()
        return
    (before, rate), (after, same_rate) = read_video(plain), read_video(path)
    assert np.array_equal(before, after)
    assert rate == same_rate


def test_an_mp4s_index_stays_before_its_data(tmp_path: Path) -> None:
    data = signed(tmp_path / "a.mp4").read_bytes()
    names, at = [], 0
    while at < len(data):
        names.append(data[at + 4 : at + 8].decode())
        at += int.from_bytes(data[at : at + 4], "big")
    assert names.index("moov") < names.index("mdat")


@pytest.mark.parametrize("suffix", ALL)
def test_a_changed_byte_is_detected(tmp_path: Path, suffix: str) -> None:
    path = signed(tmp_path / f"a{suffix}")
    data = bytearray(path.read_bytes())
    # Of the pictures, which are the most of each file.
    data[len(data) * 3 // 4] ^= 1
    path.write_bytes(data)
    assert judged(path).state == "Invalid"
    status, reported = verified(path)
    assert (status, "changed after they were signed" in reported) == (3, True)


def test_a_changed_word_in_the_credentials_is_detected(tmp_path: Path) -> None:
    path = signed(tmp_path / "a.mp4")
    path.write_bytes(path.read_bytes().replace(b"job_1", b"job_2"))
    assert judged(path).state == "Invalid"
    assert verified(path)[0] == 3


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_rewriting_a_container_removes_its_credentials(tmp_path: Path, suffix: str) -> None:
    path, copy = signed(tmp_path / f"a{suffix}"), tmp_path / f"copy{suffix}"
    with av.open(str(path)) as source, av.open(str(copy), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    assert judged(copy).state is None
    assert "credentials: none" in verified(copy)[1]


@pytest.mark.parametrize("suffix", ALL)
def test_re_encoding_removes_the_credentials_and_invalidates_the_sidecar(tmp_path: Path, suffix: str) -> None:
    path, copy = signed(tmp_path / f"a{suffix}"), tmp_path / f"copy{suffix}"
    if suffix == ".jpg":
        with Image.open(path) as picture:
            picture.save(copy, quality=50)
    else:
        frames, rate = read_video(path)
        write_video(copy, frames, rate)
    assert judged(copy).state is None
    assert verified(copy)[0] == 2
    if suffix == ".webm":
        path.with_suffix(".c2pa").rename(copy.with_suffix(".c2pa"))
        assert judged(copy).state == "Invalid"
        assert verified(copy)[0] == 3


def test_credentials_contain_the_photos_hash_but_none_of_its_pixels(tmp_path: Path) -> None:
    plain = judged(signed(tmp_path / "a.mp4", source=SourceType.EDITED))
    reported = {each["title"]: (each["relationship"], each["description"]) for each in plain.manifest["ingredients"]}
    assert reported == {
        "photo": ("inputTo", f"SHA-256 {PHOTO.sha256}"),
        "video": ("parentOf", f"SHA-256 {VIDEO.sha256}"),
    }
    assert not any("thumbnail" in each for each in plain.manifest["ingredients"])
    assert "cinemo.prompt" not in plain.actions[-1]["parameters"]


def test_credentials_contain_photo_and_prompt_only_if_requested(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(file, "JPEG")
    path = written(tmp_path / "a.webp")
    photo = replace(PHOTO, thumbnail=file.getvalue())
    sign(path, replace(claim(), photo=photo, prompts=("the sea",)), SIGNING)
    found = judged(path)
    assert found.state == "Valid"
    assert found.actions[0]["parameters"]["cinemo.prompt"] == ["the sea"]
    assert found.manifest["ingredients"][0]["thumbnail"]["format"] == "image/jpeg"
    assert file.getvalue() in path.read_bytes()


def test_a_key_that_verifiers_would_reject_is_rejected_and_the_file_unchanged(tmp_path: Path) -> None:
    path, old = written(tmp_path / "a.mp4"), expired_key()
    before = path.read_bytes()
    with pytest.raises(SigningUnavailable, match="expired at 20"):
        sign(path, claim(), read_key(old.chain, old.private_key, None))
    wrong = replace(SIGNING, private_key=new_key().private_key)
    with pytest.raises(SigningUnavailable, match="cannot be signed"):
        sign(path, claim(), wrong)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_incomplete_key_is_rejected_with_the_reason() -> None:
    for given, complaint in {
        (None, KEY.private_key, None): "no signing certificate",
        (KEY.chain, None, None): "either a signing key or a signing command",
        (KEY.chain, KEY.private_key, "sign"): "either a signing key or a signing command",
        ("no PEM", KEY.private_key, None): "cannot be read",
        (KEY.chain, "no PEM", None): "not in PEM",
        (KEY.chain, None, "sign 'it"): "cannot be read",
        (KEY.anchor, KEY.private_key, None): CLAIM_SIGNING,
    }.items():
        with pytest.raises(SigningUnavailable, match=complaint):
            read_key(*given)
    with pytest.raises(KeyMismatch):
        read_key(KEY.chain, new_key().private_key, None)
    assert KEY.private_key not in repr(SIGNING)


@pytest.mark.parametrize(
    ("private", "algorithm"),
    [
        (ec.generate_private_key(ec.SECP384R1()), "es384"),
        (ec.generate_private_key(ec.SECP521R1()), "es512"),
        (rsa.generate_private_key(65537, 2048), "ps256"),
        (ed25519.Ed25519PrivateKey.generate(), "ed25519"),
    ],
    ids=lambda each: each if isinstance(each, str) else "key",
)
def test_every_kind_of_key_in_c2pa_can_sign(
    tmp_path: Path, private: ec.EllipticCurvePrivateKey, algorithm: str
) -> None:
    chain = reissued(private)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    key = read_key(chain, pem.decode(), None)
    assert key.algorithm == algorithm
    assert judged(signed(tmp_path / "a.webp", key)).state == "Valid"


def reissued(private: ec.EllipticCurvePrivateKey) -> str:
    """A chain for another key, issued by its own authority but otherwise equal to the usual one."""
    usual, _ = x509.load_pem_x509_certificates(KEY.chain.encode())
    authority = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder(usual.issuer, usual.subject, private.public_key(), usual.serial_number)
        .not_valid_before(usual.not_valid_before_utc)
        .not_valid_after(usual.not_valid_after_utc)
    )
    for extension in usual.extensions:
        if not isinstance(extension.value, x509.SubjectKeyIdentifier | x509.AuthorityKeyIdentifier):
            builder = builder.add_extension(extension.value, extension.critical)
    builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), False)
    return builder.sign(authority, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def test_a_command_can_sign_with_a_key_kept_elsewhere(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_text(KEY.private_key)
    # OpenSSL writes DER, as key services do.
    key = read_key(KEY.chain, None, f"openssl dgst -sha256 -sign {shlex.quote(str(file))}")
    assert judged(signed(tmp_path / "a.mp4", key)).state == "Valid"


@pytest.mark.parametrize(
    ("command", "complaint"),
    [("false", "exited with 1"), ("/no/such/command", "cannot be run"), ("echo nonsense", "cannot be signed")],
)
def test_a_signing_command_that_fails_is_named(tmp_path: Path, command: str, complaint: str) -> None:
    with pytest.raises(SigningUnavailable, match=complaint):
        signed(tmp_path / "a.mp4", read_key(KEY.chain, None, command))


def test_verify_says_who_signed_and_whether_they_are_trusted(tmp_path: Path) -> None:
    path, ours, theirs = signed(tmp_path / "a.webp"), tmp_path / "ours.pem", tmp_path / "theirs.pem"
    ours.write_text(KEY.anchor)
    theirs.write_text(new_key().anchor)
    status, reported = verified(path)
    assert status == 0
    for words in ("signed, and unchanged since", "Tester", "not checked", "job_1", f"SHA-256 {PHOTO.sha256}"):
        assert words in reported
    assert verified(path, "--trust", ours)[0] == 0
    assert "signer: Tester; trusted" in verified(path, "--trust", ours)[1]
    status, reported = verified(path, "--trust", theirs)
    assert (status, "not trusted" in reported) == (4, True)
    assert verified(written(tmp_path / "plain.mp4"), "--trust", ours)[0] == 4


def test_verify_finds_a_sidecar_beside_the_file_or_at_a_given_path(tmp_path: Path) -> None:
    path = signed(tmp_path / "a.webm")
    assert "a.c2pa" in verified(path)[1]
    elsewhere = path.with_suffix(".c2pa").rename(tmp_path / "elsewhere")
    assert "credentials: none" in verified(path)[1]
    status, reported = verified(path, "--credentials", elsewhere)
    assert (status, "unchanged since" in reported) == (0, True)


ENDED = "-- ended"
VERIFY_EACH = f"""
import sys
from cinemo_core.__main__ import app

codes = []
for file in sys.argv[1:]:
    try:
        app(["verify", file])
    except SystemExit as ended:
        codes.append(ended.code)
        print({ENDED!r})
print(codes)
"""


def test_verify_says_what_it_cannot_check_without_the_library(tmp_path: Path) -> None:
    files = signed(tmp_path / "a.mp4"), written(tmp_path / "b.mp4")
    program = REFUSING.format(absent={"c2pa"}) + VERIFY_EACH
    command = [sys.executable, "-c", program, *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"})
    credentials, plain = done.stdout.split(ENDED)[:2]
    assert "c2pa-python isn't installed" in credentials, done.stderr
    assert "made by a generative model" in plain, done.stderr
    assert done.stdout.splitlines()[-1] == "[1, 0]", "how each has ended"


def test_credentials_create_makes_a_key_and_says_that_nobody_else_trusts_it(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    done = CliRunner().invoke(app, ["credentials", "create", "--folder", str(folder), "--name", "Studio"])
    assert (done.exit_code, UNTRUSTED in done.output) == (0, True)
    certificate, private = (folder / f"cinemo_signing_{each}" for each in ("certificate", "key"))
    assert private.stat().st_mode & 0o007 == 0
    path = signed(tmp_path / "a.mp4", read_key(certificate.read_text(), private.read_text(), None))
    assert judged(path).state == "Valid"
    assert verified(path, "--trust", folder / "anchors.pem")[0] == 0
    again = CliRunner().invoke(app, ["credentials", "create", "--folder", str(folder)])
    assert (again.exit_code, "exists; remove it first" in again.output) == (1, True)
