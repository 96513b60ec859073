"""mdw-compile as people use it: what it writes, what it says, how it ends."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import yaml

from meghdwar.cli import compile as command
from meghdwar.compiler.targets import TARGETS, releases
from tests.onboard.authorities import cms, provider
from tests.onboard.hostile_packages import package

ROOT = Path(__file__).parents[2]
ARENA = ROOT / "tosca/examples/arena.tosca.yaml"
HELLO = ROOT / "tosca/examples/hello.tosca.yaml"


def broken(folder: Path) -> Path:
    path = folder / "arena.tosca.yaml"
    path.write_text(ARENA.read_text().replace("nodes.EdgeGateway", "nodes.EdgeGatway", 1))
    return path


def test_the_choices_are_those_of_the_compiler() -> None:
    assert tuple(TARGETS) == command.TARGETS
    assert tuple(releases.RELEASES) == command.RELEASES
    options = command.parser().parse_args(["x"])
    assert (options.target, options.heat) == ("senlin", releases.DEFAULT)


def test_it_writes_three_files_and_says_what_comes_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["-o", str(tmp_path / "out"), str(ARENA)]) == 0
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["arena.env.yaml", "arena.hot.yaml", "arena.plan.yaml"]
    out = capsys.readouterr().out
    assert f"wrote {tmp_path}/out/arena.hot.yaml" in out
    assert f"(cd {tmp_path}/out && openstack stack create -t arena.hot.yaml -e arena.env.yaml --wait arena)" in out


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert command.main(["-o", str(tmp_path / name), str(ARENA)]) == 0
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_a_dash_writes_yaml_documents_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["-o", "-", str(ARENA)]) == 0
    documents = list(yaml.safe_load_all(capsys.readouterr().out))
    assert [next(iter(d)) for d in documents] == ["heat_template_version", "parameters", "version"]


def test_errors_end_with_1_and_write_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["-o", str(tmp_path / "out"), str(broken(tmp_path))]) == 1
    assert not (tmp_path / "out").exists()
    caught = capsys.readouterr()
    assert caught.out == ""
    assert "did you mean 'meghdwar.nodes.EdgeGateway'" in caught.err
    assert "arena.tosca.yaml:16:13: error MDW150" in caught.err
    assert "\x1b[" not in caught.err


def test_check_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command.main(["--check", str(ARENA)]) == 0
    assert list(tmp_path.iterdir()) == []
    assert "no errors" in capsys.readouterr().err


def test_json_and_sarif_go_to_the_standard_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(broken(tmp_path))
    assert command.main(["--check", "-f", "json", path]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found[0]["line"] == 16
    assert command.main(["--check", "-f", "sarif", path]) == 1
    assert json.loads(capsys.readouterr().out)["version"] == "2.1.0"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere.yaml"], "there is no such file"),
        (["--input", "flavor", str(ARENA)], "it has to be NAME=VALUE"),
        (["--inputs", "nowhere.yaml", str(ARENA)], "cannot read nowhere.yaml"),
        (["--graph", "arena.png", str(ARENA)], "the name has to end in .mmd, .dot, .svg"),
        (["--explain", "saves", "-f", "sarif", str(ARENA)], "use -f text or -f json"),
        (["--explain", "savez", str(ARENA)], "did you mean 'saves'?"),
        (["-o", "/dev/null/x", str(ARENA)], "cannot write into /dev/null/x"),
    ],
)
def test_what_cannot_be_done_ends_with_2(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(arguments) == 2
    assert says in capsys.readouterr().err


def test_inputs_from_a_file_and_from_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "inputs.yaml").write_text("flavor: m1.large\n")
    assert command.main(["--inputs", str(tmp_path / "inputs.yaml"), "-o", str(tmp_path), str(ARENA)]) == 0
    assert yaml.safe_load((tmp_path / "arena.env.yaml").read_text())["parameters"]["flavor"] == "m1.large"
    arguments = ["--inputs", str(tmp_path / "inputs.yaml"), "--input", "flavor=1.10", "-o", str(tmp_path), str(ARENA)]
    assert command.main(arguments) == 0
    assert yaml.safe_load((tmp_path / "arena.env.yaml").read_text())["parameters"]["flavor"] == "1.10"


def test_an_input_that_does_not_fit_is_an_error_of_the_template(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--input", "cpus=99", "-o", "-", str(HELLO)]) == 1
    assert "cpus" in capsys.readouterr().err
    assert command.main(["--input", "cpuz=9", "-o", "-", str(HELLO)]) == 1
    assert "did you mean 'cpus'?" in capsys.readouterr().err


def test_every_kind_of_drawing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for suffix in ("mmd", "dot", "svg"):
        assert command.main(["--graph", str(tmp_path / f"a.{suffix}"), "-o", str(tmp_path), str(ARENA)]) == 0
        assert "edge_a" in (tmp_path / f"a.{suffix}").read_text()
    ElementTree.parse(tmp_path / "a.svg")  # noqa: S314 (we wrote it)
    capsys.readouterr()
    assert command.main(["--graph", "-", str(ARENA)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("---\ntitle: ")
    assert "OS::Senlin::Policy grow" in next(line for line in out.splitlines() if "n6{{" in line)


def test_explain_names_the_lines_and_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--explain", "saves", str(ARENA)]) == 0
    out = capsys.readouterr().out
    assert f"saves: volume, {ARENA}:54:5" in out
    assert "  57 |         size: 100 MiB" in out
    assert "saves (OS::Cinder::Volume)" in out
    assert command.main(["--explain", "edge_a_profile", "-f", "json", str(ARENA)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["made"][0]["type"] == "OS::Senlin::Profile"
    assert found["place"]["file"] == str(ARENA)


def test_colour_is_for_those_who_ask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--colour", "always", "--check", str(broken(tmp_path))]) == 1
    assert "\x1b[" in capsys.readouterr().err


def test_a_reader_who_leaves_early_is_no_crash(tmp_path: Path) -> None:
    script = f"from meghdwar.cli.compile import main; import sys; sys.exit(main(['-o', '-', {str(ARENA)!r}]))"
    line = f'{sys.executable} -c "{script}" | true'
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_garbage_is_collected_as_before() -> None:
    import gc

    assert gc.isenabled()
    command.main(["--check", str(HELLO)])
    assert gc.isenabled()


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")
def test_the_completion_script_is_a_script() -> None:
    pytest.importorskip("shtab", reason="shtab is not installed: pip install 'meghdwar[completion]'")
    line = [sys.executable, "-m", "meghdwar.cli.compile", "--completion", "bash"]
    script = subprocess.run(line, capture_output=True, text=True, check=True)
    subprocess.run(["bash", "-n"], input=script.stdout, text=True, check=True)


def test_the_reference_knows_every_option() -> None:
    page = (ROOT / "docs/reference/mdw-compile.md").read_text()
    for action in command.parser()._actions:
        for option in action.option_strings:
            assert f"`{option}" in page or f" `{option}" in page or option in ("--color", "--help"), option


def test_a_mistake_of_ours_is_one_line_and_a_status_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*_: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr(command, "compiled", break_down)
    assert command.main(["-o", str(tmp_path), str(HELLO)]) == 70
    said = capsys.readouterr().err
    assert "a mistake of ours (KeyError at test_compile.py:" in said
    assert said.count("\n") == 1
    monkeypatch.setenv("MEGHDWAR_TRACEBACK", "1")
    with pytest.raises(KeyError):
        command.main(["-o", str(tmp_path), str(HELLO)])


def test_a_signed_package_is_compiled_from_inside_its_zip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inner = package({"arena.yaml": ARENA.read_bytes()})
    path = tmp_path / "arena.zip"
    path.write_bytes(package({"arena.csar": inner, "arena.cms": cms(inner, provider())}))
    assert command.main(["-o", str(tmp_path / "out"), str(path)]) == 0
    assert (tmp_path / "out/arena.plan.yaml").exists()
    assert "MDW798" in capsys.readouterr().err  # who signed it is not known to anybody here
    assert command.main(["--check", str(path)]) == 0
    path.write_bytes(package({"arena.csar": inner, "arena.cms": cms(inner + b"more", provider())}))
    assert command.main(["-o", str(tmp_path / "wrong"), str(path)]) == 1
    assert "MDW786" in capsys.readouterr().err
    assert not (tmp_path / "wrong").exists()
