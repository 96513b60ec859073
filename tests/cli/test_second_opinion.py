from __future__ import annotations

import json
from pathlib import Path
from typing import NoReturn

import pytest

from meghdwar.cli import compile as command
from meghdwar.cli import second_opinion
from meghdwar.cli.second_opinion import Opinion
from tests.onboard.hostile_archives import ARCHIVES
from tests.onboard.zips import File, archive

ROOT = Path(__file__).parents[2]
HELLO = ROOT / "tosca/examples/hello.tosca.yaml"
needs_peers = pytest.mark.skipif(bool(second_opinion.installed()), reason="the extra second-opinion is not installed")


@needs_peers
def test_all_three_accept_a_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "server.yaml"
    text = HELLO.read_text().replace("simple_yaml_1_3", "simple_yaml_1_0")
    path.write_text(text)
    assert command.main(["--second-opinion", "--input", "cpus=2", "-f", "json", str(path)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [o["accepts"] for o in found["opinions"]] == [True, True, True]
    assert [o["resources"].get("OS::Nova::Server") for o in found["opinions"]] == [1, None, 1]
    whys = {d["what"]: d["why"] for d in found["differences"]}
    assert any("puts values in" in why for why in whys.values())


@needs_peers
def test_a_duplicate_key_is_our_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "twice.yaml"
    path.write_text(HELLO.read_text().replace("type: linux", "type: linux\n            type: windows"))
    assert command.main(["--second-opinion", str(path)]) == 1
    out = capsys.readouterr().out
    assert "mdw-compile      refuses" in out
    assert "it takes the last of two equal keys and says nothing" in out


@needs_peers
def test_the_peers_have_no_network(tmp_path: Path) -> None:
    path = tmp_path / "far.yaml"
    path.write_text("tosca_definitions_version: tosca_simple_yaml_1_0\nimports: ['http://192.0.2.1/types.yaml']\n")
    answer = second_opinion.ask("tosca-parser", str(path), {})
    assert "network" in answer
    assert "error" in answer


@needs_peers
def test_a_circle_of_types_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second_opinion, "TIME_S", 3)
    path = tmp_path / "circle.yaml"
    path.write_text(
        "tosca_definitions_version: tosca_simple_yaml_1_0\nnode_types:\n"
        "  a: {derived_from: b}\n  b: {derived_from: a}\n"
        "topology_template:\n  node_templates:\n    n: {type: a}\n"
    )
    assert "error" in second_opinion.ask("tosca-parser", str(path), {})


def test_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(second_opinion, "installed", lambda: "tosca-parser")
    assert command.main(["--second-opinion", str(HELLO)]) == 2
    assert "pip install 'meghdwar[second-opinion]'" in capsys.readouterr().err


def test_differences_come_with_reasons() -> None:
    own = second_opinion.translated(
        "mdw-compile", "resources: {a: {type: X}}\nparameters: {p: {type: json}, q: {type: number}}\n"
    )
    other = second_opinion.translated("heat-translator", "resources: {a: {type: Y}}\nparameters: {p: {type: list}}\n")
    found = {d.what: d.why for d in second_opinion.compare(own, other)}
    assert found == {
        "0 X, we 1": "it has no translation for what becomes this",
        "1 Y, we 0": "",
        "parameter p: list, we json": "it writes a type of parameter that Heat does not have",
        "parameter q: none, we number": second_opinion.why_parameter("number", None),
    }


def test_a_refusal_is_explained_when_we_know_why() -> None:
    own = Opinion("mdw-compile", True)
    other = Opinion("tosca-parser", False, ('The template version "tosca_2_0" is invalid.',))
    assert [d.why for d in second_opinion.compare(own, other)] == ["it reads 1.0, 1.2, 1.3 and NFV 1.0 only"]


def test_a_template_that_is_no_yaml_is_a_refusal() -> None:
    assert not second_opinion.translated("heat-translator", "a: b: c").accepts
    assert not second_opinion.translated("heat-translator", "").accepts


@pytest.mark.parametrize("kind", ["name that climbs", "symbolic link", "bomb", "wrong checksum", "text", "petabytes"])
def test_peers_are_not_shown_an_archive_that_is_refused(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They unpack archives and follow what is in them, whatever that is."""

    def ask(*_: object) -> NoReturn:
        raise AssertionError("it was asked")

    monkeypatch.setattr(second_opinion, "installed", lambda: "")
    monkeypatch.setattr(second_opinion, "ask", ask)
    path = tmp_path / "hostile.csar"
    path.write_bytes(ARCHIVES[kind][1]())
    command.main(["--second-opinion", str(path)])
    assert "tosca-parser says: it was not asked: cannot " in capsys.readouterr().out


def test_peers_are_shown_an_archive_that_passed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def ask(who: str, *_: object) -> dict[str, str]:
        asked.append(who)
        return {"error": "nothing"}

    monkeypatch.setattr(second_opinion, "installed", lambda: "")
    monkeypatch.setattr(second_opinion, "ask", ask)
    (tmp_path / "good.csar").write_bytes(archive([File("server.yaml", HELLO.read_bytes())]))
    command.main(["--second-opinion", str(tmp_path / "good.csar")])
    assert asked == ["tosca-parser", "heat-translator"]
