"""Each descriptor in tests/golden beside everything that it becomes: stacks, environment, plan, scripts, diagnostics.

A case is a folder with a `service.yaml` (and whatever that imports), or a folder `csar` that is packed first.
It becomes the files in `expected`, or with an `options.yaml` those in a folder for each name in it.
`--update-golden` rewrites them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copytree, ignore_patterns
from zipfile import ZipFile, ZipInfo

import pytest
import yaml

from meghdwar import bundle, render
from meghdwar.compiler import compile_file

GOLDEN = Path(__file__).parent / "golden"
PLANS = sorted(GOLDEN.rglob("*.plan.yaml"))
FOLDERS = sorted(path for path in GOLDEN.iterdir() if path.is_dir())
OPTIONS = {"target", "heat", "inputs", "skip_unmapped"}  # of compile_file


@dataclass(frozen=True, slots=True)
class Case:
    folder: Path
    name: str = "expected"
    options: Mapping[str, object] = field(default_factory=dict)

    @property
    def expected(self) -> Path:
        return self.folder / self.name

    def __str__(self) -> str:
        return self.folder.name if self.name == "expected" else f"{self.folder.name}-{self.name}"


def cases() -> Iterator[Case]:
    for folder in FOLDERS:
        path = folder / "options.yaml"
        given = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {"expected": {}}
        yield from (Case(folder, str(name), options or {}) for name, options in given.items())


CASES = list(cases())


def template(case: Case, scratch: Path) -> Path:
    """The descriptor among its own files, without what it is expected to become."""
    inside = case.folder / "csar"
    if inside.exists():
        package = scratch / "service.csar"
        with ZipFile(package, "w") as archive:
            for path in sorted(p for p in inside.rglob("*") if p.is_file()):
                archive.writestr(ZipInfo(path.relative_to(inside).as_posix()), path.read_bytes())
        return package
    become = [other.name for other in CASES if other.folder == case.folder]
    copytree(case.folder, scratch, ignore=ignore_patterns("options.yaml", *become), dirs_exist_ok=True)
    return scratch / "service.yaml"


def outcome(case: Case, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Every file that the compiler gives, and what it says."""
    path = template(case, scratch)
    monkeypatch.chdir(path.parent)
    result = compile_file(path.name, **case.options)  # type: ignore[arg-type]
    files = bundle.to_files(result.bundle) if result.bundle is not None else {}
    if result.diagnostics:
        said = render.text(result.diagnostics, result.sources, color=False)
        files["diagnostics.txt"] = f"{said}{render.summary(result.diagnostics)}\n".encode()
    return files


def stored(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def update(folder: Path, files: Mapping[str, bytes]) -> None:
    for name in stored(folder).keys() - files.keys():
        (folder / name).unlink()
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_descriptor_becomes_what_is_beside_it(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    assert case.options.keys() <= OPTIONS
    files = outcome(case, tmp_path, monkeypatch)
    if pytestconfig.getoption("update_golden"):
        update(case.expected, files)
    found = stored(case.expected)
    assert sorted(files) == sorted(found)
    for name, data in files.items():
        assert data.decode() == found[name].decode(), f"{name}: look at the change, then use --update-golden"


@pytest.mark.parametrize("plan", PLANS, ids=lambda p: str(p.parent.relative_to(GOLDEN)))
def test_a_plan_reads_back_as_it_was_written(plan: Path) -> None:
    read = bundle.read(plan)
    assert bundle.to_files(read) == {name: data for name, data in stored(plan.parent).items() if "diag" not in name}


def _parameters(data: object) -> Iterator[str]:
    """The parameters that a plan speaks of."""
    if isinstance(data, dict):
        if list(data) == ["$parameter"]:
            yield data["$parameter"][0]
        for entry in data.values():
            yield from _parameters(entry)
    elif isinstance(data, list):
        for entry in data:
            yield from _parameters(entry)


@pytest.mark.parametrize("path", PLANS, ids=lambda p: str(p.parent.relative_to(GOLDEN)))
def test_a_plan_names_what_is_in_its_stack(path: Path) -> None:
    plan = yaml.safe_load(path.read_bytes())
    stack = yaml.safe_load((path.parent / plan["template"]).read_bytes())
    parameters = stack.get("parameters", {}).keys()
    known = parameters | stack.get("resources", {}).keys() | stack.get("outputs", {}).keys()
    sections = [section for section in plan.values() if isinstance(section, dict)]
    items = [item for section in sections for item in section.values() if isinstance(item, dict)]
    made = {name for item in items for name in item.get("stack", {}).values()}
    left = {step["resource"] for step in plan["complete"]} | {
        step["arguments"]["cluster"] for step in plan["complete"] if "cluster" in step.get("arguments", {})
    }
    assert made | left <= known
    assert {*_parameters(plan)} <= parameters
    given = yaml.safe_load((path.parent / plan["environment"]).read_bytes())["parameters"]
    assert given.keys() <= parameters
    assert all((path.parent / name).is_file() for name in plan["files"])


def test_every_case_says_what_it_shows_and_nothing_lies_about() -> None:
    for folder in FOLDERS:
        [first] = [*folder.glob("service.yaml"), *folder.glob("csar/definitions/shop.yaml")]
        assert first.read_text(encoding="utf-8").startswith("# "), folder
        kept = {case.name for case in CASES if case.folder == folder}
        unknown = [p for p in folder.rglob("*.plan.yaml") if p.relative_to(folder).parts[0] not in kept]
        assert unknown == [], "no variant of options.yaml makes this any more"
