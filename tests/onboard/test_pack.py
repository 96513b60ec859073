"""mdw pack: the same folder gives the same bytes, all of it is in the package, and others accept it."""

from __future__ import annotations

import json
import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from meghdwar.cli.mdw import main
from meghdwar.onboard import signing
from meghdwar.onboard.pack import pack
from meghdwar.onboard.package import read
from tests.onboard.authorities import identity, provider, root
from tests.onboard.hostile_packages import META, RUN
from tests.onboard.test_package import MORE, VNF


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "arena"
    (made / "types").mkdir(parents=True)
    (made / "arena.yaml").write_bytes(VNF)
    (made / "types/more.yaml").write_bytes(MORE)
    (made / "run.sh").write_bytes(RUN)
    (made / "run.sh").chmod(0o755)
    return made


def packed(folder: Path, name: str = "arena.csar", *options: str) -> Path:
    output = folder.parent / name
    assert main(["pack", str(folder), "-o", str(output), *options]) == 0
    return output


def test_a_package_is_whole_and_can_be_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found, problems = read(packed(folder, "arena.csar", "--released", "2026-11-22T10:00:00Z"))
    assert problems == []
    assert found is not None
    assert found.files == ("arena.mf", "arena.yaml", "run.sh", "types/more.yaml")
    assert [a.path for a in found.artifacts] == ["arena.yaml", "run.sh", "types/more.yaml"]
    assert found.metadata == {
        "vnf_product_name": "Arena",
        "vnf_provider_id": "Example",
        "vnf_package_version": "2.0",
        "vnf_release_date_time": "2026-11-22T10:00:00+00:00",
    }
    assert "product: Arena" in capsys.readouterr().out


def test_the_same_folder_gives_the_same_bytes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = packed(folder, "one.csar").read_bytes()
    for path in folder.rglob("*"):
        os.utime(path, (1, 1))
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    assert packed(folder, "two.csar").read_bytes() == first
    (folder / "run.sh").write_bytes(RUN + b"#")
    assert packed(folder, "three.csar").read_bytes() != first


def test_signed_with_rsa_it_is_the_same_as_well(folder: Path, tmp_path: Path) -> None:
    key, certificate = identity("rsa", "root", kind="rsa2048").written(tmp_path, "rsa")
    one = packed(folder, "one.csar", "--sign", str(key), "--cert", str(certificate))
    two = packed(folder, "two.csar", "--sign", str(key), "--cert", str(certificate))
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize("kind", ["ec", "rsa2048"])
def test_openssl_accepts_the_signature(folder: Path, tmp_path: Path, kind: str) -> None:
    who = identity(f"signer {kind}", "root", kind=kind)
    key, certificate = who.written(tmp_path, "signer")
    (tmp_path / "root.pem").write_bytes(root().pem)
    output = packed(folder, "arena.csar", "--sign", str(key), "--cert", str(certificate))
    found, problems = read(output, roots=[tmp_path / "root.pem"])
    assert problems == []
    assert found is not None
    assert found.signed_by == f"CN=signer {kind}"
    text = zipfile.ZipFile(output).read("arena.mf")
    at = text.index(b"-----BEGIN CMS")
    (tmp_path / "signed").write_bytes(text[:at])
    (tmp_path / "signature").write_bytes(text[at:])
    command = ["openssl", "cms", "-verify", "-binary", "-inform", "PEM", "-in", "signature", "-content", "signed"]
    command += ["-CAfile", "root.pem", "-purpose", "any", "-out", "verified"]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    assert (tmp_path / "verified").read_bytes() == text[:at]
    (tmp_path / "signed").write_bytes(text[:at] + b"more")
    assert subprocess.run(command, check=False, capture_output=True, cwd=tmp_path).returncode != 0


def test_the_chain_of_a_signer_goes_with_it(folder: Path, tmp_path: Path) -> None:
    who = identity("below the middle", "middle")
    key, certificate = who.written(tmp_path, "signer")
    (tmp_path / "root.pem").write_bytes(root().pem)
    certificate.write_bytes(who.pem + identity("middle", "root", ca=True).pem)
    output = packed(folder, "arena.csar", "--sign", str(key), "--cert", str(certificate))
    assert main(["check", str(output), "--trust", str(tmp_path / "root.pem")]) == 0
    assert main(["check", str(output), "--trust", str(tmp_path / "root.pem"), "--at", "2001-01-01"]) == 1


def test_what_lies_there_is_kept(folder: Path) -> None:
    (folder / "TOSCA-Metadata").mkdir()
    (folder / "TOSCA-Metadata/TOSCA.meta").write_text(META.replace("vnfd", "arena"))
    sets = "non_mano_artifact_sets:\n  example.tests:\n    Source: run.sh\n    Kind: test\n"
    text = f"metadata:\n  vnf_product_name: kept\n\n{sets}"
    (folder / "arena.mf").write_text(text)
    found, problems = read(packed(folder))
    assert problems == []
    assert found is not None
    assert found.metadata["vnf_product_name"] == "kept"
    assert found.metadata["vnf_provider_id"] == "Example"
    assert [(a.path, a.non_mano_set, dict(a.metadata)) for a in found.artifacts][-1] == (
        "run.sh", "example.tests", {"Kind": "test"},
    )  # fmt: skip
    with found.open_file("TOSCA-Metadata/TOSCA.meta") as file:
        assert b"ETSI-Entry-Manifest: arena.mf\n" in file.read()
    with zipfile.ZipFile(folder.parent / "arena.csar") as archive:
        assert archive.getinfo("run.sh").external_attr >> 16 == 0o100755


def test_what_cannot_be_packed_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    os.symlink("/etc/passwd", folder / "image.img")
    made, problems = pack(folder, tmp_path / "arena.csar")
    assert made is None
    assert [p.rule.code for p in problems] == ["MDW748"]
    os.remove(folder / "image.img")
    assert [p.rule.code for p in pack(folder, folder / "run.sh")[1]] == ["MDW748"]
    (folder / "arena.yaml").write_bytes(VNF.replace(b"Vdu.Compute", b"Vdu.Computer"))
    assert main(["pack", str(folder), "-o", str(tmp_path / "arena.csar")]) == 1
    (folder / "arena.yaml").write_bytes(VNF)
    (folder / "con.txt").write_text("a name that a reader refuses")
    assert [p.rule.code for p in pack(folder, tmp_path / "arena.csar")[1]] == ["MDW745"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["arena"]


def test_keys_that_do_not_fit_are_told(folder: Path, tmp_path: Path) -> None:
    key, certificate = provider().written(tmp_path, "one")
    _, other = identity("second", "root").written(tmp_path, "two")
    for bad_key, bad_certificate, said in [
        (key, other, "it is not the key of"),
        (certificate, certificate, "no private key"),
        (key, key, "no certificate"),
        (tmp_path / "none", certificate, "no such file"),
    ]:
        with pytest.raises(signing.CannotSign, match=said):
            signing.load(bad_key, bad_certificate)
        options = ["--sign", str(bad_key), "--cert", str(bad_certificate)]
        assert main(["pack", str(folder), "-o", str(tmp_path / "x.csar"), *options]) == 2
    assert main(["pack", str(folder), "--sign", str(key)]) == 2
    assert not (tmp_path / "x.csar").exists()


def test_check_tells_programs_everything(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = packed(folder)
    capsys.readouterr()
    assert main(["check", str(output), "-f", "json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["package"]["descriptor_id"] == "b1bb0ce7-ebca-4fa7-95ed-4840d7000000"
    assert [a["path"] for a in said["package"]["artifacts"]] == ["arena.yaml", "run.sh", "types/more.yaml"]
    output.write_bytes(output.read_bytes()[:-50])
    assert main(["check", str(output), "-f", "json"]) == 1
    assert json.loads(capsys.readouterr().out)["problems"][0]["code"] == "MDW701"
    assert main(["check", str(output.with_name("none.csar"))]) == 1
