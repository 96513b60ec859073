"""Heat accepts every stack that we make, and Senlin every spec in it: golden cases, examples, the benchmark's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from bench.compile import descriptor
from meghdwar import bundle
from meghdwar.compiler import compile_file
from tests.oracle.judge import Heat, Senlin, Stack

ROOT = Path(__file__).parents[2]
BEYOND = ROOT / "tests/golden/limits"  # more than a stock Heat takes, which was said
PLANS = sorted(path for path in (ROOT / "tests/golden").rglob("*.plan.yaml") if BEYOND not in path.parents)
EXAMPLES = sorted((ROOT / "tosca/examples").glob("*.tosca.yaml"))
WITH_SENLIN = ("zed", "2023.1", "2023.2", "2024.1", "plugin")


def stack(files: Mapping[str, bytes], name: str) -> tuple[Stack, str]:
    """What `openstack stack create` sends, as the plan tells it, and the target that it was made for."""
    plan = yaml.safe_load(next(data for file, data in files.items() if file.endswith(".plan.yaml")))
    environment = yaml.safe_load(files[plan["environment"]]) or {}
    others = {
        file: files[file].decode("utf-8", "replace")
        for file in plan["files"]
        if file not in (plan["template"], plan["environment"])
    }
    return Stack(name, files[plan["template"]].decode(), others, environment), plan["target"]


def accept(made: Stack, target: str, heat22: Heat, heat27: Heat, senlin16: Senlin) -> None:
    """Fails with all that the judges say."""
    verdict = heat22.judge_one(made)
    assert verdict.accepted, str(verdict)
    assert verdict.resources or "resources:" not in made.template
    assert [str(v) for v in senlin16.judge(verdict.senlin) if not v.accepted] == []
    if target != "senlin":
        newest = heat27.judge_one(made)
        assert newest.accepted, str(newest)


@pytest.mark.parametrize("plan", PLANS, ids=lambda p: str(p.relative_to(ROOT / "tests/golden")))
def test_golden(plan: Path, heat22: Heat, heat27: Heat, senlin16: Senlin) -> None:
    files = {p.relative_to(plan.parent).as_posix(): p.read_bytes() for p in plan.parent.rglob("*") if p.is_file()}
    names = yaml.safe_load(plan.read_bytes())["files"]
    made, target = stack({name: files[name] for name in [*names, plan.name]}, plan.name)
    accept(made, target, heat22, heat27, senlin16)


def compiled(path: Path, target: str, heat: str = "2024.1") -> tuple[Stack, str] | str:
    """The stack, or the problem that this target has with the descriptor."""
    result = compile_file(str(path), target=target, heat=heat)
    errors = [f"{d.rule.code} {d.message}" for d in result.diagnostics if d.is_error]
    if result.bundle is None:
        assert errors
        return errors[0]
    return stack(bundle.to_files(result.bundle), path.name)


@pytest.mark.parametrize("heat", WITH_SENLIN)
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.name)
def test_examples_with_senlin(path: Path, heat: str, heat22: Heat, heat27: Heat, senlin16: Senlin) -> None:
    made = compiled(path, "senlin", heat)
    assert not isinstance(made, str), made
    accept(*made, heat22, heat27, senlin16)


@pytest.mark.parametrize("target", ["static", "asg"])
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.name)
def test_examples_without_senlin(path: Path, target: str, heat22: Heat, heat27: Heat, senlin16: Senlin) -> None:
    made = compiled(path, target)
    if isinstance(made, str):  # what has state does not fit into a group that scales
        assert target == "asg"
        assert made.startswith("MDW5")
        return
    accept(*made, heat22, heat27, senlin16)


@pytest.mark.parametrize("size", ["hello", "10", "100"])
@pytest.mark.parametrize("target", ["senlin", "static"])
def test_benchmark(size: str, target: str, tmp_path: Path, heat22: Heat, heat27: Heat, senlin16: Senlin) -> None:
    path = tmp_path / "bench.tosca.yaml"
    path.write_text(descriptor(size))
    made = compiled(path, target)
    assert not isinstance(made, str), made
    accept(*made, heat22, heat27, senlin16)
