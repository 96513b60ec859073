"""mdw onboard and mdw package, as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from meghdwar.cli import mdw
from tests.api.csar import csar

VNFD_ID = "b1bb0ce7-ebca-4fa7-95ed-4840d70a1177"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("MEGHDWAR_DATABASE", raising=False)
    monkeypatch.delenv("MEGHDWAR_PACKAGES", raising=False)
    path = tmp_path / "vnf.csar"
    path.write_bytes(csar())
    return path


def kept(tmp_path: Path) -> list[str]:
    return [path.name for path in (tmp_path / "state/meghdwar/packages").glob("*/*")]


def test_a_package_from_its_coming_to_its_going(
    package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def typed(*words: str) -> str:
        assert mdw.main(list(words)) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    assert "Tiny" in typed("onboard", str(package), "--user-data", "color=blue")
    found = json.loads(typed("package", "list", "-f", "json"))
    assert [(each["vnfd_id"], each["state"], each["operational"]) for each in found] == [
        (VNFD_ID, "ONBOARDED", "ENABLED")
    ]
    assert json.loads(typed("package", "show", VNFD_ID[:6], "-f", "json"))["user_data"] == {"color": "blue"}
    assert VNFD_ID in typed("package", "show", found[0]["id"])
    typed("package", "download", VNFD_ID, "-o", str(tmp_path / "back.csar"))
    assert (tmp_path / "back.csar").read_bytes() == package.read_bytes()
    assert mdw.main(["package", "download", VNFD_ID, "-o", str(tmp_path / "back.csar")]) == 2
    assert "File exists" in capsys.readouterr().err
    assert mdw.main(["package", "delete", VNFD_ID]) == 2
    assert "disable it first" in capsys.readouterr().err
    typed("package", "disable", VNFD_ID)
    typed("package", "enable", VNFD_ID)
    typed("package", "disable", VNFD_ID)
    typed("package", "delete", VNFD_ID)
    assert json.loads(typed("package", "list", "-f", "json")) == []
    assert kept(tmp_path) == []


def test_what_is_wrong_is_said_with_its_place_and_nothing_is_kept(
    package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package.write_bytes(csar(wrong="    other:\n      type: tosca.nodes.nfv.Vdu.Computer\n"))
    assert mdw.main(["onboard", str(package)]) == 1
    assert "Definitions/vnfd.yaml:21:13: error MDW150" in capsys.readouterr().err
    assert mdw.main(["package", "list", "-f", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert kept(tmp_path) == []


def test_a_package_twice(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert mdw.main(["onboard", str(package)]) == 0
    assert mdw.main(["onboard", str(package)]) == 1
    assert "twice" in capsys.readouterr().err
    assert mdw.main(["onboard", str(package), "--project", "other"]) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["onboard", "nothing.csar"], "cannot read nothing.csar: there is no such file"),
        (["onboard", "vnf.csar", "--trust", "nothing.pem"], "cannot read nothing.pem: there is no such file"),
        (["package", "show", "nothing"], "cannot find package 'nothing'"),
        (["onboard", "vnf.csar", "--user-data", "x"], "cannot read the user data 'x'"),
    ],
)
def test_what_cannot_be_done(
    package: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(package.parent)
    assert mdw.main(words) == 2
    assert said in capsys.readouterr().err
