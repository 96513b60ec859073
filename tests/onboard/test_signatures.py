"""Signatures that are right: in the manifest, round the package, of single files; and the time that they count for."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from meghdwar.onboard.package import Package, read
from tests.onboard.authorities import NOW, YEAR, Identity, cms, identity, provider, root
from tests.onboard.hostile_packages import RUN, VNFD, package
from tests.onboard.hostile_signatures import FILES, TEXT, one_file
from tests.onboard.zips import File, archive


@pytest.fixture
def trusted(tmp_path: Path) -> Path:
    path = tmp_path / "root.pem"
    path.write_bytes(root().pem)
    return path


def reads(tmp_path: Path, content: bytes, **how: object) -> tuple[Package | None, list[str]]:
    path = tmp_path / "arena.csar"
    path.write_bytes(content)
    found, diagnostics = read(path, **how)  # type: ignore[arg-type]
    return found, [d.rule.code for d in diagnostics]


def by(who: Identity, *options: str, text: bytes = TEXT) -> bytes:
    return package({**FILES, "vnfd.mf": text + cms(text, who, options=options)})


@pytest.mark.parametrize(
    ("who", "options"),
    [
        (provider, ()),
        (provider, ("-noattr",)),
        (provider, ("-keyid",)),
        (provider, ("-md", "sha512")),
        (lambda: identity("below the middle", "middle"), ()),
        (lambda: identity("rsa", "root", kind="rsa2048"), ()),
        (provider, ("-stream", "-indef")),
    ],
)
def test_a_manifest_that_openssl_signed_is_accepted(
    tmp_path: Path, trusted: Path, who: Callable[[], Identity], options: tuple[str, ...]
) -> None:
    content = by(who(), *options)
    found, codes = reads(tmp_path, content, roots=[trusted])
    assert codes == []
    assert found is not None
    assert found.signed_by == who().certificate.subject.rfc4514_string()


def test_a_manifest_may_be_signed_with_rsa_pss(tmp_path: Path, trusted: Path) -> None:
    who = identity("rsa", "root", kind="rsa2048")
    (tmp_path / "content").write_bytes(TEXT)
    key, certificate = who.written(tmp_path, "who")
    command = ["openssl", "cms", "-sign", "-binary", "-in", str(tmp_path / "content"), "-outform", "PEM", "-signer"]
    command += [str(certificate), "-inkey", str(key), "-keyopt", "rsa_padding_mode:pss"]
    signature = subprocess.run(command, check=True, capture_output=True).stdout
    found, codes = reads(tmp_path, package({**FILES, "vnfd.mf": TEXT + signature}), roots=[trusted])
    assert found is not None, codes


def test_a_manifest_may_be_signed_with_the_line_ends_of_mail(tmp_path: Path, trusted: Path) -> None:
    signature = cms(TEXT.replace(b"\n", b"\r\n"), provider())
    found, codes = reads(tmp_path, package({**FILES, "vnfd.mf": TEXT + signature}), roots=[trusted])
    assert found is not None, codes


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize("certificate", [True, False])
def test_a_package_in_a_zip_with_its_signature(tmp_path: Path, trusted: Path, stored: bool, certificate: bool) -> None:
    inner = package({**FILES, "vnfd.mf": TEXT})
    files = {"arena.csar": inner, "arena.cms": cms(inner, provider(), options=("-nocerts",) if certificate else ())}
    if certificate:
        files["arena.cert"] = provider().pem
    content = archive([File(name, what) for name, what in files.items()]) if stored else package(files)
    found, codes = reads(tmp_path, content, roots=[trusted])
    assert found is not None, codes
    assert found.signed_by == "CN=provider"
    assert found.files == ("vnfd.yaml", "run.sh", "vnfd.mf")
    with found.open_file("run.sh") as file:
        assert file.read() == RUN


def test_a_file_may_have_a_signature_of_its_own(tmp_path: Path, trusted: Path) -> None:
    for content in (one_file(bytes)(), one_file(bytes, **{"run.cert": provider().pem})()):
        found, codes = reads(tmp_path, content, roots=[trusted])
        assert found is not None, codes


def test_without_anybody_to_trust_the_signer_is_only_named(tmp_path: Path) -> None:
    found, codes = reads(tmp_path, by(identity("stranger")))
    assert found is not None
    assert (found.signed_by, codes) == ("CN=stranger", ["MDW798"])


def test_a_signer_may_be_trusted_itself(tmp_path: Path) -> None:
    (tmp_path / "self.pem").write_bytes(identity("stranger").pem)
    assert reads(tmp_path, by(identity("stranger")), roots=[tmp_path / "self.pem"])[1] == []


def test_certificates_count_for_the_time_that_is_asked_for(tmp_path: Path, trusted: Path) -> None:
    short = by(identity("short", "root", begins=-timedelta(days=9), ends=-timedelta(days=3)))
    assert reads(tmp_path, short, roots=[trusted])[1] == ["MDW788"]
    assert reads(tmp_path, short, roots=[trusted], at=NOW - timedelta(days=5))[1] == []
    assert reads(tmp_path, short, roots=[trusted], at=NOW - timedelta(days=10))[1] == ["MDW789"]
    assert reads(tmp_path, by(provider()), roots=[trusted], at=NOW + 2 * YEAR)[1] == ["MDW788"]


def test_a_root_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "none.pem").write_text("hello")
    for path in ("none.pem", "missing.pem"):
        assert reads(tmp_path, package({"vnfd.yaml": VNFD}), roots=[tmp_path / path])[1] == ["MDW787"]


def test_any_changed_byte_of_a_signature_ends_in_a_verdict(tmp_path: Path, trusted: Path) -> None:
    """Those of its structure too; a changed signature value or digest is never accepted."""
    inner = package({**FILES, "vnfd.mf": TEXT})
    signer = identity("rsa", "root", kind="rsa2048")
    text = cms(inner, signer, options=("-nocerts",))
    der = base64.b64decode(b"".join(text.splitlines()[1:-1]))
    for at in range(0, len(der), 7):
        changed = der[:at] + bytes([der[at] ^ 0x41]) + der[at + 1 :]
        files = {"arena.csar": inner, "arena.cms": changed, "arena.cert": signer.pem}
        found, codes = reads(tmp_path, archive([File(name, what) for name, what in files.items()]), roots=[trusted])
        assert found is not None or codes[0] in ("MDW785", "MDW786", "MDW787", "MDW791", "MDW793")
        assert found is None or at < len(der) - 256
